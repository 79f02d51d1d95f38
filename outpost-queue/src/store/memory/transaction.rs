//! Transactions on rows in memory.

use bytes::Bytes;

use crate::model::{
    Counts, Destination, DestinationName, Fate, Filter, Load, Message, MessageId, MessageState,
    QueuedRecipient, Shared, Task, TaskId, TaskState, Timestamp,
};

use super::{
    super::{Chunk, StoreError, Transaction},
    tables::{Change, Tables},
};

/// A transaction on a store in memory.
#[derive(Debug)]
pub(super) struct MemoryTransaction<'a> {
    pub(super) tables: &'a mut Tables,
    pub(super) now: Timestamp,
    /// The steps after which the store goes away.
    pub(super) steps: Option<u32>,
}

impl MemoryTransaction<'_> {
    /// Begins a step.
    fn step(&mut self) -> Result<(), StoreError> {
        match &mut self.steps {
            None => Ok(()),
            Some(0) => Err(StoreError::Unavailable("it was told to go away".to_owned())),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
        }
    }

    fn tasks<'a>(&self, ids: impl IntoIterator<Item = &'a TaskId>) -> Vec<Task> {
        let tasks = &self.tables.rows.tasks;
        ids.into_iter()
            .filter_map(|id| tasks.get(id).cloned())
            .collect()
    }

    fn found(&self, ids: impl IntoIterator<Item = MessageId>) -> Vec<Message> {
        let messages = &self.tables.rows.messages;
        ids.into_iter()
            .filter_map(|id| messages.get(&id).cloned())
            .collect()
    }
}

