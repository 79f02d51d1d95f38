//! A store in memory, for tests and simulations. It is gone with the process.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::FutureExt;

use crate::model::{
    Counts, Destination, DestinationName, Fate, Filter, Load, Message, MessageId, MessageState,
    QueuedRecipient, Shared, Task, TaskId, TaskState, Timestamp,
};

use super::{Chunk, Operation, Store, StoreError, Transaction};

/// A store in memory. One transaction runs at a time.
#[derive(Clone)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

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
    /// What workers share, by topic and key.
    pub shared: BTreeMap<(String, String), Shared>,
}

impl MemoryStore {
    /// An empty store with this clock.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            rows: Arc::default(),
            clock: Arc::new(clock),
        }
    }

    /// The rows, while nobody changes them.
    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let mut rows = self.rows();
        let mut tx = MemoryTransaction {
            rows: rows.clone(),
            now: (self.clock)(),
        };
        // Nothing in here waits, so that one look is enough.
        let waits = || StoreError::Other("an operation waits for something else".to_owned());
        let output = operation.run(&mut tx).now_or_never().ok_or_else(waits)??;
        *rows = tx.rows;
        Ok(output)
    }
}

/// A transaction on a store in memory.
#[derive(Debug)]
struct MemoryTransaction {
    rows: Rows,
    now: Timestamp,
}

impl MemoryTransaction {
    fn tasks_where(&self, limit: usize, wanted: impl Fn(&Task) -> Option<Timestamp>) -> Vec<Task> {
        let mut found: Vec<(Timestamp, &Task)> = self
            .rows
            .tasks
            .values()
            .filter_map(|task| Some((wanted(task)?, task)))
            .collect();
        found.sort_by_key(|(time, task)| (*time, task.id));
        found
            .into_iter()
            .take(limit)
            .map(|(_, task)| task.clone())
            .collect()
    }
}

