//! One connection's dialogue as a pure state machine: bytes, time and decisions
//! come in, bytes and events come out. It is not a connection: it opens no
//! socket, reads no clock and knows nothing of routing, TLS or verdicts.
//!
//! There is one funnel, [`Session::poll`], and state moves nowhere else. What it
//! returns says what to do next: write, wait, decide, look at an event, or stop.
//! What may be decided in a state hangs on a guard that only that state gives
//! out ([`Session::negotiation`], [`Session::tls_gate`], [`Session::sasl`],
//! [`Session::idle`], [`Session::body`]), so that a decision at the wrong time
//! cannot be written down.
//!
//! ```
//! use smtp_proto::{
//!     command::HelloName,
//!     session::{Protocol, Profile, Session, Stage, Step},
//!     time::Time,
//! };
//!
//! let profile = Profile::new(Protocol::Smtp, HelloName::parse("client.example")?);
//! let mut session = Session::new(profile, Time::ZERO);
//! assert!(matches!(session.poll(Time::ZERO), Step::Wait { .. }));
//!
//! session.receive(b"220 mx.example ESMTP\r\n");
//! assert!(matches!(session.poll(Time::ZERO), Step::Event(_)));
//! assert!(matches!(session.poll(Time::ZERO), Step::Send { .. }));
//! assert_eq!(bytes::Buf::chunk(session.output()), b"EHLO client.example\r\n");
//! assert_eq!(session.deadline().1, Stage::Ehlo);
//! # Ok::<(), smtp_proto::command::HelloNameError>(())
//! ```
//!
//! The driver's side, in full:
//!
//! | step | what the driver does |
//! |---|---|
//! | [`Step::Send`] | writes [`Session::output`], advancing it by what was written; reads meanwhile |
//! | [`Step::Wait`] | reads, and calls [`Session::receive`] or [`Session::disconnected`] |
//! | [`Step::Need`] | takes the guard of that name and decides |
//! | [`Step::Event`] | looks at it, or does not |
//! | [`Step::Closed`] | closes the socket |
//!
//! All ways that a session can take are in one table, [`TRANSITIONS`], and each session
//! knows which of them it has taken ([`Session::taken`]).
//!
//! RFC 5321, RFC 2033, RFC 2920, RFC 4954; Postfix: `src/smtp/smtp_proto.c`,
//! `src/smtp/smtp_chat.c`, `src/global/smtp_stream.c`.

mod course;
mod greet;
mod journal;
mod mail;
mod place;
mod profile;
mod sasl;
mod stage;
mod starttls;
mod state;
mod text;
mod timer;
mod transaction;
mod transitions;

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::fmt;

use self::{course::Course, journal::Output, mail::Mail, sasl::Auth, timer::Timer};
pub use self::{
    course::Taken,
    greet::Negotiation,
    journal::Said,
    mail::Idle,
    place::Place,
    profile::{DeadlineRule, HelloChoice, PixWorkarounds, Profile, Timeouts},
    sasl::{ChallengeError, MechanismName, MechanismNameError, SaslTurn},
    stage::Stage,
    starttls::TlsGate,
    text::BodyWriter,
    transaction::{Stop, Transaction},
    transitions::{TRANSITIONS, Transition},
};
pub use crate::protocol::Protocol;
use crate::{
    command::Verb,
    queue::SendQueue,
    reply::{Capabilities, Reply, ReplyError, ReplyNote, ReplyReader},
    time::Time,
};

/// How many bytes may arrive while no reply is awaited. A server that says more
/// unasked has lost the thread of the dialogue.
const UNASKED_LIMIT: usize = 64 * 1024;

/// The dialogue over one connection. See the [module](self).
#[derive(Debug)]
pub struct Session {
    profile: Profile,
    state: Course,
    timer: Timer,
    reader: ReplyReader,
    output: Output,
    events: VecDeque<Event>,
    capabilities: Capabilities,
    line: Line,
    received: bool,
    written: u64,
    irregular: bool,
    pix: PixWorkarounds,
    secure: bool,
    /// Replies that came before they were asked for, while the text went out.
    early: VecDeque<Reply>,
    /// The time of the present poll.
    now: Time,
}

/// Where the dialogue stands. The transitions are in [`TRANSITIONS`].
#[derive(Debug)]
enum State {
    /// Waiting for the greeting.
    Banner,
    /// EHLO, HELO or LHLO is out.
    Hello(Verb),
    /// The capabilities are known; somebody decides how to go on.
    Negotiation,
    /// STARTTLS is out.
    StartTls,
    /// The line belongs to the TLS handshake. Behind it the session goes on with
    /// the greeting, if there was none yet, or with another EHLO or LHLO.
    Gate { greeted: bool },
    /// AUTH is out, or a response to a challenge; or a challenge is to be answered.
    Auth(Box<Auth>),
    /// At rest between messages.
    Idle,
    /// RSET is out to see whether a kept connection is alive; or the server was heard
    /// before it was.
    Probing { silent: bool },
    /// A mail transaction.
    Mail(Box<Mail>),
    /// QUIT is out; its reply is awaited or not. Then the session ends as it says.
    Leaving { reply: bool, why: Closed },
    /// Over.
    Closed(Closed),
}

