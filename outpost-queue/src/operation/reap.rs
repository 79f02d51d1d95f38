//! The tasks of workers that died go back into the queue.

use std::collections::BTreeMap;

use crate::{
    model::{QueuedRecipient, Task, TaskId},
    rules::{
        Rules,
        death::{Aftermath, take_back},
    },
    store::{Operation, StoreError, Transaction},
};

use super::lease::give_turns_back;

/// Takes back tasks whose lease has run out, at most `limit`.
#[derive(Clone, Debug)]
pub struct Reap {
    /// How many at most.
    pub limit: usize,
    /// The rules.
    pub rules: Rules,
}

/// A task that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// As it is now.
    pub task: Task,
    /// What follows.
    pub aftermath: Aftermath,
}

impl Operation for Reap {
    type Output = Vec<Reaped>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Reaped>, StoreError> {
        let now = tx.now().await?;
        let tasks = tx.lock_abandoned(now, self.limit).await?;
        let mut reaped: Vec<Reaped> = tasks
            .into_iter()
            .map(|mut task| {
                let aftermath = take_back(&mut task, &self.rules, now);
                Reaped { task, aftermath }
            })
            .collect();
        reaped.sort_unstable_by_key(|one| one.task.id);
        mark_doubt(tx, &reaped).await?;
        let tasks: Vec<Task> = reaped.iter().map(|one| one.task.clone()).collect();
        tx.save_tasks(&tasks).await?;
        give_turns_back(tx, &tasks, &self.rules).await?;
        Ok(reaped)
    }
}

/// Marks the recipients who may have the message.
async fn mark_doubt<T: Transaction>(tx: &mut T, reaped: &[Reaped]) -> Result<(), StoreError> {
    let doubtful: BTreeMap<TaskId, ()> = reaped
        .iter()
        .filter(|one| one.aftermath.doubtful)
        .map(|one| (one.task.id, ()))
        .collect();
    let ids: Vec<TaskId> = doubtful.into_keys().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut recipients: Vec<QueuedRecipient> = tx.recipients(&ids, true).await?;
    for recipient in &mut recipients {
        recipient.doubtful = true;
    }
    tx.save_recipients(&recipients).await
}
