//! The phases of a delivery, and the one place where it goes from one to another. What a
//! phase knows and does is in the file of its name.
//!
//! A phase is polled by value: one that is left is gone, and nobody can find it half
//! empty. It says where the delivery stands next, and what is asked of the driver
//! meanwhile ([`Next`]).

use core::{mem, time::Duration};

use bytes::Bytes;
use smtp_proto::{
    secret::Secret,
    session::{Stage, Taken},
    status::EnhancedStatus,
    time::Time,
};

use super::{
    Ask, ConnectError,
    choosing::Choosing,
    connecting::Connecting,
    context::Context,
    looking_up::LookingUp,
    preparing::{Preparing, Start},
    resolving::Resolving,
    reusing::Reusing,
    securing::Securing,
    settle::Origin,
    talking::Talking,
    transitions::{PhaseName, PhasesTaken},
};
use crate::{
    channel::Channel,
    dns::{Answer as DnsAnswer, Failure},
    report::{Scope, trouble::Reason},
    settings::TokenFailure,
    sts::{FetchError, Fetched},
    tables::TableFailure,
};

/// The present occupation of a delivery. The small ones are here, the large ones in
/// boxes.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing yet.
    Start(Start),
    /// The envelope and the header are looked at.
    Preparing(Box<Preparing>),
    /// Between two attempts.
    Choosing(Choosing),
    /// A destination is turned into addresses.
    Resolving(Box<Resolving>),
    /// The TLS policy of a server is looked up.
    Securing(Box<Securing>),
    /// The connection cache is asked.
    Reusing(Reusing),
    /// Tables are asked about the server's address.
    LookingUp(LookingUp),
    /// A connection is being opened.
    Connecting(Connecting),
    /// There is a connection.
    Talking(Box<Talking>),
    /// Every recipient was reported.
    Done,
}

/// The next step of a delivery, as the phase decides that was polled.
#[derive(Debug)]
pub(super) enum Next {
    /// Asks the driver for this, and is in this phase meanwhile.
    Ask(Phase, Ask),
    /// Stays in this phase until an answer is there. It has its own time limit, so that
    /// `daemon_timeout` is only for a driver that forgets.
    Await(Phase),
    /// Goes on in this phase at once.
    Go(Phase),
}

