//! The records of bounce(8): one recipient with a verdict (`src/global/bounce.c`,
//! `defer.c`, `trace.c`).

use smtp_policy::report::{Outcome, Relay};

use crate::{
    announce::Service,
    attr::{Value, attributes},
    request::{Dsn, Recipient, RequestFlags, RequestHead},
};

/// The book that a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Book {
    /// Final failures.
    Bounce,
    /// Failures that may pass.
    Defer,
    /// Verdicts that the sender asked to be told.
    Trace,
}

impl Book {
    /// The service that keeps it.
    pub const fn service(self) -> Service {
        match self {
            Self::Bounce => Service::Bounce,
            Self::Defer => Service::Defer,
            Self::Trace => Service::Trace,
        }
    }
}

attributes! {
    /// The request to add a record to a book (`BOUNCE_CMD_APPEND`).
    pub struct StatusRecord ["nrequest" = "0"] {
        /// The flags of the delivery request that reports repeat: [`RequestFlags::trace`].
        flags: RequestFlags => "flags",
        /// The message.
        queue_id: Value => "queue_id",
        /// The recipient.
        recipient: Recipient => _,
        /// The verdict.
        dsn: Dsn => _,
    }
}

impl StatusRecord {
    /// The record of a verdict. The recipient is the one of the request.
    ///
    /// Action and reason are those that the book wants; the status is to begin with the
    /// digit that belongs to it, which that of a verdict does.
    pub fn new(book: Book, head: &RequestHead, recipient: &Recipient, outcome: &Outcome) -> Self {
        let mut dsn = Dsn::from(outcome);
        match book {
            Book::Bounce => dsn.action = Value::masked("failed"),
            Book::Defer => dsn.action = Value::masked("delayed"),
            Book::Trace => dsn.reason = delivery_via(outcome),
        }
        Self {
            flags: head.flags.trace(),
            queue_id: head.queue_id.clone(),
            recipient: recipient.reported(outcome),
            dsn,
        }
    }
}

/// The reason of a trace record.
fn delivery_via(outcome: &Outcome) -> Value {
    match &outcome.relay {
        Relay::None => Value::from(&outcome.text),
        relay => Value::masked(&format!("delivery via {relay}: {}", outcome.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_policy::{
        report::{Relay, Status},
        server::Server,
    };
    use smtp_proto::EnhancedStatus;

    #[test]
    fn a_trace_names_the_relay_if_there_is_one() {
        let code = EnhancedStatus::new(5, 4, 4);
        let mut outcome = Outcome::new(Status::Bounced, code, "no such host");
        let reason = |outcome: &Outcome, book| {
            let (head, recipient) = (RequestHead::default(), Recipient::default());
            let record = StatusRecord::new(book, &head, &recipient, outcome);
            record.dsn.reason.to_string()
        };
        assert_eq!(reason(&outcome, Book::Trace), "no such host");
        let server = Server::inet("mx.example", "192.0.2.1:25".parse().unwrap());
        outcome.relay = Relay::Server(server.into());
        assert_eq!(
            reason(&outcome, Book::Trace),
            "delivery via mx.example[192.0.2.1]:25: no such host"
        );
        assert_eq!(reason(&outcome, Book::Bounce), "no such host");
    }
}
