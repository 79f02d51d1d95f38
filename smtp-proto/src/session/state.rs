//! Where the session goes on by its state, and the means that all stages share: taking
//! a reply, starting a stage, ending the session. Every transition is in
//! [`TRANSITIONS`](super::TRANSITIONS); this is what they look like from afar, with
//! EHLO, HELO and LHLO as one, and a transaction as one:
//!
//! ```text
//!            220                  2xx
//!  Banner ────────▶ Hello ───────────────▶ Negotiation ──ready──▶ Idle ──▶ Mail
//!    │               │ ▲ EHLO refused: HELO     │                 │ ▲ ▲      │
//!    │ other         │ └──┘                     │ quit        quit│ │ └kept──┤
//!    ▼               ▼                          ▼                 ▼ │probe   │
//!  Leaving ◀─────────┴──────────────────────────┴─────────────────┘ ▼        │
//!    ▲                                                           Probing     │
//!    └───────────────────────────── QUIT in the pipeline ────────────────────┘
//! ```
//!
//! From Negotiation a way through StartTls and the Gate leads back to Hello, now
//! inside TLS; a refused STARTTLS leads back to Negotiation. With wrapper mode the
//! Gate stands before Banner.
//!
//! From Negotiation a way through Auth, once around for each challenge, leads back
//! to Negotiation, whatever the server's verdict.

use super::{Closed, Event, Line, Need, ProtocolError, Session, Stage, State, UNASKED_LIMIT};
use crate::{
    command,
    reply::{Reply, ReplyError},
};

impl Session {
    /// Goes on as far as possible. Returns the decision that is due, if the
    /// session waits for one.
    pub(super) fn advance(&mut self) -> Option<Need> {
        match &*self.state {
            State::Banner => self.on_banner(),
            State::Hello(verb) => self.on_hello(*verb),
            State::Negotiation => return self.at_rest(Need::Negotiation),
            State::StartTls => self.on_starttls(),
            State::Gate { .. } => return self.at_gate(),
            State::Auth(auth) if auth.is_challenged() => return self.at_rest(Need::Sasl),
            State::Auth(_) => self.on_auth(),
            State::Idle => return self.at_rest(Need::Envelope),
            State::Probing { silent } => self.on_probe(*silent),
            State::Mail(_) => return self.advance_mail(),
            State::Leaving { reply, why } => self.on_leaving(*reply, *why),
            State::Closed(_) => {}
        }
        None
    }

    /// A decision is due. Nothing is asked of the server meanwhile, so it has
    /// nothing to say either.
    pub(super) fn at_rest(&mut self, need: Need) -> Option<Need> {
        if self.reader.buffered() > UNASKED_LIMIT {
            self.protocol_error(self.timer.stage(), ProtocolError::Unasked);
            return None;
        }
        match need {
            Need::Envelope => self.timer.rest(),
            _ => self.timer.pause(self.now),
        }
        Some(need)
    }

    /// A server that says something before it is asked, or more than that, has lost the
    /// thread: its next replies would be taken for others. RSET goes out all the same, and
    /// what was said is heard, since it may say that the server is about to close.
    fn on_probe(&mut self, silent: bool) {
        if !silent && !self.output.is_empty() && self.line != Line::Dead {
            return;
        }
        let reply = self.take_reply(Stage::RsetProbe);
        if matches!(*self.state, State::Closed(_)) || (silent && reply.is_none()) {
            return;
        }
        let in_step = silent && self.reader.is_empty();
        self.state.go(match reply {
            Some(reply) if in_step && reply.is_success() => State::Idle,
            _ => State::Closed(Closed::Stale),
        });
    }

    /// QUIT has been written and goes out, even if its reply is here already.
    /// Whatever happens now is no news.
    fn on_leaving(&mut self, reply: bool, why: Closed) {
        let gone = self.output.is_empty() || self.line == Line::Dead;
        if gone && (!reply || self.line != Line::Open || self.read_reply().is_some()) {
            self.state.go(State::Closed(why));
        }
    }

    /// The next reply that came, whatever it answers.
    pub(super) fn read_reply(&mut self) -> Option<Result<Reply, ReplyError>> {
        if self.early.is_empty() && self.reader.is_empty() {
            return None;
        }
        let ahead = self.early.pop_front();
        ahead.map(Ok).or_else(|| self.read_more())
    }

    /// The next reply behind those that were read ahead of their turn.
    pub(super) fn read_more(&mut self) -> Option<Result<Reply, ReplyError>> {
        let read = self.reader.next();
        let notes = self.reader.take_notes();
        let reply = read.as_ref().and_then(|read| read.as_ref().ok());
        self.output.heard(reply, &notes);
        if !notes.is_empty() {
            self.events.extend(notes.into_iter().map(Event::Note));
        }
        read
    }

    /// The reply to `stage`, once it is there. Each reply is an event. Without
    /// one, a lost line ends the session.
    pub(super) fn take_reply(&mut self, stage: Stage) -> Option<Reply> {
        match self.read_reply() {
            Some(Ok(reply)) => {
                self.irregular |= reply.is_irregular();
                self.events.push_back(Event::Reply(stage, reply.clone()));
                Some(reply)
            }
            Some(Err(error)) => {
                self.protocol_error(stage, ProtocolError::Reply(error));
                None
            }
            None => {
                if self.line != Line::Open {
                    self.state.go(State::Closed(Closed::Lost(stage)));
                }
                None
            }
        }
    }

    /// Starts to wait for the reply to `stage`, with its own limit.
    pub(super) fn arm(&mut self, stage: Stage) {
        self.timer.arm(stage, stage.limit(&self.profile.timeouts));
    }

    /// The deadline of the present stage has passed.
    pub(super) fn time_out(&mut self) {
        let stage = self.timer.stage();
        let why = match *self.state {
            State::Leaving { why, .. } => why,
            _ => Closed::TimedOut(stage),
        };
        self.state.go(State::Closed(why));
    }

    /// Says QUIT and leaves; the session then ends as `why` says.
    pub(super) fn leave(&mut self, why: Closed) {
        self.output.write(command::QUIT);
        self.await_end(why);
    }

    /// QUIT has been written; waits for what has to come yet.
    pub(super) fn await_end(&mut self, why: Closed) {
        self.arm(Stage::Quit);
        let reply = !self.profile.skip_quit_response;
        self.state.go(State::Leaving { reply, why });
    }

    pub(super) fn protocol_error(&mut self, stage: Stage, error: ProtocolError) {
        self.irregular = true;
        self.state.go(State::Closed(Closed::Protocol(stage, error)));
    }
}
