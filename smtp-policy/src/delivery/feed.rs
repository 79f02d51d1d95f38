//! The message text on its way through the [`Pipe`] into
//! the session, as fast as the session has room for it.

use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{reply::Capabilities, status::EnhancedStatus};

use super::{Ask, Delivery, Note, envelope, hosts::Phase, talk::Talk};
use crate::{
    content::{Pipe, PipeFailure, PipeStep},
    report::{Scope, trouble::Reason},
    tables::TableFailure,
};

impl Talk {
    pub(super) fn text(&mut self, chunk: Bytes) {
        if let Some(pipe) = &mut self.pipe {
            pipe.push(chunk);
        }
    }

    pub(super) fn answer(&mut self, serial: u32, value: Result<Option<String>, TableFailure>) {
        if self.question == Some(serial)
            && let Some(pipe) = &mut self.pipe
        {
            self.question = None;
            pipe.answered(value);
        }
    }
}

impl Delivery {
    /// The way of the text to a server that offers this.
    pub(super) fn new_pipe(&self, offered: &Capabilities) -> Box<Pipe> {
        let rules = Arc::clone(&self.policy.settings(self.request.protocol).content_rules);
        let stray_cr = self.request.stray_cr;
        let convert = envelope::needs_downgrade(&self.request, &self.settings, offered);
        Box::new(Pipe::new(rules, self.inserted_fields(), stray_cr, convert))
    }

    /// The session is ready for text: gives it what there is, or asks for more.
    /// `None`: look again.
    pub(super) fn feed(&mut self) -> Option<Ask> {
        loop {
            let Phase::Talking(talk) = &mut self.phase else {
                return None;
            };
            let session = &mut talk.channel.session;
            let until = session.deadline().0;
            let idle = session.output().is_empty();
            let body = session.body()?;
            match talk.pipe.as_mut()?.step() {
                PipeStep::Record(record) => body.record(&record.text, record.end),
                PipeStep::Chunk(chunk) => body.push(chunk),
                PipeStep::More => {
                    let offset = talk.pipe.as_ref()?.offset();
                    return Some(Ask::Text {
                        offset,
                        room: body.room(),
                    });
                }
                PipeStep::Done => {
                    body.finish();
                    talk.text_ended = true;
                    self.take_down_text();
                }
                PipeStep::Ask(query) => {
                    let ticket = self.ticket();
                    if let Phase::Talking(talk) = &mut self.phase {
                        talk.question = Some(ticket.serial());
                    }
                    return Some(Ask::LookUp(ticket, query));
                }
                PipeStep::Waiting if idle => return Some(Ask::Wait { until }),
                PipeStep::Waiting => return Some(Ask::Send { until }),
                // The driver looks at the clock and comes again at once.
                PipeStep::Pause if idle => return Some(Ask::Wait { until: self.now }),
                PipeStep::Pause => return Some(Ask::Send { until: self.now }),
                PipeStep::Info(text) => {
                    self.message_note(&text);
                    return None;
                }
                PipeStep::Warning(text) => {
                    self.note(Note::warning(text));
                    return None;
                }
                PipeStep::Failed(failure) => self.fail_text(failure),
            }
        }
    }

    /// The text cannot go to this server. There is no way to take back what was
    /// sent of it, except to go away.
    fn fail_text(&mut self, failure: PipeFailure) {
        let Phase::Talking(talk) = &self.phase else {
            return;
        };
        let peer = talk.channel.peer.name();
        match failure {
            PipeFailure::Nesting(error) => self.return_text(&error),
            PipeFailure::StrayCr(error) => self.return_text(&error),
            PipeFailure::Table => {
                self.record_data_error();
                let text = format!("local data error while talking to {peer}");
                self.fail_site(Reason::local(
                    EnhancedStatus::new(4, 3, 0),
                    Scope::Session,
                    text,
                ));
            }
        }
        if let Phase::Talking(talk) = &mut self.phase {
            talk.channel.session.abandon();
        }
    }

    /// The text cannot go to any server.
    fn return_text(&mut self, error: &dyn core::error::Error) {
        let status = EnhancedStatus::new(5, 6, 0);
        self.fail_open(Reason::local(status, Scope::Message, error.to_string()));
    }
}
