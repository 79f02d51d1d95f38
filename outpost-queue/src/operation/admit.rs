//! A worker sees tasks that are new: they get a turn at once, or wait for one.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{Destination, MessageId, Task, TaskState, Timestamp, WorkerName},
    rules::{Rules, schedule::is_null},
    store::{Operation, StoreError, Transaction},
};

use super::claim::{Claimed, Taker, refresh};

/// Takes new tasks: as many as `want` for this worker where turns are free, the others wait.
#[derive(Clone, Debug)]
pub struct Admit {
    /// The worker that takes them.
    pub worker: WorkerName,
    /// The most that it can begin.
    pub want: usize,
    /// The most that it looks at.
    pub look: usize,
    /// The rules.
    pub rules: Rules,
}

impl Operation for Admit {
    /// The number of tasks that were looked at, and those that are to be delivered.
    type Output = (usize, Vec<Claimed>);

    /// As for [`Claim`](super::Claim).
    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(usize, Vec<Claimed>), StoreError> {
        let rules = &self.rules;
        let mut tasks = tx.lock_new(self.look).await?;
        if tasks.is_empty() {
            return Ok((0, Vec::new()));
        }
        let seen = tasks.len();
        let names: BTreeSet<_> = tasks.iter().map(|task| task.destination.clone()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let new = |name: &_| Destination::new(Clone::clone(name), &rules.concurrency);
        let mut destinations = tx.lock_destinations(&names, new).await?;
        // Only now is it known that nobody moves them, and the time is later than their last change.
        let now = tx.now().await?;
        self.set_watch(tx, &mut tasks).await?;
        for destination in &mut destinations {
            destination.wake(&rules.concurrency, now);
        }
        let (taken, mut waiting) = self.choose(tasks, &destinations, now);
        for task in &mut waiting {
            task.state = TaskState::Ready;
        }
        tx.save_tasks(&waiting).await?;
        let taker = Taker {
            worker: &self.worker,
            rules,
            now,
        };
        let claimed = taker.take(tx, taken, &mut destinations).await?;
        refresh(tx, &mut destinations, rules, now).await?;
        tx.save_destinations(&destinations).await?;
        Ok((seen, claimed))
    }
}

impl Admit {
    /// Tells the tasks that can begin from those that wait: at a destination where others wait, the new ones wait behind
    /// them.
    fn choose(
        &self,
        tasks: Vec<Task>,
        destinations: &[Destination],
        now: Timestamp,
    ) -> (Vec<Task>, Vec<Task>) {
        let mut free: BTreeMap<_, u32> = destinations
            .iter()
            .filter(|one| one.ready_at > now)
            .map(|one| (&one.name, one.free_turns(&self.rules.concurrency, now)))
            .collect();
        let mut left = self.want;
        tasks.into_iter().partition(|task| {
            let turns = free.get_mut(&task.destination).filter(|turns| **turns > 0);
            match turns {
                Some(turns) if left > 0 => {
                    *turns -= 1;
                    left -= 1;
                    true
                }
                _ => false,
            }
        })
    }

    /// Says when somebody has to look at the tasks.
    async fn set_watch<T: Transaction>(
        &self,
        tx: &mut T,
        tasks: &mut [Task],
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
        let messages = tx.messages(&ids.into_iter().collect::<Vec<_>>()).await?;
        let null: BTreeMap<_, _> = messages
            .iter()
            .map(|one| (one.id, is_null(one.kind, &one.sender)))
            .collect();
        for task in tasks {
            let null = null.get(&task.message).copied().unwrap_or(false);
            task.watch = self.rules.schedule.watch(null, task.arrived, task.warned);
        }
        Ok(())
    }
}
