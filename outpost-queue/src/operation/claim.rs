//! A worker takes tasks that are due where turns are free.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smtp_policy::request::{QueueId, Request};

use crate::{
    model::{
        Destination, DestinationName, Lease, Message, MessageId, QueuedRecipient, Task, TaskId,
        TaskState, Timestamp, WorkerName,
    },
    rules::Rules,
    store::{Operation, StoreError, Transaction},
};

/// Takes due tasks of destinations with free turns, at most `want`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who takes them.
    pub worker: WorkerName,
    /// How many at most.
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
        let mut left = self.want;
        let mut turns = Vec::with_capacity(destinations.len());
        for destination in &destinations {
            let free = destination.free_turns(&self.rules.concurrency, now);
            let taken = free.min(u32::try_from(left).unwrap_or(u32::MAX));
            if taken > 0 {
                left -= taken as usize;
                turns.push((destination.name.clone(), taken));
            }
        }
        let mut tasks = tx.lock_due(&turns, now).await?;
        let mut begun = lease(&mut tasks, &self.worker, &self.rules, now);
        take_turns(&mut destinations, &mut begun);
        tx.save_tasks(&tasks).await?;
        refresh(tx, &mut destinations, &self.rules, now).await?;
        tx.save_destinations(&destinations).await?;
        complete(tx, tasks, now).await
    }
}

/// Gives tasks to a worker. Returns how many of each destination there are.
pub(super) fn lease(
    tasks: &mut [Task],
    worker: &WorkerName,
    rules: &Rules,
    now: Timestamp,
) -> BTreeMap<DestinationName, u32> {
    let mut begun = BTreeMap::new();
    for task in tasks {
        task.fence = task.fence.next();
        task.state = TaskState::Leased(Lease {
            worker: worker.clone(),
            until: now.after(rules.lease),
        });
        *begun.entry(task.destination.clone()).or_default() += 1;
    }
    begun
}

pub(super) fn take_turns(
    destinations: &mut [Destination],
    begun: &mut BTreeMap<DestinationName, u32>,
) {
    for destination in destinations {
        destination.take_turns(begun.remove(&destination.name).unwrap_or(0));
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

/// Reads what it takes to deliver tasks. One whose message or recipients are gone is left out: its lease runs out.
pub(super) async fn complete<T: Transaction>(
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
    /// The request for this attempt.
    ///
    /// # Errors
    /// What is kept is no request.
    pub fn request(&self) -> Result<Request, serde_json::Error> {
        let mut form: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&self.message.envelope)?;
        let destination = &self.task.destination;
        form.insert("nexthop".into(), destination.nexthop().into());
        form.insert("protocol".into(), destination.protocol().to_string().into());
        let recipients: Vec<_> = self.recipients.iter().map(|one| &one.recipient).collect();
        form.insert("recipients".into(), serde_json::to_value(recipients)?);
        form.insert(
            "age".into(),
            self.now.since(self.message.arrived).as_secs().into(),
        );
        let mut request: Request = serde_json::from_value(form.into())?;
        request.id = self
            .message
            .id
            .to_string()
            .parse()
            .unwrap_or_else(|_| QueueId::default());
        Ok(request)
    }
}
