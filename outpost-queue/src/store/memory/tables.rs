//! The rows of a store in memory, where to find them, and how they were.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::model::{
    Destination, DestinationName, Filter, Load, Message, MessageId, MessageState, QueuedRecipient,
    Shared, Task, TaskId, TaskState, Timestamp,
};

/// The rows of a store, as they are.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The last number that was given out.
    pub number: i64,
    /// Messages.
    pub messages: BTreeMap<MessageId, Message>,
    /// Texts, in pieces.
    pub chunks: BTreeMap<(MessageId, u32), Bytes>,
    /// Recipients by place.
    pub recipients: BTreeMap<(MessageId, u32), QueuedRecipient>,
    /// Tasks.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Destinations.
    pub destinations: BTreeMap<DestinationName, Destination>,
    /// The things that workers share, by topic and key.
    pub shared: BTreeMap<(String, String), Shared>,
}

/// One row as it is to be, or as it was; without a value: not there.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Number(i64),
    Message(MessageId, Option<Message>),
    Chunk((MessageId, u32), Option<Bytes>),
    Recipient((MessageId, u32), Option<Box<QueuedRecipient>>),
    Task(TaskId, Option<Box<Task>>),
    Destination(DestinationName, Option<Box<Destination>>),
    Shared((String, String), Option<Shared>),
}

/// Rows with their indexes.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) rows: Rows,
    pub(super) index: Index,
    /// The rows as they were before they were changed, the latest last, back to the last transaction that lasts.
    log: Vec<Change>,
}

/// The ways to find rows by something else than their names.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) new: BTreeSet<TaskId>,
    pub(super) ready: BTreeSet<(DestinationName, Timestamp, TaskId)>,
    pub(super) leased: BTreeSet<(Timestamp, TaskId)>,
    pub(super) watched: BTreeSet<(Timestamp, TaskId)>,
    pub(super) tasks: BTreeSet<(MessageId, TaskId)>,
    pub(super) recipients: BTreeSet<(TaskId, MessageId, u32)>,
    pub(super) owing: BTreeSet<(Timestamp, MessageId)>,
    pub(super) arriving: BTreeSet<(Timestamp, MessageId)>,
    pub(super) finished: BTreeSet<(Timestamp, MessageId)>,
    pub(super) open: BTreeSet<(Timestamp, DestinationName)>,
}

fn keep<K: Ord>(set: &mut BTreeSet<K>, key: K, there: bool) {
    match there {
        true => set.insert(key),
        false => set.remove(&key),
    };
}

impl Index {
    /// Adds what leads to a task, or takes it away.
    fn task(&mut self, task: &Task, there: bool) {
        let id = task.id;
        keep(&mut self.tasks, (task.message, id), there);
        match &task.state {
            TaskState::New => keep(&mut self.new, id, there),
            TaskState::Ready => {
                let key = (task.destination.clone(), task.due, id);
                keep(&mut self.ready, key, there);
            }
            TaskState::Leased(lease) => keep(&mut self.leased, (lease.until, id), there),
            TaskState::Held(_) => {}
        }
        if matches!(task.state, TaskState::Ready | TaskState::Held(_)) {
            keep(&mut self.watched, (task.watch, id), there);
        }
    }

    fn message(&mut self, message: &Message, there: bool) {
        let id = message.id;
        if message.report_at != Timestamp::NEVER {
            keep(&mut self.owing, (message.report_at, id), there);
        }
        match message.state {
            MessageState::Arriving => keep(&mut self.arriving, (message.arrived, id), there),
            MessageState::Queued => {}
            MessageState::Finished => keep(&mut self.finished, (message.finished, id), there),
        }
    }

    fn recipient(&mut self, recipient: &QueuedRecipient, there: bool) {
        let key = (recipient.task, recipient.message, recipient.number);
        keep(&mut self.recipients, key, there);
    }

    fn destination(&mut self, destination: &Destination, there: bool) {
        let key = (destination.ready_at, destination.name.clone());
        keep(&mut self.open, key, there);
    }
}

/// Puts a row in its place, or takes it away, and keeps the index right. Returns what was there.
fn put<K: Ord, V>(
    rows: &mut BTreeMap<K, V>,
    key: K,
    value: Option<V>,
    mut index: impl FnMut(&V, bool),
) -> Option<V> {
    if let Some(value) = &value {
        // First, so that the two can be the same.
        if let Some(old) = rows.get(&key) {
            index(old, false);
        }
        index(value, true);
    } else if let Some(old) = rows.get(&key) {
        index(old, false);
    }
    match value {
        Some(value) => rows.insert(key, value),
        None => rows.remove(&key),
    }
}

