//! The message text on its way: asked for piece by piece while there is room,
//! encoded, and watched for a server that does not want to hear more.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Closed, Event, Line, Need, Place, ProtocolError, Session, Stage, State, Stop};
use crate::{body::BodyEncoder, mime::RecordEnd, time::Time};

/// Text is asked for while less than this is waiting to be written.
const ROOM: usize = 64 * 1024;

/// How many replies a server may send ahead of the end of the text.
const EARLY_LIMIT: usize = 100;

/// Where the text of a transaction stands.
#[derive(Debug, Default)]
pub(super) struct Text {
    phase: Phase,
    /// Bytes taken from the source.
    taken: u64,
    /// How much the connection had carried when the text began.
    began_at: u64,
    /// How much it has carried when the final dot is out.
    ends_at: u64,
    /// The next piece is not here yet, as of the last look.
    owed: bool,
}

impl Text {
    /// Where the text stands, by name; `None` once the final dot can follow.
    pub(super) const fn place(&self) -> Option<Place> {
        match self.phase {
            Phase::Before => Some(Place::Data),
            Phase::Body(_) => Some(Place::Text),
            Phase::Pause(_) => Some(Place::Pause),
            Phase::Over => None,
        }
    }

    /// The final dot has been written into the queue, and is out when the connection has carried so much.
    pub(super) const fn note_end(&mut self, ends_at: u64) {
        self.ends_at = ends_at;
    }
}

#[derive(Debug, Default)]
enum Phase {
    /// The server has not been ready for it.
    #[default]
    Before,
    /// Pieces come in.
    Body(BodyEncoder),
    /// All pieces are in; before the final dot, what is queued goes out, and then
    /// nothing until the time comes (PIX workaround).
    Pause(Option<Time>),
    /// The final dot can follow.
    Over,
}

/// The server is ready for text, and there is room for it.
#[derive(Debug)]
pub struct BodyWriter<'a> {
    session: &'a mut Session,
}

impl BodyWriter<'_> {
    /// Where in the message the next piece begins, in bytes as the source counts
    /// them.
    pub fn offset(&self) -> u64 {
        match &*self.session.state {
            State::Mail(mail) => mail.text.taken,
            _ => 0,
        }
    }

    /// How many bytes are welcome. A piece may be larger; more is not asked for
    /// until it has gone out.
    pub fn room(&self) -> usize {
        ROOM.saturating_sub(self.session.output.len()).max(1)
    }

    /// Says that the next piece is not here yet. The next [`poll`](Session::poll) writes what is
    /// queued, or waits; the one after it asks again. Meanwhile the server is heard: a refusal
    /// counts as its reply to the end of the text, and when it hangs up the connection is lost.
    ///
    /// The limit of [`Stage::Text`] is about the server. It rests while everything is written.
    pub fn wait(self) {
        self.session.state.in_mail(|mail| mail.text.owed = true);
    }

    /// Takes a piece of text, with lines that end in LF. An empty piece is none.
    pub fn push(self, chunk: Bytes) {
        self.session.timer.resume(Stage::Text);
        let Session {
            state,
            output,
            events,
            ..
        } = self.session;
        state.in_mail(|mail| {
            if let Phase::Body(encoder) = &mut mail.text.phase {
                mail.text.taken += chunk.len() as u64;
                let folded = encoder.folded();
                encoder.push(chunk, output);
                if encoder.folded() && !folded {
                    events.push_back(Event::LineBroken);
                }
            }
        });
    }

    /// Takes a record of text that does not come straight from the source. It does
    /// not count towards [`offset`](Self::offset).
    pub fn record(self, text: &[u8], end: RecordEnd) {
        self.session.timer.resume(Stage::Text);
        let Session {
            state,
            output,
            events,
            ..
        } = self.session;
        state.in_mail(|mail| {
            if let Phase::Body(encoder) = &mut mail.text.phase {
                let folded = encoder.folded();
                encoder.record(text, end, output);
                if encoder.folded() && !folded {
                    events.push_back(Event::LineBroken);
                }
            }
        });
    }

    /// Ends the text. A last line without a line end gets one.
    pub fn finish(self) {
        self.session.timer.resume(Stage::Text);
        let pause = self.session.pix.delay_dotcrlf.is_some();
        let Session { state, output, .. } = self.session;
        state.in_mail(|mail| {
            if let Phase::Body(encoder) = &mut mail.text.phase {
                encoder.finish(output);
                mail.text.phase = if pause {
                    Phase::Pause(None)
                } else {
                    Phase::Over
                };
            }
        });
    }
}

