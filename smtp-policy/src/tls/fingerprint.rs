//! Digests of certificates and public keys, and how they are written in the
//! configuration (`src/tls/tls_fprint.c`; `src/tls/tls_dane.c`,
//! tls_dane_add_fpt_digests).

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// MD5, the default of Postfix before 3.6.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

const NAMES: [(&str, Digest, usize); 12] = [
    ("md5", Digest::Md5, 16),
    ("sha1", Digest::Sha1, 20),
    ("sha224", Digest::Sha224, 28),
    ("sha256", Digest::Sha256, 32),
    ("sha384", Digest::Sha384, 48),
    ("sha512", Digest::Sha512, 64),
    ("sha-1", Digest::Sha1, 20),
    ("sha2-224", Digest::Sha224, 28),
    ("sha2-256", Digest::Sha256, 32),
    ("sha-256", Digest::Sha256, 32),
    ("sha2-384", Digest::Sha384, 48),
    ("sha2-512", Digest::Sha512, 64),
];

/// The longest fingerprint that is looked at, in characters.
const TEXT_LIMIT: usize = 3 * 64;

impl Digest {
    /// The algorithm of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES
            .into_iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name))
            .map(|(_, d, _)| d)
    }

    /// The length of a digest in bytes.
    pub fn size(self) -> usize {
        NAMES
            .into_iter()
            .find(|(_, digest, _)| *digest == self)
            .map_or(0, |(.., size)| size)
    }

    /// The digest of some bytes.
    #[cfg(feature = "tls")]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        use sha2::Digest as _;
        match self {
            Self::Md5 => md5::Md5::digest(bytes).to_vec(),
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha224 => sha2::Sha224::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        }
    }
}

/// Fingerprints that count (`smtp_tls_fingerprint_cert_match`, `match=`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    values: Vec<Vec<u8>>,
    /// Texts that are none. They match nothing, and are logged where fingerprints are asked for.
    malformed: Vec<String>,
}

impl Fingerprints {
    /// Reads fingerprints: hexadecimal digits in pairs, with or without colons between. A text that is none matches
    /// nothing, as in Postfix.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut read = Self::default();
        for text in texts {
            match parse_fingerprint(text) {
                Some(value) => read.values.push(value),
                None => read.malformed.push(text.to_owned()),
            }
        }
        read
    }

    /// Adds a digest.
    pub fn push(&mut self, digest: Vec<u8>) {
        self.values.push(digest);
    }

    /// The digests.
    pub fn values(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// The texts that are no fingerprints.
    pub fn malformed(&self) -> &[String] {
        &self.malformed
    }

    /// Returns whether there is no digest, so that nothing matches.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds others.
    pub(super) fn extend(&mut self, others: Self) {
        self.values.extend(others.values);
        self.malformed.extend(others.malformed);
    }
}

/// Reads a fingerprint: hexadecimal digits in pairs, with or without a colon
/// between two pairs. `None` if it is anything else, or too long for any digest.
pub(crate) fn parse_fingerprint(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_LIMIT {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (pair, behind) = rest.split_at_checked(2)?;
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
        rest = behind.strip_prefix(':').unwrap_or(behind);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_pairs_of_digits_with_or_without_colons() {
        let table = [
            ("55:E5:b8", Some(vec![0x55, 0xe5, 0xb8])),
            ("55E5b8", Some(vec![0x55, 0xe5, 0xb8])),
            ("55e5:b8:", Some(vec![0x55, 0xe5, 0xb8])),
            ("", Some(vec![])),
            ("5", None),
            ("5:5", None),
            ("+5", None),
            ("gg", None),
            ("55 e5", None),
            ("\u{20ac}1", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_fingerprint(text), expected, "{text:?}");
        }
        assert_eq!(parse_fingerprint(&"ab".repeat(100)), None);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn digests_are_as_long_as_their_algorithm_says() {
        for (name, digest, size) in NAMES {
            assert_eq!(digest.of(b"x").len(), size, "{name}");
            assert_eq!(Digest::parse(&name.to_uppercase()), Some(digest));
        }
    }
}
