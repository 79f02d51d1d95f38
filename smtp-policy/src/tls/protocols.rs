//! Which versions of the protocol may be spoken, and what a cipher grade leaves
//! (`src/tls/tls_misc.c`, tls_proto_mask_lims and tls_set_ciphers).
//!
//! Postfix hands such settings to OpenSSL. rustls speaks TLS 1.2 and TLS 1.3 only,
//! with modern ciphers only; what a setting says about anything else has no effect.

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

/// Reads a list of protocols: `>=V` and `<=V` are limits, `!V` is left out, and as
/// soon as there is a bare `V` only such are left. An empty list limits nothing.
/// `None` if a word is not understood.
pub(crate) fn versions(list: &str) -> Option<Versions> {
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

/// The names of the cipher grades. `low` and `export` mean the same as `medium`.
const GRADES: [&str; 5] = ["high", "medium", "low", "export", "null"];

/// What is wrong with a cipher grade and its exclusions, in Postfix's words. What
/// is right needs no answer: see [`excludes`].
pub(super) fn check_ciphers(grade: &str, exclusions: &[String]) -> Result<(), String> {
    if !GRADES.iter().any(|known| known.eq_ignore_ascii_case(grade)) {
        return Err(format!("invalid cipher grade: \"{grade}\""));
    }
    check_exclusions(exclusions)
}

/// The words of a list of exclusions, which colons separate too.
pub(crate) fn exclusions(list: &str) -> Vec<String> {
    let words = list.replace(':', " ");
    split(&words).into_iter().map(str::to_owned).collect()
}

/// The fault of the words of a list of exclusions, in Postfix's words.
pub(crate) fn check_exclusions(words: &[String]) -> Result<(), String> {
    match words
        .iter()
        .find(|word| word.starts_with(['!', '+', '-', '@']))
    {
        Some(word) => Err(format!("invalid unary '!+-@' in cipher exclusion: {word}")),
        None => Ok(()),
    }
}

/// Whether a word of an exclusion list excludes a TLS 1.2 cipher with this name in
/// OpenSSL, such as `ECDHE-RSA-AES128-GCM-SHA256`. Several parts joined with `+`
/// must all fit. Words for ciphers that rustls does not have exclude nothing.
pub fn excludes(word: &str, cipher: &str) -> bool {
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
        assert_eq!(check_ciphers("Medium", &["RC4".into()]), Ok(()));
        assert!(check_ciphers("best", &[]).is_err());
        assert!(check_ciphers("high", &["!aNULL".into()]).is_err());
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
