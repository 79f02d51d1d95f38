//! Lookup tables: what Postfix parameters of the `*_maps` and `*_filter` kind name as `type:name`.
//!
//! A table maps a key to a text. Tables are read whole when they are opened, do no input or output
//! afterwards, and can be shared between threads; only those of another process are asked anew each time.
//!
//! | type | what it is |
//! |------|------------|
//! | `inline:{key=value, {key = text with blanks}}` | entries in the specification itself |
//! | `static:value`, `static:{text with blanks}` | the same answer for every key |
//! | `texthash:file` | a `key value` text file |
//! | `hash:file`, `btree:file`, `lmdb:file`, `cdb:file`, `dbm:file`, `sdbm:file` | what `postmap` makes of such a text: an index, see below |
//! | `cidr:file`, `cidr:{{pattern result}, …}` | network blocks, cidr_table(5) |
//! | `regexp:file`, `regexp:{{/pattern/ result}, …}` | POSIX expressions, regexp_table(5) |
//! | `pcre:file`, `pcre:{{/pattern/ result}, …}` | Perl-like expressions, pcre_table(5) |
//! | `unionmap:{type:name, …}` | the answers of all tables, joined by commas |
//! | `pipemap:{type:name, …}` | the answer of each table is the key for the next |
//! | `randmap:{text, …}` | one of the texts, picked anew at each lookup |
//! | `fail:name` | fails at each lookup; for tests |
//! | `proxy:type:name` | the same as `type:name`, opened here or by another process, see [`ProxyTables`] |
//! | `external:name` | asked of the driver, see [`Maps::search`](smtp_policy::tables::Maps::search) |
//!
//! Of the types with an index, Postfix reads the index. Here it is read where that can be done without `unsafe` and without
//! trusting what the file says; else its source text is.
//!
//! | type | index | entries come from | because |
//! |------|-------|-------------------|---------|
//! | `cdb:` | `file.cdb` | the index | the format is small and does not change |
//! | `hash:`, `btree:` | `file.db` | `file` | no library in Rust reads the files of Berkeley DB |
//! | `lmdb:` | `file.lmdb` | `file` | to open one is `unsafe` in `heed`; a damaged file ends the process, in the libraries that are no longer kept, too |
//! | `dbm:`, `sdbm:` | `file.pag` | `file` | no library in Rust reads them |
//!
//! An index that can be read needs no source text, and wins over it. One that cannot be opened, or is damaged, is an error, never a
//! table without entries; so is one that cannot be read here and has no source text. Without an index, the source text is read. A warning
//! says that an index is older than its source text (Postfix waits with it for 100 seconds), and, where the text is read, that an index is newer by more than an hour: it may have other entries. The file that
//! [`OpenedTable`] looks at is the index where there is one.
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
mod cdb;
mod cidr;
mod fixed;
mod indexed;
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
mod proxied;
mod rand;
mod regexp;
mod rules;
mod static_map;
mod texthash;
mod union;

pub use lists::{byte_maps_in, maps, maps_in, match_list_in, secret_maps_in};
pub use open::{TableContext, open, open_in};
pub use opened::OpenedTable;
pub use proxied::{KeyEncoding, ProxyClient, ProxyTables, RemoteTable};
pub use smtp_policy::tables::{Steps, Table, TableError, TableFailure};
