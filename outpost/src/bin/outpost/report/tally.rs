//! The number of recipients with each verdict, and the exit status that follows.

use std::fmt;

use smtp_policy::report::Status;

use super::Settled;
use crate::exit::Exit;

/// The sums of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Recipients that were sent.
    pub(crate) sent: u64,
    /// Recipients that were deferred.
    pub(crate) deferred: u64,
    /// Recipients that bounced.
    pub(crate) bounced: u64,
    /// Requests that could not be understood, or whose message could not be read.
    pub(crate) faults: u64,
}

impl Tally {
    /// The sums of these requests.
    pub(crate) fn of(requests: &[Settled]) -> Self {
        let mut tally = Self::default();
        requests.iter().for_each(|settled| tally.add(settled));
        tally
    }

    /// Counts what became of a request.
    pub(super) fn add(&mut self, settled: &Settled) {
        let Ok(report) = settled else {
            self.faults += 1;
            return;
        };
        for (_, outcome) in &report.recipients {
            *match outcome.status {
                Status::Sent => &mut self.sent,
                Status::Deferred => &mut self.deferred,
                Status::Bounced => &mut self.bounced,
            } += 1;
        }
    }

    /// The exit status for all requests together.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self { faults: 1.., .. } => Exit::Data,
            Self { deferred: 1.., .. } => Exit::Deferred,
            Self { bounced: 1.., .. } => Exit::Bounced,
            _ => Exit::Ok,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            deferred,
            bounced,
            faults,
        } = self;
        write!(f, "{sent} sent, {deferred} deferred, {bounced} bounced")?;
        match faults {
            0 => Ok(()),
            1 => f.write_str(", 1 request not understood"),
            many => write!(f, ", {many} requests not understood"),
        }
    }
}