/// What is known about the two directions of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Open,
    /// The peer sends nothing more. It may still take what is written.
    Silent,
    /// Nothing can be written any more, nor read.
    Dead,
}

/// What to do next. Exhaustive on purpose: it is the driver's whole contract.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the dialogue stands still until its driver does what the step says"]
pub enum Step {
    /// Write [`Session::output`]; poll again when something was written or read,
    /// or at `until`.
    Send {
        /// The latest time to poll again.
        until: Time,
    },
    /// Read; poll again when something came, or at `until`.
    Wait {
        /// The latest time to poll again.
        until: Time,
    },
    /// A decision is due. Comes again until it is taken.
    Need(Need),
    /// Something happened.
    Event(Event),
    /// The session is over, and the socket can be closed.
    Closed(Closed),
}

/// A decision that is due, named after its guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// [`Session::negotiation`]: the capabilities are known. Comes again after AUTH.
    Negotiation,
    /// [`Session::tls_gate`]: the TLS handshake is to be made. Comes again until
    /// its outcome is told; meanwhile the session neither reads nor writes, and
    /// its [deadline](Session::deadline) limits the handshake.
    Tls,
    /// [`Session::sasl`]: the server has sent a challenge.
    Sasl,
    /// [`Session::idle`]: the session is ready for a message.
    Envelope,
    /// [`Session::body`]: the server is ready for text, and there is room for it.
    Body,
}

/// Something that happened in the dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server replied.
    Reply(Stage, Reply),
    /// Something in a reply deserves a line in the log.
    Note(ReplyNote),
    /// The server greeted with this machine's own name.
    GreetedWithOwnName,
    /// The greeting is a PIX firewall's; these workarounds are in force, which
    /// may be none.
    Pix(PixWorkarounds),
    /// The server sent so many bytes behind its reply to STARTTLS, outside of TLS.
    /// They are thrown away: whoever sits on the line could have put them there
    /// (CVE-2011-0411).
    PlaintextDiscarded(usize),
    /// Inside TLS the server had said something before MAIL FROM, and what it says
    /// next cannot be its reply. Comes only where
    /// [`Profile::block_early_mail_reply`] wants it; the transaction is aborted.
    EarlyMailReply,
    /// A line of the text was longer than the limit, and was broken. Comes once
    /// per text.
    LineBroken,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// After QUIT, or where the decision was to leave. Whether QUIT was answered
    /// does not matter.
    Quit,
    /// The server refused to go on before the first message; QUIT was said. The
    /// reply came as an [`Event`].
    Refused,
    /// The TLS handshake failed. Nothing more can be said on the connection.
    Tls,
    /// A kept connection did not answer the probe in good order.
    Stale,
    /// The transaction was left in the middle, as was asked for
    /// ([`Stop::AtText`], [`Session::abandon`]), or because the server gave its
    /// verdict while the text was on its way.
    Abandoned,
    /// The connection was lost.
    Lost(Stage),
    /// The stage took too long.
    TimedOut(Stage),
    /// A reply that cannot be understood, or bytes that nobody asked for.
    Protocol(Stage, ProtocolError),
}

impl Closed {
    /// The stage of the dialogue, if it ended against both sides' will.
    pub const fn stage(self) -> Option<Stage> {
        match self {
            Self::Lost(stage) | Self::TimedOut(stage) | Self::Protocol(stage, _) => Some(stage),
            _ => None,
        }
    }
}

/// What was wrong with what the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The reply itself.
    Reply(ReplyError),
    /// More than 64 KiB came while nothing was asked.
    Unasked,
}

impl ProtocolError {
    /// Whether the fault is on this side: a reply could not be looked up in a
    /// table.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Reply(ReplyError::Filter))
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(error) => error.fmt(f),
            Self::Unasked => f.write_str("the server sends without being asked"),
        }
    }
}

impl core::error::Error for ProtocolError {}

impl Session {
    /// A session on a connection that was opened just now: the greeting is
    /// awaited.
    pub fn new(profile: Profile, now: Time) -> Self {
        Self::begin(profile, now, State::Banner, Stage::Banner)
    }

