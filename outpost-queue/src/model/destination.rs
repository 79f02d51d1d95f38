//! Destinations.

use super::{DestinationName, Timestamp};

/// The state of a destination as all workers know it: the turns that are out, and how it has fared. The window and its
/// numbers are those of qmgr(8) (`src/qmgr/qmgr_queue.c`).
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Its name.
    pub name: DestinationName,
    /// Tasks under way.
    pub running: u32,
    /// The number of deliveries at a time that it seems to bear.
    pub window: u32,
    /// Positive feedback since the window last grew.
    pub success: f64,
    /// Negative feedback since the window last shrank.
    pub failure: f64,
    /// The failures in a row, in windows.
    pub fail_cohorts: f64,
    /// It does not answer, and rests.
    pub dead: Option<Dead>,
    /// The time from which the next delivery may begin (`default_destination_rate_delay`).
    pub next_start: Timestamp,
    /// The time at which a task of it is due next, as far as is known; [`Timestamp::NEVER`] where none waits.
    pub ready_at: Timestamp,
}

/// The reason for which a destination rests, and the time until which it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The time at which it is tried again.
    pub until: Timestamp,
    /// The failure, as the log has it.
    pub why: String,
}
