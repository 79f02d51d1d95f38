//! Tasks: one message at one next hop.

use super::{DestinationName, Fence, MessageId, TaskId, Timestamp, WorkerName};

/// The unit of delivery: one message at one next hop, with at most as many recipients as one delivery takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// The message.
    pub message: MessageId,
    /// The destination whose turns it needs.
    pub destination: DestinationName,
    /// Its present state.
    pub state: TaskState,
    /// The time from which it may be tried; for what is under way, the time at which it was last due.
    pub due: Timestamp,
    /// The number of its last claim.
    pub fence: Fence,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Workers in a row that did not survive it.
    pub deaths: u32,
    /// The claim that has sent, or was about to send, the end of the text, and has not told how it was
    /// answered. It is written before that end goes out.
    pub doubt: Option<Fence>,
    /// The time of the message's arrival.
    pub arrived: Timestamp,
    /// The time at which somebody has to look at it though it is not due: it is too old, or its sender waits for word.
    pub watch: Timestamp,
    /// The sender was told that it takes long (`delay_warning_time`).
    pub warned: bool,
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Nobody has seen it yet.
    New,
    /// It waits until it is due, and for a turn at its destination.
    Ready,
    /// A worker has it.
    Leased(Lease),
    /// It waits for an operator.
    Held(Hold),
}

/// A worker's right to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub worker: WorkerName,
    /// The time at which the right ends, unless it is renewed.
    pub until: Timestamp,
}

/// The reason for which a task is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// An operator wanted it.
    Operator,
    /// A server may have the message, and the policy is to ask.
    Doubt,
    /// It has killed its workers, or cannot be read.
    Poison,
}