impl Session {
    /// Room for text, while there is any.
    pub fn body(&mut self) -> Option<BodyWriter<'_>> {
        let ready = matches!(&*self.state, State::Mail(mail) if matches!(mail.text.phase, Phase::Body(_)))
            && self.output.len() < ROOM;
        ready.then_some(BodyWriter { session: self })
    }

    pub(super) fn text_is_over(&self) -> bool {
        matches!(&*self.state, State::Mail(mail) if matches!(mail.text.phase, Phase::Over))
    }

    /// Goes on with the text as far as possible.
    pub(super) fn advance_text(&mut self) -> Option<Need> {
        if matches!(&*self.state, State::Mail(mail) if matches!(mail.text.phase, Phase::Before)) {
            self.begin_text();
        }
        let State::Mail(mail) = &*self.state else {
            return None;
        };
        match mail.text.phase {
            Phase::Body(_) => self.in_text(self.output.sent() > mail.text.began_at, mail.text.owed),
            Phase::Pause(until) => {
                self.pause_before_dot(until);
                None
            }
            Phase::Before | Phase::Over => None,
        }
    }

    /// The server is ready for text. Without an accepted recipient there is only
    /// a lone dot to be sent.
    fn begin_text(&mut self) {
        let limit = self.profile.line_length_limit;
        let began_at = self.output.sent();
        let State::Mail(mail) = &*self.state else {
            return;
        };
        if mail.transaction.stop == Stop::AtText {
            self.state.go(State::Closed(Closed::Abandoned));
        } else if mail.has_recipients() {
            self.state.in_mail(|mail| {
                mail.text.phase = Phase::Body(BodyEncoder::new(limit));
                mail.text.began_at = began_at;
            });
            self.arm(Stage::Text);
        } else {
            self.state.in_mail(|mail| mail.text.phase = Phase::Over);
        }
    }

    fn in_text(&mut self, partly_sent: bool, owed: bool) -> Option<Need> {
        if self.line == Line::Dead {
            self.lose_text();
            return None;
        }
        if (partly_sent || owed) && self.is_refused_early() {
            return None;
        }
        if owed {
            self.state.in_mail(|mail| mail.text.owed = false);
            self.await_piece();
            return None;
        }
        (self.output.len() < ROOM).then_some(Need::Body)
    }

    /// Nothing is to be written before the next piece is here. A server that has hung up
    /// could take the text, but not answer it.
    fn await_piece(&mut self) {
        if self.output.is_empty() {
            match self.line {
                Line::Open => self.timer.pause(self.now),
                Line::Silent | Line::Dead => self.lose_text(),
            }
        }
    }

    /// Whether the next reply can be the one to `stage`. Before the final dot has gone
    /// out, nobody can have accepted the text, whatever a server says that is ahead of
    /// the commands; refuse it, it can.
    pub(super) fn can_be_answered(&mut self, stage: Stage) -> bool {
        let State::Mail(mail) = &*self.state else {
            return false;
        };
        let whole = self.output.sent() >= mail.text.ends_at;
        if !stage.is_uncertain() || whole || self.is_refusal_next() {
            return true;
        }
        if self.line == Line::Dead {
            self.state.go(State::Closed(Closed::Lost(Stage::Text)));
        }
        false
    }

    /// Reads a reply before it is its turn. Returns whether there was one; an error ends
    /// the session.
    fn read_ahead(&mut self) -> bool {
        match self.read_more() {
            Some(Ok(reply)) => {
                self.early.push_back(reply);
                true
            }
            Some(Err(error)) => {
                self.protocol_error(Stage::Text, ProtocolError::Reply(error));
                false
            }
            None => false,
        }
    }

    /// Whether the next reply is there, and refuses the text.
    fn is_refusal_next(&mut self) -> bool {
        if self.early.is_empty() {
            self.read_ahead();
        }
        let next = self.early.front();
        next.is_some_and(|reply| matches!(reply.class(), 4 | 5))
    }

    /// The peer took no more. It may have said why; a refusal counts as its reply to
    /// the end of the text.
    fn lose_text(&mut self) {
        let State::Mail(mail) = &*self.state else {
            return;
        };
        let stages: Vec<Stage> = mail.end_of_data().collect();
        for stage in stages {
            if !self.is_refusal_next() || self.take_reply(stage).is_none() {
                break;
            }
        }
        self.state.go(State::Closed(Closed::Lost(Stage::Text)));
    }

    /// Whether the server has answered before the end, and with a refusal. There
    /// is no sense in sending the rest, and no way to end the text without having
    /// it taken for complete: the connection is given up.
    ///
    /// A text that fits into the queue goes out whole all the same, as Postfix
    /// sends it.
    fn is_refused_early(&mut self) -> bool {
        while self.read_ahead() {
            if self.early.len() > EARLY_LIMIT {
                self.protocol_error(Stage::Text, ProtocolError::Unasked);
                return true;
            }
        }
        let State::Mail(mail) = &*self.state else {
            return true;
        };
        let Some(reply) = self
            .early
            .front()
            .filter(|reply| matches!(reply.class(), 4 | 5))
        else {
            return false;
        };
        for stage in mail.end_of_data() {
            self.events.push_back(Event::Reply(stage, reply.clone()));
        }
        self.state.go(State::Closed(Closed::Abandoned));
        true
    }

    /// Lets everything go out, then pauses before the final dot.
    fn pause_before_dot(&mut self, until: Option<Time>) {
        let pause = self.pix.delay_dotcrlf.unwrap_or_default();
        let (now, flushed, dead) = (self.now, self.output.is_empty(), self.line == Line::Dead);
        if dead {
            return self.lose_text();
        }
        match until {
            None if flushed => {
                let until = Phase::Pause(Some(now + pause));
                self.state.in_mail(|mail| mail.text.phase = until);
                self.timer.arm(Stage::Text, pause);
            }
            Some(until) if until <= now => {
                self.state.in_mail(|mail| mail.text.phase = Phase::Over);
                self.arm(Stage::Text);
            }
            _ => {}
        }
    }
}
