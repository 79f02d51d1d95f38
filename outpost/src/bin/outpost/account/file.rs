//! The accounts file as it is written: TOML, with the place of everything that can be wrong in
//! the light of something else.

use std::{collections::BTreeMap, fmt, ops::Range, path::PathBuf};

use serde::{Deserialize, Deserializer, de};
use smtp_proto::Secret;
use toml::Spanned;

/// A value with its place in the file.
pub(super) type At<T> = Option<Spanned<T>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) default: At<String>,
    #[serde(default)]
    pub(super) accounts: BTreeMap<Spanned<String>, Entry>,
    #[serde(default)]
    pub(super) aliases: BTreeMap<Spanned<String>, Targets>,
}

/// An account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) host: At<String>,
    pub(super) port: At<u16>,
    pub(super) tls: At<TlsMode>,
    pub(super) insecure: At<bool>,
    pub(super) ca_file: At<PathBuf>,
    pub(super) min_tls: At<MinTls>,
    pub(super) user: At<String>,
    pub(super) password: At<Hidden>,
    pub(super) password_command: At<Vec<String>>,
    pub(super) password_file: At<PathBuf>,
    pub(super) keyring: At<bool>,
    pub(super) direct: At<bool>,
    pub(super) queue: At<Hidden>,
    pub(super) dns: At<Vec<String>>,
    pub(super) from: At<String>,
    #[serde(default)]
    pub(super) from_patterns: Vec<Spanned<String>>,
    pub(super) full_name: At<String>,
    pub(super) domain: At<String>,
    pub(super) local_hostname: At<String>,
}

/// The ways to encrypt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum TlsMode {
    Starttls,
    Implicit,
    None,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) enum MinTls {
    /// TLS 1.2, and there is nothing older here.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// One address, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected an address, or a list of them")]
pub(super) enum Targets {
    One(String),
    Many(Vec<String>),
}

impl Targets {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A password, which no error shows: one of another type is not repeated in what is said of it.
pub(super) struct Hidden(pub(super) Secret);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        fn refuse<T, E: de::Error>() -> Result<T, E> {
            Err(E::custom("a password is a text in quotes"))
        }

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Hidden;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes")
            }

            fn visit_str<E>(self, text: &str) -> Result<Hidden, E> {
                Ok(Hidden(Secret::new(text)))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Hidden, E> {
                refuse()
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Hidden, E> {
                refuse()
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Hidden, E> {
                refuse()
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<Hidden, E> {
                refuse()
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<Hidden, E> {
                refuse()
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Hidden, E> {
                refuse()
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The text of a file, for the places of what is wrong in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not TOML, or has something in it that is not known.
    pub(super) fn parse(self) -> Result<File, Fault> {
        // Its `Display` shows the line, which may have a password in it.
        toml::from_str(self.text).map_err(|error: toml::de::Error| {
            let first = error.message().lines().next().unwrap_or_default();
            self.fault(error.span().unwrap_or_default(), first)
        })
    }

    /// Makes the error that the bytes in `span` are wrong.
    pub(super) fn fault(self, span: Range<usize>, what: impl fmt::Display) -> Fault {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault(format!("{}:{line}: {what}", self.name))
    }
}

/// Something wrong in the file: `FILE:LINE: what`. It never shows a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}
