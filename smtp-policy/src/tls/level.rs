//! TLS security levels, in the order of their strength (`src/tls/tls_level.c`).

use core::fmt;

use crate::request::TextError;

/// How much a delivery demands of TLS. Greater is stronger; the order has no gaps
/// to be filled by a caller, since Postfix's cache keys count on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsLevel {
    /// TLS is not used.
    #[default]
    None,
    /// TLS is used where the server offers it. No certificate is demanded.
    May,
    /// TLS is demanded. No certificate is.
    Encrypt,
    /// The server's certificate or key must have a known fingerprint.
    Fingerprint,
    /// DANE, but the server was found through MX records that are not signed. Not
    /// to be configured: it is what becomes of `dane` there.
    HalfDane,
    /// DANE where the server has usable TLSA records, `encrypt` where it has only
    /// unusable ones, `may` where it has none.
    Dane,
    /// DANE; without usable TLSA records there is no delivery.
    DaneOnly,
    /// The certificate must have a trusted issuer and the server's name.
    Verify,
    /// The certificate must have a trusted issuer and the name of the destination.
    Secure,
}

/// The levels with their names in the configuration and their numbers in Postfix.
const NAMES: [(TlsLevel, &str); 9] = [
    (TlsLevel::None, "none"),
    (TlsLevel::May, "may"),
    (TlsLevel::Encrypt, "encrypt"),
    (TlsLevel::Fingerprint, "fingerprint"),
    (TlsLevel::HalfDane, "halfdane"),
    (TlsLevel::Dane, "dane"),
    (TlsLevel::DaneOnly, "dane-only"),
    (TlsLevel::Verify, "verify"),
    (TlsLevel::Secure, "secure"),
];

impl TlsLevel {
    /// The level of this name, in any case; `None` for anything that cannot be
    /// configured.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES
            .into_iter()
            .find(|(level, known)| known.eq_ignore_ascii_case(name) && *level != Self::HalfDane)
            .map(|(level, _)| level)
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        NAMES
            .into_iter()
            .find(|(level, _)| *level == self)
            .map_or("", |(_, name)| name)
    }

    /// The number by which Postfix calls the level in connection cache keys.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether mail may not go out without TLS.
    pub fn is_mandatory(self) -> bool {
        self > Self::May
    }

    /// Whether the certificate or key must match something.
    pub fn must_match(self) -> bool {
        self > Self::Encrypt
    }

    /// Whether the certificate must have an issuer that is trusted here.
    pub fn needs_authority(self) -> bool {
        self >= Self::Verify
    }

    /// Whether TLSA records say what must match.
    pub fn is_dane(self) -> bool {
        matches!(self, Self::HalfDane | Self::Dane | Self::DaneOnly)
    }
}

impl fmt::Display for TlsLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::str::FromStr for TlsLevel {
    type Err = TextError;

    /// As [`TlsLevel::parse`].
    fn from_str(name: &str) -> Result<Self, TextError> {
        let known = "none, may, encrypt, fingerprint, dane, dane-only, verify, secure";
        Self::parse(name).ok_or(TextError::none_of("TLS level", known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_numbered_in_the_order_of_their_strength() {
        for (number, (level, name)) in NAMES.into_iter().enumerate() {
            assert_eq!(usize::from(level.number()), number, "{name}");
            assert_eq!(level.as_str(), name);
        }
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn half_dane_cannot_be_configured() {
        assert_eq!(TlsLevel::parse("halfdane"), None);
        assert_eq!(TlsLevel::parse("Dane-Only"), Some(TlsLevel::DaneOnly));
        assert_eq!(TlsLevel::parse(""), None);
        assert_eq!("secure".parse(), Ok(TlsLevel::Secure));
        let error = "encript".parse::<TlsLevel>().unwrap_err().to_string();
        assert!(
            error.starts_with("the TLS level is none of none, may,"),
            "{error}"
        );
    }
}
