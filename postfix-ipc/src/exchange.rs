//! One side of a conversation with a service: the agent's. The announcement comes first, then
//! question and answer take turns.
//!
//! bounce(8) and flush(8) take one question per connection; verify(8), trivial-rewrite(8),
//! tlsmgr(8) and proxymap(8) take more ([`Exchange::ask`]). Answers to Postfix's
//! `src/global/mail_command_client.c` and `clnt_stream.c`.
//!
//! ```
//! use postfix_ipc::{
//!     announce::{Announcement, Service},
//!     attr::{List, Value},
//!     exchange::{Exchange, ExchangeStep},
//!     report::{FlushAdd, StatusReply},
//! };
//!
//! let add = FlushAdd { site: Value::new("example.com")?, queue_id: Value::new("8A4EB6F")? };
//! let mut exchange = Exchange::<StatusReply>::new(Service::Flush, "public/flush", &add);
//! assert_eq!(exchange.poll(), ExchangeStep::Read);
//! exchange.read(b"protocol\0queue_flush_protocol\0\0");
//! assert_eq!(exchange.poll(), ExchangeStep::Write(add.encode().into()));
//! assert_eq!(exchange.poll(), ExchangeStep::Read);
//! exchange.read(b"status\x000\0\0");
//! assert_eq!(exchange.poll(), ExchangeStep::Answer(StatusReply { status: 0 }));
//! # Ok::<(), postfix_ipc::attr::Nul>(())
//! ```

use core::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    announce::{Announcement, Service},
    attr::{List, ListError, ListReader},
};

/// A conversation in which answers are `A`.
///
/// A fault is final; the connection is then to be closed, and the question may be asked on another.
#[derive(Clone, Debug)]
pub struct Exchange<A> {
    service: Service,
    peer: Arc<str>,
    reader: ListReader,
    place: Place,
    /// True once the service has closed its side.
    ended: bool,
    answer: PhantomData<fn() -> A>,
}

/// A step of an [`Exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ExchangeStep<A> {
    /// Bytes of the service are needed: [`Exchange::read`].
    Read,
    /// These bytes go to the service.
    Write(Bytes),
    /// The answer; another question may follow.
    Answer(A),
    /// Nothing is asked: [`Exchange::ask`].
    Idle,
    /// There is no next step.
    Failed(ListError),
}

#[derive(Clone, Debug)]
enum Place {
    /// The announcement is due, and then the question goes out.
    Announcement(Bytes),
    Question(Bytes),
    Answer,
    Idle,
    Failed(ListError),
}

impl<A: List> Exchange<A> {
    /// A conversation on a new connection that begins with this question. `peer` is the name of
    /// the service in warnings: `private/bounce`.
    pub fn new(service: Service, peer: impl Into<Arc<str>>, question: &impl List) -> Self {
        let peer = peer.into();
        Self {
            service,
            reader: ListReader::new(Arc::clone(&peer)),
            peer,
            place: Place::Announcement(question.encode().into()),
            ended: false,
            answer: PhantomData,
        }
    }

    /// The next step.
    pub fn poll(&mut self) -> ExchangeStep<A> {
        match self.advance() {
            Ok(step) => step,
            Err(fault) => {
                self.place = Place::Failed(fault.clone());
                ExchangeStep::Failed(fault)
            }
        }
    }

    fn advance(&mut self) -> Result<ExchangeStep<A>, ListError> {
        if let Place::Announcement(question) = &self.place {
            let Some(announcement) = self.reader.next_list::<Announcement>()? else {
                return self.more();
            };
            announcement.check(self.service, &self.peer)?;
            self.place = Place::Question(question.clone());
        }
        match &self.place {
            Place::Question(question) => {
                let question = question.clone();
                self.place = Place::Answer;
                Ok(ExchangeStep::Write(question))
            }
            Place::Answer => match self.reader.next_list()? {
                Some(answer) => {
                    self.place = Place::Idle;
                    Ok(ExchangeStep::Answer(answer))
                }
                None => self.more(),
            },
            Place::Failed(fault) => Err(fault.clone()),
            Place::Announcement(_) | Place::Idle => Ok(ExchangeStep::Idle),
        }
    }

