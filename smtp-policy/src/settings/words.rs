//! Small choices and sets among the settings.

use crate::{Protocol, request::Nexthop};

/// The place at which an address probe stops (`smtp_address_verify_target`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProbeTarget {
    /// After the replies to RCPT TO.
    #[default]
    Rcpt,
    /// After the reply to DATA, where some servers refuse.
    Data,
}

/// The problems about which a transcript of the session goes to the postmaster (`notify_classes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifyClasses {
    /// A server refused the message text.
    pub data: bool,
    /// A server broke the protocol, or refused a command.
    pub protocol: bool,
}

/// The workarounds for servers behind a PIX firewall (`smtp_pix_workarounds`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PixWords {
    /// HELO comes instead of EHLO.
    pub disable_esmtp: bool,
    /// The text is flushed before the final dot, and a pause follows.
    pub delay_dotcrlf: bool,
}

impl PixWords {
    /// Both workarounds, Postfix's default.
    pub const ALL: Self = Self {
        disable_esmtp: true,
        delay_dotcrlf: true,
    };

    /// Reads words with commas or white space between, in any case. Unknown words are skipped, as in Postfix:
    /// the lists of a table are shared between versions.
    pub fn parse(words: &str) -> Self {
        let has = |name: &str| {
            words
                .split([',', ' ', '\t', '\n'])
                .any(|word| word.eq_ignore_ascii_case(name))
        };
        Self {
            disable_esmtp: has("disable_esmtp"),
            delay_dotcrlf: has("delay_dotcrlf"),
        }
    }
}

/// The transport that takes mail for a domain whose best mail exchanger is this machine
/// (`best_mx_transport`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BestMx {
    /// The name of the transport, for the log.
    pub transport: String,
    /// The next hop; none keeps that of the request.
    pub nexthop: Option<Nexthop>,
}

impl BestMx {
    /// The client that the transport is. Of all transports only the two clients of this engine can be reached.
    pub fn protocol(&self) -> Option<Protocol> {
        match self.transport.as_str() {
            "smtp" | "relay" => Some(Protocol::Smtp),
            "lmtp" => Some(Protocol::Lmtp),
            _ => None,
        }
    }
}
