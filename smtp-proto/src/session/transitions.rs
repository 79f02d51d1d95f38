//! Every transition of a session, as a table. It drives nothing: the stages decide, and
//! what they did is written down, so that tests and simulations can show that the table
//! is complete and that all of it happens.
//!
//! ```
//! use smtp_proto::session::{Place, TRANSITIONS};
//!
//! let begins = |place| TRANSITIONS.iter().filter(move |row| row.from == place).count();
//! assert_eq!(begins(Place::Negotiation), 6);
//! ```

use super::place::Place::{
    self, Abandoned, Abort, Auth, Banner, Challenge, Data, Ehlo, Envelope, Forward, Gate, Helo,
    Idle, Leaving, Lhlo, Lost, Negotiation, Pause, Probing, Protocol, Quit, Refused, Stale,
    StartTls, Text, TimedOut, Tls, Verdict, Verdicts, Window, WrapperGate,
};

/// A way from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// Where it begins.
    pub from: Place,
    /// Where it ends.
    pub to: Place,
    /// When it is taken, in words.
    pub when: &'static str,
}

const LINE: &str = "the line is lost before the reply";
const LATE: &str = "the time limit is over";
const REPLY: &str = "the reply cannot be understood, or never ends";
const UNASKED: &str = "more than 64 KiB come unasked";
const GIVEN_UP: &str = "the driver gives up";
const OVER: &str = "the driver gives up before it is told";

/// Rows of the table, one a line.
macro_rules! rows {
    ($($from:ident => $to:ident: $when:expr;)*) => {
        &[$(Transition { from: $from, to: $to, when: $when }),*]
    };
}

