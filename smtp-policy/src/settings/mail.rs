//! The groups of settings about mail on a connection, and their defaults.

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::session::{DeadlineRule, Timeouts};

use super::words::{NotifyClasses, ProbeTarget};
use crate::{
    Protocol,
    tables::{Maps, MatchList, Table},
};

/// The time limits of all that a delivery does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeLimits {
    /// Setting up a connection (`smtp_connect_timeout`); none leaves it to the operating system.
    pub connect: Option<Duration>,
    /// The stages of a session.
    pub session: Timeouts,
    /// The reach of the limits of the stages (`smtp_per_request_deadline`, `smtp_min_data_rate`).
    pub deadline: DeadlineRule,
    /// A delivery altogether (`daemon_timeout`).
    pub delivery: Duration,
}

impl TimeLimits {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            connect: (protocol == Protocol::Smtp).then_some(Duration::from_secs(30)),
            session: Timeouts::default(),
            deadline: DeadlineRule::PerOperation,
            delivery: Duration::from_secs(18_000),
        }
    }
}

/// From replies to verdicts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verdicts {
    /// A table that sees each line of a reply and may replace it (`smtp_reply_filter`).
    pub reply_filter: Option<Arc<dyn Table>>,
    /// Tables that see each verdict and may replace it (`smtp_delivery_status_filter`).
    pub status_filter: Maps,
    /// Every 5xx verdict becomes a temporary one (`soft_bounce`).
    pub soft_bounce: bool,
    /// LMTP: the server is the final destination (`lmtp_assume_final`).
    pub assume_final: bool,
    /// The stage at which an address probe stops (`smtp_address_verify_target`).
    pub probe_target: ProbeTarget,
    /// The classes of trouble that the postmaster wants to hear of (`notify_classes`).
    pub notify: NotifyClasses,
    /// Servers whose dialogue goes to the log (`debug_peer_list`).
    pub debug_peers: MatchList,
}

/// Kept connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reuse {
    /// Destinations whose connections are always kept (`smtp_connection_cache_destinations`).
    pub destinations: MatchList,
    /// Connections are also kept when a request says that more mail follows
    /// (`smtp_connection_cache_on_demand`).
    pub on_demand: bool,
    /// The time for which a kept connection may be idle (`smtp_connection_cache_time_limit`, at most
    /// `connection_cache_ttl_limit`).
    pub idle: Duration,
    /// The age up to which a connection is kept (`smtp_connection_reuse_time_limit`).
    pub age: Duration,
    /// The number of times that a connection may be used again (`smtp_connection_reuse_count_limit`); 0 is no limit.
    pub uses: u32,
    /// Connections serve only the server name and the destination that they were made for: there are
    /// passwords by these.
    pub by_destination: bool,
    /// Connections serve only the sender that they were made for: there are passwords by the sender.
    pub by_sender: bool,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            on_demand: true,
            idle: Duration::from_secs(2),
            age: Duration::from_secs(300),
            uses: 0,
            by_destination: false,
            by_sender: false,
        }
    }
}

/// Numbers and sizes. 0 is no limit where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Addresses of one destination that are tried (`smtp_mx_address_limit`).
    pub addresses: u32,
    /// Sessions of one destination that get as far as a transaction (`smtp_mx_session_limit`).
    pub sessions: u32,
    /// Deliveries to one destination at the same time (`smtp_destination_concurrency_limit`).
    pub concurrency: u32,
    /// Recipients of one delivery (`smtp_destination_recipient_limit`).
    pub recipients: u32,
    /// Bytes of a line of text (`smtp_line_length_limit`).
    pub line: u32,
    /// Bytes of a header field (`header_size_limit`); at least 1.
    pub header: u32,
    /// Bytes of a MIME boundary (`mime_boundary_length_limit`); at least 1.
    pub boundary: u32,
    /// Multiparts inside each other (`mime_nesting_limit`); at least 1.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: 5,
            sessions: 2,
            concurrency: 20,
            recipients: 50,
            line: 998,
            header: 102_400,
            boundary: 2048,
            nesting: 100,
        }
    }
}
