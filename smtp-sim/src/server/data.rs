//! The content phase of the scripted server: from the reply to DATA to the line
//! with the final dot.

use std::time::Duration;

use base64::Engine;
use bytes::BytesMut;
use smtp_proto::Time;

use super::{After, Group, IDLE, ServerConnection, ServerStep, State};
use crate::scenario::{Rule, StopData, Then};

/// A pause that the transcript shows is longer than this.
const NOTABLE_PAUSE: Duration = Duration::from_millis(500);

/// How far the content has come.
#[derive(Debug, Default)]
pub(super) struct Content {
    stop: Option<StopData>,
    /// No end of the content begins before this offset.
    scanned: usize,
    /// The offset of the bytes that came after the last notable pause.
    pause: Option<usize>,
}

impl Content {
    /// Bytes arrive after a time of quiet, behind those that are there.
    pub(super) fn note_arrival(&mut self, quiet: Duration, there: &[u8]) {
        if quiet > NOTABLE_PAUSE && there.ends_with(b"\r\n") {
            self.pause = Some(there.len());
        }
    }

    /// The offset of the line with the final dot, if it is there.
    fn end(&mut self, input: &[u8]) -> Option<usize> {
        if input.starts_with(b".\r\n") {
            return Some(0);
        }
        let new = input.get(self.scanned..).unwrap_or_default();
        let found = new.windows(5).position(|window| window == b"\r\n.\r\n");
        match found {
            Some(at) => Some(self.scanned + at + 2),
            None => {
                self.scanned = input.len().saturating_sub(4);
                None
            }
        }
    }
}

impl ServerConnection {
    /// The client may send content now.
    pub(super) fn start_content(
        &mut self,
        now: Time,
        rule: Option<Box<Rule>>,
    ) -> Option<ServerStep> {
        let rule = rule.map_or_else(Rule::default, |rule| *rule);
        self.group_left = 0;
        self.last_input = now;
        self.state = if rule.stop_reading {
            State::StopReading
        } else {
            State::Content(Content {
                stop: rule.stop_data,
                ..Content::default()
            })
        };
        None
    }

    pub(super) fn take_content(&mut self, now: Time, mut content: Content) -> Option<ServerStep> {
        if let Some(stop) = &content.stop
            && self.input.len() >= stop.after_bytes
        {
            let rule = Rule {
                reply: Some(stop.reply.clone()),
                then: Some(Then::Close),
                ..Rule::default()
            };
            return self.reply(now, Some(&rule), Vec::new(), After::Line);
        }
        if let Some(end) = content.end(&self.input) {
            if self.config.script.note_pause && content.pause == Some(end) {
                self.note("D", "pause before the final dot");
            }
            let text: BytesMut = self.input.split_to(end);
            let _dot = self.input.split_to(3.min(self.input.len()));
            self.note("C", ".");
            self.last_input = now;
            self.state = State::Hold(Group::EndOfData(text.to_vec()));
            return None;
        }
        if self.eof {
            return self.client_gone();
        }
        let until = self.last_input + IDLE;
        if now >= until {
            return self.give_up();
        }
        self.wait(State::Content(content), until)
    }

    /// Answers the end of the content: once, or in LMTP once per recipient.
    pub(super) fn end_of_data(&mut self, now: Time, content: &[u8]) -> Option<ServerStep> {
        let text = base64::engine::general_purpose::STANDARD.encode(content);
        self.record.data_base64.push(text);
        let rule = self.find(".", ".");
        let recipients = std::mem::take(&mut self.accepted);
        let default = if self.is_lmtp() {
            vec!["250 2.1.5 Ok".to_owned(); recipients]
        } else {
            vec!["250 2.0.0 Ok: queued".to_owned()]
        };
        self.reply(now, rule.as_ref(), default, After::Line)
    }
}