    /// A session on a connection that was opened just now and begins with a TLS
    /// handshake (`smtp_tls_wrappermode`, RFC 8314): the greeting comes inside.
    pub fn wrapped(profile: Profile, now: Time) -> Self {
        Self::begin(
            profile,
            now,
            State::Gate { greeted: false },
            Stage::TlsHandshake,
        )
    }

    fn begin(profile: Profile, now: Time, state: State, stage: Stage) -> Self {
        let mut timer = Timer::new(profile.deadline, stage, stage.limit(&profile.timeouts));
        timer.start(now);
        Self {
            state: Course::new(state),
            timer,
            reader: ReplyReader::new(profile.reply_limits, profile.reply_filter.clone())
                .with_text(profile.reply_text),
            output: Output::new(profile.journal),
            events: VecDeque::new(),
            capabilities: Capabilities::default(),
            line: Line::Open,
            received: false,
            written: 0,
            irregular: false,
            pix: PixWorkarounds::default(),
            secure: false,
            early: VecDeque::new(),
            now,
            profile,
        }
    }

    /// Moves the dialogue on as far as it goes without input, and says what to do
    /// next. The only method in which state moves.
    pub fn poll(&mut self, now: Time) -> Step {
        self.observe_progress(now);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if let State::Closed(why) = *self.state {
                self.output.clear();
                self.reader.clear();
                return Step::Closed(why);
            }
            let need = self.advance();
            if !self.events.is_empty() || matches!(*self.state, State::Closed(_)) {
                continue;
            }
            if let Some(need) = need {
                return Step::Need(need);
            }
            self.timer.start(now);
            if self.timer.is_over(now) {
                self.time_out();
                continue;
            }
            let until = self.timer.until();
            return if self.output.is_empty() {
                Step::Wait { until }
            } else {
                Step::Send { until }
            };
        }
    }

    /// Takes what was read, in any chunking.
    pub fn receive(&mut self, bytes: &[u8]) {
        match self.output.is_empty() {
            true => self.take_in(bytes),
            false => self.receive_ahead(bytes),
        }
    }

    /// The same where the output was taken, but is known not to have gone out: what is
    /// read cannot be an answer to it yet.
    pub fn receive_ahead(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && matches!(*self.state, State::Probing { .. }) {
            self.state.go(State::Probing { silent: false });
        }
        self.take_in(bytes);
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.received |= !bytes.is_empty();
        self.reader.push(bytes);
    }

    /// The peer sends nothing more: end of file, or an error while reading. The
    /// driver reads no more; it may still be asked to write.
    pub fn disconnected(&mut self) {
        if self.line == Line::Open {
            self.line = Line::Silent;
        }
    }

    /// Nothing can be written any more. What could still be read has been given
    /// to [`receive`](Self::receive) before.
    pub fn write_failed(&mut self) {
        self.line = Line::Dead;
        self.output.clear();
    }

    /// What is to be written. Advancing it acknowledges.
    pub fn output(&mut self) -> &mut SendQueue {
        &mut self.output
    }

    /// Whether something has happened that [`poll`](Self::poll) has not told yet. Who
    /// wants to give the dialogue up hears it first: it may be the verdict.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// What was said since the last call, if the profile has it written down. Take
    /// it after each [`poll`](Self::poll): what is not taken is lost after some
    /// thousand lines.
    pub fn take_journal(&mut self) -> Vec<Said> {
        self.output.take_journal()
    }

    /// The running deadline and the stage it belongs to; [`Time::FAR`] when none
    /// runs.
    pub fn deadline(&self) -> (Time, Stage) {
        (self.timer.until(), self.timer.stage())
    }

    /// What the server announced; empty before the first EHLO or LHLO reply and
    /// after HELO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the dialogue goes on behind a TLS handshake.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Tells the timer that bytes moved which the session does not see: those of a
    /// handshake, or ciphertext that was written after the session's own output.
    pub fn note_traffic(&mut self) {
        self.received = true;
    }

    /// Whether the server broke the protocol in a way that Postfix remembers: the
    /// connection is not to be kept for other messages.
    pub fn is_irregular(&self) -> bool {
        self.irregular
    }

    /// Gives the dialogue up where it stands: nothing more is sent, and the next
    /// poll says [`Closed::Abandoned`].
    pub fn abandon(&mut self) {
        self.state.go(State::Closed(Closed::Abandoned));
    }

    /// Which moves the session has made so far, for measuring what tests and simulations
    /// reach.
    pub const fn taken(&self) -> Taken {
        self.state.taken()
    }

    /// Tells the timer what went in or out since the last poll.
    fn observe_progress(&mut self, now: Time) {
        self.now = now;
        let sent = self.output.sent();
        if core::mem::take(&mut self.received) || sent != self.written {
            self.timer.progress(sent.saturating_sub(self.written), now);
            self.written = sent;
        }
    }
}