/// An answer of the driver, with the number of the ticket where there is one.
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Ask::Resolve`].
    Dns(u32, Result<DnsAnswer, Failure>),
    /// To [`Ask::LookUp`].
    Table(u32, Result<Option<String>, TableFailure>),
    /// To [`Ask::Token`].
    Token(u32, Result<Secret, TokenFailure>),
    /// To [`Ask::Fetch`].
    Web(u32, Result<Fetched, FetchError>),
    /// To [`Ask::Reuse`].
    Cache(u32, Option<Box<Channel>>),
    /// To [`Ask::Connect`].
    Socket(u32, Result<(), ConnectError>),
    /// To [`Ask::Text`].
    Text(Bytes),
    /// To the same: there is none before, and it is waited for until this time.
    TextBy(Time),
}

/// An event from outside that ends a delivery before its time.
#[derive(Debug)]
pub(super) enum Stop {
    /// It has outlasted `daemon_timeout`, where the watchdog ends the process in Postfix.
    Overdue,
    /// Somebody called it off.
    Cancelled,
    /// The message text cannot be read. No other server would fare better.
    Unreadable(String),
    /// The source of the message text has not given any for so long.
    Starved(Duration),
    /// The message is no message, and never will be.
    Corrupt,
    /// Nobody can move this delivery.
    Undriven(String),
}

impl Stop {
    pub(super) fn reason(&self) -> Reason {
        let local = |detail, scope, text: String| {
            Reason::local(EnhancedStatus::new(4, 3, detail), scope, text)
        };
        match self {
            Self::Overdue => {
                let text = "delivery took longer than daemon_timeout";
                local(0, Scope::Site, text.into())
            }
            Self::Cancelled => local(2, Scope::Message, "delivery was cancelled".into()),
            Self::Unreadable(why) => {
                let text = format!("cannot read the message text: {why}");
                local(0, Scope::Message, text)
            }
            Self::Starved(limit) => {
                let seconds = limit.as_secs();
                let text =
                    format!("cannot read the message text: its source gave none for {seconds} s");
                local(0, Scope::Message, text)
            }
            // Returned to the sender, in Postfix's words.
            Self::Corrupt => Reason::local(
                EnhancedStatus::new(5, 3, 0),
                Scope::Message,
                "unreadable mail queue entry".to_owned(),
            ),
            Self::Undriven(why) => local(0, Scope::Site, why.clone()),
        }
    }
}

impl Phase {
    /// Moves on.
    fn poll(self, cx: &mut Context) -> Next {
        match self {
            Self::Start(phase) => phase.poll(cx),
            Self::Preparing(phase) => phase.poll(cx),
            Self::Choosing(phase) => phase.poll(cx),
            Self::Resolving(phase) => phase.poll(cx),
            Self::Securing(phase) => phase.poll(cx),
            Self::Reusing(phase) => phase.poll(cx),
            Self::LookingUp(phase) => phase.poll(cx),
            Self::Connecting(phase) => phase.poll(cx),
            Self::Talking(phase) => phase.poll(cx),
            Self::Done => Next::Ask(Self::Done, Ask::Done),
        }
    }

    /// Gives an answer to the phase that has asked.
    fn answer(&mut self, answer: Answer) {
        match (self, answer) {
            (Self::Preparing(phase), Answer::Table(serial, value)) if phase.asked(serial) => {
                phase.looked_up(value);
            }
            (Self::Preparing(phase), Answer::Text(chunk)) if phase.wants_text() => {
                phase.text(chunk);
            }
            (Self::Preparing(phase), Answer::TextBy(until)) => phase.wait_for_text(until),
            (Self::Resolving(phase), Answer::Dns(serial, answer)) if phase.asked(serial) => {
                phase.resolved(serial, answer);
            }
            (Self::Securing(phase), Answer::Dns(serial, answer)) if phase.asked(serial) => {
                phase.resolved(answer);
            }
            (Self::Securing(phase), Answer::Table(serial, value)) if phase.asked(serial) => {
                phase.looked_up(value);
            }
            (Self::Securing(phase), Answer::Web(serial, result)) if phase.asked(serial) => {
                phase.fetched(result);
            }
            (Self::Reusing(phase), Answer::Cache(serial, hit)) if phase.asked(serial) => {
                phase.reused(hit);
            }
            (Self::LookingUp(phase), Answer::Table(serial, value)) if phase.asked(serial) => {
                phase.looked_up(value);
            }
            (Self::LookingUp(phase), Answer::Token(serial, token)) if phase.asked(serial) => {
                phase.take_token(token);
            }
            (Self::Connecting(phase), Answer::Socket(serial, result)) if phase.asked(serial) => {
                phase.connected(result);
            }
            (Self::Talking(phase), Answer::Table(serial, value)) if phase.asked(serial) => {
                phase.looked_up(value);
            }
            (Self::Talking(phase), Answer::Text(chunk)) if phase.wants_text() => phase.text(chunk),
            (Self::Talking(phase), Answer::TextBy(until)) => phase.wait_for_text(until),
            // Nobody waits for it any more: the delivery has gone on without it, since it was
            // cancelled, took too long, or found out otherwise what it needs. Whoever asked is
            // gone with the question, and whatever phase is here has asked for something else.
            _ => {}
        }
    }

    /// Returns whether text is asked for.
    const fn wants_text(&self) -> bool {
        match self {
            Self::Preparing(phase) => phase.wants_text(),
            Self::Talking(phase) => phase.wants_text(),
            _ => false,
        }
    }

    /// The connection that a verdict comes from that is given now.
    fn origin(&self) -> Origin {
        match self {
            Self::Talking(phase) => phase.origin(),
            _ => Origin::default(),
        }
    }

    /// Ends before its time: defers whoever is left, and ends the dialogue as the occasion
    /// allows.
    fn stop(self, cx: &mut Context, why: &Stop) -> Self {
        let mut reason = why.reason().without_blame();
        if let Self::Talking(phase) = &self
            && phase.awaits_verdict()
        {
            cx.doubt_open();
            // In the words for a connection that is lost there.
            let doing = Stage::EndOfData.doing();
            reason.text = format!("{} while {doing}", reason.text);
        }
        cx.settle_left(reason, &self.origin());
        match self {
            Self::Talking(mut phase) => {
                phase.stop(why);
                Self::Talking(phase)
            }
            Self::Done => Self::Done,
            _ => Self::Choosing(Choosing),
        }
    }

    /// The name of the phase, for the table of transitions.
    const fn name(&self) -> PhaseName {
        match self {
            Self::Start(_) => PhaseName::Start,
            Self::Preparing(_) => PhaseName::Preparing,
            Self::Choosing(_) => PhaseName::Choosing,
            Self::Resolving(_) => PhaseName::Resolving,
            Self::Securing(_) => PhaseName::Securing,
            Self::Reusing(_) => PhaseName::Reusing,
            Self::LookingUp(_) => PhaseName::LookingUp,
            Self::Connecting(_) => PhaseName::Connecting,
            Self::Talking(_) => PhaseName::Talking,
            Self::Done => PhaseName::Done,
        }
    }
}

/// The phase of a delivery with a record of its moves. It changes in one method here.
#[derive(Debug)]
pub(super) struct Course {
    phase: Phase,
    taken: PhasesTaken,
}

impl Course {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Start(Start),
            taken: PhasesTaken::default(),
        }
    }

    /// A delivery that has come as far as this phase.
    #[cfg(test)]
    pub(super) fn at(phase: Phase) -> Self {
        Self {
            phase,
            taken: PhasesTaken::default(),
        }
    }

    /// Moves on as far as possible without input. `None`: look again.
    pub(super) fn poll(&mut self, cx: &mut Context) -> Option<Ask> {
        let from = self.phase.name();
        match self.leave().poll(cx) {
            Next::Ask(phase, ask) => {
                self.enter(from, phase);
                return Some(ask);
            }
            Next::Go(phase) => self.enter(from, phase),
            Next::Await(phase) if cx.is_overdue() => {
                self.enter(from, phase.stop(cx, &Stop::Overdue));
            }
            Next::Await(phase) => {
                self.enter(from, phase);
                let until = cx.give_up();
                return Some(Ask::Wait { until });
            }
        }
        None
    }

    /// Gives an answer to the phase that has asked.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.phase.answer(answer);
    }

    /// Ends the delivery before its time.
    pub(super) fn stop(&mut self, cx: &mut Context, why: &Stop) {
        let from = self.phase.name();
        let phase = self.leave().stop(cx, why);
        self.enter(from, phase);
    }

    /// The open connection, if there is one.
    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        match &mut self.phase {
            Phase::Talking(phase) => Some(phase.channel()),
            _ => None,
        }
    }

    /// Returns whether a verdict is on its way, or here already and not looked at.
    pub(super) fn is_near_verdict(&self) -> bool {
        match &self.phase {
            Phase::Talking(phase) => phase.awaits_verdict() || phase.has_news(),
            _ => false,
        }
    }

    /// Returns whether text is asked for.
    pub(super) const fn wants_text(&self) -> bool {
        self.phase.wants_text()
    }

    /// Returns whether the message text is complete, so that it may have been accepted.
    pub(super) fn has_sent_text(&self) -> bool {
        match &self.phase {
            Phase::Talking(phase) => phase.has_sent_text(),
            _ => false,
        }
    }

    /// The moves of the open session.
    pub(super) fn session_taken(&self) -> Taken {
        match &self.phase {
            Phase::Talking(phase) => phase.session_taken(),
            _ => Taken::default(),
        }
    }

    /// The moves between phases.
    pub(super) const fn taken(&self) -> PhasesTaken {
        self.taken
    }

    /// Takes the phase out for a step.
    fn leave(&mut self) -> Phase {
        mem::replace(&mut self.phase, Phase::Done)
    }

    /// The only way from one phase to another, or back into the same.
    fn enter(&mut self, from: PhaseName, phase: Phase) {
        self.taken.note(from, phase.name());
        self.phase = phase;
    }
}

impl From<Box<Preparing>> for Phase {
    fn from(phase: Box<Preparing>) -> Self {
        Self::Preparing(phase)
    }
}

impl From<Box<Resolving>> for Phase {
    fn from(phase: Box<Resolving>) -> Self {
        Self::Resolving(phase)
    }
}

impl From<Box<Securing>> for Phase {
    fn from(phase: Box<Securing>) -> Self {
        Self::Securing(phase)
    }
}

impl From<Box<Talking>> for Phase {
    fn from(phase: Box<Talking>) -> Self {
        Self::Talking(phase)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::delivery::{
        looking_up::LookingUp,
        testing::{attempt, context, course, next, talking},
    };

    #[test]
    fn an_answer_that_nobody_waits_for_is_dropped() {
        let mut cx = context(1);
        let mut course = course(Phase::LookingUp(LookingUp::new(attempt(&cx))));
        assert_eq!(next(&mut cx, &mut course), "connect to 192.0.2.1:25");
        course.answer(Answer::Cache(1, None));
        course.answer(Answer::Dns(1, Err(Failure::NoData)));
        course.answer(Answer::Text(Bytes::from_static(b"unasked")));
        course.answer(Answer::Socket(2, Ok(())));
        assert_eq!(next(&mut cx, &mut course), "wait");
        course.answer(Answer::Socket(1, Ok(())));
        // The greeting is waited for.
        assert_eq!(next(&mut cx, &mut course), "wait");
        assert!(course.channel().is_some());
    }

    #[test]
    fn a_delivery_that_takes_too_long_is_over() {
        let mut cx = context(2);
        let mut course = course(Phase::LookingUp(LookingUp::new(attempt(&cx))));
        assert_eq!(next(&mut cx, &mut course), "connect to 192.0.2.1:25");
        cx.set_now(cx.give_up());
        let late = "delivery took longer than daemon_timeout";
        for index in 0..2 {
            let expected = format!("{index} deferred 4.3.0 ({late})");
            assert_eq!(next(&mut cx, &mut course), expected);
        }
        assert_eq!(next(&mut cx, &mut course), "done");
        let rows: Vec<usize> = course.taken().rows().collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(course.taken().strays().count(), 0);
    }

    #[test]
    fn a_dialogue_that_is_stopped_is_ended_and_its_recipients_are_settled() {
        let deferred = "0 deferred 4.3.";
        for (why, verdict) in [
            (Stop::Overdue, deferred),
            (Stop::Cancelled, deferred),
            (Stop::Unreadable("no such file".into()), deferred),
            (Stop::Starved(Duration::from_secs(180)), deferred),
            (Stop::Corrupt, "0 bounced 5.3.0"),
            (Stop::Undriven("no more files".into()), deferred),
        ] {
            let mut cx = context(1);
            let mut course = course(talking(&cx));
            assert_eq!(next(&mut cx, &mut course), "wait");
            course.stop(&mut cx, &why);
            let report = next(&mut cx, &mut course);
            assert!(report.starts_with(verdict), "{report}");
            assert_eq!(next(&mut cx, &mut course), "close");
            assert_eq!(next(&mut cx, &mut course), "done");
            course.stop(&mut cx, &why);
            assert_eq!(next(&mut cx, &mut course), "done");
        }
    }
}
