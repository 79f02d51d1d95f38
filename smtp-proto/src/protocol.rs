//! The two protocols of mail delivery.

use core::{fmt, str::FromStr};

/// SMTP or LMTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// RFC 5321: mail between hosts. EHLO or HELO, one reply after the text; next hops are
    /// domains with MX records.
    #[default]
    Smtp,
    /// RFC 2033: mail to a final store. LHLO, one reply per accepted recipient after the text;
    /// next hops are hosts or sockets.
    Lmtp,
}

impl Protocol {
    /// Both protocols, SMTP first.
    pub const ALL: [Protocol; 2] = [Protocol::Smtp, Protocol::Lmtp];

    /// `smtp` or `lmtp`: the name of the Postfix program for this protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Lmtp => "lmtp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is neither `smtp` nor `lmtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownProtocol;

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the protocol is none of smtp, lmtp")
    }
}

impl core::error::Error for UnknownProtocol {}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// Reads `smtp` or `lmtp`, in lower case.
    fn from_str(name: &str) -> Result<Self, UnknownProtocol> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == name);
        found.ok_or(UnknownProtocol)
    }
}