    fn more(&self) -> Result<ExchangeStep<A>, ListError> {
        match self.ended {
            true => Err(self.reader.cut_off()),
            false => Ok(ExchangeStep::Read),
        }
    }

    /// Takes bytes of the service. None are the end of its side, which is a fault if it
    /// owes something.
    pub fn read(&mut self, bytes: &[u8]) {
        self.ended |= bytes.is_empty();
        self.reader.push(bytes);
    }

    /// Notes that nothing came within the time limit (`ipc_timeout`).
    pub fn timed_out(&mut self) {
        self.place = Place::Failed(self.reader.timed_out());
    }

    /// Asks the next question on the same connection. False if the last one was not
    /// answered yet, or the conversation has failed: the question is not asked then.
    pub fn ask(&mut self, question: &impl List) -> bool {
        let idle = matches!(self.place, Place::Idle);
        if idle {
            self.place = Place::Question(question.encode().into());
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::StatusReply;

    const QUESTION: StatusReply = StatusReply { status: 7 };

    fn exchange() -> Exchange<StatusReply> {
        Exchange::new(Service::Defer, "private/defer", &QUESTION)
    }

    /// The fault of a service that says this, and then nothing.
    fn fault(said: &[u8]) -> String {
        let mut exchange = exchange();
        exchange.read(said);
        loop {
            match exchange.poll() {
                ExchangeStep::Read => exchange.read(b""),
                ExchangeStep::Failed(fault) => {
                    assert_eq!(exchange.poll(), ExchangeStep::Failed(fault.clone()));
                    assert!(!exchange.ask(&QUESTION));
                    return fault.to_string();
                }
                ExchangeStep::Write(_) => {}
                step => panic!("{step:?}"),
            }
        }
    }

    #[test]
    fn a_service_that_breaks_the_rules_is_told_of() {
        for (said, text) in [
            (
                &b""[..],
                "premature end-of-input on private/defer while reading input attribute name",
            ),
            (
                b"protocol\0queue_flush_protocol\0\0",
                "unexpected protocol queue_flush_protocol from private/defer \
                 (expected: delivery_status_protocol)",
            ),
            (
                b"protocol\0delivery_status_protocol\0\0",
                "premature end-of-input on private/defer while reading input attribute name",
            ),
            (
                b"protocol\0delivery_status_protocol\0\0status\0",
                "premature end-of-input on private/defer while reading input attribute value",
            ),
            (
                b"protocol\0delivery_status_protocol\0\0reason\0",
                "unexpected attribute reason from private/defer (expecting: status)",
            ),
        ] {
            assert_eq!(fault(said), text);
        }
        let mut exchange = exchange();
        exchange.timed_out();
        let ExchangeStep::Failed(fault) = exchange.poll() else {
            panic!("it goes on");
        };
        assert_eq!(
            fault.to_string(),
            "timeout on private/defer while reading input attribute name"
        );
    }

    #[test]
    fn nothing_is_asked_before_the_announcement_and_the_answer() {
        let mut exchange = exchange();
        assert!(!exchange.ask(&QUESTION));
        exchange.read(b"protocol\0delivery_status_protocol\0");
        assert_eq!(exchange.poll(), ExchangeStep::Read);
        // The answer is here ahead of the question.
        exchange.read(b"\0status\x000\0\0");
        assert_eq!(
            exchange.poll(),
            ExchangeStep::Write(QUESTION.encode().into())
        );
        assert!(!exchange.ask(&QUESTION));
        assert_eq!(
            exchange.poll(),
            ExchangeStep::Answer(StatusReply { status: 0 })
        );
        assert_eq!(exchange.poll(), ExchangeStep::Idle);
        assert!(exchange.ask(&QUESTION));
        assert_eq!(
            exchange.poll(),
            ExchangeStep::Write(QUESTION.encode().into())
        );
        assert_eq!(exchange.poll(), ExchangeStep::Read);
        // The service may leave once it has answered.
        exchange.read(b"status\x000\0\0");
        exchange.read(b"");
        assert_eq!(
            exchange.poll(),
            ExchangeStep::Answer(StatusReply { status: 0 })
        );
        assert_eq!(exchange.poll(), ExchangeStep::Idle);
    }
}
