//! The operator's part: messages are held, released, tried now, sent another way, taken out.
//!
//! A task that a worker has is taken from it, as long as the end of its text has not been allowed to go out: the worker's
//! [`Mark`](super::Mark) finds no right, and nobody gets the message. After that moment nothing can be taken back, and the
//! answer says so.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        Destination, DestinationName, Fate, Hold, MessageId, QueuedRecipient, Task, TaskId,
        TaskState, Timestamp,
    },
    rules::{Rules, schedule::is_null, settle::Settled},
    store::{Operation, StoreError, Transaction},
};

use super::{
    claim::refresh,
    conclude::{account, save_messages},
    lease::lock_known,
};

/// A change to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They wait until they are released.
    Hold,
    /// Tasks that are held go on, for whatever reason they are held.
    Release,
    /// Tasks that are deferred are due now, and destinations that rest are tried. Tasks that are held stay so.
    Retry,
    /// Recipients who wait are taken out of the queue, and nobody is told.
    Cancel,
}

/// Does something to all tasks of messages.
#[derive(Clone, Debug)]
pub struct Manage {
    /// The messages. Some hundreds at a time are as many as one transaction should have.
    pub messages: Vec<MessageId>,
    /// The change that is made.
    pub change: Change,
    /// The rules.
    pub rules: Rules,
}

/// The effect on a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Managed {
    /// Tasks that were changed.
    pub changed: u32,
    /// Recipients who were taken out.
    pub recipients: u32,
    /// Attempts that were under way, and were stopped in time.
    pub stopped: u32,
    /// Attempts that were under way, and go on: the end of their text may have gone out.
    pub under_way: u32,
}

impl Operation for Manage {
    /// The effect on each message that is there and not finished.
    type Output = BTreeMap<MessageId, Managed>;

    async fn run<T: Transaction>(
        &self,
        tx: &mut T,
    ) -> Result<BTreeMap<MessageId, Managed>, StoreError> {
        let ids: BTreeSet<MessageId> = self.messages.iter().copied().collect();
        let ids: Vec<MessageId> = ids.into_iter().collect();
        let mut answer = BTreeMap::new();
        let mut tasks = lock_tasks_of(tx, &ids, &mut answer).await?;
        let names: BTreeSet<_> = tasks.iter().map(|task| task.destination.clone()).collect();
        let names: Vec<DestinationName> = names.into_iter().collect();
        let mut destinations = lock_known(tx, &names, &self.rules).await?;
        let now = tx.now().await?;
        tasks.retain(|task| {
            let managed: &mut Managed = answer.entry(task.message).or_default();
            self.takes(task, managed)
        });
        self.stop(&tasks, &mut destinations, now);
        match self.change {
            Change::Cancel => self.cancel(tx, &tasks, &mut answer, now).await?,
            _ => self.save(tx, tasks, now).await?,
        }
        if self.change == Change::Retry {
            for dead in destinations.iter_mut().filter_map(|one| one.dead.as_mut()) {
                dead.until = dead.until.min(now);
            }
        }
        refresh(tx, &mut destinations, &self.rules, now).await?;
        tx.save_destinations(&destinations).await?;
        Ok(answer)
    }
}

/// Locks the tasks of messages. Messages without tasks that are not finished are in the answer too.
async fn lock_tasks_of<T: Transaction>(
    tx: &mut T,
    ids: &[MessageId],
    answer: &mut BTreeMap<MessageId, Managed>,
) -> Result<Vec<Task>, StoreError> {
    let tasks = tx.tasks_of(ids).await?;
    let names: BTreeSet<TaskId> = tasks.iter().map(|task| task.id).collect();
    let names: Vec<TaskId> = names.into_iter().collect();
    let tasks = tx.lock_tasks(&names).await?;
    answer.extend(tasks.iter().map(|task| (task.message, Managed::default())));
    Ok(tasks)
}

impl Manage {
    /// Returns whether the change is for this task as it stands.
    fn takes(&self, task: &Task, managed: &mut Managed) -> bool {
        let takes = match (&task.state, self.change) {
            (TaskState::Leased(_), Change::Hold | Change::Cancel) => {
                match task.doubt {
                    Some(_) => managed.under_way += 1,
                    None => managed.stopped += 1,
                }
                task.doubt.is_none()
            }
            (TaskState::Leased(_), _) => {
                managed.under_way += 1;
                false
            }
            (_, Change::Cancel) => true,
            (TaskState::New | TaskState::Ready, Change::Hold) => true,
            (TaskState::Held(_), Change::Hold) => false,
            (state, Change::Release) => matches!(state, TaskState::Held(_)),
            (state, Change::Retry) => *state == TaskState::Ready,
        };
        managed.changed += u32::from(takes);
        takes
    }

    /// Gives the turns back of attempts that are stopped.
    fn stop(&self, tasks: &[Task], destinations: &mut [Destination], now: Timestamp) {
        for destination in destinations {
            let stopped = tasks.iter().filter(|task| {
                task.destination == destination.name && matches!(task.state, TaskState::Leased(_))
            });
            for _ in 0..stopped.count() {
                destination.give_back(&self.rules.concurrency, now);
            }
        }
    }

    /// Writes tasks that stay in the queue.
    async fn save<T: Transaction>(
        &self,
        tx: &mut T,
        mut tasks: Vec<Task>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
        let messages = tx.messages(&ids.into_iter().collect::<Vec<_>>()).await?;
        let null: BTreeMap<_, _> = messages
            .iter()
            .map(|one| (one.id, is_null(one.kind, &one.sender)))
            .collect();
        for task in &mut tasks {
            match self.change {
                Change::Hold => task.state = TaskState::Held(Hold::Operator),
                Change::Release => {
                    task.state = TaskState::Ready;
                    task.deaths = 0;
                }
                Change::Retry => task.due = task.due.min(now),
                Change::Cancel => {}
            }
            // One that nobody has seen has no such time yet.
            let null = null.get(&task.message).copied().unwrap_or(false);
            task.watch = self.rules.schedule.watch(null, task.arrived, task.warned);
        }
        tx.save_tasks(&tasks).await
    }

    /// Takes tasks out of the queue, with the recipients who wait for their verdict.
    async fn cancel<T: Transaction>(
        &self,
        tx: &mut T,
        tasks: &[Task],
        answer: &mut BTreeMap<MessageId, Managed>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        let messages: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
        let messages: Vec<MessageId> = messages.into_iter().collect();
        let mut messages = tx.lock_messages(&messages).await?;
        let mut recipients: Vec<QueuedRecipient> = tx.recipients(&ids, true).await?;
        for recipient in &mut recipients {
            recipient.fate = Fate::Cancelled;
            recipient.owed = None;
            answer.entry(recipient.message).or_default().recipients += 1;
        }
        tx.save_recipients(&recipients).await?;
        tx.delete_tasks(&ids).await?;
        for message in &mut messages {
            let settled = Settled {
                recipients: answer.get(&message.id).map_or(0, |one| one.recipients),
                ..Settled::default()
            };
            account(message, settled, now);
        }
        save_messages(tx, messages).await
    }
}
