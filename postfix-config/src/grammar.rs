//! Grammars of texts: what the value of a parameter must look like beyond being a text.
//!
//! Postfix reads such a value where it is used, and does without what it cannot read. Here it is
//! refused when the configuration is loaded. Each grammar has one reader, which also reads the value
//! when it is used.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use smtp_proto::command::HelloName;

use super::expand;
use super::value::{shown, words};
use smtp_policy::dns::probe::DnssecProbe;
use smtp_policy::tls::{CipherExclusions, DaneDigests, Digest, NotUnderstood, Protocols};

/// The form that the text of a parameter has to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grammar {
    /// Any text.
    #[default]
    Any,
    /// A name without white space and control characters.
    Name,
    /// One line without control characters.
    Line,
    /// One character of ASCII that is no white space.
    Separator,
    /// A version, `major.minor.patch`.
    Level,
    /// An IPv4 address, with or without square brackets, or nothing.
    Ipv4Address,
    /// An IPv6 address, with or without square brackets, or nothing.
    Ipv6Address,
    /// A DNS record, `type:name`, or nothing.
    Record,
    /// Names and limits of TLS protocol versions.
    Protocols,
    /// Names of ciphers and of kinds of ciphers.
    Exclusions,
    /// The name of a digest algorithm.
    Digest,
    /// Names of digest algorithms with the numbers that TLSA records have for them.
    TlsaDigests,
}

impl Grammar {
    /// The description in PARAMETERS.md; none for any text.
    pub(super) const fn description(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Name => Some("a name without white space and control characters"),
            Self::Line => Some("text, not empty, without control characters"),
            Self::Separator => Some("one character of ASCII, no white space"),
            Self::Level => Some("a version, `major.minor.patch`"),
            Self::Ipv4Address => Some("an IPv4 address, or empty"),
            Self::Ipv6Address => Some("an IPv6 address, or empty"),
            Self::Record => Some("a DNS record, `type:name`, or empty"),
            Self::Protocols => Some("a list of TLS protocol versions and limits"),
            Self::Exclusions => Some("a list of ciphers and kinds of ciphers"),
            Self::Digest => Some("the name of a digest algorithm"),
            Self::TlsaDigests => Some("a list of digest algorithms, `name` or `name=number`"),
        }
    }

    /// Checks a text. The error says what is wrong with it.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Any => Ok(()),
            Self::Name => {
                let bad = |_| {
                    format!(
                        "{} is empty or has white space or control characters in it",
                        shown(text)
                    )
                };
                HelloName::parse(text).map(drop).map_err(bad)
            }
            Self::Line => match text.contains(char::is_control) {
                true => Err(format!("{} has control characters in it", shown(text))),
                false => Ok(()),
            },
            Self::Separator => match text.as_bytes() {
                [byte] if byte.is_ascii_graphic() => Ok(()),
                _ => Err(format!("{} is not one character", shown(text))),
            },
            Self::Level => expand::level(text)
                .map(drop)
                .map_err(|error| error.to_string()),
            Self::Ipv4Address => address::<Ipv4Addr>(text, "an IPv4 address").map(drop),
            Self::Ipv6Address => address::<Ipv6Addr>(text, "an IPv6 address").map(drop),
            Self::Record => {
                let bad = |why| format!("{}: {why}", shown(text));
                DnssecProbe::parse(text).map(drop).map_err(bad)
            }
            Self::Protocols => match text.parse::<Protocols>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("{} is not a list of TLS protocols", shown(text))),
            },
            Self::Exclusions => match text.parse::<CipherExclusions>() {
                Ok(_) => Ok(()),
                Err(NotUnderstood(word)) => {
                    Err(format!("invalid unary '!+-@' in cipher exclusion: {word}"))
                }
            },
            Self::Digest => match Digest::parse(text) {
                Some(_) => Ok(()),
                None => Err(format!("unknown digest algorithm {}", shown(text))),
            },
            Self::TlsaDigests => {
                let Some(why) = words(text).find_map(DaneDigests::refusal) else {
                    return Ok(());
                };
                let why = why.strip_prefix("tls_dane_digests: ").unwrap_or(&why);
                Err(why.to_owned())
            }
        }
    }
}

/// An address of one family, which may stand in square brackets; an empty text is none.
pub(crate) fn address<A: FromStr>(text: &str, kind: &str) -> Result<Option<A>, String> {
    let bare = text.trim();
    if bare.is_empty() {
        return Ok(None);
    }
    let bare = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(bare);
    let bad = |_| format!("{} is not {kind}", shown(text));
    bare.parse().map(Some).map_err(bad)
}
