//! The place where the queue is kept: rows that are read, locked and written. A store decides nothing: what happens in
//! a transaction is an [`Operation`], written once for all stores.
//!
//! [`Transaction`] says what a store has to be able to do, in bulk: the batches of [`operation`](crate::operation) are
//! hundreds of tasks. `tests/conformance` holds each store to it.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod any;
pub mod memory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres", test))]
#[allow(dead_code, reason = "each store takes what it needs")]
mod words;

use core::{error, fmt, future::Future};
use std::sync::Arc;

use bytes::Bytes;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::any::AnyStore;

use crate::model::{
    Counts, Destination, DestinationName, Filter, Load, Message, MessageId, QueuedRecipient,
    Shared, Task, TaskId, Timestamp,
};

/// The size in bytes of the pieces in which texts are kept. The last one of a text may be shorter.
pub const CHUNK: usize = 256 * 1024;

/// A piece of the text of a message: `CHUNK` bytes from `CHUNK * number` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The message.
    pub message: MessageId,
    /// Its place in the text, from zero on.
    pub number: u32,
    /// The bytes.
    pub bytes: Bytes,
}

/// A store of a queue. Clones are the same store.
pub trait Store: Clone + Send + Sync + 'static {
    /// Runs an operation in a transaction: all of what it does is done, or nothing. An operation that met others on its
    /// way is run again, from its start; and so may one be that was committed, if the store could not tell.
    fn run<O: Operation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, StoreError>> + Send;
}

