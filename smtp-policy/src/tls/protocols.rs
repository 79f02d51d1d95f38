//! Which versions of the protocol may be spoken, and what a cipher grade leaves
//! (`src/tls/tls_misc.c`, tls_proto_mask_lims and tls_set_ciphers).
//!
//! Postfix hands such settings to OpenSSL. rustls speaks TLS 1.2 and TLS 1.3 only,
//! with modern ciphers only; what a setting says about anything else has no effect.

use core::{fmt, str::FromStr};
use std::borrow::Cow;

use crate::tables::words::split;

/// The versions that a handshake offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl Versions {
    /// Both versions that there are.
    pub const ALL: Self = Self {
        tls12: true,
        tls13: true,
    };

    /// Whether nothing is left to offer.
    pub const fn is_empty(self) -> bool {
        !self.tls12 && !self.tls13
    }

    /// The versions that a cipher grade leaves: it does not choose among the ciphers of TLS 1.3.
    #[must_use]
    pub const fn at_grade(self, grade: CipherGrade) -> Self {
        Self {
            tls12: self.tls12 && !matches!(grade, CipherGrade::Null),
            ..self
        }
    }
}

/// The names of protocols with their version numbers on the wire.
const PROTOCOLS: [(&str, u16); 6] = [
    ("SSLv2", 0x0002),
    ("SSLv3", 0x0300),
    ("TLSv1", 0x0301),
    ("TLSv1.1", 0x0302),
    ("TLSv1.2", 0x0303),
    ("TLSv1.3", 0x0304),
];

/// A list of protocol versions (`smtp_tls_protocols`) that was understood.
///
/// `>=V` and `<=V` are limits, `!V` is left out, and as soon as there is a bare `V` only such are left. An empty
/// list limits nothing.
///
/// ```
/// use smtp_policy::tls::Protocols;
///
/// let protocols: Protocols = ">=TLSv1.3".parse()?;
/// assert!(!protocols.versions().tls12 && protocols.versions().tls13);
/// assert!("TLSv1.4".parse::<Protocols>().is_err());
/// # Ok::<(), smtp_policy::tls::NotUnderstood>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// As it is written, for the log.
    list: Cow<'static, str>,
    versions: Versions,
}

impl Protocols {
    /// The versions that are left.
    pub const fn versions(&self) -> Versions {
        self.versions
    }
}

impl Default for Protocols {
    /// `>=TLSv1`, which leaves all versions that there are.
    fn default() -> Self {
        Self {
            list: ">=TLSv1".into(),
            versions: Versions::ALL,
        }
    }
}

impl FromStr for Protocols {
    type Err = NotUnderstood;

    fn from_str(list: &str) -> Result<Self, NotUnderstood> {
        let versions = versions(list).ok_or_else(|| NotUnderstood(list.to_owned()))?;
        Ok(Self {
            list: list.to_owned().into(),
            versions,
        })
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list)
    }
}

/// A text that nobody understands, as it was written. It never counts as something weaker: what depends on it
/// fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood(pub String);

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not understood", self.0)
    }
}

impl core::error::Error for NotUnderstood {}

fn versions(list: &str) -> Option<Versions> {
    let (mut floor, mut ceiling) = (0, u16::MAX);
    let (mut left_out, mut named) = (Vec::new(), Vec::new());
    let separator = |c: char| c == ',' || c == ':' || c.is_ascii_whitespace();
    for word in list.split(separator).filter(|word| !word.is_empty()) {
        if let Some(version) = word.strip_prefix(">=") {
            floor = limit(version)?;
        } else if let Some(version) = word.strip_prefix("<=") {
            ceiling = limit(version).map(|limit| if limit == 0 { u16::MAX } else { limit })?;
        } else if let Some(version) = word.strip_prefix('!') {
            left_out.push(protocol(version)?);
        } else {
            named.push(protocol(word)?);
        }
    }
    let allows = |version| {
        (floor..=ceiling).contains(&version)
            && !left_out.contains(&version)
            && (named.is_empty() || named.contains(&version))
    };
    Some(Versions {
        tls12: allows(0x0303),
        tls13: allows(0x0304),
    })
}

fn protocol(name: &str) -> Option<u16> {
    PROTOCOLS
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, version)| version)
}

/// A limit: a protocol, `None` for no limit, or a version number in hexadecimal.
fn limit(text: &str) -> Option<u16> {
    if text.eq_ignore_ascii_case("None") {
        return Some(0);
    }
    if text.eq_ignore_ascii_case("SSLv2") {
        return None;
    }
    protocol(text).or_else(|| u16::from_str_radix(text.strip_prefix("0x")?, 16).ok())
}

/// A cipher grade (`smtp_tls_ciphers`). rustls has modern ciphers only, so that all but one offer the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CipherGrade {
    /// The same as `Medium`.
    High,
    /// All ciphers that there are.
    #[default]
    Medium,
    /// The same as `Medium`.
    Low,
    /// The same as `Medium`.
    Export,
    /// No encryption: what is left are the ciphers of TLS 1.3, which are not for grades to choose.
    Null,
}

