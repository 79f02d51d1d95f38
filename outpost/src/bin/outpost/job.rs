//! One piece of work: a request with its message text.

use std::{sync::Arc, time::Duration};

use outpost::{Message, message::Text};
use smtp_policy::request::Request;

/// A request with everything that is needed to deliver it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The envelope.
    pub(crate) request: Request,
    /// The message text.
    pub(crate) text: Text,
    /// The length of the text in bytes.
    pub(crate) length: u64,
    /// True if it goes out in one delivery, whatever
    /// `transport_destination_recipient_limit` is.
    pub(crate) whole: bool,
    /// The time to wait before the request.
    pub(crate) pause: Duration,
    /// The source of the message, where it is one of several or in a journal.
    pub(crate) origin: Option<Arc<Origin>>,
}

/// The source of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The name for people.
    pub(crate) name: String,
    /// The name in a journal.
    pub(crate) key: String,
    /// The digest in a journal, of the text as it was read.
    pub(crate) digest: String,
}

impl Job {
    /// Joins envelope and message. What the envelope leaves open, the facts of
    /// the message decide: the size, and whether a header holds non-ASCII text.
    pub(crate) fn new(mut request: Request, message: Message) -> Self {
        let (text, facts) = message.into_parts();
        request.size = request.size.or(Some(facts.size));
        request.header_utf8 = facts.header_utf8;
        Self {
            request,
            text,
            length: facts.length,
            whole: false,
            pause: Duration::ZERO,
            origin: None,
        }
    }
}