/// All transitions, in the order of the dialogue. No two have the same ends. A session
/// begins at [`Place::Banner`] or [`Place::WrapperGate`].
pub const TRANSITIONS: &[Transition] = rows! {
    WrapperGate => Banner: "the handshake has succeeded";
    WrapperGate => Leaving: "the server is not the one that was wanted";
    WrapperGate => Tls: "the handshake has failed";
    WrapperGate => TimedOut: LATE;
    WrapperGate => Abandoned: GIVEN_UP;

    Banner => Ehlo: "greeted with 2xx";
    Banner => Helo: "greeted with 2xx; EHLO is not wanted, or the server does not say ESMTP";
    Banner => Lhlo: "greeted with 2xx in LMTP";
    Banner => Leaving: "greeted with anything else";
    Banner => Lost: LINE;
    Banner => TimedOut: LATE;
    Banner => Protocol: REPLY;
    Banner => Abandoned: GIVEN_UP;

    Ehlo => Negotiation: "EHLO is accepted";
    Ehlo => Helo: "EHLO is refused, but not with 421";
    Ehlo => Leaving: "EHLO is refused with 421";
    Ehlo => Lost: LINE;
    Ehlo => TimedOut: LATE;
    Ehlo => Protocol: REPLY;
    Ehlo => Abandoned: GIVEN_UP;

    Helo => Negotiation: "HELO is accepted";
    Helo => Leaving: "HELO is refused";
    Helo => Lost: LINE;
    Helo => TimedOut: LATE;
    Helo => Protocol: REPLY;
    Helo => Abandoned: GIVEN_UP;

    Lhlo => Negotiation: "LHLO is accepted";
    Lhlo => Leaving: "LHLO is refused";
    Lhlo => Lost: LINE;
    Lhlo => TimedOut: LATE;
    Lhlo => Protocol: REPLY;
    Lhlo => Abandoned: GIVEN_UP;

    Negotiation => Idle: "nothing more is to be negotiated";
    Negotiation => StartTls: "STARTTLS is wanted";
    Negotiation => Auth: "a login is wanted";
    Negotiation => Leaving: "the server does not offer what is wanted";
    Negotiation => Protocol: UNASKED;
    Negotiation => Abandoned: GIVEN_UP;

    StartTls => Gate: "STARTTLS is accepted";
    StartTls => Negotiation: "STARTTLS is refused";
    StartTls => Lost: LINE;
    StartTls => TimedOut: LATE;
    StartTls => Protocol: REPLY;
    StartTls => Abandoned: GIVEN_UP;

    Gate => Ehlo: "the handshake has succeeded";
    Gate => Lhlo: "the handshake has succeeded in LMTP";
    Gate => Leaving: "the server is not the one that was wanted";
    Gate => Tls: "the handshake has failed";
    Gate => TimedOut: LATE;
    Gate => Abandoned: GIVEN_UP;

    Auth => Challenge: "the server sends a challenge";
    Auth => Negotiation: "the login has succeeded or failed";
    Auth => Lost: LINE;
    Auth => TimedOut: LATE;
    Auth => Protocol: REPLY;
    Auth => Abandoned: GIVEN_UP;

    Challenge => Auth: "a response is sent, or the exchange called off";
    Challenge => Leaving: "there is no response to it";
    Challenge => Protocol: UNASKED;
    Challenge => Abandoned: GIVEN_UP;

    Idle => Forward: "a transaction begins with XFORWARD";
    Idle => Envelope: "a transaction begins";
    Idle => Probing: "a kept connection is used again";
    Idle => Leaving: "there is nothing more to send";
    Idle => Protocol: UNASKED;
    Idle => Abandoned: GIVEN_UP;

    Probing => Idle: "the server answers RSET with 2xx";
    Probing => Stale: "the server answers RSET with anything else";
    Probing => Lost: LINE;
    Probing => TimedOut: LATE;
    Probing => Protocol: REPLY;
    Probing => Abandoned: GIVEN_UP;

    Forward => Envelope: "the last XFORWARD is written";
    Forward => Window: "a second XFORWARD has to wait";
    Forward => Abandoned: GIVEN_UP;

    Envelope => Window: "a command has to wait";
    Envelope => Data: "DATA is written";
    Envelope => Abort: "an address probe ends behind RCPT";
    Envelope => Abandoned: GIVEN_UP;

    Window => Forward: "the first XFORWARD is answered";
    Window => Envelope: "all replies are in";
    Window => Abort: "MAIL is refused, or every RCPT";
    Window => Lost: LINE;
    Window => TimedOut: LATE;
    Window => Protocol: REPLY;
    Window => Abandoned: GIVEN_UP;

    Data => Text: "DATA is accepted, and a recipient";
    Data => Verdict: "DATA is accepted without a recipient: a lone dot";
    Data => Abort: "DATA is refused";
    Data => Lost: LINE;
    Data => TimedOut: LATE;
    Data => Protocol: REPLY;
    Data => Abandoned: "an address probe ends before the text, or the driver gives up";

    Text => Verdict: "the text is complete";
    Text => Verdicts: "the text is complete in LMTP";
    Text => Pause: "the text is complete, and the dot has to wait";
    Text => Lost: "nothing more can be written";
    Text => TimedOut: LATE;
    Text => Protocol: "more than 100 replies in advance, or one that cannot be understood";
    Text => Abandoned: "the server refuses the text in advance, or the driver gives up";

    Pause => Verdict: "the pause is over";
    Pause => Verdicts: "the pause is over in LMTP";
    Pause => Lost: "nothing more can be written";
    Pause => TimedOut: LATE;
    Pause => Protocol: "nothing more can be written, and a reply cannot be understood";
    Pause => Abandoned: GIVEN_UP;

    Verdict => Leaving: "the verdict is in; QUIT is out";
    Verdict => Idle: "the verdict is in; the connection is kept";
    Verdict => Lost: LINE;
    Verdict => TimedOut: LATE;
    Verdict => Protocol: REPLY;
    Verdict => Abandoned: GIVEN_UP;

    Verdicts => Leaving: "all verdicts are in; QUIT is out";
    Verdicts => Idle: "all verdicts are in; the connection is kept";
    Verdicts => Lost: LINE;
    Verdicts => TimedOut: LATE;
    Verdicts => Protocol: REPLY;
    Verdicts => Abandoned: GIVEN_UP;

    Abort => Leaving: "all replies are in; QUIT is out";
    Abort => Idle: "all replies are in; the connection is kept";
    Abort => Lost: LINE;
    Abort => TimedOut: LATE;
    Abort => Protocol: REPLY;
    Abort => Abandoned: GIVEN_UP;

    Leaving => Quit: "QUIT is written, and its reply here, lost, late or not wanted";
    Leaving => Refused: "the same, behind a refusal";
    Leaving => Abandoned: GIVEN_UP;

    Protocol => Lost: "a reply could not be understood after the line was lost in the text";

    Quit => Abandoned: OVER;
    Refused => Abandoned: OVER;
    Tls => Abandoned: OVER;
    Stale => Abandoned: OVER;
    Lost => Abandoned: OVER;
    TimedOut => Abandoned: OVER;
    Protocol => Abandoned: OVER;
};