/// Something that is done in one transaction.
pub trait Operation: Send + Sync + 'static {
    /// Its result.
    type Output: Send + 'static;

    /// Returns whether its effects must outlive a crash of the machine before anybody hears of them. Those of one that
    /// need not do so are there at the latest with the next that must.
    fn is_durable(&self) -> bool {
        true
    }

    /// Returns whether it only reads. A store may then run it beside those that write, on what was there when it began;
    /// writing is an error.
    fn reads_only(&self) -> bool {
        false
    }

    /// Does it. It may be called several times, if a store has to begin again.
    fn run<T: Transaction>(
        &self,
        tx: &mut T,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// An operation that somebody else wants to have back.
impl<O: Operation> Operation for Arc<O> {
    type Output = O::Output;

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    fn run<T: Transaction>(
        &self,
        tx: &mut T,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send {
        (**self).run(tx)
    }
}

/// The work of a store in a transaction. Rows that a method *locks* stay as they are for everybody else until the
/// transaction ends; one that *passes over* takes only rows that nobody has locked.
///
/// Locks are taken in this order: tasks, destinations, messages. Lists of names come sorted and without doubles.
pub trait Transaction: Send {
    /// The time, by the clock that all users of the store share.
    fn now(&mut self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Numbers that nobody has had, in growing order.
    fn allocate(
        &mut self,
        count: usize,
    ) -> impl Future<Output = Result<Vec<i64>, StoreError>> + Send;

    /// Adds messages.
    fn insert_messages(
        &mut self,
        messages: &[Message],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes all of messages that are locked: their text has come.
    fn replace_messages(
        &mut self,
        messages: &[Message],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds text. A piece that is there already is replaced.
    fn insert_chunks(
        &mut self,
        chunks: &[Chunk],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds recipients.
    fn insert_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds tasks.
    fn insert_tasks(
        &mut self,
        tasks: &[Task],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// These messages, in the order of their names; those that are not there are left out.
    fn messages(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// The same, locked.
    fn lock_messages(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// Writes messages that are locked, all but their envelope, sender, size and arrival.
    fn save_messages(
        &mut self,
        messages: &[Message],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks messages whose reports are due, passing over, the earliest first.
    fn lock_owing(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// Removes the texts of messages.
    fn delete_texts(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes messages that are locked, with text, recipients and tasks.
    fn delete_messages(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks messages that were finished before `finished`, or began to arrive before `arriving` and have not ended,
    /// passing over.
    fn lock_stale(
        &mut self,
        finished: Timestamp,
        arriving: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// A piece of a text; none behind its end.
    fn chunk(
        &mut self,
        message: MessageId,
        number: u32,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// The first pieces of texts, in the order of the messages' names. A text without bytes has none.
    fn first_chunks(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<Vec<Chunk>, StoreError>> + Send;

    /// The recipients of tasks, by message and place. With `pending` those alone whose fate is
    /// [`Pending`](crate::model::Fate::Pending).
    fn recipients(
        &mut self,
        tasks: &[TaskId],
        pending: bool,
    ) -> impl Future<Output = Result<Vec<QueuedRecipient>, StoreError>> + Send;

    /// The recipients of a message about whom its sender is owed a report, by place, as many at most.
    fn owed_recipients(
        &mut self,
        message: MessageId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<QueuedRecipient>, StoreError>> + Send;

    /// Writes fate, doubt, verdict and report of recipients.
    fn save_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks tasks by name, waiting for them. Those that are not there are left out; the order is that of the names.
    fn lock_tasks(
        &mut self,
        ids: &[TaskId],
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// Locks tasks in the state [`New`](crate::model::TaskState::New), passing over, the first names first.
    fn lock_new(
        &mut self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// Locks tasks that are [`Ready`](crate::model::TaskState::Ready) and due at each of these destinations, which are
    /// locked: the earliest first, as many at most as is said with each. Passes over.
    fn lock_due(
        &mut self,
        turns: &[(DestinationName, u32)],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// The time at which the next task is due that is ready at each of these destinations; [`Timestamp::NEVER`] where
    /// there is none.
    fn next_due(
        &mut self,
        names: &[DestinationName],
    ) -> impl Future<Output = Result<Vec<(DestinationName, Timestamp)>, StoreError>> + Send;

    /// Locks tasks whose lease ends before `now`, passing over, the earliest first.
    fn lock_abandoned(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// Locks tasks that are ready or held, and whose time to be looked at has come ([`Task::watch`]), passing over, the
    /// earliest first.
    fn lock_watched(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// Writes tasks that are locked, all but message, destination and arrival.
    fn save_tasks(&mut self, tasks: &[Task])
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes tasks that are locked.
    fn delete_tasks(
        &mut self,
        ids: &[TaskId],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Locks destinations by name, waiting for them; one that is not there is added as `new` makes it. The order is that
    /// of the names.
    fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Destination>, StoreError>> + Send;

    /// Locks destinations whose [`Destination::ready_at`] has come, passing over, the earliest first.
    fn lock_ready(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Destination>, StoreError>> + Send;

    /// Writes destinations that are locked.
    fn save_destinations(
        &mut self,
        destinations: &[Destination],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Messages that fit a filter, by name, those behind `after`.
    fn list(
        &mut self,
        filter: &Filter,
        after: Option<MessageId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, StoreError>> + Send;

    /// The tasks of messages, by name. Not locked.
    fn tasks_of(
        &mut self,
        ids: &[MessageId],
    ) -> impl Future<Output = Result<Vec<Task>, StoreError>> + Send;

    /// All recipients of a message, by place.
    fn recipients_of(
        &mut self,
        message: MessageId,
    ) -> impl Future<Output = Result<Vec<QueuedRecipient>, StoreError>> + Send;

    /// Numbers about the whole queue. Those of a store for many machines may be some seconds old, or estimates, where
    /// counting would take long.
    fn counts(&mut self, now: Timestamp)
    -> impl Future<Output = Result<Counts, StoreError>> + Send;

    /// The destinations for which most tasks wait, the most first.
    fn loads(&mut self, limit: usize)
    -> impl Future<Output = Result<Vec<Load>, StoreError>> + Send;

    /// Things that workers share, by topic and key; what is over is left out. The order is that of the keys.
    fn shared(
        &mut self,
        topic: &str,
        keys: &[String],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Shared>, StoreError>> + Send;

    /// All things of a topic behind the key `after`, by key; what is over is left out.
    fn scan_shared(
        &mut self,
        topic: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Shared>, StoreError>> + Send;

    /// Adds or replaces things that workers share.
    fn put_shared(
        &mut self,
        things: &[Shared],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds things where nobody else has, or what was there is over by `now`. Returns the keys of those that were added:
    /// whoever adds a thing first has the work that goes with it.
    fn claim_shared(
        &mut self,
        things: &[Shared],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Adds to the numbers of things; those that are not there begin at zero.
    fn add_shared(
        &mut self,
        things: &[Shared],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes things.
    fn delete_shared(
        &mut self,
        topic: &str,
        keys: &[String],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes things that are over, at most `limit`.
    fn purge_shared(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The reason why a store did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Others were in the way, and the transaction can be tried again.
    Conflict(String),
    /// The store cannot be reached now.
    Unavailable(String),
    /// It was reached, and went away while it was to make an operation last: nobody knows whether it has. The same
    /// operation may be run again.
    Uncertain(String),
    /// It has no room left.
    Full(String),
    /// It may not be written.
    ReadOnly(String),
    /// It was made by another edition of this program: the version it has, and the newest that is known here.
    Version {
        /// The version of its schema.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// It holds something that cannot be understood, or that it should not hold.
    Damaged(String),
    /// It cannot be used as it is set up: where, and why.
    Unusable(String),
    /// Anything else that it says.
    Other(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(why) => write!(f, "others were in the way: {why}"),
            Self::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            Self::Uncertain(why) => {
                write!(
                    f,
                    "the store went away, and what was done may be there: {why}"
                )
            }
            Self::Full(why) => write!(f, "the store is full: {why}"),
            Self::ReadOnly(why) => write!(f, "the store cannot be written: {why}"),
            Self::Version { found, known } => write!(
                f,
                "the store has version {found} of the schema, and {known} is the newest that is known here"
            ),
            Self::Damaged(why) => write!(f, "the store is damaged: {why}"),
            Self::Unusable(why) => write!(f, "the store cannot be used: {why}"),
            Self::Other(why) => write!(f, "the store: {why}"),
        }
    }
}

impl error::Error for StoreError {}

impl StoreError {
    /// Returns whether it may work later without anybody doing something about it.
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Conflict(_) | Self::Unavailable(_) | Self::Uncertain(_) | Self::Full(_)
        )
    }
}
