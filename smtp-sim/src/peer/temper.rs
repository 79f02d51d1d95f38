//! How a simulated server behaves, as data: what it offers, how it answers, and
//! where it goes wrong.

use std::{sync::Arc, time::Duration};

use super::null_tls::Identity;
use crate::scenario::TlsScript;

/// A place in the dialogue where a server can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The greeting.
    Banner,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// AUTH, and each response after it.
    Auth,
    /// XFORWARD.
    Forward,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The first line of the text.
    Text,
    /// The end of the text. For LMTP: the first of its replies.
    End,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

impl Moment {
    /// Whether replies of this class say that the dialogue goes on.
    pub(super) const fn is_answered_by(self, class: u16) -> bool {
        match self {
            Self::Data => class == 3,
            Self::Auth => class == 2 || class == 3,
            _ => class == 2,
        }
    }
}

/// All places.
pub const MOMENTS: [Moment; 13] = [
    Moment::Banner,
    Moment::Hello,
    Moment::StartTls,
    Moment::Handshake,
    Moment::Auth,
    Moment::Forward,
    Moment::Mail,
    Moment::Rcpt,
    Moment::Data,
    Moment::Text,
    Moment::End,
    Moment::Rset,
    Moment::Quit,
];

/// What a server does instead of its proper reply, or besides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Replies with this code.
    Code(u16),
    /// Replies with 421 and closes.
    Leave,
    /// Does what it was asked, and closes without a reply. At the end of the text:
    /// the message is accepted, and the client does not learn it.
    Crash,
    /// Closes without doing anything.
    Drop,
    /// Does what it was asked, and the connection breaks.
    Reset,
    /// Replies, sends nothing more after that, and goes on reading.
    HalfClose,
    /// Does what it was asked, and never says anything again.
    Mute,
    /// Replies after this time.
    Late(Duration),
    /// Replies in several lines.
    Lines(u16),
    /// Says a line before the reply that is no reply.
    Rubbish,
    /// Replies in two lines with different codes: the last counts.
    TwoCodes,
    /// Replies with a line of this many characters.
    Long(u16),
    /// Puts plaintext behind the reply, in the same segment. After STARTTLS it is
    /// an injection, anywhere else one reply too many.
    Inject,
    /// Replies before it is asked, with the reply before.
    Early,
    /// Sends many replies.
    Flood(u32),
    /// For LMTP: replies for one recipient less than there are.
    Fewer,
    /// Sends a TLS alert in the handshake.
    Alert,
}

/// Something that goes wrong on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub moment: Moment,
    /// The how manieth time that the connection comes there, from zero on.
    pub nth: u32,
    /// On how many connections of the server, from its first on.
    pub connections: u32,
    /// What.
    pub act: Act,
}

/// The character of a server.
#[derive(Clone, Debug)]
pub struct Temper {
    /// Speaks LMTP.
    pub lmtp: bool,
    /// Knows EHLO; otherwise only HELO.
    pub esmtp: bool,
    /// Offers PIPELINING.
    pub pipelining: bool,
    /// Offers 8BITMIME.
    pub eight_bit: bool,
    /// Offers DSN.
    pub dsn: bool,
    /// Offers XFORWARD with all attributes.
    pub xforward: bool,
    /// Hides its greeting as a PIX firewall does.
    pub pix: bool,
    /// Expects the TLS handshake right after the connection.
    pub wrapped: bool,
    /// Offers SIZE with this limit; zero is no limit.
    pub size: Option<u64>,
    /// Offers STARTTLS until it is used, and is this at it.
    pub tls: Option<Identity>,
    /// The certificate and key of handshakes that are real; without them TLS is the
    /// [null engine](super::null_tls), which has no need for any.
    pub certificate: Option<Arc<TlsScript>>,
    /// The mechanisms after AUTH in the clear; empty: not offered.
    pub auth: &'static str,
    /// The mechanisms after AUTH inside TLS.
    pub auth_tls: &'static str,
    /// Refuses MAIL FROM without a login.
    pub wants_login: bool,
    /// The codes of replies to RCPT TO, chosen by the address.
    pub recipients: Vec<u16>,
    /// The code after the text. With LMTP chosen by the address.
    pub verdicts: Vec<u16>,
    /// Says one reply too many behind the last one to the text, in the same segment.
    pub trails: bool,
    /// How long every reply takes.
    pub thinks: Duration,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Temper {
    /// A server that offers what servers commonly offer, and accepts everything.
    fn default() -> Self {
        Self {
            lmtp: false,
            esmtp: true,
            pipelining: true,
            eight_bit: true,
            dsn: true,
            xforward: false,
            pix: false,
            wrapped: false,
            size: Some(0),
            tls: None,
            certificate: None,
            auth: "",
            auth_tls: "",
            wants_login: false,
            recipients: vec![250],
            verdicts: vec![250],
            trails: false,
            thinks: Duration::ZERO,
            faults: Vec::new(),
        }
    }
}

impl Temper {
    /// The fault at this place, if there is one. `connection` counts from zero.
    pub(super) fn fault(&self, moment: Moment, nth: u32, connection: u32) -> Option<Act> {
        let fault = self.faults.iter().find(|fault| {
            fault.moment == moment && fault.nth == nth && connection < fault.connections
        });
        fault.map(|fault| fault.act)
    }
}

/// One of some codes, by an address: the same address has the same fate each time,
/// however the dialogue goes.
pub(super) fn fate(codes: &[u16], address: &str) -> u16 {
    let sum = address.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    let at = sum % codes.len().max(1);
    codes.get(at).copied().unwrap_or(250)
}
