//! A worker takes tasks that are due where turns are free.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smtp_policy::request::Request;

use crate::{
    model::{
        Destination, DestinationName, Lease, Message, MessageId, QueuedRecipient, Task, TaskId,
        TaskState, Timestamp, WorkerName,
    },
    rules::Rules,
    store::{Operation, StoreError, Transaction},
};

use super::{lease::Right, suppress::sift};

/// Takes due tasks of destinations with free turns, at most `want`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The worker that takes them.
    pub worker: WorkerName,
    /// The most that are taken.
    pub want: usize,
    /// The rules.
    pub rules: Rules,
}

/// A task that a worker has, with all that it takes to deliver it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The task.
    pub task: Task,
    /// Its message.
    pub message: Message,
    /// The recipients who are left.
    pub recipients: Vec<QueuedRecipient>,
    /// The first piece of the text.
    pub text: Bytes,
    /// The time of the claim.
    pub now: Timestamp,
}

impl Operation for Claim {
    type Output = Vec<Claimed>;

    /// A claim that is lost with the machine does no harm: before the end of a text goes out, [`Mark`](super::Mark) sees
    /// whether it still holds, and that lasts.
    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Claimed>, StoreError> {
        let now = tx.now().await?;
        let mut destinations = tx.lock_ready(now, self.want).await?;
        for destination in &mut destinations {
            destination.wake(&self.rules.concurrency, now);
        }
        let taker = Taker {
            worker: &self.worker,
            rules: &self.rules,
            now,
        };
        let mut claimed = Vec::new();
        // What one destination leaves of its share is for those that have more.
        let mut drained: BTreeSet<DestinationName> = BTreeSet::new();
        loop {
            let turns = self.share(&destinations, &drained, self.want - claimed.len(), now);
            if turns.is_empty() {
                break;
            }
            let tasks = tx.lock_due(&turns, now).await?;
            drained.extend(less_than_wanted(turns, &tasks));
            claimed.append(&mut taker.take(tx, tasks, &mut destinations).await?);
        }
        refresh(tx, &mut destinations, &self.rules, now).await?;
        tx.save_destinations(&destinations).await?;
        Ok(claimed)
    }
}

impl Claim {
    /// Shares deliveries among destinations: one each in turn, as long as they have free turns.
    fn share(
        &self,
        destinations: &[Destination],
        drained: &BTreeSet<DestinationName>,
        mut left: usize,
        now: Timestamp,
    ) -> Vec<(DestinationName, u32)> {
        let free = |one: &Destination| one.free_turns(&self.rules.concurrency, now);
        let mut turns: Vec<(&Destination, u32, u32)> = destinations
            .iter()
            .filter(|one| !drained.contains(&one.name))
            .map(|one| (one, free(one), 0))
            .filter(|(_, free, _)| *free > 0)
            .collect();
        let mut before = usize::MAX;
        while left < before {
            before = left;
            for (_, free, taken) in &mut turns {
                if left > 0 && taken < free {
                    *taken += 1;
                    left -= 1;
                }
            }
        }
        let taken = turns.into_iter().filter(|(_, _, taken)| *taken > 0);
        let mut taken: Vec<_> = taken
            .map(|(one, _, taken)| (one.name.clone(), taken))
            .collect();
        taken.sort();
        taken
    }
}

/// The destinations of which fewer tasks came than were wanted.
fn less_than_wanted(
    turns: Vec<(DestinationName, u32)>,
    tasks: &[Task],
) -> impl Iterator<Item = DestinationName> {
    let mut found: BTreeMap<&DestinationName, u32> = BTreeMap::new();
    for task in tasks {
        *found.entry(&task.destination).or_default() += 1;
    }
    let few = turns
        .into_iter()
        .filter(move |(name, wanted)| found.get(name) < Some(wanted));
    few.map(|(name, _)| name)
}

/// A worker that takes tasks.
pub(super) struct Taker<'a> {
    pub(super) worker: &'a WorkerName,
    pub(super) rules: &'a Rules,
    pub(super) now: Timestamp,
}

