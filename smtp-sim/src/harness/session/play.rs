//! The driver of a session and its peer. Time passes between the bursts of the peer,
//! in a handshake, and while the session rests.

use bytes::{Buf, Bytes};
use smtp_proto::{
    Time,
    mime::RecordEnd,
    session::{Closed, Event, Need, Session, Stage, Step},
};

use super::{
    case::{Case, Handshake, Reading, SECRET_BASE64, Turn, Wish},
    seen::{Place, Seen, Text},
};

/// More steps than this without input mean that the session turns in a circle.
const STEPS: usize = 10_000;

struct Run<'a> {
    case: &'a Case<'a>,
    session: Session,
    seen: Seen,
    text: Vec<u8>,
    now: Time,
    /// When the session wants to be polled at the latest.
    due: Time,
    /// What is left of the present burst.
    burst: &'a [u8],
    negotiations: u8,
    secured: bool,
    logins: u8,
    messages: u8,
    probed: bool,
    /// The peer has gone.
    gone: bool,
}

/// Plays a case, with bursts that come whole or in pieces of these lengths.
pub(super) fn play(case: &Case<'_>, lengths: Option<[u8; 3]>) -> Option<Seen> {
    let profile = case.profile()?;
    let session = match case.is_wrapped() {
        true => Session::wrapped(profile, Time::ZERO),
        false => Session::new(profile, Time::ZERO),
    };
    let mut run = Run {
        case,
        session,
        seen: Seen::default(),
        text: case.text(),
        now: Time::ZERO,
        due: Time::FAR,
        burst: &[],
        negotiations: 0,
        secured: false,
        logins: 0,
        messages: 0,
        probed: false,
        gone: false,
    };
    run.play(lengths);
    Some(run.seen)
}

