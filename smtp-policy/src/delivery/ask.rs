//! What the engine wants from its driver.

use core::time::Duration;

use smtp_proto::time::Time;

use super::ticket::{Cached, Dns, External, Https, Socket, Ticket, Token};
use crate::{
    channel::Channel,
    dns::Query,
    event::Note,
    report::Outcome,
    request::RcptIndex,
    reuse::{CacheKey, CacheKeys},
    route::Bind,
    server::Endpoint,
    settings::{TokenRequest, TokenSource},
    sts::PolicyFetch,
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
    /// Ask the source of access tokens: where that may hold up a thread, or by awaiting it, as it has
    /// it. Comes only where a login uses tokens.
    Token(Ticket<Token>, TokenSource, Box<TokenRequest>),
    /// Fetch a file over HTTPS. Comes only where MTA-STS was turned on.
    Fetch(Ticket<Https>, Box<PolicyFetch>),
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
            Self::Token(_, _, wanted) => format!("ask for an access token for {}", wanted.host),
            Self::Fetch(_, fetch) => format!("fetch https://{}{}", fetch.host, fetch.path),
            Self::Reuse(..) => "look for a kept connection".to_owned(),
            Self::Connect(_, target) => format!("connect to {}", target.endpoint),
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
