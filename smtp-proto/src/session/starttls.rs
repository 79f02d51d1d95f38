//! STARTTLS and the gate behind it (RFC 3207; `src/smtp/smtp_proto.c`,
//! smtp_start_tls and the part of smtp_helo that leads there).
//!
//! The handshake itself is not the session's: while the gate is shut, the bytes on
//! the line belong to a TLS engine. The session limits the time and learns how the
//! handshake ended.

use super::{Closed, Event, Need, PixWorkarounds, Protocol, Session, Stage, State};
use crate::{
    command::{self, Verb},
    reply::Capabilities,
};

/// The TLS handshake is due or under way. What comes in and goes out meanwhile is
/// not for the session.
#[derive(Debug)]
pub struct TlsGate<'a> {
    session: &'a mut Session,
}

impl TlsGate<'_> {
    /// The handshake has succeeded, and the line is encrypted from here on. The
    /// session forgets what it learnt before and begins anew: with the greeting in
    /// wrapper mode, else with EHLO or LHLO (RFC 3207 section 4.2).
    pub fn established(self) {
        let session = self.session;
        let greeted = session.enter();
        if greeted {
            session.arm(Stage::Ehlo);
            session.say_hello(match session.profile.protocol {
                Protocol::Smtp => Verb::Ehlo,
                Protocol::Lmtp => Verb::Lhlo,
            });
        } else {
            session.arm(Stage::Banner);
            session.state.go(State::Banner);
        }
    }

    /// The handshake has succeeded, but this is not the server that was wanted:
    /// says QUIT inside TLS.
    pub fn quit(self) {
        self.session.enter();
        self.session.leave(Closed::Quit);
    }

    /// The handshake has failed. Nobody knows what the peer makes of the line, so
    /// nothing more is said.
    pub fn failed(self) {
        self.session.state.go(State::Closed(Closed::Tls));
    }
}

impl Session {
    /// The gate, while it is shut.
    pub fn tls_gate(&mut self) -> Option<TlsGate<'_>> {
        matches!(*self.state, State::Gate { .. }).then_some(TlsGate { session: self })
    }

    pub(super) fn say_starttls(&mut self) {
        self.output.write(command::STARTTLS);
        self.arm(Stage::StartTls);
        self.state.go(State::StartTls);
    }

    pub(super) fn on_starttls(&mut self) {
        // A server that replies before it was asked must not keep the command from
        // going out before the handshake.
        if !self.output.is_empty() {
            return;
        }
        let Some(reply) = self.take_reply(Stage::StartTls) else {
            return;
        };
        if !reply.is_success() {
            self.state.go(State::Negotiation);
            return;
        }
        self.discard_plaintext();
        self.arm(Stage::TlsHandshake);
        self.state.go(State::Gate { greeted: true });
    }

    /// Waits at the gate, as long as the handshake may take.
    pub(super) fn at_gate(&mut self) -> Option<Need> {
        self.timer.start(self.now);
        if self.timer.is_over(self.now) {
            self.time_out();
            return None;
        }
        Some(Need::Tls)
    }

    /// Steps through the gate. Returns whether the server has greeted already.
    fn enter(&mut self) -> bool {
        let greeted = !matches!(*self.state, State::Gate { greeted: false });
        self.discard_plaintext();
        self.capabilities = Capabilities::default();
        self.pix = PixWorkarounds::default();
        self.secure = true;
        greeted
    }

    /// Throws away what came in plaintext behind the reply to STARTTLS, as RFC 3207
    /// section 4.2 and Postfix have it.
    fn discard_plaintext(&mut self) {
        let bytes = self.reader.buffered();
        self.reader.clear();
        self.early.clear();
        if bytes > 0 {
            self.events.push_back(Event::PlaintextDiscarded(bytes));
        }
    }
}
