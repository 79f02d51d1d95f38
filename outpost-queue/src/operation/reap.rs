//! The tasks of workers that died go back into the queue.

use crate::{
    model::{Destination, QueuedRecipient, Shared, Task, TaskId, Timestamp},
    rules::{
        Rules,
        death::{Aftermath, Vigil, set_apart, take_back},
    },
    store::{Operation, StoreError, Transaction},
};

use super::lease::give_turns_back;

/// Takes back tasks whose lease has run out, at most `limit`. Somebody has to do so several times in each lease: where nobody
/// has for half of one, the store was away, and the next does nothing yet (see [`Vigil`]).
#[derive(Clone, Debug)]
pub struct Reap {
    /// The most that are taken back.
    pub limit: usize,
    /// The rules.
    pub rules: Rules,
}

/// A task that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// The task as it is now.
    pub task: Task,
    /// The consequences.
    pub aftermath: Aftermath,
}

impl Operation for Reap {
    type Output = Vec<Reaped>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Reaped>, StoreError> {
        let now = tx.now().await?;
        if !self.may_take(tx, now).await? {
            return Ok(Vec::new());
        }
        let mut tasks = tx.lock_abandoned(now, self.limit).await?;
        tasks.sort_unstable_by_key(|task| task.id);
        let aftermath: Vec<Aftermath> = tasks
            .iter_mut()
            .map(|task| take_back(task, &self.rules, now))
            .collect();
        set_apart(&mut tasks, &self.rules);
        tx.save_tasks(&tasks).await?;
        give_turns_back(tx, &tasks, &self.rules, Destination::give_back).await?;
        let reaped = tasks.into_iter().zip(aftermath);
        let reaped = reaped.map(|(task, aftermath)| Reaped { task, aftermath });
        let reaped: Vec<Reaped> = reaped.collect();
        mark_doubt(tx, &reaped).await?;
        Ok(reaped)
    }
}

/// The topic of what is known of the last look, among what workers share.
const TOPIC: &str = "reap";

impl Reap {
    /// Returns whether what has run out is abandoned, or may be that of workers that could not reach the store.
    async fn may_take<T: Transaction>(
        &self,
        tx: &mut T,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = "last".to_owned();
        let before = tx.shared(TOPIC, core::slice::from_ref(&key), now).await?;
        // What cannot be read is as if nobody had ever looked.
        let before = before.first().map(|thing| Vigil {
            seen: Timestamp::from_micros(thing.number),
            wait: thing.value.parse().ok().map(Timestamp::from_micros),
        });
        let (vigil, may_take) = Vigil::look(before, self.rules.lease, now);
        let wait = vigil.wait.map(|until| until.micros().to_string());
        let thing = Shared {
            topic: TOPIC.to_owned(),
            key,
            value: wait.unwrap_or_default(),
            number: vigil.seen.micros(),
            until: Timestamp::NEVER,
        };
        tx.put_shared(&[thing]).await?;
        Ok(may_take)
    }
}

/// Marks the recipients who may have the message.
async fn mark_doubt<T: Transaction>(tx: &mut T, reaped: &[Reaped]) -> Result<(), StoreError> {
    let doubtful = reaped.iter().filter(|one| one.aftermath.doubtful);
    let ids: Vec<TaskId> = doubtful.map(|one| one.task.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut recipients: Vec<QueuedRecipient> = tx.recipients(&ids, true).await?;
    for recipient in &mut recipients {
        recipient.doubtful = true;
    }
    tx.save_recipients(&recipients).await
}
