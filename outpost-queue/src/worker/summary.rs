//! The work that a worker has done, in numbers.

use core::fmt;

use serde::Serialize;
use smtp_policy::report::{Outcome, Status};

/// Numbers of a worker since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Deliveries.
    pub deliveries: u64,
    /// Recipients that were sent.
    pub sent: u64,
    /// Recipients that were deferred.
    pub deferred: u64,
    /// Recipients that were bounced.
    pub bounced: u64,
    /// Tasks that somebody else had when they were over.
    pub lost: u64,
    /// Tasks that it still had when it stopped. Their leases run out.
    pub left: usize,
}

impl Summary {
    /// Counts the verdicts of an attempt.
    pub(super) fn add<'a>(&mut self, outcomes: impl Iterator<Item = &'a Outcome>) {
        for outcome in outcomes {
            match outcome.status {
                Status::Sent => self.sent += 1,
                Status::Deferred => self.deferred += 1,
                Status::Bounced => self.bounced += 1,
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deliveries,
            sent,
            deferred,
            bounced,
            lost,
            left,
        } = self;
        write!(
            f,
            "deliveries={deliveries}, sent={sent}, deferred={deferred}, bounced={bounced}, lost={lost}, left={left}"
        )
    }
}