impl Transaction for MemoryTransaction {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        Ok(self.now)
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let first = self.rows.number + 1;
        self.rows.number += i64::try_from(count).unwrap_or(0);
        Ok((first..=self.rows.number).collect())
    }

    async fn insert_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        let rows = messages.iter().map(|one| (one.id, one.clone()));
        self.rows.messages.extend(rows);
        Ok(())
    }

    async fn replace_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.insert_messages(messages).await
    }

    async fn insert_chunks(&mut self, chunks: &[Chunk]) -> Result<(), StoreError> {
        let rows = chunks
            .iter()
            .map(|one| ((one.message, one.number), one.bytes.clone()));
        self.rows.chunks.extend(rows);
        Ok(())
    }

    async fn insert_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> Result<(), StoreError> {
        let rows = recipients
            .iter()
            .map(|one| ((one.message, one.number), one.clone()));
        self.rows.recipients.extend(rows);
        Ok(())
    }

    async fn insert_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        self.rows
            .tasks
            .extend(tasks.iter().map(|one| (one.id, one.clone())));
        Ok(())
    }

    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        Ok(ids
            .iter()
            .filter_map(|id| self.rows.messages.get(id).cloned())
            .collect())
    }

    async fn lock_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        self.messages(ids).await
    }

    async fn save_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.insert_messages(messages).await
    }

    async fn lock_owing(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let mut owing: Vec<&Message> = self
            .rows
            .messages
            .values()
            .filter(|one| one.report_at <= now)
            .collect();
        owing.sort_by_key(|one| (one.report_at, one.id));
        Ok(owing.into_iter().take(limit).cloned().collect())
    }

    async fn delete_texts(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        self.rows
            .chunks
            .retain(|(message, _), _| !ids.contains(message));
        Ok(())
    }

    async fn delete_messages(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        self.delete_texts(ids).await?;
        self.rows.messages.retain(|id, _| !ids.contains(id));
        self.rows
            .recipients
            .retain(|(message, _), _| !ids.contains(message));
        self.rows
            .tasks
            .retain(|_, task| !ids.contains(&task.message));
        Ok(())
    }

    async fn lock_stale(
        &mut self,
        finished: Timestamp,
        arriving: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let stale = |one: &&Message| match one.state {
            MessageState::Arriving => one.arrived < arriving,
            MessageState::Queued => false,
            MessageState::Finished => one.finished < finished,
        };
        Ok(self
            .rows
            .messages
            .values()
            .filter(stale)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn chunk(
        &mut self,
        message: MessageId,
        number: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.chunks.get(&(message, number)).cloned())
    }

    async fn first_chunks(&mut self, ids: &[MessageId]) -> Result<Vec<Chunk>, StoreError> {
        let first = |id: &MessageId| {
            let bytes = self.rows.chunks.get(&(*id, 0))?.clone();
            Some(Chunk {
                message: *id,
                number: 0,
                bytes,
            })
        };
        Ok(ids.iter().filter_map(first).collect())
    }

    async fn recipients(
        &mut self,
        tasks: &[TaskId],
        pending: bool,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        let wanted = |one: &&QueuedRecipient| {
            tasks.contains(&one.task) && (!pending || one.fate == Fate::Pending)
        };
        Ok(self
            .rows
            .recipients
            .values()
            .filter(wanted)
            .cloned()
            .collect())
    }

    async fn owed_recipients(
        &mut self,
        message: MessageId,
        limit: usize,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        let wanted = |one: &&QueuedRecipient| one.message == message && one.owed.is_some();
        Ok(self
            .rows
            .recipients
            .values()
            .filter(wanted)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn save_recipients(&mut self, recipients: &[QueuedRecipient]) -> Result<(), StoreError> {
        self.insert_recipients(recipients).await
    }

    async fn lock_tasks(&mut self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        Ok(ids
            .iter()
            .filter_map(|id| self.rows.tasks.get(id).cloned())
            .collect())
    }

    async fn lock_new(&mut self, limit: usize) -> Result<Vec<Task>, StoreError> {
        let new = self
            .rows
            .tasks
            .values()
            .filter(|task| task.state == TaskState::New);
        Ok(new.take(limit).cloned().collect())
    }

    async fn lock_due(
        &mut self,
        turns: &[(DestinationName, u32)],
        now: Timestamp,
    ) -> Result<Vec<Task>, StoreError> {
        let mut due = Vec::new();
        for (name, turns) in turns {
            let limit = usize::try_from(*turns).unwrap_or(usize::MAX);
            due.extend(self.tasks_where(limit, |task| {
                (task.destination == *name && task.state == TaskState::Ready && task.due <= now)
                    .then_some(task.due)
            }));
        }
        Ok(due)
    }

    async fn next_due(
        &mut self,
        names: &[DestinationName],
    ) -> Result<Vec<(DestinationName, Timestamp)>, StoreError> {
        let next = |name: &DestinationName| {
            let ready = self
                .rows
                .tasks
                .values()
                .filter(|task| task.destination == *name && task.state == TaskState::Ready);
            let due = ready.map(|task| task.due).min();
            (name.clone(), due.unwrap_or(Timestamp::NEVER))
        };
        Ok(names.iter().map(next).collect())
    }

    async fn lock_abandoned(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        Ok(self.tasks_where(limit, |task| match &task.state {
            TaskState::Leased(lease) if lease.until < now => Some(lease.until),
            _ => None,
        }))
    }

    async fn lock_watched(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        Ok(self.tasks_where(limit, |task| match &task.state {
            TaskState::Ready | TaskState::Held(_) if task.watch <= now => Some(task.watch),
            _ => None,
        }))
    }

    async fn save_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        self.insert_tasks(tasks).await
    }

    async fn delete_tasks(&mut self, ids: &[TaskId]) -> Result<(), StoreError> {
        self.rows.tasks.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> Result<Vec<Destination>, StoreError> {
        let lock = |name: &DestinationName| {
            let row = self.rows.destinations.entry(name.clone());
            row.or_insert_with(|| new(name)).clone()
        };
        Ok(names.iter().map(lock).collect())
    }

    async fn lock_ready(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Destination>, StoreError> {
        let mut ready: Vec<&Destination> = self
            .rows
            .destinations
            .values()
            .filter(|one| one.ready_at <= now)
            .collect();
        ready.sort_by_key(|one| one.ready_at);
        Ok(ready.into_iter().take(limit).cloned().collect())
    }

    async fn save_destinations(&mut self, destinations: &[Destination]) -> Result<(), StoreError> {
        let rows = destinations
            .iter()
            .map(|one| (one.name.clone(), one.clone()));
        self.rows.destinations.extend(rows);
        Ok(())
    }

    async fn list(
        &mut self,
        filter: &Filter,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let behind = |one: &&Message| after.is_none_or(|after| one.id > after);
        let fits = |one: &&Message| self.rows.fits(one, filter);
        let messages = self.rows.messages.values().filter(behind).filter(fits);
        Ok(messages.take(limit).cloned().collect())
    }

    async fn tasks_of(&mut self, ids: &[MessageId]) -> Result<Vec<Task>, StoreError> {
        let tasks = self.rows.tasks.values();
        Ok(tasks
            .filter(|task| ids.contains(&task.message))
            .cloned()
            .collect())
    }

    async fn recipients_of(
        &mut self,
        message: MessageId,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        let all = self.rows.recipients.values();
        Ok(all.filter(|one| one.message == message).cloned().collect())
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        let tasks = || self.rows.tasks.values();
        let count =
            |wanted: &dyn Fn(&Task) -> bool| tasks().filter(|task| wanted(task)).count() as u64;
        let open = |one: &&Message| one.state != MessageState::Finished;
        let rests = |one: &&Destination| one.dead.as_ref().is_some_and(|dead| dead.until > now);
        Ok(Counts {
            messages: self.rows.messages.values().filter(open).count() as u64,
            new: count(&|task| task.state == TaskState::New),
            due: count(&|task| task.state == TaskState::Ready && task.due <= now),
            deferred: count(&|task| task.state == TaskState::Ready && task.due > now),
            leased: count(&|task| matches!(task.state, TaskState::Leased(_))),
            held: count(&|task| matches!(task.state, TaskState::Held(_))),
            in_doubt: count(&|task| task.doubt.is_some()),
            dead: self.rows.destinations.values().filter(rests).count() as u64,
            oldest: tasks()
                .map(|task| task.arrived)
                .min()
                .unwrap_or(Timestamp::NEVER),
        })
    }

    async fn loads(&mut self, limit: usize) -> Result<Vec<Load>, StoreError> {
        let mut loads: Vec<Load> = self
            .rows
            .destinations
            .values()
            .map(|one| self.rows.load(one))
            .collect();
        loads.retain(|load| load.tasks > 0);
        loads.sort_by_key(|load| core::cmp::Reverse(load.tasks));
        loads.truncate(limit);
        Ok(loads)
    }

    async fn shared(
        &mut self,
        topic: &str,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        let find = |key: &String| self.rows.shared.get(&(topic.to_owned(), key.clone()));
        let found = keys.iter().filter_map(find).filter(|one| one.until > now);
        Ok(found.cloned().collect())
    }

    async fn scan_shared(
        &mut self,
        topic: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        let wanted = |one: &&Shared| one.topic == topic && *one.key > *after && one.until > now;
        Ok(self
            .rows
            .shared
            .values()
            .filter(wanted)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn put_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        let rows = things.iter().map(|one| (name(one), one.clone()));
        self.rows.shared.extend(rows);
        Ok(())
    }

    async fn claim_shared(
        &mut self,
        things: &[Shared],
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let mut claimed = Vec::new();
        for thing in things {
            let there = self.rows.shared.get(&name(thing));
            if there.is_none_or(|there| there.until <= now) {
                self.rows.shared.insert(name(thing), thing.clone());
                claimed.push(thing.key.clone());
            }
        }
        Ok(claimed)
    }

    async fn add_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        for thing in things {
            let row = self.rows.shared.entry(name(thing));
            let row = row.or_insert_with(|| Shared {
                number: 0,
                ..thing.clone()
            });
            row.number = row.number.saturating_add(thing.number);
        }
        Ok(())
    }

    async fn delete_shared(&mut self, topic: &str, keys: &[String]) -> Result<(), StoreError> {
        self.rows
            .shared
            .retain(|_, one| one.topic != topic || !keys.contains(&one.key));
        Ok(())
    }

    async fn purge_shared(&mut self, now: Timestamp, _: usize) -> Result<(), StoreError> {
        self.rows.shared.retain(|_, one| one.until > now);
        Ok(())
    }
}

fn name(thing: &Shared) -> (String, String) {
    (thing.topic.clone(), thing.key.clone())
}

impl Rows {
    fn fits(&self, message: &Message, filter: &Filter) -> bool {
        let tasks = || {
            self.tasks
                .values()
                .filter(|task| task.message == message.id)
        };
        let mut recipients = self
            .recipients
            .values()
            .filter(|one| one.message == message.id);
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

    fn load(&self, destination: &Destination) -> Load {
        let tasks = || {
            self.tasks
                .values()
                .filter(|task| task.destination == destination.name)
        };
        Load {
            destination: destination.clone(),
            tasks: tasks().count() as u64,
            oldest: tasks()
                .map(|task| task.arrived)
                .min()
                .unwrap_or(Timestamp::NEVER),
        }
    }
}
