//! The message text on its way through the [`Pipe`] into
//! the session, as fast as the session has room for it.

use core::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{session::Session, status::EnhancedStatus, time::Time};

use super::{Progress, Talking, Turn, envelope};
use crate::{
    content::{Pipe, PipeFailure, PipeStep},
    delivery::{
        Ask, context::Context, phase::Stop, preparing::fields_to_insert, settle::Whom,
        wanted::Wanted,
    },
    event::Event,
    report::{Scope, trouble::Reason},
    tables::TableFailure,
};

/// The text of a transaction on its way.
#[derive(Debug)]
pub(super) struct Text {
    pipe: Box<Pipe>,
    /// The question about a table that is out.
    question: Option<u32>,
    wanted: Wanted,
    /// The text is complete: its end is on its way or out.
    ended: bool,
}

/// The next step of the text.
enum Fed {
    /// Asks the driver for this.
    Ask(Ask),
    /// There is a warning for the log first.
    Warning(String),
    /// There is something to log about the message first.
    MessageNote(String),
    /// The session wants no more now.
    Enough,
    /// All of it is with the session.
    Ended,
    /// The source is given up.
    Starved,
    /// It cannot go to this server.
    Failed(PipeFailure),
}

impl Text {
    /// The text on its way to a server with these abilities.
    pub(super) fn new(cx: &Context, session: &Session) -> Self {
        let rules = Arc::clone(&cx.settings.content_rules);
        let stray_cr = cx.request.stray_cr;
        let offered = session.capabilities();
        let convert = envelope::needs_downgrade(&cx.request, &cx.settings, offered);
        let pipe = Pipe::new(rules, fields_to_insert(cx), stray_cr, convert);
        Self {
            pipe: Box::new(pipe),
            question: None,
            wanted: Wanted::Nothing,
            ended: false,
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn asked(&self, serial: u32) -> bool {
        self.question == Some(serial)
    }

    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted.is_something()
    }

    /// The source does not have yet what was asked for.
    pub(super) const fn wait_until(&mut self, until: Time) {
        self.wanted.wait_until(until);
    }

    /// When the source is given up, if it is waited for.
    pub(super) const fn source_until(&self) -> Time {
        self.wanted.until()
    }

    /// The answer to the question about a table.
    pub(super) fn looked_up(&mut self, value: Result<Option<String>, TableFailure>) {
        self.question = None;
        self.pipe.answered(value);
    }

    /// A piece of the text, which was asked for.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.wanted = Wanted::Nothing;
        self.pipe.push(chunk);
    }

    /// The session is ready for text: gives it what there is, or asks for more.
    fn feed(&mut self, cx: &mut Context, session: &mut Session) -> Fed {
        loop {
            let Some(body) = session.body() else {
                return Fed::Enough;
            };
            match self.pipe.step() {
                PipeStep::Record(record) => body.record(&record.text, record.end),
                PipeStep::Chunk(chunk) => body.push(chunk),
                PipeStep::More if self.wanted.is_overdue(cx) => return Fed::Starved,
                PipeStep::More if self.wanted.waits() => {
                    body.wait();
                    return Fed::Enough;
                }
                PipeStep::More => {
                    self.wanted = Wanted::Piece;
                    let (offset, room) = (self.pipe.offset(), body.room());
                    return Fed::Ask(Ask::Text { offset, room });
                }
                PipeStep::Done => {
                    body.finish();
                    self.ended = true;
                    return Fed::Ended;
                }
                PipeStep::Ask(query) => {
                    let ticket = cx.ticket();
                    self.question = Some(ticket.serial());
                    return Fed::Ask(Ask::LookUp(ticket, query));
                }
                PipeStep::Waiting => {
                    body.wait();
                    return Fed::Enough;
                }
                // The driver looks at the clock and comes again at once.
                PipeStep::Pause => return pause(session.output().is_empty(), cx.now),
                PipeStep::Info(text) => return Fed::MessageNote(text),
                PipeStep::Warning(text) => return Fed::Warning(text),
                PipeStep::Failed(failure) => return Fed::Failed(failure),
            }
        }
    }
}

/// Looks at the clock, writing meanwhile what there is to be written.
const fn pause(idle: bool, until: Time) -> Fed {
    Fed::Ask(match idle {
        true => Ask::Wait { until },
        false => Ask::Send { until },
    })
}

impl Talking {
    /// The session is ready for text.
    pub(super) fn feed(&mut self, cx: &mut Context) -> Turn {
        let Progress::Transfer { text, .. } = &mut self.progress else {
            // A session wants the text of a transaction, and this is none of ours: ends it
            // rather than its sending half of something.
            self.part();
            return Turn::Again;
        };
        match text.feed(cx, &mut self.channel.session) {
            Fed::Ask(ask) => return Turn::Ask(ask),
            Fed::Enough => {}
            Fed::Ended => {
                let count = text.pipe.offset();
                self.records.take_down_text(cx, &self.channel.peer, count);
            }
            Fed::MessageNote(text) => cx.note(Event::ContentChecked {
                id: cx.request.id.clone(),
                text: text.into(),
            }),
            Fed::Warning(text) => cx.note(Event::ContentWarning { text: text.into() }),
            Fed::Starved => self.starve(cx),
            Fed::Failed(failure) => self.fail_text(cx, failure),
        }
        Turn::Again
    }

    /// The source of the text is given up. No other server would fare better.
    fn starve(&mut self, cx: &mut Context) {
        let reason = Stop::Starved(cx.source_limit()).reason();
        cx.settle_left(reason.without_blame(), &self.origin());
        self.part();
    }

    /// The text cannot go to this server. There is no way to take back what was
    /// sent of it, except to go away.
    fn fail_text(&mut self, cx: &mut Context, failure: PipeFailure) {
        // No other server would take it either.
        let returned = |error: &dyn Error| {
            Reason::local(
                EnhancedStatus::new(5, 6, 0),
                Scope::Message,
                error.to_string(),
            )
        };
        match failure {
            PipeFailure::Nesting(error) => self.fail(cx, Whom::Open, returned(&error)),
            PipeFailure::StrayCr(error) => self.fail(cx, Whom::Open, returned(&error)),
            PipeFailure::Table => {
                self.records.record_data_error();
                let text = format!("local data error while talking to {}", self.peer().name());
                let status = EnhancedStatus::new(4, 3, 0);
                self.fail_site(cx, Reason::local(status, Scope::Session, text));
                // The session has not come to a good end, as it has when it is the message that is refused.
                return self.part();
            }
        }
        self.channel.session.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{channel_offering, context};

    #[test]
    fn text_is_wanted_only_where_the_session_has_room_for_it() {
        let mut cx = context(1);
        let mut channel = channel_offering(&cx, &[]);
        let mut text = Text::new(&cx, &channel.session);
        assert!(matches!(
            text.feed(&mut cx, &mut channel.session),
            Fed::Enough
        ));
        assert!(!text.is_wanted() && !text.has_ended() && !text.asked(0));
    }
}
