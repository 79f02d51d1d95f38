//! The verdict on one recipient, as data.

use smtp_proto::{dsn::Notify, reply::Reply, session::Stage, status::EnhancedStatus};

use super::{Encryption, text::LogText};
use crate::request::Recipient;

/// What became of a recipient, in Postfix's three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// A server took responsibility for the recipient.
    Sent,
    /// Not delivered now; a later attempt may succeed.
    Deferred,
    /// Will not be delivered.
    Bounced,
}

/// How far a failure reaches (`src/smtp/smtp_trouble.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// This connection: it was lost, or it timed out.
    Session,
    /// The server or the whole destination: other messages will fare the same.
    Site,
    /// This message, with all its recipients at this server.
    Message,
    /// This recipient alone.
    Recipient,
}

/// The action field of a delivery status notification (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Handed to the next server, which may or may not report further.
    Relayed,
    /// In the recipient's mailbox.
    Delivered,
    /// Given up.
    Failed,
    /// Will be tried again.
    Delayed,
}

impl Action {
    /// The word of RFC 3464.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
        }
    }
}

/// The verdict on one recipient.
///
/// `status`, `code`, `relay` and `text` are what Postfix logs; the other fields
/// say how the verdict came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Sent, deferred or bounced.
    pub status: Status,
    /// The word of the log line: `sent`, `deferred`, `bounced`; `SOFTBOUNCE`
    /// when `soft_bounce` turned a bounce into a deferral; for probes
    /// `deliverable` or `undeliverable`.
    pub word: &'static str,
    /// The enhanced status code.
    pub code: EnhancedStatus,
    /// `host[address]:port` of the server that decided, or `none`.
    pub relay: LogText,
    /// The reply or the reason: what stands in the parentheses of the log line.
    pub text: LogText,
    /// The server's reply, when the verdict comes from one.
    pub reply: Option<Reply>,
    /// The stage of the dialogue, when there was a dialogue.
    pub stage: Option<Stage>,
    /// How far the failure reaches; for a recipient that was sent,
    /// [`Scope::Recipient`].
    pub scope: Scope,
    /// True when the connection was lost after the end of the text was sent and
    /// before it was answered, at this server or at one before it: a copy may have
    /// been delivered, although the recipient is deferred or bounced.
    pub uncertain: bool,
    /// The action that a delivery status notification names.
    pub action: Action,
    /// How many messages went over the connection, this one included: 1 on a new
    /// connection, more on a kept one, 0 where there was none.
    pub connection_uses: u32,
    /// Whether the server offers DSN, and so reports success to the sender itself
    /// where that was asked for (RFC 3461 section 5.2.1).
    pub server_reports: bool,
    /// The encryption of the connection that the verdict comes from; `None` if there was
    /// no connection.
    pub encryption: Option<Encryption>,
}

impl Outcome {
    /// Whether the sender is to hear from this side that the recipient was
    /// delivered: NOTIFY asks for it, and the server does not see to it.
    pub fn owes_success_report(&self, recipient: &Recipient) -> bool {
        self.status == Status::Sent
            && !self.server_reports
            && recipient.notify.contains(Notify::SUCCESS)
    }
}