impl Run<'_> {
    fn play(&mut self, lengths: Option<[u8; 3]>) {
        self.advance();
        for (burst, pause) in self.case.bursts() {
            let mut lengths = lengths.iter().flatten().cycle();
            self.burst = burst;
            while !self.burst.is_empty() && self.seen.closed.is_none() && !self.gone {
                let length = lengths.next().map_or(burst.len(), |byte| (*byte).into());
                let length = length.clamp(1, self.burst.len());
                let (piece, rest) = self.burst.split_at(length);
                self.burst = rest;
                self.session.receive(piece);
                self.advance();
            }
            self.pass(self.now + pause);
        }
        if self.case.closes() {
            self.session.disconnected();
            self.advance();
            let waits = matches!(self.case.reading(), Reading::Deaf(_)) || self.pauses();
            assert!(self.is_over() || waits, "the session outlives its peer");
        }
        self.pass(Time::FAR);
        assert!(self.is_over(), "the session has no end");
        self.check_end();
    }

    fn is_over(&self) -> bool {
        self.seen.closed.is_some()
    }

    /// Whether there is a pause before the end of a text.
    fn pauses(&self) -> bool {
        let delayed =
            |event: &Event| matches!(event, Event::Pix(pix) if pix.delay_dotcrlf.is_some());
        self.seen.events.iter().any(delayed)
    }

    /// Lets time pass, with a poll whenever one is due.
    fn pass(&mut self, until: Time) {
        while !self.is_over() && self.due <= until {
            assert!(self.due < Time::FAR, "the session waits for ever");
            self.now = self.due;
            self.advance();
        }
        self.now = self.now.max(until);
    }

    /// Lets the session go on until it wants input or time.
    fn advance(&mut self) {
        for _ in 0..STEPS {
            let step = self.session.poll(self.now);
            self.seen.journal.extend(self.session.take_journal());
            match step {
                Step::Wait { until } => return self.wait(until),
                Step::Send { until } => {
                    if !self.write() {
                        return self.wait(until);
                    }
                }
                Step::Closed(why) => {
                    self.seen.end = self.seen.closed.map_or(self.now, |_| self.seen.end);
                    self.seen.closed = Some(why);
                    return;
                }
                Step::Event(event) => self.look_at(event),
                Step::Need(need) => self.decide(need),
            }
        }
        assert!(self.is_over(), "the session turns in a circle");
    }

    fn wait(&mut self, until: Time) {
        assert!(until > self.now, "the session waits for what is over");
        let session = &mut self.session;
        assert!(
            session.negotiation().is_none()
                && session.tls_gate().is_none()
                && session.sasl().is_none()
                && session.idle().is_none(),
            "there is something to decide, and nobody is asked"
        );
        self.due = until;
    }

    /// Writes as much as the peer takes. Returns whether it took anything.
    fn write(&mut self) -> bool {
        let written = self.seen.written.len();
        let room = match self.case.reading() {
            Reading::All => usize::MAX,
            Reading::Slowly(bytes) => bytes,
            Reading::Deaf(bytes) => bytes.saturating_sub(written),
            Reading::Gone(bytes) if bytes <= written => {
                // What can be read is read first, as the session wants it.
                self.session.receive(std::mem::take(&mut self.burst));
                self.session.write_failed();
                self.gone = true;
                return true;
            }
            Reading::Gone(bytes) => bytes - written,
        };
        let output = self.session.output();
        let bytes = output.copy_to_bytes(output.remaining().min(room));
        self.seen.written.extend_from_slice(&bytes);
        !bytes.is_empty()
    }

    fn look_at(&mut self, event: Event) {
        let place = match &event {
            Event::PlaintextDiscarded(_) => return,
            Event::Reply(Stage::EndOfDataFor(_), _) => Some(Place::LmtpEnd),
            Event::Reply(Stage::EndOfData, _) if self.session.is_secure() => Some(Place::SecureEnd),
            Event::Reply(Stage::EndOfData, _) => Some(Place::EndOfData),
            Event::Reply(Stage::Auth, reply) if reply.is_success() => Some(Place::Login),
            Event::Reply(Stage::Mail, _) if self.messages > 1 => Some(Place::SecondMessage),
            Event::Reply(Stage::RsetProbe, _) => Some(Place::Probe),
            _ => None,
        };
        if let Event::Reply(stage, reply) = &event
            && stage.is_uncertain()
            && reply.is_success()
        {
            let text = self.seen.texts.last();
            let text = text.filter(|text| text.message == self.messages);
            let out = text.is_none_or(|text| text.end(&self.seen.written).is_some());
            assert!(out, "a text is accepted that has not gone out");
        }
        self.seen.reached.extend(place);
        self.seen.events.push(event);
    }

    fn check_end(&mut self) {
        let step = self.session.poll(self.now);
        assert_eq!(
            Some(step),
            self.seen.closed.map(Step::Closed),
            "no end is final"
        );
        assert!(
            self.session.output().is_empty(),
            "something follows the end"
        );
        let place = match self.seen.closed {
            Some(Closed::TimedOut(Stage::TlsHandshake)) => Some(Place::HandshakeLimit),
            Some(Closed::TimedOut(_)) => Some(Place::TimeLimit),
            Some(Closed::Abandoned)
                if self
                    .seen
                    .texts
                    .last()
                    .is_some_and(|text| !text.finished && !self.case.abandons(text.pieces)) =>
            {
                Some(Place::EarlyRefusal)
            }
            _ => None,
        };
        self.seen.reached.extend(place);
    }

    fn decide(&mut self, need: Need) {
        match need {
            Need::Negotiation => self.negotiate(),
            Need::Tls => self.shake_hands(),
            Need::Sasl => self.respond(),
            Need::Envelope => self.send(),
            Need::Body => self.write_text(),
        }
    }

    fn negotiate(&mut self) {
        let Some(negotiation) = self.session.negotiation() else {
            return assert!(self.is_over(), "a decision without its guard");
        };
        let capabilities = negotiation.capabilities();
        let wants = |wish: Wish, offered: bool, before: bool| match wish {
            Wish::Never => false,
            Wish::Offered => offered && !before,
            Wish::Once => !before,
            Wish::Again => true,
        };
        let time = self.negotiations;
        self.negotiations = time.saturating_add(1);
        let tls = wants(self.case.starttls(), capabilities.starttls, self.secured);
        let login = wants(
            self.case.login(),
            !capabilities.auth.is_empty(),
            self.logins > 0,
        );
        if self.case.leaves(time) {
            negotiation.quit();
        } else if tls && time < 3 {
            self.secured = true;
            negotiation.start_tls();
        } else if login
            && self.logins < 3
            && let Some(mechanism) = self.case.mechanism()
        {
            self.logins += 1;
            negotiation.auth(&mechanism, self.case.initial().as_ref());
            self.check_secret();
        } else {
            negotiation.ready();
        }
    }

    fn check_secret(&self) {
        let shown = format!("{:?}", self.session);
        let secret = String::from_utf8_lossy(SECRET_BASE64);
        assert!(
            self.case.knows_secret() || !shown.contains(&*secret),
            "a secret can be read off the session"
        );
    }

    /// A handshake that takes its time. What is left of the burst belongs to it.
    fn shake_hands(&mut self) {
        self.seen.reached.insert(Place::Handshake);
        self.burst = &[];
        let (outcome, time) = self.case.handshake();
        let (limit, _) = self.session.deadline();
        if limit <= self.now + time {
            self.now = limit;
            let step = self.session.poll(limit);
            let late = Step::Closed(Closed::TimedOut(Stage::TlsHandshake));
            return assert_eq!(step, late, "a handshake outlasts its limit");
        }
        let step = self.session.poll(self.now + time / 2);
        assert_eq!(step, Step::Need(Need::Tls), "the gate opens by itself");
        self.now = self.now + time;
        let last = b"STARTTLS\r\n";
        let written = &self.seen.written;
        let clear = self.session.output().is_empty()
            && (written.is_empty() || written.ends_with(last) || self.gone);
        assert!(clear, "something follows STARTTLS");
        let Some(gate) = self.session.tls_gate() else {
            return assert!(self.is_over(), "a decision without its guard");
        };
        match outcome {
            Handshake::Established => gate.established(),
            Handshake::Failed => gate.failed(),
            Handshake::Quit => gate.quit(),
        }
    }

    fn respond(&mut self) {
        self.seen.reached.insert(Place::Challenge);
        let Some(turn) = self.session.sasl() else {
            return assert!(self.is_over(), "a decision without its guard");
        };
        match (self.case.turn(turn.rounds()), turn.challenge()) {
            _ if turn.is_out_of_turn() => turn.quit(),
            // Nothing that could be taken for a command comes of a zero in front.
            (Turn::Echo, Ok(challenge)) => {
                turn.respond(&smtp_proto::Secret::new([vec![0], challenge].concat()));
            }
            (Turn::Secret, _) => turn.respond(&self.case.secret()),
            (Turn::Cancel, _) | (Turn::Echo, Err(_)) => turn.cancel(),
            (Turn::Quit, _) => turn.quit(),
        }
        self.check_secret();
    }

    /// Sends the next message, if there is one, behind a rest and a probe.
    fn send(&mut self) {
        let probes = self.case.probes() && !self.probed && self.messages > 0;
        if self.messages > 0 && !self.probed {
            self.now = self.now + self.case.rest();
            let step = self.session.poll(self.now);
            assert_eq!(step, Step::Need(Need::Envelope), "a session has no rest");
        }
        let next = (self.messages < self.case.messages())
            .then(|| self.case.transaction(self.messages))
            .flatten();
        let Some(idle) = self.session.idle() else {
            return assert!(self.is_over(), "a decision without its guard");
        };
        match next {
            _ if probes => {
                self.probed = true;
                self.seen.hushed |= idle.hush() > 0;
                if let Some(idle) = self.session.idle() {
                    idle.probe();
                }
            }
            Some(transaction) => {
                self.probed = false;
                self.messages += 1;
                idle.send(transaction);
            }
            None => idle.quit(),
        }
    }

    /// Gives a piece of the text, or its end, or the session up.
    fn write_text(&mut self) {
        let queued = self.session.output().len();
        let Some(writer) = self.session.body() else {
            return assert!(self.is_over(), "a decision without its guard");
        };
        if self.seen.texts.last().map(|text| text.message) != Some(self.messages) {
            self.seen.texts.push(Text {
                message: self.messages,
                from: self.seen.written.len() + queued,
                given: Vec::new(),
                finished: false,
                pieces: 0,
            });
            let mut events = self.seen.events.iter().rev();
            let ready = events.find_map(|event| match event {
                Event::Reply(Stage::Data, reply) => Some(reply.is_intermediate()),
                _ => None,
            });
            assert_eq!(ready, Some(true), "a text without a 354");
        }
        let Some(text) = self.seen.texts.last_mut() else {
            return;
        };
        let rest = self.text.get(text.given.len()..).unwrap_or_default();
        let line = rest.iter().position(|byte| *byte == b'\n');
        let size = self.case.piece(self.text.len()).min(rest.len());
        if self.case.abandons(text.pieces) {
            return self.session.abandon();
        }
        if rest.is_empty() {
            text.finished = true;
            return writer.finish();
        }
        let piece = if self.case.in_records() {
            let end = line.map_or(RecordEnd::Fragment, |_| RecordEnd::Line);
            writer.record(
                rest.get(..line.unwrap_or(rest.len())).unwrap_or_default(),
                end,
            );
            rest.get(..line.map_or(rest.len(), |at| at + 1))
        } else {
            let piece = rest.get(..size);
            writer.push(Bytes::copy_from_slice(piece.unwrap_or_default()));
            piece
        };
        text.given.extend_from_slice(piece.unwrap_or_default());
        text.pieces += 1;
        self.seen.reached.insert(Place::Text);
    }
}
