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
//! | `external:name` | asked of the driver, see [`Maps::search`] |
//!
//! Trouble comes in three kinds. A [`TableError`] says that a table could not be opened. A *warning*
//! says that a line of a table was skipped, as in Postfix; [`TableContext`] collects them. A
//! [`TableFailure`] says that a lookup could not be answered, which must never be read as "not found".
//! Postfix opens a table that it cannot read all the same and lets each lookup fail; here the
//! configuration is refused at once instead. Each lookup in a `texthash:` table with two entries for
//! a key fails, as in Postfix, with a warning from the start.
//!
//! Keys in `inline:`, `texthash:` and the database types are compared as the parameter that names
//! them has it, see [`KeyCase`]; those of database types are in lower case as `postmap` puts them
//! there.
//!
//! Patterns see the bytes of keys and not their characters, in the C locale. The work of lookups is
//! counted, see [`Steps`].

use std::fmt;

mod address;
mod block;
pub(crate) mod byte_text;
mod key_case;
mod maps;
mod match_list;
mod secret;
mod steps;
mod types;
pub(crate) mod words;

pub use address::{
    AddressMatch, AddressRules, AddressSearch, AddressStep, DomainKind, KeyForms, OwnerRequest,
    find_address,
};
pub use key_case::KeyCase;
pub use maps::{Maps, MapsSearch, MapsStep};
pub use match_list::{MatchKind, MatchList};
pub use secret::SecretMaps;
pub use steps::Steps;
pub use types::{TableContext, open, open_in};

/// A lookup table.
///
/// A program brings in a table of its own under a name, `external:NAME`, wherever a parameter takes a
/// list of tables. A delivery then asks its driver ([`Ask::LookUp`](crate::delivery::Ask::LookUp));
/// the clients of the runtimes take such tables with `add_table`.
pub trait Table: Send + Sync + fmt::Debug {
    /// The text for `key`, or `None` if the table has none.
    ///
    /// # Errors
    ///
    /// When the question cannot be answered now. Mail that depends on the answer is deferred.
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure>;

    /// The same, where the work that it takes is counted and limited. A table whose lookups
    /// take about as long as the key is has nothing to do for it.
    ///
    /// # Errors
    ///
    /// As for [`lookup`](Table::lookup); also when it takes too many steps.
    fn lookup_within(&self, key: &str, steps: &mut Steps) -> Result<Option<String>, TableFailure> {
        steps.forward(key.len());
        self.lookup(key)
    }

    /// Whether the keys are patterns, so that only a full key (a whole address, a whole host name)
    /// may be looked up, never a part of it such as `@domain`.
    fn is_pattern(&self) -> bool {
        false
    }

    /// The texts that the table can answer with, where they are written down in it.
    /// Files that such a text names are read when the table is opened. A table that
    /// makes up its answers has none.
    fn values(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A question to a table outside the engine (`external:NAME` in main.cf).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableQuery {
    /// The NAME of the table.
    pub table: String,
    /// What to look up.
    pub key: String,
}

/// A lookup that could not be answered. It is not the same as "not found".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFailure {
    /// The table, as `type:name`.
    pub table: String,
    /// What went wrong, for a log line.
    pub reason: String,
}

impl fmt::Display for TableFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.reason)
    }
}

impl std::error::Error for TableFailure {}

/// A table that could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError {
    /// The table as it was specified, `type:name` where it has that form.
    pub table: String,
    /// What is wrong with it, including the file name where a file is involved.
    pub reason: String,
}

impl TableError {
    fn new(table: impl Into<String>, reason: impl Into<String>) -> Self {
        TableError {
            table: table.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.reason)
    }
}

impl std::error::Error for TableError {}
