//! Tables with secrets in them: passwords.

use std::fmt;
use std::sync::Arc;

use smtp_proto::Secret;

use super::{Maps, Table, TableFailure};

/// A list of tables that hold secrets. Neither `Debug` output nor warnings nor errors show what is in
/// them, nor how they are specified, since `inline:` and `static:` tables are their own contents.
///
/// Cloning is cheap: clones share the tables.
#[derive(Clone, Default)]
pub struct SecretMaps(Maps);

impl SecretMaps {
    /// Takes the tables of a list for secret.
    pub fn new(maps: Maps) -> Self {
        Self(maps)
    }

    /// One user and password for all keys. The user must have no colon in it.
    pub fn credentials(user: &str, password: &Secret) -> Self {
        let mut maps = Self::default();
        let password = String::from_utf8_lossy(password.expose());
        let entry = Secret::new(format!("{user}:{password}"));
        maps.push("credentials", Arc::new(Credentials(entry)));
        maps
    }

    /// Adds a table of the consumer's own at the end.
    pub fn push(&mut self, name: impl Into<String>, table: Arc<dyn Table>) {
        self.0.push(name, table);
    }

    /// Whether there is no table.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tables, for whoever can keep a secret.
    pub fn expose(&self) -> &Maps {
        &self.0
    }
}

impl fmt::Debug for SecretMaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretMaps")
    }
}

/// A table with one answer.
#[derive(Debug)]
struct Credentials(Secret);

impl Table for Credentials {
    fn lookup(&self, _key: &str) -> Result<Option<String>, TableFailure> {
        Ok(Some(String::from_utf8_lossy(self.0.expose()).into_owned()))
    }
}