impl Taker<'_> {
    /// Takes tasks that are locked, with turns of destinations that are. A task that has nobody left to deliver to, or no
    /// message, is removed.
    pub(super) async fn take<T: Transaction>(
        &self,
        tx: &mut T,
        mut tasks: Vec<Task>,
        destinations: &mut [Destination],
    ) -> Result<Vec<Claimed>, StoreError> {
        tasks.sort_unstable_by_key(|task| task.id);
        sift(tx, &tasks, self.rules, self.now).await?;
        for task in &mut tasks {
            task.fence = task.fence.next(self.now);
            task.state = TaskState::Leased(Lease {
                worker: self.worker.clone(),
                until: self.now.after(self.rules.lease),
            });
        }
        let all: BTreeSet<TaskId> = tasks.iter().map(|task| task.id).collect();
        let claimed = complete(tx, tasks, self.now).await?;
        let taken: Vec<Task> = claimed.iter().map(|one| one.task.clone()).collect();
        tx.save_tasks(&taken).await?;
        let mut gone = all;
        let mut begun: BTreeMap<&DestinationName, u32> = BTreeMap::new();
        for task in &taken {
            gone.remove(&task.id);
            *begun.entry(&task.destination).or_default() += 1;
        }
        for destination in destinations {
            destination.take_turns(begun.get(&destination.name).copied().unwrap_or(0));
        }
        tx.delete_tasks(&gone.into_iter().collect::<Vec<_>>())
            .await?;
        Ok(claimed)
    }
}

/// Finds out when destinations are to be looked at again, after the tasks of them were written.
pub(super) async fn refresh<T: Transaction>(
    tx: &mut T,
    destinations: &mut [Destination],
    rules: &Rules,
    now: Timestamp,
) -> Result<(), StoreError> {
    let names: Vec<DestinationName> = destinations.iter().map(|one| one.name.clone()).collect();
    let due: BTreeMap<_, _> = tx.next_due(&names).await?.into_iter().collect();
    for destination in destinations {
        let next = due
            .get(&destination.name)
            .copied()
            .unwrap_or(Timestamp::NEVER);
        destination.set_ready(&rules.concurrency, next, now);
    }
    Ok(())
}

/// Reads what it takes to deliver tasks. One whose message or recipients are gone is left out.
async fn complete<T: Transaction>(
    tx: &mut T,
    tasks: Vec<Task>,
    now: Timestamp,
) -> Result<Vec<Claimed>, StoreError> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let ids: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
    let ids: Vec<MessageId> = ids.into_iter().collect();
    let mut task_ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    task_ids.sort_unstable();
    let messages = tx.messages(&ids).await?;
    let messages: BTreeMap<_, _> = messages.into_iter().map(|one| (one.id, one)).collect();
    let texts = tx.first_chunks(&ids).await?;
    let texts: BTreeMap<_, _> = texts
        .into_iter()
        .map(|one| (one.message, one.bytes))
        .collect();
    let mut recipients: BTreeMap<TaskId, Vec<QueuedRecipient>> = BTreeMap::new();
    for recipient in tx.recipients(&task_ids, true).await? {
        recipients
            .entry(recipient.task)
            .or_default()
            .push(recipient);
    }
    let complete = tasks.into_iter().filter_map(|task| {
        Some(Claimed {
            message: messages.get(&task.message)?.clone(),
            recipients: recipients.remove(&task.id)?,
            text: texts.get(&task.message).cloned().unwrap_or_default(),
            task,
            now,
        })
    });
    Ok(complete.collect())
}

impl Claimed {
    /// The right to the task.
    pub const fn right(&self) -> Right {
        Right::to(&self.task)
    }

    /// The request for this attempt.
    ///
    /// # Errors
    /// What is kept is no request.
    pub fn request(&self) -> Result<Request, serde_json::Error> {
        let recipients: Vec<_> = self.recipients.iter().map(|one| &one.recipient).collect();
        let age = self.now.since(self.message.arrived);
        self.message
            .request(&self.task.destination, &recipients, age)
    }
}
