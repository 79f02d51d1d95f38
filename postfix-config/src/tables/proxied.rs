//! `proxy:type:name`: a table that another process opens, and the way to it.
//!
//! Source: Postfix `src/global/dict_proxy.c`, `src/util/dict_utf8.c`.

use std::fmt;
use std::sync::Arc;

use super::octets::Octets;
use super::open::{TableContext, open_in};
use smtp_policy::tables::{KeyCase, Table, TableError, TableFailure};

/// The place where `proxy:type:name` tables are opened.
#[derive(Clone, Debug, Default)]
pub enum ProxyTables {
    /// This process, which reads `type:name` itself.
    #[default]
    Here,
    /// Another one, by way of this client.
    Elsewhere(Arc<dyn ProxyClient>),
}

/// A client of a process that opens tables for others, proxymap(8).
pub trait ProxyClient: Send + Sync + fmt::Debug {
    /// Opens the table `type:name`.
    ///
    /// # Errors
    ///
    /// The reason for which it cannot be opened.
    fn open(
        self: Arc<Self>,
        table: &str,
        encoding: KeyEncoding,
    ) -> Result<Arc<dyn RemoteTable>, String>;
}

/// The encoding of keys and values of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEncoding {
    /// They are bytes in no particular encoding.
    Bytes,
    /// They are UTF-8 (`DICT_FLAG_UTF8_REQUEST`).
    Utf8,
}

/// A table of another process. It may be asked by several threads at once, each of which waits for its own answer.
pub trait RemoteTable: Send + Sync + fmt::Debug {
    /// Returns whether its keys are fixed strings, so that parts of keys may be looked up, and case does not count
    /// (`DICT_FLAG_FIXED`).
    fn has_fixed_keys(&self) -> bool;

    /// The value for a key, which has no null byte.
    ///
    /// # Errors
    ///
    /// The reason for which there is no answer now.
    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String>;
}

/// A table of another process, as decisions ask it.
#[derive(Debug)]
struct Proxied {
    spec: String,
    table: Arc<dyn RemoteTable>,
    /// The way in which fixed keys are looked up.
    asked: KeyCase,
    octets: Octets,
}

/// Opens `proxy:name`.
pub(super) fn open(
    spec: &str,
    name: &str,
    context: &mut TableContext<'_>,
) -> Result<Arc<dyn Table>, TableError> {
    let ProxyTables::Elsewhere(client) = context.proxies() else {
        return open_in(name, context);
    };
    let encoding = match context.case() {
        KeyCase::Unicode => KeyEncoding::Utf8,
        KeyCase::Ascii | KeyCase::Exact => KeyEncoding::Bytes,
    };
    let octets = context.octets();
    let client = Arc::clone(client);
    let table = client.open(&String::from_utf8_lossy(&octets.bytes(name)), encoding);
    Ok(Arc::new(Proxied {
        spec: spec.to_owned(),
        table: table.map_err(|reason| TableError::new(spec, reason))?,
        asked: context.case(),
        octets,
    }))
}

impl Table for Proxied {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        let failed = |reason| TableFailure {
            table: self.spec.clone(),
            reason,
        };
        // The other process leaves case to us.
        let key = match self.table.has_fixed_keys() {
            true => self.asked.fold(key),
            false => key.into(),
        };
        let found = self.table.lookup(&self.octets.bytes(&key));
        let Some(value) = found.map_err(failed)? else {
            return Ok(None);
        };
        let text = self.octets.text(value);
        text.map(Some)
            .ok_or_else(|| failed("the value is not UTF-8 text".to_owned()))
    }

    fn is_pattern(&self) -> bool {
        !self.table.has_fixed_keys()
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
    use std::path::Path;

    use super::super::byte_maps_in;
    use super::*;

    /// A process that answers with what it was asked.
    #[derive(Debug)]
    struct Echo;

    #[derive(Debug)]
    struct EchoTable(String, KeyEncoding);

    impl ProxyClient for Echo {
        fn open(
            self: Arc<Self>,
            table: &str,
            encoding: KeyEncoding,
        ) -> Result<Arc<dyn RemoteTable>, String> {
            match table {
                "denied:x" => Err("it is denied".to_owned()),
                _ => Ok(Arc::new(EchoTable(table.to_owned(), encoding))),
            }
        }
    }

    impl RemoteTable for EchoTable {
        fn has_fixed_keys(&self) -> bool {
            !self.0.starts_with("regexp:")
        }

        fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
            let said = format!("{} {:?} ", self.0, self.1).into_bytes();
            match key {
                b"none" => Ok(None),
                b"later" => Err("try later".to_owned()),
                key => Ok(Some([said.as_slice(), key].concat())),
            }
        }
    }

    fn context() -> TableContext<'static> {
        let proxies = ProxyTables::Elsewhere(Arc::new(Echo));
        TableContext::new(Path::new("/nonexistent")).with_proxies(proxies)
    }

    #[test]
    fn another_process_is_asked_in_the_way_in_which_keys_are_compared() {
        let rows = [
            (KeyCase::Unicode, "hash:x", "ÄB\0c", "hash:x Utf8 äb"),
            (KeyCase::Ascii, "hash:x", "ÄB", "hash:x Bytes Äb"),
            (KeyCase::Exact, "hash:x", "ÄB", "hash:x Bytes ÄB"),
            (KeyCase::Unicode, "regexp:x", "ÄB", "regexp:x Utf8 ÄB"),
        ];
        for (case, name, key, expected) in rows {
            let mut context = context();
            let table = context
                .comparing(case, |context| open_in(&format!("proxy:{name}"), context))
                .unwrap();
            assert_eq!(table.lookup(key).unwrap().as_deref(), Some(expected));
            assert_eq!(table.is_pattern(), name.starts_with("regexp:"), "{name}");
        }
        let maps = byte_maps_in("unionmap:{proxy:regexp:\u{e9}}", &mut context()).unwrap();
        let answer = maps.lookup("\u{ff}").unwrap().unwrap();
        assert!(answer.ends_with("Utf8 \u{ff}"), "{answer}");
    }

    #[test]
    fn its_answers_and_refusals_are_passed_on() {
        let table = open_in("proxy:hash:x", &mut context()).unwrap();
        assert_eq!(table.lookup("None"), Ok(None));
        let failure = table.lookup("later").unwrap_err();
        assert_eq!(failure.to_string(), "proxy:hash:x: try later");
        let error = open_in("proxy:denied:x", &mut context()).unwrap_err();
        assert_eq!(error.to_string(), "proxy:denied:x: it is denied");
    }
}
