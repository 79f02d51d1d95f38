//! Delivery requests: what the queue manager wants delivered, and what it is told in the
//! end.
//!
//! A conversation carries one request. The agent announces itself, waits as long as it
//! takes, reads a [`RequestHead`] and a [`Recipient`] as often as the head says
//! ([`RequestReader`]), and answers with a [`FinalReply`] when all is reported and marked.
//! Answers to Postfix's `src/global/deliver_request.c`.
//!
//! ```
//! use postfix_ipc::{attr::{List, Value}, request::*};
//!
//! let head = RequestHead {
//!     queue_id: Value::new("8A4EB6F")?,
//!     nexthop: Value::new("example.com")?,
//!     ..RequestHead::default()
//! };
//! let recipient = Recipient {
//!     address: Value::new("user@example.com")?,
//!     offset: 248,
//!     ..Recipient::default()
//! };
//! let request = DeliveryRequest { head, recipients: vec![recipient] };
//!
//! let mut reader = RequestReader::new("smtp socket");
//! reader.push(&request.encode());
//! assert_eq!(reader.next_request()?.map(|read| read.recipients), Some(request.recipients));
//! assert_eq!(FinalReply::done().encode().len(), 77);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod convert;
mod dsn;
mod flags;
mod reader;
mod stats;

use smtp_policy::report::Outcome;

pub use convert::Unservable;
pub use dsn::{Dsn, FinalReply};
pub use flags::{NotifyFlags, RequestFlags, SendFlags, SendOptions};
pub use reader::{MAX_RECIPIENTS, REQUEST_LIMIT, RequestError, RequestReader};
pub use stats::{MessageStats, Stamp};

use crate::{
    announce::{Announcement, Service},
    attr::{List, Value, attributes},
    queue_file::{BadName, BadOffset, Mark, QueueFile},
};

attributes! {
    /// The first list of a request: everything but the recipients.
    #[derive(Default)]
    pub struct RequestHead {
        /// The wishes of the queue manager.
        flags: RequestFlags => "flags",
        /// The queue that the file is in: `active`.
        queue_name: Value => "queue_name",
        /// The name of the file.
        queue_id: Value => "queue_id",
        /// The offset of the first record of the content.
        offset: i64 => "offset",
        /// The size of the message, as MAIL tells it.
        size: i64 => "size",
        /// The destination, as the transport table has it.
        nexthop: Value => "nexthop",
        /// `8bit`, `7bit` or nothing.
        encoding: Value => "encoding",
        /// The options of the sender, and what SMTPUTF8 is needed for.
        options: SendOptions => _,
        /// The envelope sender in internal form; empty is the null sender.
        sender: Value => "sender",
        /// The DSN envelope identifier, decoded.
        envelope_id: Value => "envelope_id",
        /// The part of the message that a failure report returns: 1 all, 2 the header, 0 unsaid.
        ret_flags: i32 => "ret_flags",
        /// The times of the message.
        stats: MessageStats => "time",
        /// The origin of the message.
        client: ClientAttributes => _,
        /// The login of the client that handed it in.
        sasl: SaslAttributes => _,
        /// The queue id where the message came from.
        log_ident: Value => "log_ident",
        /// The context in which addresses were completed: `local` or `remote`.
        rewrite_context: Value => "rewrite_context",
        /// The number of recipients that follow.
        recipient_count: i32 => "recipient_count",
    }
}

attributes! {
    /// The client that handed a message in; for local mail all is empty.
    #[derive(Default)]
    pub struct ClientAttributes {
        /// Its host name.
        name: Value => "log_client_name",
        /// Its address.
        address: Value => "log_client_address",
        /// Its TCP port.
        port: Value => "log_client_port",
        /// The protocol that it spoke.
        protocol: Value => "log_protocol_name",
        /// The name that it gave.
        helo: Value => "log_helo_name",
    }
}

attributes! {
    /// The login of a client; without a login all is empty.
    #[derive(Default)]
    pub struct SaslAttributes {
        /// The mechanism.
        method: Value => "sasl_method",
        /// The name of the user.
        username: Value => "sasl_username",
        /// The sender that AUTH= in MAIL named.
        sender: Value => "sasl_sender",
    }
}

attributes! {
    /// A recipient: a list of its own in a request, and a part of reports.
    #[derive(Default)]
    pub struct Recipient {
        /// The address before aliasing; may be empty.
        original: Value => "original_recipient",
        /// The address in internal form.
        address: Value => "recipient",
        /// The offset of its record in the queue file; -1 for none.
        offset: i64 => "offset",
        /// The original recipient that the sender gave, as `type;address`; may be empty.
        dsn_original: Value => "dsn_orig_rcpt",
        /// The reports that the sender wants.
        notify: NotifyFlags => "notify_flags",
    }
}

impl RequestHead {
    /// Sets the time of the handing over, unless another agent has done so.
    pub fn stamp(&mut self, now: Stamp) {
        if !self.stats.agent_handoff.is_set() {
            self.stats.agent_handoff = now;
        }
    }

    /// The queue file.
    ///
    /// # Errors
    /// The names cannot be part of a path.
    pub fn queue_file(&self) -> Result<QueueFile, BadName> {
        QueueFile::new(&self.queue_name, &self.queue_id)
    }
}

impl Recipient {
    /// The byte that marks the recipient as done; `None` if it has no record.
    ///
    /// # Errors
    /// The offset can be that of no record.
    pub fn mark(&self) -> Result<Option<Mark>, BadOffset> {
        Mark::at(self.offset)
    }

    /// The recipient in reports on this verdict: the wish for a report on success has been
    /// met where the server has taken it over.
    pub fn reported(&self, outcome: &Outcome) -> Self {
        let mut recipient = self.clone();
        if outcome.server_reports {
            recipient.notify = recipient.notify.without(NotifyFlags::SUCCESS);
        }
        recipient
    }
}

/// A whole request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryRequest {
    /// The values that hold for all recipients.
    pub head: RequestHead,
    /// The recipients, in the order in which they are to be tried.
    pub recipients: Vec<Recipient>,
}

impl DeliveryRequest {
    /// The greeting of an agent, upon which the queue manager sends a request.
    pub fn greeting() -> Vec<u8> {
        Announcement::of(Service::Delivery).encode()
    }

    /// The request on the wire. The number of recipients is counted.
    pub fn encode(&self) -> Vec<u8> {
        let mut head = self.head.clone();
        head.recipient_count = i32::try_from(self.recipients.len()).unwrap_or(i32::MAX);
        let mut bytes = head.encode();
        for recipient in &self.recipients {
            bytes.extend(recipient.encode());
        }
        bytes
    }

    /// The request in which this agent passes one recipient to another transport, as
    /// `best_mx_transport` wants it: it plays the queue manager there. The other agent
    /// reports and marks (`src/global/deliver_pass.c`).
    pub fn passed(head: &RequestHead, recipient: Recipient, nexthop: Value) -> Self {
        let head = RequestHead {
            nexthop,
            ..head.clone()
        };
        Self {
            head,
            recipients: vec![recipient],
        }
    }
}
