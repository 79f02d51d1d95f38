//! The end of a session: how it is brought about, whose failure it is, and whether the same
//! server is tried once more (`src/smtp/smtp_connect.c`, smtp_cleanup_session;
//! `src/smtp/smtp_trouble.c`, smtp_stream_except).

use smtp_proto::{
    reply::Reply,
    session::{Closed, Stage},
};

use super::{Progress, Talking, login::in_hello};
use crate::{
    channel::is_handshake_failure,
    delivery::{
        Ask,
        choosing::Choosing,
        context::{Context, NewToken},
        looking_up::LookingUp,
        phase::Phase,
        settle::Whom,
    },
    event::Event,
    report::trouble::Reason,
    tls::TlsLevel,
};

impl Talking {
    /// The session has ended.
    pub(super) fn close(mut self: Box<Self>, cx: &mut Context, why: Closed) -> Phase {
        cx.taken = cx.taken.union(&self.session_taken());
        if let Progress::Probing { said, .. } = &self.progress {
            // The kept connection was dead: as if nothing had been kept.
            let said = said.as_ref().map(Reply::one_line);
            cx.note(Event::KeptConnectionOver {
                server: self.peer().server(),
                why: probe_failure(said.as_deref(), why).to_owned(),
            });
            self.hang_up(cx);
            return match self.progress {
                Progress::Probing {
                    instead: Some(attempt),
                    ..
                } => Phase::LookingUp(LookingUp::new(attempt)),
                _ => Phase::Choosing(Choosing),
            };
        }
        self.blame(cx, why);
        let transferred = matches!(self.progress, Progress::Transfer { .. });
        cx.served |= transferred && matches!(why, Closed::Quit | Closed::Abandoned);
        self.records.notify_postmaster(cx, &mut self.channel);
        self.hang_up(cx);
        Phase::Choosing(Choosing)
    }

    fn hang_up(&self, cx: &mut Context) {
        let server = self.peer().server();
        cx.note(Event::Disconnected { server });
        cx.ask(Ask::Close);
    }

    /// Finds out whose failure the end of the session is.
    fn blame(&mut self, cx: &mut Context, why: Closed) {
        let (stage, why) = (why.stage(), in_hello(why, cx.request.protocol));
        let why = self.tls.in_starttls(why);
        // What comes behind the mail says nothing of it, nor of the server.
        let ended = match stage {
            Some(Stage::Abort | Stage::Quit) => None,
            _ => Reason::ended(&self.peer().server, why),
        };
        if ended.is_some() && stage == Some(Stage::Auth) {
            // Postfix counts the login as part of the hello, in all that it says of it.
            let server = self.peer().server();
            cx.note(Event::UnansweredLogin { server });
        }
        let handshake = is_handshake_failure(why);
        self.throttled |= ended.is_some() && !handshake;
        if !self.throttled {
            cx.hosts.request_nexthop = None;
        }
        let failure = handshake.then(|| self.tls.ended(cx, why));
        if self.retries_in_plaintext(cx, why) {
            self.retry_in_plaintext(cx);
        }
        if let Some(reason) = failure {
            self.throttled |= self.tls.policy.level != TlsLevel::May;
            self.fail(cx, Whom::Open, reason);
        } else if let Some(reason) = ended {
            // Whatever Postfix calls it, a report says what was waited for.
            let reason = Reason { stage, ..reason };
            match cx.is_survey() || cx.roll.open().next().is_some() {
                true => self.fail(cx, Whom::Open, reason),
                false => cx.fail_nobody(reason, &self.origin()),
            }
        }
        match why {
            Closed::Protocol(_, error) if error.is_local() => self.records.record_data_error(),
            Closed::Protocol(..) => self.records.record_protocol_error(),
            _ => {}
        }
    }

    /// The session has ended because of TLS, or inside it. Whether the same server
    /// is to be tried again in plaintext: only where TLS is a mere offer, and only
    /// for mail that has waited before, for a probe, or for a survey.
    fn retries_in_plaintext(&self, cx: &Context, why: Closed) -> bool {
        let occasion = is_handshake_failure(why)
            || (self.channel.is_secure()
                && matches!(why, Closed::Lost(_) | Closed::TimedOut(_))
                && cx.roll.open().next().is_some());
        let waited = cx.request.age >= cx.settings.tls.plaintext_retry_age;
        occasion
            && self.tls.policy.level == TlsLevel::May
            && (cx.request.probe || waited || cx.is_survey())
            && !self.login.has_credentials()
    }

    /// Puts the server in front again, if it is one that was connected to just now.
    fn retry_in_plaintext(&mut self, cx: &mut Context) {
        if let Some(place) = self.place.take() {
            // The session was lost inside TLS, if the handshake did not fail.
            let why = self.tls.encryption.failure().unwrap_or("lost connection");
            cx.hosts.retry_in_plaintext(place, self.counted, why);
        }
    }

    /// The server has refused a login. Where it was with a token, the same server is tried once more with a new one,
    /// if it is one that was connected to just now: returns whether.
    pub(super) fn retries_with_new_token(&mut self, cx: &mut Context, reply: &Reply) -> bool {
        if !self.login.was_token_refused() || cx.new_token != NewToken::Unneeded {
            return false;
        }
        let Some(place) = self.place.take() else {
            return false;
        };
        cx.new_token = NewToken::Wanted;
        cx.hosts.try_again(place, self.counted);
        cx.note(Event::TokenRefused {
            server: self.peer().server(),
            said: reply.one_line(),
        });
        self.throttled = true;
        self.login.end();
        self.give_up();
        true
    }

    /// Says QUIT, where the dialogue is between two commands.
    pub(super) fn leave(&mut self) {
        match self.channel.session.tls_gate() {
            Some(gate) => {
                gate.quit();
                self.progress = Progress::Over;
            }
            None => self.give_up(),
        }
    }

    /// Ends the session without another word.
    pub(super) fn part(&mut self) {
        self.progress = Progress::Over;
        self.channel.session.abandon();
    }

    /// Ends the session without another message: QUIT where the dialogue is
    /// between two commands, otherwise nothing.
    pub(super) fn give_up(&mut self) {
        self.progress = Progress::Over;
        let session = &mut self.channel.session;
        if let Some(negotiation) = session.negotiation() {
            negotiation.quit();
        } else if let Some(turn) = session.sasl() {
            turn.quit();
        } else if let Some(idle) = session.idle() {
            idle.quit();
        } else if session.deadline().1 != Stage::Quit {
            session.abandon();
        }
    }

    /// A kept connection ends in the middle of a message, which it has nothing to do with.
    pub(super) fn note_kept_connection_ended(&self, cx: &mut Context, reply: &Reply) {
        cx.note(Event::KeptConnectionEnded {
            server: self.peer().server(),
            said: reply.one_line(),
        });
    }
}

/// Why a kept connection did not stand the probe. The message is none the worse for it.
fn probe_failure(said: Option<&str>, why: Closed) -> &str {
    match (said, why) {
        (Some(said), Closed::Stale) => said,
        (_, Closed::Lost(_)) => "lost connection",
        (_, Closed::TimedOut(_)) => "the server does not answer",
        _ => "the server has said something unasked",
    }
}
