//! The two protocols of mail delivery.

use core::fmt;

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