impl Transaction for MemoryTransaction<'_> {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        self.step()?;
        Ok(self.now)
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        self.step()?;
        let first = self.tables.rows.number + 1;
        let last = self.tables.rows.number + i64::try_from(count).unwrap_or(0);
        self.tables.change(Change::Number(last));
        Ok((first..=last).collect())
    }

    async fn insert_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.step()?;
        for one in messages {
            self.tables
                .change(Change::Message(one.id, Some(one.clone())));
        }
        Ok(())
    }

    async fn replace_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.insert_messages(messages).await
    }

    async fn insert_chunks(&mut self, chunks: &[Chunk]) -> Result<(), StoreError> {
        self.step()?;
        for one in chunks {
            let key = (one.message, one.number);
            self.tables
                .change(Change::Chunk(key, Some(one.bytes.clone())));
        }
        Ok(())
    }

    async fn insert_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> Result<(), StoreError> {
        self.step()?;
        for one in recipients {
            let key = (one.message, one.number);
            let row = Some(Box::new(one.clone()));
            self.tables.change(Change::Recipient(key, row));
        }
        Ok(())
    }

    async fn insert_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        self.step()?;
        for one in tasks {
            let row = Some(Box::new(one.clone()));
            self.tables.change(Change::Task(one.id, row));
        }
        Ok(())
    }

    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        self.step()?;
        Ok(self.found(ids.iter().copied()))
    }

    async fn lock_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        self.messages(ids).await
    }

    async fn save_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        let mut saved = messages.to_vec();
        saved.retain_mut(|new| {
            let Some(old) = self.tables.rows.messages.get(&new.id) else {
                return false;
            };
            new.envelope.clone_from(&old.envelope);
            new.sender.clone_from(&old.sender);
            (new.size, new.arrived) = (old.size, old.arrived);
            true
        });
        self.insert_messages(&saved).await
    }

    async fn lock_owing(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.step()?;
        let owing = self.tables.index.owing.range(..=(now, MessageId(i64::MAX)));
        Ok(self.found(owing.take(limit).map(|(_, id)| *id)))
    }

    async fn delete_texts(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        self.step()?;
        for id in ids {
            let all = (*id, 0)..=(*id, u32::MAX);
            let keys = self.tables.rows.chunks.range(all).map(|(key, _)| *key);
            for key in keys.collect::<Vec<_>>() {
                self.tables.change(Change::Chunk(key, None));
            }
        }
        Ok(())
    }

    async fn delete_messages(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        self.delete_texts(ids).await?;
        for id in ids {
            let recipients = self.tables.recipients_of(*id).map(|one| one.number);
            for number in recipients.collect::<Vec<_>>() {
                self.tables.change(Change::Recipient((*id, number), None));
            }
            let tasks = self.tables.tasks_of(*id).map(|one| one.id);
            for task in tasks.collect::<Vec<_>>() {
                self.tables.change(Change::Task(task, None));
            }
            self.tables.change(Change::Message(*id, None));
        }
        Ok(())
    }

    async fn lock_stale(
        &mut self,
        finished: Timestamp,
        arriving: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.step()?;
        let index = &self.tables.index;
        let first = MessageId(i64::MIN);
        let finished = index.finished.range(..(finished, first));
        let arriving = index.arriving.range(..(arriving, first));
        let ids = finished.chain(arriving).map(|(_, id)| *id);
        Ok(self.found(ids.take(limit)))
    }

    async fn chunk(
        &mut self,
        message: MessageId,
        number: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        self.step()?;
        Ok(self.tables.rows.chunks.get(&(message, number)).cloned())
    }

    async fn first_chunks(&mut self, ids: &[MessageId]) -> Result<Vec<Chunk>, StoreError> {
        self.step()?;
        let first = |id: &MessageId| {
            let bytes = self.tables.rows.chunks.get(&(*id, 0))?.clone();
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
        self.step()?;
        let index = &self.tables.index.recipients;
        let keys = tasks.iter().flat_map(|task| {
            let (first, last) = (MessageId(i64::MIN), MessageId(i64::MAX));
            index.range((*task, first, 0)..=(*task, last, u32::MAX))
        });
        let rows = &self.tables.rows.recipients;
        let rows = keys.filter_map(|(_, message, number)| rows.get(&(*message, *number)));
        let wanted = rows.filter(|one| !pending || one.fate == Fate::Pending);
        let mut wanted: Vec<QueuedRecipient> = wanted.cloned().collect();
        wanted.sort_unstable_by_key(|one| (one.message, one.number));
        Ok(wanted)
    }

    async fn owed_recipients(
        &mut self,
        message: MessageId,
        limit: usize,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        self.step()?;
        let all = self.tables.recipients_of(message);
        let owed = all.filter(|one| one.owed.is_some());
        Ok(owed.take(limit).cloned().collect())
    }

    async fn save_recipients(&mut self, recipients: &[QueuedRecipient]) -> Result<(), StoreError> {
        let mut saved = recipients.to_vec();
        saved.retain_mut(|new| {
            let Some(old) = self.tables.rows.recipients.get(&(new.message, new.number)) else {
                return false;
            };
            new.task = old.task;
            new.recipient = old.recipient.clone();
            true
        });
        self.insert_recipients(&saved).await
    }

    async fn lock_tasks(&mut self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        Ok(self.tasks(ids))
    }

    async fn lock_new(&mut self, limit: usize) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        Ok(self.tasks(self.tables.index.new.iter().take(limit)))
    }

    async fn lock_due(
        &mut self,
        turns: &[(DestinationName, u32)],
        now: Timestamp,
    ) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        let due = turns.iter().flat_map(|(name, turns)| {
            let limit = usize::try_from(*turns).unwrap_or(usize::MAX);
            self.tables.ready(name, now).take(limit).cloned()
        });
        Ok(due.collect())
    }

    async fn next_due(
        &mut self,
        names: &[DestinationName],
    ) -> Result<Vec<(DestinationName, Timestamp)>, StoreError> {
        self.step()?;
        let next = |name: &DestinationName| {
            let first = self.tables.ready(name, Timestamp::NEVER).next();
            let due = first.map_or(Timestamp::NEVER, |task| task.due);
            (name.clone(), due)
        };
        Ok(names.iter().map(next).collect())
    }

    async fn lock_abandoned(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        let abandoned = self.tables.index.leased.range(..(now, TaskId(i64::MIN)));
        Ok(self.tasks(abandoned.take(limit).map(|(_, id)| id)))
    }

    async fn lock_watched(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        let watched = self.tables.index.watched.range(..=(now, TaskId(i64::MAX)));
        Ok(self.tasks(watched.take(limit).map(|(_, id)| id)))
    }

    async fn save_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        let mut saved = tasks.to_vec();
        saved.retain_mut(|new| {
            let Some(old) = self.tables.rows.tasks.get(&new.id) else {
                return false;
            };
            new.destination.clone_from(&old.destination);
            (new.message, new.arrived) = (old.message, old.arrived);
            true
        });
        self.insert_tasks(&saved).await
    }

    async fn delete_tasks(&mut self, ids: &[TaskId]) -> Result<(), StoreError> {
        self.step()?;
        for id in ids {
            self.tables.change(Change::Task(*id, None));
        }
        Ok(())
    }

    async fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> Result<Vec<Destination>, StoreError> {
        self.step()?;
        let mut locked = Vec::with_capacity(names.len());
        for name in names {
            let row = self.tables.rows.destinations.get(name).cloned();
            locked.push(row.unwrap_or_else(|| {
                let row = new(name);
                let change = Change::Destination(name.clone(), Some(Box::new(row.clone())));
                self.tables.change(change);
                row
            }));
        }
        Ok(locked)
    }

    async fn lock_ready(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Destination>, StoreError> {
        self.step()?;
        let open = self.tables.index.open.iter();
        let open = open.take_while(|(ready_at, _)| *ready_at <= now);
        let rows = &self.tables.rows.destinations;
        let open = open.filter_map(|(_, name)| rows.get(name));
        Ok(open.take(limit).cloned().collect())
    }

    async fn save_destinations(&mut self, destinations: &[Destination]) -> Result<(), StoreError> {
        self.step()?;
        for one in destinations {
            let row = Some(Box::new(one.clone()));
            self.tables
                .change(Change::Destination(one.name.clone(), row));
        }
        Ok(())
    }

    async fn list(
        &mut self,
        filter: &Filter,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.step()?;
        let first = after.map_or(MessageId(i64::MIN), |after| {
            MessageId(after.0.saturating_add(1))
        });
        let behind = self.tables.rows.messages.range(first..).map(|(_, one)| one);
        let fits = behind.filter(|one| self.tables.fits(one, filter));
        Ok(fits.take(limit).cloned().collect())
    }

    async fn tasks_of(&mut self, ids: &[MessageId]) -> Result<Vec<Task>, StoreError> {
        self.step()?;
        let tasks = ids.iter().flat_map(|id| self.tables.tasks_of(*id));
        let mut tasks: Vec<Task> = tasks.cloned().collect();
        tasks.sort_unstable_by_key(|task| task.id);
        Ok(tasks)
    }

    async fn recipients_of(
        &mut self,
        message: MessageId,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        self.step()?;
        Ok(self.tables.recipients_of(message).cloned().collect())
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        self.step()?;
        let rows = &self.tables.rows;
        let tasks = || rows.tasks.values();
        let count =
            |wanted: &dyn Fn(&Task) -> bool| tasks().filter(|task| wanted(task)).count() as u64;
        let open = |one: &&Message| one.state != MessageState::Finished;
        let rests = |one: &&Destination| one.dead.as_ref().is_some_and(|dead| dead.until > now);
        Ok(Counts {
            messages: rows.messages.values().filter(open).count() as u64,
            new: count(&|task| task.state == TaskState::New),
            due: count(&|task| task.state == TaskState::Ready && task.due <= now),
            deferred: count(&|task| task.state == TaskState::Ready && task.due > now),
            leased: count(&|task| matches!(task.state, TaskState::Leased(_))),
            held: count(&|task| matches!(task.state, TaskState::Held(_))),
            in_doubt: count(&|task| task.doubt.is_some()),
            dead: rows.destinations.values().filter(rests).count() as u64,
            oldest: tasks()
                .map(|task| task.arrived)
                .min()
                .unwrap_or(Timestamp::NEVER),
        })
    }

    async fn loads(&mut self, limit: usize) -> Result<Vec<Load>, StoreError> {
        self.step()?;
        let all = self.tables.rows.destinations.values();
        let mut loads: Vec<Load> = all.map(|one| self.tables.load(one)).collect();
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
        self.step()?;
        let shared = &self.tables.rows.shared;
        let find = |key: &String| shared.get(&(topic.to_owned(), key.clone()));
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
        self.step()?;
        let first = (topic.to_owned(), after.to_owned());
        let things = self.tables.rows.shared.range(first..).map(|(_, one)| one);
        let things = things.take_while(|one| one.topic == topic);
        let wanted = things.filter(|one| *one.key > *after && one.until > now);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn put_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        self.step()?;
        for one in things {
            self.tables
                .change(Change::Shared(name(one), Some(one.clone())));
        }
        Ok(())
    }

    async fn claim_shared(
        &mut self,
        things: &[Shared],
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.step()?;
        let mut claimed = Vec::new();
        for thing in things {
            let there = self.tables.rows.shared.get(&name(thing));
            if there.is_none_or(|there| there.until <= now) {
                self.tables
                    .change(Change::Shared(name(thing), Some(thing.clone())));
                claimed.push(thing.key.clone());
            }
        }
        Ok(claimed)
    }

    async fn add_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        self.step()?;
        for thing in things {
            let there = self.tables.rows.shared.get(&name(thing));
            let row = match there {
                None => thing.clone(),
                Some(there) => Shared {
                    number: there.number.saturating_add(thing.number),
                    ..there.clone()
                },
            };
            self.tables.change(Change::Shared(name(thing), Some(row)));
        }
        Ok(())
    }

    async fn delete_shared(&mut self, topic: &str, keys: &[String]) -> Result<(), StoreError> {
        self.step()?;
        for key in keys {
            let key = (topic.to_owned(), key.clone());
            self.tables.change(Change::Shared(key, None));
        }
        Ok(())
    }

    async fn purge_shared(&mut self, now: Timestamp, limit: usize) -> Result<(), StoreError> {
        self.step()?;
        let over = self.tables.rows.shared.iter();
        let over = over.filter(|(_, one)| one.until <= now).take(limit);
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.tables.change(Change::Shared(key, None));
        }
        Ok(())
    }
}

fn name(thing: &Shared) -> (String, String) {
    (thing.topic.clone(), thing.key.clone())
}
