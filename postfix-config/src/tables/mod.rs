//! Lookup tables: what Postfix parameters of the `*_maps` and `*_filter` kind name as `type:name`.
//!
//! A table maps a key to a text. Tables are read whole when they are opened, do no input or output
//! afterwards, and can be shared between threads. They are not databases: `hash:`, `btree:`, `lmdb:`,
//! `cdb:`, `dbm:` and `sdbm:` read the *source* text file of that name, the one that `postmap` would
//! compile, and never the compiled file.
//!
//! | type | what it is |
//! |------|------------|
//! | `inline:{key=value, {key = text with blanks}}` | entries in the specification itself |
//! | `static:value`, `static:{text with blanks}` | the same answer for every key |
//! | `texthash:`, `hash:`, `btree:`, `lmdb:`, `cdb:`, `dbm:`, `sdbm:` | a `key value` text file |
//! | `cidr:file`, `cidr:{{pattern result}, …}` | network blocks, cidr_table(5) |
//! | `regexp:file`, `regexp:{{/pattern/ result}, …}` | POSIX expressions, regexp_table(5) |
//! | `pcre:file`, `pcre:{{/pattern/ result}, …}` | Perl-like expressions, pcre_table(5) |
//! | `unionmap:{type:name, …}` | the answers of all tables, joined by commas |
//! | `pipemap:{type:name, …}` | the answer of each table is the key for the next |
//! | `randmap:{text, …}` | one of the texts, picked anew at each lookup |
//! | `fail:name` | fails at each lookup; for tests |
//! | `proxy:type:name` | the same as `type:name`: there is no process boundary to cross |
//! | `external:name` | asked of the driver, see [`Maps::search`](smtp_policy::tables::Maps::search) |
//!
//! Trouble comes in three kinds. A [`TableError`] says that a table could not be opened. A *warning*
//! says that a line of a table was skipped, as in Postfix; [`TableContext`] collects them. A
//! [`TableFailure`] says that a lookup could not be answered, which must never be read as "not found".
//! Postfix opens a table that it cannot read all the same and lets each lookup fail; here the
//! configuration is refused at once instead. Each lookup in a `texthash:` table with two entries for
//! a key fails, as in Postfix, with a warning from the start.
//!
//! Keys in `inline:`, `texthash:` and the database types are compared as the parameter that names
//! them has it, see [`KeyCase`](smtp_policy::tables::KeyCase); those of database types are in lower case as `postmap` puts them
//! there.
//!
//! Patterns see the bytes of keys and not their characters, in the C locale. The work of lookups is
//! counted, see [`Steps`].

mod bracket;
mod cidr;
mod fixed;
mod inline;
mod lines;
mod lists;
mod octets;
mod open;
mod opened;
mod pattern_file;
mod patterns;
mod pcre;
mod pipe;
#[cfg(test)]
mod properties;
mod rand;
mod regexp;
mod rules;
mod static_map;
mod texthash;
mod union;

pub use lists::{byte_maps_in, maps, maps_in, match_list_in, secret_maps_in};
pub use open::{TableContext, open, open_in};
pub use opened::OpenedTable;
pub use smtp_policy::tables::{Steps, Table, TableError, TableFailure};
