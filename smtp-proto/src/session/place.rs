//! Where a dialogue can stand, by name: the states of a session, the phases of a mail
//! transaction, and the ways in which a session ends.

use super::{Closed, State};
use crate::command::Verb;

/// A place in the dialogue. [`TRANSITIONS`](super::TRANSITIONS) says how one gets from
/// one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Place {
    /// The greeting is awaited.
    Banner,
    /// EHLO is out.
    Ehlo,
    /// HELO is out.
    Helo,
    /// LHLO is out.
    Lhlo,
    /// The capabilities are known, and a decision is due.
    Negotiation,
    /// STARTTLS is out.
    StartTls,
    /// The TLS handshake behind STARTTLS.
    Gate,
    /// The TLS handshake before the greeting (`smtp_tls_wrappermode`).
    WrapperGate,
    /// AUTH is out, or a response to a challenge.
    Auth,
    /// A SASL challenge is to be answered.
    Challenge,
    /// At rest between messages.
    Idle,
    /// RSET is out to see whether a kept connection is alive.
    Probing,
    /// Of a transaction: XFORWARD is next.
    Forward,
    /// Of a transaction: MAIL, RCPT or DATA is next.
    Envelope,
    /// Of a transaction: the next command of the envelope waits for all replies, since
    /// there is no pipelining, or the window is full (RFC 2920 section 3.1).
    Window,
    /// Of a transaction: DATA is out, and all replies are awaited.
    Data,
    /// Of a transaction: the text goes out.
    Text,
    /// Of a transaction: the pause before the final dot (PIX workaround).
    Pause,
    /// Of a transaction: the final dot is next or out; one reply is for all recipients.
    Verdict,
    /// Of a transaction: the final dot is next or out; each recipient has a reply (RFC
    /// 2033 section 4.2).
    Verdicts,
    /// Of a transaction: the RSET that ends it is next or out.
    Abort,
    /// QUIT is out.
    Leaving,
    /// Over: [`Closed::Quit`].
    Quit,
    /// Over: [`Closed::Refused`].
    Refused,
    /// Over: [`Closed::Tls`].
    Tls,
    /// Over: [`Closed::Stale`].
    Stale,
    /// Over: [`Closed::Abandoned`].
    Abandoned,
    /// Over: [`Closed::Lost`].
    Lost,
    /// Over: [`Closed::TimedOut`].
    TimedOut,
    /// Over: [`Closed::Protocol`].
    Protocol,
}

impl Place {
    /// All places, in the order of the dialogue.
    pub const ALL: [Self; 30] = [
        Self::Banner,
        Self::Ehlo,
        Self::Helo,
        Self::Lhlo,
        Self::Negotiation,
        Self::StartTls,
        Self::Gate,
        Self::WrapperGate,
        Self::Auth,
        Self::Challenge,
        Self::Idle,
        Self::Probing,
        Self::Forward,
        Self::Envelope,
        Self::Window,
        Self::Data,
        Self::Text,
        Self::Pause,
        Self::Verdict,
        Self::Verdicts,
        Self::Abort,
        Self::Leaving,
        Self::Quit,
        Self::Refused,
        Self::Tls,
        Self::Stale,
        Self::Abandoned,
        Self::Lost,
        Self::TimedOut,
        Self::Protocol,
    ];

    /// The name of the place.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Banner => "Banner",
            Self::Ehlo => "Ehlo",
            Self::Helo => "Helo",
            Self::Lhlo => "Lhlo",
            Self::Negotiation => "Negotiation",
            Self::StartTls => "StartTls",
            Self::Gate => "Gate",
            Self::WrapperGate => "WrapperGate",
            Self::Auth => "Auth",
            Self::Challenge => "Challenge",
            Self::Idle => "Idle",
            Self::Probing => "Probing",
            Self::Forward => "Forward",
            Self::Envelope => "Envelope",
            Self::Window => "Window",
            Self::Data => "Data",
            Self::Text => "Text",
            Self::Pause => "Pause",
            Self::Verdict => "Verdict",
            Self::Verdicts => "Verdicts",
            Self::Abort => "Abort",
            Self::Leaving => "Leaving",
            Self::Quit => "Closed(Quit)",
            Self::Refused => "Closed(Refused)",
            Self::Tls => "Closed(Tls)",
            Self::Stale => "Closed(Stale)",
            Self::Abandoned => "Closed(Abandoned)",
            Self::Lost => "Closed(Lost)",
            Self::TimedOut => "Closed(TimedOut)",
            Self::Protocol => "Closed(Protocol)",
        }
    }
}

impl State {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Banner => Place::Banner,
            Self::Hello(Verb::Ehlo) => Place::Ehlo,
            Self::Hello(Verb::Helo) => Place::Helo,
            Self::Hello(Verb::Lhlo) => Place::Lhlo,
            Self::Negotiation => Place::Negotiation,
            Self::StartTls => Place::StartTls,
            Self::Gate { greeted: true } => Place::Gate,
            Self::Gate { greeted: false } => Place::WrapperGate,
            Self::Auth(auth) if auth.is_challenged() => Place::Challenge,
            Self::Auth(_) => Place::Auth,
            Self::Idle => Place::Idle,
            Self::Probing { .. } => Place::Probing,
            Self::Mail(mail) => mail.place(),
            Self::Leaving { .. } => Place::Leaving,
            Self::Closed(why) => why.place(),
        }
    }
}

impl Closed {
    const fn place(self) -> Place {
        match self {
            Self::Quit => Place::Quit,
            Self::Refused => Place::Refused,
            Self::Tls => Place::Tls,
            Self::Stale => Place::Stale,
            Self::Abandoned => Place::Abandoned,
            Self::Lost(_) => Place::Lost,
            Self::TimedOut(_) => Place::TimedOut,
            Self::Protocol(..) => Place::Protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stand_at_their_own_numbers() {
        for (number, place) in Place::ALL.into_iter().enumerate() {
            assert_eq!(place as usize, number, "{}", place.as_str());
        }
    }
}