impl CipherGrade {
    const NAMES: [(&str, Self); 5] = [
        ("high", Self::High),
        ("medium", Self::Medium),
        ("low", Self::Low),
        ("export", Self::Export),
        ("null", Self::Null),
    ];
}

impl FromStr for CipherGrade {
    type Err = NotUnderstood;

    fn from_str(name: &str) -> Result<Self, NotUnderstood> {
        let mut known = Self::NAMES.into_iter();
        known
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, grade)| grade)
            .ok_or_else(|| NotUnderstood(name.to_owned()))
    }
}

/// Ciphers that are not to be offered (`smtp_tls_exclude_ciphers`): names of ciphers, or parts of them joined
/// with `+`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CipherExclusions(Vec<String>);

impl CipherExclusions {
    /// The exclusions of both lists.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// Returns whether a TLS 1.2 cipher with this name in OpenSSL, such as `ECDHE-RSA-AES128-GCM-SHA256`, is left
    /// out.
    pub fn exclude(&self, cipher: &str) -> bool {
        self.0.iter().any(|word| excludes(word, cipher))
    }
}

impl FromStr for CipherExclusions {
    type Err = NotUnderstood;

    /// Reads words with commas, colons or white space between. The error has the word that cannot be one.
    fn from_str(list: &str) -> Result<Self, NotUnderstood> {
        let words = list.replace(':', " ");
        let words: Vec<String> = split(&words).into_iter().map(str::to_owned).collect();
        match words
            .iter()
            .find(|word| word.starts_with(['!', '+', '-', '@']))
        {
            Some(word) => Err(NotUnderstood(word.clone())),
            None => Ok(Self(words)),
        }
    }
}

/// Whether a word of an exclusion list excludes a TLS 1.2 cipher with this name in
/// OpenSSL, such as `ECDHE-RSA-AES128-GCM-SHA256`. Several parts joined with `+`
/// must all fit. Words for ciphers that rustls does not have exclude nothing.
fn excludes(word: &str, cipher: &str) -> bool {
    word.eq_ignore_ascii_case(cipher) || word.split('+').all(|part| fits(part, cipher))
}

fn fits(part: &str, cipher: &str) -> bool {
    let has = |text: &str| cipher.contains(text);
    match part.to_ascii_uppercase().as_str() {
        "ALL" | "HIGH" | "TLSV1.2" | "EECDH" | "ECDHE" | "KEECDH" | "KECDHE" | "AEAD" => true,
        "AES" => has("AES"),
        "AES128" => has("AES128"),
        "AES256" => has("AES256"),
        "AESGCM" => has("GCM"),
        "CHACHA20" => has("CHACHA20"),
        "RSA" | "ARSA" => has("-RSA-"),
        "ECDSA" | "AECDSA" => has("-ECDSA-"),
        "SHA256" => false,
        "SHA384" => false,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_lists_say_which_versions_are_left() {
        let table = [
            ("", Some((true, true))),
            (">=TLSv1", Some((true, true))),
            (">=TLSv1.2", Some((true, true))),
            (">=TLSv1.3", Some((false, true))),
            ("<=TLSv1.2", Some((true, false))),
            (">=None, <=none", Some((true, true))),
            (">=0x0304", Some((false, true))),
            ("<=TLSv1.1", Some((false, false))),
            ("!SSLv2, !SSLv3", Some((true, true))),
            ("!TLSv1.3", Some((true, false))),
            ("TLSv1.2", Some((true, false))),
            ("tlsv1.2:tlsv1.3", Some((true, true))),
            ("TLSv1", Some((false, false))),
            ("TLSv1.4", None),
            (">=SSLv2", None),
            (">=", None),
            ("!", None),
        ];
        for (list, expected) in table {
            let found = versions(list).map(|v| (v.tls12, v.tls13));
            assert_eq!(found, expected, "{list:?}");
        }
    }

    #[test]
    fn grades_and_exclusions_are_checked() {
        assert_eq!("Medium".parse(), Ok(CipherGrade::Medium));
        assert!("best".parse::<CipherGrade>().is_err());
        assert!("RC4".parse::<CipherExclusions>().is_ok());
        let refused = "high:!aNULL".parse::<CipherExclusions>();
        assert_eq!(refused, Err(NotUnderstood("!aNULL".into())));
    }

    #[test]
    fn exclusions_fit_ciphers_by_their_parts() {
        let cipher = "ECDHE-RSA-AES128-GCM-SHA256";
        for word in ["AES128", "aRSA", "AESGCM", "EECDH+AES", cipher, "AES"] {
            assert!(excludes(word, cipher), "{word}");
        }
        for word in [
            "RC4",
            "AES256",
            "ECDSA",
            "3DES",
            "EECDH+CHACHA20",
            "aNULL",
            "MD5",
        ] {
            assert!(!excludes(word, cipher), "{word}");
        }
    }
}
