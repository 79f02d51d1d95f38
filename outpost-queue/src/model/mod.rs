//! The contents of the queue, as values: messages, their recipients, the tasks that these make, and the destinations.
//! They know nothing of a database.

mod destination;
mod message;
mod names;
mod recipient;
mod shared;
mod task;
mod time;
mod view;

pub use self::{
    destination::{Dead, Destination},
    message::{Kind, Message, MessageState},
    names::{DestinationName, Fence, MessageId, NameError, TaskId, WorkerName},
    recipient::{Fate, QueuedRecipient},
    shared::Shared,
    task::{Hold, Lease, Task, TaskState},
    time::Timestamp,
    view::{Counts, Filter, Load},
};
