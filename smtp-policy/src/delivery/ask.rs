//! What the engine wants from its driver.

use core::time::Duration;
use std::{net::SocketAddr, path::PathBuf};

use smtp_proto::time::Time;

use super::ticket::{Cached, Dns, External, Https, Socket, Ticket};
use crate::{
    channel::Channel,
    dns::Query,
    report::{LogText, Notice, Outcome, TlsResult},
    request::RcptIndex,
    reuse::{CacheKey, CacheKeys},
    route::Bind,
    sts::PolicyFetch,
    survey::Finding,
    tables::TableQuery,
};

/// The next thing to do for a delivery. Exhaustive on purpose: it is the
/// driver's whole contract.
#[derive(Debug)]
#[must_use = "the delivery stands still until its driver does what it asks"]
pub enum Ask {
    /// Find DNS records. Several questions may be out at once, and each may be
    /// answered at any time.
    Resolve(Ticket<Dns>, Query),
    /// Ask a table that is not held in memory.
    LookUp(Ticket<External>, TableQuery),
    /// Fetch a file over HTTPS. Comes only where MTA-STS was turned on.
    Fetch(Ticket<Https>, PolicyFetch),
    /// Look in the connection cache. On a hit the driver makes that socket the
    /// open one of this delivery.
    Reuse(Ticket<Cached>, CacheKey),
    /// Open a connection.
    Connect(Ticket<Socket>, Target),
    /// Write [`output`](super::Delivery::output) to the open connection, reading
    /// meanwhile; poll again when something was written or read, or at `until`.
    Send {
        /// The latest time to poll again.
        until: Time,
    },
    /// Read from the open connection if there is one, or wait for the answer to
    /// a ticket; poll again at `until` at the latest.
    Wait {
        /// The latest time to poll again.
        until: Time,
    },
    /// Hand over message text with [`text`](super::Delivery::text) or
    /// [`text_failed`](super::Delivery::text_failed).
    Text {
        /// Where in the text to begin; zero again on the next host.
        offset: u64,
        /// The most bytes that are welcome, at least one.
        room: usize,
    },
    /// A recipient is settled. Comes exactly once for each.
    Report(RcptIndex, Box<Outcome>),
    /// Something for the log.
    Note(Note),
    /// Put the open socket and this channel into the connection cache, to leave
    /// it at the given time. The delivery has no open connection any more.
    Keep(CacheKeys, Box<Channel>, Time),
    /// Close the open socket.
    Close,
    /// Nothing more will be asked, and every recipient was reported.
    Done,
}

impl Ask {
    /// Says in words what is to be found out or opened, for whoever looks for a fault; `None`
    /// for everything else.
    pub fn question(&self) -> Option<String> {
        Some(match self {
            Self::Resolve(_, query) => format!("look up {:?} of {}", query.kind, query.name),
            Self::LookUp(_, query) => format!("look up {} in external:{}", query.key, query.table),
            Self::Fetch(_, fetch) => format!("fetch https://{}{}", fetch.host, fetch.path),
            Self::Reuse(..) => "look for a kept connection".to_owned(),
            Self::Connect(_, target) => match &target.endpoint {
                Endpoint::Inet(address) => format!("connect to {address}"),
                Endpoint::Unix(path) => format!("connect to {}", path.display()),
            },
            _ => return None,
        })
    }
}

/// Where to connect, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The other end.
    pub endpoint: Endpoint,
    /// The source address to bind to; `None` leaves it to the system.
    pub bind: Option<Bind>,
    /// `tcp_windowsize`: the size of both socket buffers in bytes; zero leaves
    /// them alone.
    pub window: u32,
    /// `smtp_connect_timeout`; `None` is the system's own limit.
    pub limit: Option<Duration>,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port.
    Inet(SocketAddr),
    /// A UNIX-domain stream socket.
    Unix(PathBuf),
}

/// Why a connection could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// No answer within the limit.
    TimedOut,
    /// Nobody listens there.
    Refused,
    /// Any other error, in the words of strerror(3).
    Other(String),
    /// The source address could not be bound, and `enforce` was asked for.
    Bind(String),
    /// The path of the UNIX-domain socket does not fit a socket address.
    PathTooLong,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// How grave it is.
    pub level: Level,
    /// The text as Postfix words it, without a queue id unless Postfix has one there.
    pub text: LogText,
    /// A notice for the postmaster that may be made mail of, if that is what the
    /// note is about.
    pub notice: Option<Box<Notice>>,
    /// What a report on TLS wants to know (RFC 8460), if that is turned on and what the
    /// note is about.
    pub tls: Option<Box<TlsResult>>,
    /// What a survey has found, if that is what the note is about.
    pub finding: Option<Box<Finding>>,
}

/// How grave a [`Note`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault in the dialogue.
    Debug,
    /// What Postfix logs without a label.
    Info,
    /// What Postfix logs as a warning.
    Warning,
}

impl Note {
    pub(crate) fn info(text: impl Into<LogText>) -> Self {
        Self::new(Level::Info, text.into())
    }

    pub(crate) fn warning(text: impl Into<LogText>) -> Self {
        Self::new(Level::Warning, text.into())
    }

    pub(crate) fn debug(text: impl Into<LogText>) -> Self {
        Self::new(Level::Debug, text.into())
    }

    pub(crate) fn notice(text: impl Into<LogText>, notice: Notice) -> Self {
        Self {
            notice: Some(Box::new(notice)),
            ..Self::debug(text)
        }
    }

    pub(crate) fn tls(text: impl Into<LogText>, result: TlsResult) -> Self {
        Self {
            tls: Some(Box::new(result)),
            ..Self::debug(text)
        }
    }

    pub(crate) fn finding(text: impl Into<LogText>, finding: Finding) -> Self {
        Self {
            finding: Some(Box::new(finding)),
            ..Self::debug(text)
        }
    }

    const fn new(level: Level, text: LogText) -> Self {
        Self {
            level,
            text,
            notice: None,
            tls: None,
            finding: None,
        }
    }
}
