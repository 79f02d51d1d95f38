//! Lookup tables, as decisions need them: a [`Table`] answers, [`Maps`] are asked in order, a [`MatchList`] says
//! who is meant, and addresses are looked up in several forms. The types of tables that Postfix has, and the files
//! they come from, are `postfix_config`'s.
//!
//! A table maps a key to a text. It does no input or output when it is asked, and can be shared between threads.
//! A program brings in a table of its own with [`Maps::push`], or under a name with [`Maps::push_external`]
//! (`external:NAME` in main.cf): then a delivery asks its driver. One that has to be awaited is an
//! [`AsyncTable`], which comes in under a name only.
//!
//! ```
//! use std::sync::Arc;
//! use smtp_policy::tables::{Maps, Table, TableFailure};
//!
//! #[derive(Debug)]
//! struct Shout;
//!
//! impl Table for Shout {
//!     fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
//!         Ok(Some(key.to_uppercase()))
//!     }
//! }
//!
//! let mut maps = Maps::default();
//! maps.push("shout", Arc::new(Shout));
//! assert_eq!(maps.lookup("hello")?.as_deref(), Some("HELLO"));
//! # Ok::<(), TableFailure>(())
//! ```
//!
//! A [`TableError`] says that a table could not be opened. A [`TableFailure`] says that a lookup could not be
//! answered, which must never be read as "not found". The work of lookups is counted, see [`Steps`].

use std::fmt;

mod address;
pub mod block;
pub mod byte_text;
mod key_case;
mod maps;
pub mod match_list;
mod named;
mod secret;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
pub mod words;

pub use address::{
    AddressMatch, AddressRules, AddressSearch, AddressStep, DomainKind, KeyForms, OwnerRequest,
    find_address,
};
pub use key_case::KeyCase;
pub use maps::{Maps, MapsSearch, MapsStep};
pub use match_list::{MatchKind, MatchList};
pub use named::{AsyncTable, LookupFuture, NamedTable};
pub use secret::SecretMaps;
pub use steps::Steps;

/// A lookup table.
///
/// A program brings in a table of its own under a name, `external:NAME`, wherever a parameter takes a
/// list of tables. A delivery then asks its driver ([`Ask::LookUp`](crate::delivery::Ask::LookUp));
/// the clients of the runtimes take such tables with `add_table`, and ask them on a thread that may
/// wait. A table that is awaited is an [`AsyncTable`].
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
    /// The key to look up.
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
    /// A table that could not be opened, and why.
    pub fn new(table: impl Into<String>, reason: impl Into<String>) -> Self {
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
