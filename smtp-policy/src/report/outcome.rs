//! The verdict on one recipient, as data.

use core::fmt;
use std::{borrow::Cow, sync::Arc};

use smtp_proto::{dsn::Notify, reply::Reply, session::Stage, status::EnhancedStatus};

use super::{Encryption, Times, log_line::LogStyle, queue_id::queue_id, text::LogText};
use crate::{
    printable::printable,
    request::{Recipient, ServiceName},
    server::Server,
    settings::BestMx,
};

/// What became of a recipient, in Postfix's three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// A server took responsibility for the recipient.
    Sent,
    /// Not delivered now; a later attempt may succeed.
    Deferred,
    /// Will not be delivered.
    Bounced,
}

impl Status {
    /// The word of the log: `sent`, `deferred` or `bounced`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Bounced => "bounced",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

impl Scope {
    /// The name in reports: `session`, `site`, `message` or `recipient`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Site => "site",
            Self::Message => "message",
            Self::Recipient => "recipient",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of the destination as such: other mail for it would fare the same for now. A queue
/// manager that is told of it lets the destination rest (Postfix: `hop_status`).
///
/// Status and reason are those of the failure, whatever the delivery status filter or
/// `soft_bounce` made of them for the recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopStatus {
    /// The enhanced status code.
    pub code: EnhancedStatus,
    /// The reason.
    pub text: LogText,
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

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place that a verdict comes from. Its `Display` is what Postfix logs as `relay=`.
///
/// ```
/// use std::sync::Arc;
/// use smtp_policy::{report::Relay, server::Server};
///
/// let server = Server::inet("mx.example", "192.0.2.1:25".parse()?);
/// assert_eq!(Relay::Server(Arc::new(server)).to_string(), "mx.example[192.0.2.1]:25");
/// assert_eq!(Relay::None.to_string(), "none");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relay {
    /// No server, since there was no connection: `none`.
    #[default]
    None,
    /// The delivery itself, before it looked for a server: the name of the service.
    Service(ServiceName),
    /// A server: `host[address]:port`.
    Server(Arc<Server>),
}

impl Relay {
    /// The server that decided, if it was one.
    pub fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The printable name of the server.
    pub(crate) fn host(&self) -> Option<Cow<'_, str>> {
        self.server().map(|server| printable(&server.host))
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Service(service) => service.fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// The verdict on one recipient.
///
/// `status`, `code`, `relay` and `text` are what Postfix logs; the other fields
/// say how the verdict came about. Its `Display` is what a log line says behind the
/// recipient.
///
/// ```
/// use smtp_policy::report::{Outcome, Status};
/// use smtp_proto::{EnhancedStatus, Reply};
///
/// let mut outcome = Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), "250 2.0.0 Ok");
/// outcome.reply = Some(Reply::new(250, "250 2.0.0 Ok: queued as 4X1"));
/// assert_eq!(outcome.remote_queue_id(), Some("4X1"));
/// assert_eq!(
///     outcome.to_string(),
///     "relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, \
///      status=sent (250 2.0.0 Ok)"
/// );
/// ```
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
    /// The server that decided, or what else has.
    pub relay: Relay,
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
    /// The failure of the destination that kept the recipient from being delivered. `None`
    /// where the failure was another one, and where any session of the same delivery came
    /// to a good end. It is for queue managers alone, and counts if somebody is to be tried again.
    pub hop: Option<Box<HopStatus>>,
    /// The transport that is to deliver in place of this verdict, which holds only if that cannot
    /// be reached. It is for requests of a [`service`](crate::request::Request::service) alone.
    pub pass_to: Option<Box<BestMx>>,
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
    /// The times up to the verdict.
    pub times: Times,
}

impl Outcome {
    /// A verdict that no server has given: its word and action are those of the status, it
    /// is about the recipient alone, and it leaves no doubt. All else can be set afterwards.
    pub fn new(status: Status, code: EnhancedStatus, text: impl Into<LogText>) -> Self {
        Self {
            status,
            word: status.as_str(),
            code,
            relay: Relay::None,
            text: text.into(),
            reply: None,
            stage: None,
            scope: Scope::Recipient,
            uncertain: false,
            hop: None,
            pass_to: None,
            action: match status {
                Status::Sent => Action::Relayed,
                Status::Deferred => Action::Delayed,
                Status::Bounced => Action::Failed,
            },
            connection_uses: 0,
            server_reports: false,
            encryption: None,
            times: Times::default(),
        }
    }

    /// The name that the server gave the message, as far as its reply tells: see
    /// [`queue_id`]. `None` unless the recipient was sent.
    pub fn remote_queue_id(&self) -> Option<&str> {
        let reply = self.reply.as_ref()?;
        (self.status == Status::Sent)
            .then(|| queue_id(reply))
            .flatten()
    }

    /// Whether the sender is to hear from this side that the recipient was
    /// delivered: NOTIFY asks for it, and the server does not see to it.
    pub fn owes_success_report(&self, recipient: &Recipient) -> bool {
        self.status == Status::Sent
            && !self.server_reports
            && recipient.notify.contains(Notify::SUCCESS)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LogStyle::default().outcome(self, f)
    }
}
