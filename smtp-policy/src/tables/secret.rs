//! Tables with secrets in them: passwords.

use std::fmt;
use std::sync::Arc;

use smtp_proto::Secret;

use super::{Maps, Table, TableContext, TableError, TableFailure};

/// A list of tables that hold secrets. Neither `Debug` output nor warnings nor errors show what is in
/// them, nor how they are specified, since `inline:` and `static:` tables are their own contents.
///
/// Cloning is cheap: clones share the tables.
#[derive(Clone, Default)]
pub struct SecretMaps(Maps);

impl SecretMaps {
    /// Opens the tables of a list, as [`Maps::open_in`] does.
    ///
    /// # Errors
    ///
    /// If one of the tables cannot be opened. The error does not quote the list.
    pub fn open_in(specs: &str, context: &mut TableContext<'_>) -> Result<Self, TableError> {
        let earlier = context.take_warnings();
        let opened = Maps::open_in(specs, context);
        let new = context.take_warnings();
        context.warnings_mut().extend(earlier);
        context
            .warnings_mut()
            .extend(new.iter().map(|warning| without_quotation(warning)));
        opened.map(Self).map_err(|error| TableError {
            table: without_contents(&error.table),
            reason: without_quotation(&error.reason),
        })
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
    pub(crate) fn expose(&self) -> &Maps {
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

/// `type:` of `type:contents`; names of files stay.
fn without_contents(spec: &str) -> String {
    let (kind, name) = spec.split_once(':').unwrap_or((spec, ""));
    if name.starts_with('/') && !name.contains('{') {
        return spec.to_owned();
    }
    format!("{kind}:…")
}

/// A message up to where it quotes something.
fn without_quotation(text: &str) -> String {
    match text.split_once(['"', '\'', '{']) {
        Some((start, _)) => format!("{start}…"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    #[test]
    fn no_error_and_no_warning_quotes_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pw"), " bob:hush\n\"bob:hush\nc \u{e9}\nd").unwrap();
        let mut context = TableContext::new(dir.path());
        context.warn("earlier \"quoted\"".to_owned());
        for specs in [
            "inline:{a=hush",
            "inline:{a hush}",
            "inline:{{a=hush}x}",
            "nosuch:hush",
            "static:{hush",
            "unionmap:{inline:{a hush}}",
            "/nowhere/pw",
        ] {
            let error = SecretMaps::open_in(specs, &mut context).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.replace("hush:…", "").contains("hush"),
                "{specs}: {shown}"
            );
        }
        let maps = SecretMaps::open_in("texthash:pw, static:hush", &mut context).unwrap();
        assert_eq!(maps.expose().lookup("x"), Ok(Some("hush".to_owned())));
        let shown = format!("{maps:?} {context:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(
            shown.contains("earlier \\\"quoted\\\"") && shown.contains("unbalanced"),
            "{shown}"
        );
    }
}
