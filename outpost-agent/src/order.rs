//! The part of a request that is the same in both ways of running: what has to be true before it is delivered, and what is left to
//! do afterwards.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use postfix_ipc::request::{DeliveryRequest, FinalReply, Recipient, RequestError};
use smtp_policy::{
    delivery::Observer,
    report::{Outcome, Status},
    request as policy,
};
use smtp_proto::EnhancedStatus;

use crate::{
    agent::Agent,
    fatal::Fatal,
    log::Severity,
    message::{Message, OpenError, Text},
    reporter::{self, Reporter},
    watchdog::Pulse,
};

/// A request that can be delivered.
pub(crate) struct Order {
    pub(crate) request: policy::Request,
    pub(crate) text: Text,
    pub(crate) reporter: Reporter,
    pub(crate) books: Books,
}

/// A request that was looked at.
pub(crate) enum Begun {
    /// There is somebody to deliver to.
    Order(Box<Order>),
    /// Nothing is left to do.
    Over(Box<FinalReply>),
}

impl Begun {
    fn over(reply: FinalReply) -> Self {
        Self::Over(Box::new(reply))
    }
}

/// The end of a request, once it is delivered.
pub(crate) struct Books {
    agent: Arc<Agent>,
    message: Arc<Message>,
    reply: Arc<Mutex<FinalReply>>,
}

impl Agent {
    /// Returns the request that was read. Otherwise the log is told what is wrong, and the message is to be tried again.
    pub(crate) fn understand(
        &self,
        heard: Result<DeliveryRequest, RequestError>,
    ) -> Option<DeliveryRequest> {
        let explain = |error: &RequestError| {
            if let Some(source) = error.source() {
                self.log.warning(source);
            }
            self.log.warning(error);
        };
        heard.inspect_err(explain).ok()
    }

    /// Tells the log that a connection of the queue manager has failed.
    pub(crate) fn lost(&self, error: &io::Error) {
        self.log
            .warning(format_args!("{} socket: {error}", self.service));
    }

    /// Returns the reply for a request whose delivery has panicked, after the log was told.
    pub(crate) fn panicked(&self, id: &str) -> FinalReply {
        let text = format!("{id}: the delivery has come to an unexpected end");
        self.log.record(Severity::Panic, &text);
        FinalReply::deferred()
    }

    /// Opens the queue file of a request, and reports those who cannot be delivered to at all.
    ///
    /// # Errors
    /// A fault that ends a process of Postfix: the queue file can be neither opened nor locked. There is no reply then.
    pub(crate) fn begin(
        self: &Arc<Self>,
        request: DeliveryRequest,
        pulse: Arc<Pulse>,
    ) -> Result<Begun, Fatal> {
        let DeliveryRequest {
            mut head,
            recipients,
        } = request;
        head.stamp(reporter::now());
        let name = match head.queue_file() {
            Ok(name) => name,
            Err(error) => {
                self.log.warning(error);
                return Ok(Begun::over(FinalReply::deferred()));
            }
        };
        let shown = format!("{} {}", head.queue_name, head.queue_id);
        let message = match Message::open(name, &shown, &self.hashing) {
            Ok(message) => Arc::new(message),
            Err(OpenError::Gone(why)) => {
                self.log.warning(why);
                return Ok(Begun::over(FinalReply::deferred()));
            }
            Err(error) => return Err(Fatal::new(error)),
        };
        if head.nexthop.is_empty() {
            return Err(Fatal::new("empty nexthop hostname"));
        }
        let (understood, recipients, refused) = understood(recipients);
        let asked = head.text_offset().and_then(|offset| {
            let mut request = head.to_policy(self.protocol, self.flags, understood)?;
            request.service = Some(self.service.clone());
            Ok((request, offset))
        });
        let reply = Arc::new(Mutex::new(FinalReply::done()));
        let mut reporter = Reporter {
            agent: Arc::clone(self),
            head,
            recipients: refused,
            message: Arc::clone(&message),
            reply: Arc::clone(&reply),
            pulse,
        };
        reporter.refuse();
        let books = Books {
            agent: Arc::clone(self),
            message: Arc::clone(&message),
            reply,
        };
        Ok(match asked {
            Ok((request, _)) if request.recipients.is_empty() => Begun::over(books.close()),
            Ok((request, offset)) => {
                reporter.recipients = recipients;
                Begun::Order(Box::new(Order {
                    request,
                    text: message.text(offset),
                    reporter,
                    books,
                }))
            }
            Err(why) => {
                self.log
                    .warning(format_args!("{}: {why}", reporter.head.queue_id));
                Begun::over(FinalReply::deferred())
            }
        })
    }

    /// Puts a queue file aside whose text cannot be read, unless somebody waits for another attempt.
    fn look_at(&self, message: &Message, reply: &FinalReply) {
        let Some(corruption) = message.corruption() else {
            return;
        };
        let name = message.name();
        for warning in corruption.warnings(&name.to_string(), name.id()) {
            self.log.warning(warning);
        }
        if reply.status == 0 {
            self.log
                .warning(format_args!("corrupted queue file: {name}"));
            if let Err(error) = message.set_corrupt() {
                self.log
                    .warning(format_args!("change the mode of {name}: {error}"));
            }
        }
    }
}

impl Books {
    /// Returns the reply to the queue manager, after the last recipient is settled.
    pub(crate) fn close(self) -> FinalReply {
        let reply = self.reply.lock();
        let reply = reply.unwrap_or_else(PoisonError::into_inner).clone();
        self.agent.look_at(&self.message, &reply);
        reply
    }
}

/// Takes apart who can be delivered to, with the same recipients as the queue manager named them, and who cannot.
fn understood(all: Vec<Recipient>) -> (Vec<policy::Recipient>, Vec<Recipient>, Vec<Recipient>) {
    let (mut understood, mut named, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for recipient in all {
        match recipient.to_policy() {
            Ok(good) => {
                understood.push(good);
                named.push(recipient);
            }
            Err(_) => refused.push(recipient),
        }
    }
    (understood, named, refused)
}

impl Reporter {
    /// Defers those whose addresses cannot be understood: they are no worse than others, and the fault may be here.
    fn refuse(&mut self) {
        for index in 0..self.recipients.len() {
            let Some(why) = self
                .recipients
                .get(index)
                .and_then(|named| named.to_policy().err())
            else {
                continue;
            };
            let outcome = Outcome::new(
                Status::Deferred,
                EnhancedStatus::new(4, 3, 0),
                why.to_string(),
            );
            let Ok(stand_in) = "unknown".parse::<smtp_proto::Address>() else {
                continue;
            };
            self.settled(index, &policy::Recipient::new(stand_in), &outcome);
        }
    }
}
