//! The queue as operators see it.

use super::{Destination, DestinationName, MessageState, Timestamp};

/// The messages that somebody wants to see. The default is all that are not finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// In this state; none: those that are not finished.
    pub state: Option<MessageState>,
    /// From this sender, whose text form is the same in lower case; empty is the null sender.
    pub sender: Option<String>,
    /// With a recipient of this address, in lower case.
    pub recipient: Option<String>,
    /// With a task at this destination.
    pub destination: Option<DestinationName>,
    /// With a task that is held.
    pub held: bool,
    /// That came before this time.
    pub before: Option<Timestamp>,
}

/// Numbers about the whole queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages that are not finished.
    pub messages: u64,
    /// Tasks that nobody has seen yet.
    pub new: u64,
    /// Tasks that are due, and wait for a turn or a worker.
    pub due: u64,
    /// Tasks that are not due yet.
    pub deferred: u64,
    /// Tasks under way.
    pub leased: u64,
    /// Tasks that are held.
    pub held: u64,
    /// Tasks under way whose text's end may have gone out.
    pub in_doubt: u64,
    /// Destinations that rest.
    pub dead: u64,
    /// The time at which the oldest task came; [`Timestamp::NEVER`] if there is none.
    pub oldest: Timestamp,
}

/// A destination with what waits for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The destination.
    pub destination: Destination,
    /// Its tasks, in all states.
    pub tasks: u64,
    /// The time at which the oldest of them came.
    pub oldest: Timestamp,
}
