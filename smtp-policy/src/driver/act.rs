//! The contract between a [`Job`](super::Job) and its driver.

use std::fmt;

use smtp_proto::{Secret, time::Time};

use crate::{
    delivery::{ConnectError, Dns, External, Https, Socket, TableQuery, Target, Ticket, Token},
    dns::{self, Failure, Query},
    report::Report,
    settings::{TokenFailure, TokenRequest, TokenSource},
    sts::{FetchError, Fetched, PolicyFetch},
    tables::{NamedTable, TableFailure},
};

/// The next thing to do for a [`Job`](super::Job). Exhaustive on purpose: it is the
/// driver's whole contract.
#[derive(Debug)]
#[must_use = "the job stands still until its driver does what it asks"]
pub enum Act {
    /// Find DNS records, or let getaddrinfo(3) find addresses. Several questions may be
    /// out at once, and each may be answered at any time.
    Resolve(Slip<Dns>, Query),
    /// Look up the key of the query in the table: where that may hold up a thread, or by awaiting
    /// it, as the table has it.
    LookUp(Slip<External>, NamedTable, TableQuery),
    /// Ask the source of access tokens: where that may hold up a thread, or by awaiting it, as it
    /// has it.
    Token(Slip<Token>, TokenSource, Box<TokenRequest>),
    /// Fetch a file over HTTPS.
    Fetch(Slip<Https>, Box<PolicyFetch>),
    /// Open a connection.
    Connect(Slip<Socket>, Target),
    /// See to it that [`Hub::expire`](super::Hub::expire) is called at this time, and
    /// whenever it says then. Nothing else is to wait for that.
    Expire(Time),
    /// Wait until the waker is woken, an answer has come, the open socket is ready as
    /// `interest` has it, or it is `until`; then poll again.
    Wait {
        /// The latest time to poll again.
        until: Time,
        /// The readiness of the [socket](super::Job::socket) to wait for.
        interest: Interest,
    },
    /// Let others do something before the job is polled again. It can go on at once, and
    /// has been going on for long.
    Yield,
    /// The job is over.
    Done(Report),
}

/// The readiness of a socket that a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// None: there is no open socket, or nothing more will come from it.
    Nothing,
    /// The socket can be read from.
    Read,
    /// The socket can be written to.
    Write,
    /// The socket can be read from or written to.
    Either,
}

impl Interest {
    pub(super) const fn new(read: bool, write: bool) -> Self {
        match (read, write) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Read,
            (false, true) => Self::Write,
            (true, true) => Self::Either,
        }
    }

    /// Returns whether the job waits for something to read.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Either)
    }

    /// Returns whether the job waits for room to write.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Either)
    }
}

/// A question of one part of a job. It cannot be copied, and its answer consumes it; an
/// answer that comes when the part is over has no effect.
pub struct Slip<K> {
    pub(super) part: u32,
    pub(super) ticket: Ticket<K>,
}

impl<K> fmt::Debug for Slip<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slip({}, {:?})", self.part, self.ticket)
    }
}

/// An answer to a question of a job.
#[derive(Debug)]
pub enum Answered<S> {
    /// The answer to [`Act::Resolve`].
    Dns(Slip<Dns>, Result<dns::Answer, Failure>),
    /// The answer to [`Act::LookUp`].
    Table(Slip<External>, Result<Option<String>, TableFailure>),
    /// The answer to [`Act::Token`].
    Token(Slip<Token>, Result<Secret, TokenFailure>),
    /// The answer to [`Act::Fetch`].
    Policy(Slip<Https>, Result<Fetched, FetchError>),
    /// The answer to [`Act::Connect`]: a socket that does not block.
    Socket(Slip<Socket>, Result<S, ConnectError>),
}
