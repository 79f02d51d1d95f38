//! Destinations.

use super::{DestinationName, Timestamp};

/// What all workers know of a destination: the turns that are out, and how it has fared. The window and its numbers are
/// those of qmgr(8) (`src/qmgr/qmgr_queue.c`).
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
    /// When the next delivery may begin (`default_destination_rate_delay`).
    pub next_start: Timestamp,
    /// When a task of it is due next, as far as is known; [`Timestamp::NEVER`] where none waits.
    pub ready_at: Timestamp,
}

/// Why a destination rests, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// When it is tried again.
    pub until: Timestamp,
    /// The failure, as the log has it.
    pub why: String,
}
