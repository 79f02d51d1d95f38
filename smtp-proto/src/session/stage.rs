//! The stages of a dialogue: which command a reply belongs to, how long it may
//! take, and what a report calls it.

use core::{fmt, time::Duration};

use super::profile::Timeouts;

/// A stage of the dialogue. It names the command that a reply answers, the
/// deadline that is running, and the place where a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The server's greeting.
    Banner,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// LHLO.
    Lhlo,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake.
    TlsHandshake,
    /// AUTH and the exchange that follows it.
    Auth,
    /// XFORWARD with NAME, ADDR, PORT.
    XforwardNameAddr,
    /// XFORWARD with PROTO, HELO, IDENT, SOURCE.
    XforwardProtoHelo,
    /// MAIL FROM.
    Mail,
    /// RCPT TO for the recipient with this position in the transaction.
    Rcpt(usize),
    /// DATA.
    Data,
    /// The message text.
    Text,
    /// The end of the text, answered once for all recipients.
    EndOfData,
    /// The end of the text, answered for the recipient with this position in the
    /// transaction (LMTP, RFC 2033 section 4.2).
    EndOfDataFor(usize),
    /// The RSET that ends a transaction without text.
    Abort,
    /// The RSET that finds out whether a kept connection is alive.
    RsetProbe,
    /// QUIT.
    Quit,
}

impl Stage {
    /// The name in reports, such as `greeting` or `end-of-data`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Banner => "greeting",
            Self::Ehlo => "ehlo",
            Self::Helo => "helo",
            Self::Lhlo => "lhlo",
            Self::StartTls => "starttls",
            Self::TlsHandshake => "tls-handshake",
            Self::Auth => "auth",
            Self::XforwardNameAddr | Self::XforwardProtoHelo => "xforward",
            Self::Mail => "mail",
            Self::Rcpt(_) => "rcpt",
            Self::Data => "data",
            Self::Text => "text",
            Self::EndOfData | Self::EndOfDataFor(_) => "end-of-data",
            Self::Abort | Self::RsetProbe => "rset",
            Self::Quit => "quit",
        }
    }

    /// What the client was doing, for `lost connection with … while …`
    /// (`src/smtp/smtp_proto.c`).
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Banner => "receiving the initial server greeting",
            Self::Ehlo | Self::Auth => "performing the EHLO handshake",
            Self::Helo => "performing the HELO handshake",
            Self::Lhlo => "performing the LHLO handshake",
            Self::StartTls => "receiving the STARTTLS response",
            Self::TlsHandshake => "performing the TLS handshake",
            Self::XforwardNameAddr => "sending XFORWARD name/address",
            Self::XforwardProtoHelo => "sending XFORWARD protocol/helo_name",
            Self::Mail => "sending MAIL FROM",
            Self::Rcpt(_) => "sending RCPT TO",
            Self::Data => "sending DATA command",
            Self::Text => "sending message body",
            Self::EndOfData | Self::EndOfDataFor(_) => {
                "sending end of data -- message may be sent more than once"
            }
            Self::Abort => "sending final RSET",
            Self::RsetProbe => "sending RSET probe",
            Self::Quit => "sending QUIT",
        }
    }

    /// What a reply was to, for `(in reply to …)`.
    pub const fn request(self) -> &'static str {
        match self {
            Self::Banner => "initial connection",
            Self::Ehlo => "EHLO command",
            Self::Helo => "HELO command",
            Self::Lhlo => "LHLO command",
            Self::StartTls | Self::TlsHandshake => "STARTTLS command",
            Self::Auth => "AUTH command",
            Self::XforwardNameAddr => "XFORWARD name/address command",
            Self::XforwardProtoHelo => "XFORWARD helo/protocol command",
            Self::Mail => "MAIL FROM command",
            Self::Rcpt(_) => "RCPT TO command",
            Self::Data => "DATA command",
            Self::Text => "message body",
            Self::EndOfData | Self::EndOfDataFor(_) => "end of DATA command",
            Self::Abort => "final RSET command",
            Self::RsetProbe => "RSET probe",
            Self::Quit => "QUIT command",
        }
    }

    /// Whether the message may have been accepted although its verdict is unknown:
    /// the end of the text is out, the reply is not in.
    pub const fn is_uncertain(self) -> bool {
        matches!(self, Self::EndOfData | Self::EndOfDataFor(_))
    }

    /// The time limit that covers the stage.
    pub(super) const fn limit(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Banner | Self::Ehlo | Self::Helo | Self::Lhlo | Self::Auth => timeouts.helo,
            Self::StartTls | Self::TlsHandshake => timeouts.starttls,
            Self::XforwardNameAddr | Self::XforwardProtoHelo => timeouts.xforward,
            Self::Mail => timeouts.mail,
            Self::Rcpt(_) => timeouts.rcpt,
            Self::Data => timeouts.data_init,
            Self::Text => timeouts.data_xfer,
            Self::EndOfData | Self::EndOfDataFor(_) => timeouts.data_done,
            Self::Abort | Self::RsetProbe => timeouts.rset,
            Self::Quit => timeouts.quit,
        }
    }
}

/// The name in reports.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
