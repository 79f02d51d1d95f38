//! A worker's dealings with the tasks that it has: it renews them, gives them back, and writes down that it is about to
//! send the end of their text.

use std::collections::BTreeSet;

use crate::{
    model::{Destination, DestinationName, Fence, Task, TaskId, TaskState, Timestamp, WorkerName},
    rules::{Concurrency, Rules},
    store::{Operation, StoreError, Transaction},
};

use super::claim::refresh;

/// The right to a task: its name, and the number of the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// The task.
    pub task: TaskId,
    /// The claim.
    pub fence: Fence,
}

impl Right {
    /// The right of whoever claimed a task last.
    pub const fn to(task: &Task) -> Self {
        Self {
            task: task.id,
            fence: task.fence,
        }
    }
}

/// Locks the tasks of which these rights hold.
pub(super) async fn lock<T: Transaction>(
    tx: &mut T,
    rights: impl IntoIterator<Item = Right>,
) -> Result<Vec<Task>, StoreError> {
    let rights: BTreeSet<Right> = rights.into_iter().collect();
    // A worker may have several rights to one task, of which one holds.
    let mut ids: Vec<TaskId> = rights.iter().map(|right| right.task).collect();
    ids.dedup();
    let mut tasks = tx.lock_tasks(&ids).await?;
    let leased = |task: &Task| matches!(task.state, TaskState::Leased(_));
    tasks.retain(|task| leased(task) && rights.contains(&Right::to(task)));
    Ok(tasks)
}

/// Writes down that the end of texts is about to go out, before it does. Whose right is not in the answer must not send it.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The tasks.
    pub rights: Vec<Right>,
}

impl Operation for Mark {
    type Output = BTreeSet<Right>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<BTreeSet<Right>, StoreError> {
        let mut tasks = lock(tx, self.rights.iter().copied()).await?;
        for task in &mut tasks {
            task.doubt = Some(task.fence);
        }
        tx.save_tasks(&tasks).await?;
        Ok(rights(&tasks))
    }
}

/// Makes leases last as long as if they were new. Whose right is not in the answer has lost it.
#[derive(Clone, Debug)]
pub struct Renew {
    /// The tasks.
    pub rights: Vec<Right>,
    /// The worker that has them.
    pub worker: WorkerName,
    /// The rules.
    pub rules: Rules,
}

impl Operation for Renew {
    type Output = BTreeSet<Right>;

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<BTreeSet<Right>, StoreError> {
        let mut tasks = lock(tx, self.rights.iter().copied()).await?;
        let until = tx.now().await?.after(self.rules.lease);
        for task in &mut tasks {
            if let TaskState::Leased(lease) = &mut task.state {
                lease.until = until;
            }
        }
        tx.save_tasks(&tasks).await?;
        Ok(rights(&tasks))
    }
}

/// Gives tasks back that were not tried: they are due as before.
#[derive(Clone, Debug)]
pub struct Release {
    /// The tasks.
    pub rights: Vec<Right>,
    /// The rules.
    pub rules: Rules,
}

impl Operation for Release {
    type Output = BTreeSet<Right>;

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<BTreeSet<Right>, StoreError> {
        let mut tasks = lock(tx, self.rights.iter().copied()).await?;
        // What may have gone out is left to run out, so that it is treated as what it is.
        tasks.retain(|task| task.doubt.is_none());
        for task in &mut tasks {
            task.state = TaskState::Ready;
        }
        tx.save_tasks(&tasks).await?;
        let unused = |one: &mut Destination, _: &_, _| one.give_back_unused();
        give_turns_back(tx, &tasks, &self.rules, unused).await?;
        Ok(rights(&tasks))
    }
}

/// Gives the turns of tasks back that are no longer under way.
pub(super) async fn give_turns_back<T: Transaction>(
    tx: &mut T,
    tasks: &[Task],
    rules: &Rules,
    give_back: impl Fn(&mut Destination, &Concurrency, Timestamp) + Send,
) -> Result<(), StoreError> {
    let names: BTreeSet<_> = tasks.iter().map(|task| task.destination.clone()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let mut destinations = lock_known(tx, &names, rules).await?;
    let now = tx.now().await?;
    for destination in &mut destinations {
        let name = destination.name.clone();
        destination.wake(&rules.concurrency, now);
        for _ in tasks.iter().filter(|task| task.destination == name) {
            give_back(destination, &rules.concurrency, now);
        }
    }
    refresh(tx, &mut destinations, rules, now).await?;
    tx.save_destinations(&destinations).await
}

/// Locks destinations that tasks were delivered to.
pub(super) async fn lock_known<T: Transaction>(
    tx: &mut T,
    names: &[DestinationName],
    rules: &Rules,
) -> Result<Vec<Destination>, StoreError> {
    let new = |name: &DestinationName| Destination::new(name.clone(), &rules.concurrency);
    tx.lock_destinations(names, new).await
}

fn rights(tasks: &[Task]) -> BTreeSet<Right> {
    tasks.iter().map(Right::to).collect()
}