impl Tables {
    /// Rows, with the indexes that they need.
    pub(super) fn index(&mut self) {
        let (rows, mut index) = (&self.rows, Index::default());
        rows.messages
            .values()
            .for_each(|one| index.message(one, true));
        rows.recipients
            .values()
            .for_each(|one| index.recipient(one, true));
        rows.tasks.values().for_each(|one| index.task(one, true));
        rows.destinations
            .values()
            .for_each(|one| index.destination(one, true));
        self.index = index;
    }

    /// Changes a row, and remembers how it was.
    pub(super) fn change(&mut self, change: Change) {
        let before = self.apply(change);
        self.log.push(before);
    }

    fn apply(&mut self, change: Change) -> Change {
        let (rows, index) = (&mut self.rows, &mut self.index);
        match change {
            Change::Number(number) => Change::Number(core::mem::replace(&mut rows.number, number)),
            Change::Message(id, row) => {
                let old = put(&mut rows.messages, id, row, |one, there| {
                    index.message(one, there);
                });
                Change::Message(id, old)
            }
            Change::Chunk(key, row) => {
                Change::Chunk(key, put(&mut rows.chunks, key, row, |_, _| {}))
            }
            Change::Recipient(key, row) => {
                let row = row.map(|row| *row);
                let old = put(&mut rows.recipients, key, row, |one, there| {
                    index.recipient(one, there);
                });
                Change::Recipient(key, old.map(Box::new))
            }
            Change::Task(id, row) => {
                let row = row.map(|row| *row);
                let old = put(&mut rows.tasks, id, row, |one, there| {
                    index.task(one, there);
                });
                Change::Task(id, old.map(Box::new))
            }
            Change::Destination(name, row) => {
                let row = row.map(|row| *row);
                let old = put(&mut rows.destinations, name.clone(), row, |one, there| {
                    index.destination(one, there);
                });
                Change::Destination(name, old.map(Box::new))
            }
            Change::Shared(key, row) => {
                Change::Shared(key.clone(), put(&mut rows.shared, key, row, |_, _| {}))
            }
        }
    }

    /// The number of changes that may still be taken back.
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    /// Takes back all changes since a mark.
    pub(super) fn roll_back(&mut self, mark: usize) {
        while self.log.len() > mark
            && let Some(change) = self.log.pop()
        {
            self.apply(change);
        }
    }

    /// Makes all that was done last.
    pub(super) fn settle(&mut self) {
        self.log.clear();
    }

    pub(super) fn tasks_of(&self, message: MessageId) -> impl Iterator<Item = &Task> {
        let all = (message, TaskId(i64::MIN))..=(message, TaskId(i64::MAX));
        let ids = self.index.tasks.range(all);
        ids.filter_map(|(_, id)| self.rows.tasks.get(id))
    }

    pub(super) fn recipients_of(
        &self,
        message: MessageId,
    ) -> impl Iterator<Item = &QueuedRecipient> {
        let all = (message, 0)..=(message, u32::MAX);
        self.rows.recipients.range(all).map(|(_, one)| one)
    }

    /// The tasks that are ready at a destination, the first due first.
    pub(super) fn ready(
        &self,
        name: &DestinationName,
        until: Timestamp,
    ) -> impl Iterator<Item = &Task> {
        let first = (
            name.clone(),
            Timestamp::from_micros(i64::MIN),
            TaskId(i64::MIN),
        );
        let last = (name.clone(), until, TaskId(i64::MAX));
        let ids = self.index.ready.range(first..=last);
        ids.filter_map(|(_, _, id)| self.rows.tasks.get(id))
    }

    pub(super) fn fits(&self, message: &Message, filter: &Filter) -> bool {
        let tasks = || self.tasks_of(message.id);
        let mut recipients = self.recipients_of(message.id);
        let state = match filter.state {
            None => message.state != MessageState::Finished,
            Some(state) => message.state == state,
        };
        state
            && filter
                .sender
                .as_ref()
                .is_none_or(|sender| message.sender.to_lowercase() == *sender)
            && filter.recipient.as_ref().is_none_or(|wanted| {
                recipients.any(|one| one.recipient.address.as_str().to_lowercase() == *wanted)
            })
            && filter
                .destination
                .as_ref()
                .is_none_or(|wanted| tasks().any(|task| task.destination == *wanted))
            && (!filter.held || tasks().any(|task| matches!(task.state, TaskState::Held(_))))
            && filter.before.is_none_or(|before| message.arrived < before)
    }

    pub(super) fn load(&self, destination: &Destination) -> Load {
        let tasks = || {
            let all = self.rows.tasks.values();
            all.filter(|task| task.destination == destination.name)
        };
        let oldest = tasks().map(|task| task.arrived).min();
        Load {
            destination: destination.clone(),
            tasks: tasks().count() as u64,
            oldest: oldest.unwrap_or(Timestamp::NEVER),
        }
    }
}
