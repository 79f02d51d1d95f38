//! The store that an address names.

use super::{Operation, Store, StoreError};

#[cfg(feature = "postgres")]
use super::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
use super::sqlite::{SqliteOptions, SqliteStore};

/// A store of one of the kinds that are built in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    Postgres(PostgresStore),
    /// A file of SQLite.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    Sqlite(SqliteStore),
}

/// The store that an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address<'a> {
    /// A database of PostgreSQL.
    Postgres,
    /// A file.
    Path(&'a str),
}

impl AnyStore {
    /// Opens the store at an address:
    ///
    /// | address | store |
    /// |---|---|
    /// | `postgres://…`, `postgresql://…` | a PostgreSQL database (feature `postgres`) |
    /// | `sqlite:PATH` | a file of SQLite (feature `sqlite`) |
    /// | `PATH`, which has no colon before its first slash | the same |
    ///
    /// # Errors
    /// The address is of another form, or of a store that is not built in; the store cannot be opened.
    pub async fn open(address: &str) -> Result<Self, StoreError> {
        match Address::parse(address)? {
            #[cfg(feature = "postgres")]
            Address::Postgres => PostgresStore::open(address).await.map(Self::Postgres),
            #[cfg(not(feature = "postgres"))]
            Address::Postgres => Err(missing("PostgreSQL", "postgres")),
            #[cfg(feature = "sqlite")]
            Address::Path(path) => {
                SqliteStore::open(path, &SqliteOptions::default()).map(Self::Sqlite)
            }
            #[cfg(not(feature = "sqlite"))]
            Address::Path(_) => Err(missing("SQLite", "sqlite")),
        }
    }
}

impl<'a> Address<'a> {
    fn parse(address: &'a str) -> Result<Self, StoreError> {
        let unusable = |why: &str| Err(StoreError::Unusable(why.to_owned()));
        let before_slash = address.split('/').next().unwrap_or_default();
        match before_slash.split_once(':') {
            Some(("postgres" | "postgresql", "")) => Ok(Self::Postgres),
            Some(("sqlite", _)) => match address.split_once(':') {
                Some((_, path)) if !path.is_empty() => Ok(Self::Path(path)),
                _ => unusable("the address of a store has no path"),
            },
            // What follows may have a password in it.
            Some((scheme, _)) => {
                let scheme = smtp_policy::report::printable(scheme);
                unusable(&format!(
                    "the address of a store begins with \"{scheme}:\", and has to with postgres:// or sqlite:, or to be a path"
                ))
            }
            None if address.is_empty() => unusable("the address of a store is empty"),
            None => Ok(Self::Path(address)),
        }
    }
}

#[allow(dead_code, reason = "all may be built in")]
fn missing(store: &str, feature: &str) -> StoreError {
    StoreError::Unusable(format!("{store} is not built in (feature `{feature}`)"))
}

impl Store for AnyStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.run(operation).await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.run(operation).await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_stores() {
        for (address, is) in [
            ("postgres://me@db/mail", Address::Postgres),
            ("postgresql:///mail?host=/run", Address::Postgres),
            ("sqlite:/var/spool/queue", Address::Path("/var/spool/queue")),
            ("sqlite:queue.db", Address::Path("queue.db")),
            ("/var/spool/a:b", Address::Path("/var/spool/a:b")),
            ("./a:b", Address::Path("./a:b")),
            ("queue.db", Address::Path("queue.db")),
        ] {
            assert_eq!(Address::parse(address).unwrap(), is, "{address}");
        }
        for (address, says) in [
            ("", "empty"),
            ("sqlite:", "no path"),
            ("mysql://me:s3cret@db/mail", "\"mysql:\""),
            ("me:s3cret@db", "\"me:\""),
            ("postgres:mail", "\"postgres:\""),
            ("C:\\queue", "\"C:\""),
        ] {
            let error = Address::parse(address).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("s3cret"), "{error}");
        }
    }
}
