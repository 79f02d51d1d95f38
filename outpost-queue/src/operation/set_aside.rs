//! A worker puts tasks aside that it cannot make sense of.

use std::collections::BTreeSet;

use crate::{
    model::{Destination, Hold, TaskId, TaskState},
    rules::Rules,
    store::{Operation, StoreError, Transaction},
};

use super::lease::{Right, give_turns_back, lock};

/// Holds tasks that cannot be delivered as they are kept ([`Hold::Poison`]). Recipients who may have the message are marked.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// The tasks.
    pub rights: Vec<Right>,
    /// The rules.
    pub rules: Rules,
}

impl Operation for SetAside {
    /// The rights that held.
    type Output = BTreeSet<Right>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<BTreeSet<Right>, StoreError> {
        let mut tasks = lock(tx, self.rights.iter().copied()).await?;
        let doubtful: Vec<TaskId> = tasks
            .iter()
            .filter(|task| task.doubt.is_some())
            .map(|task| task.id)
            .collect();
        let now = tx.now().await?;
        for task in &mut tasks {
            task.state = TaskState::Held(Hold::Poison);
            // Somebody has to look at it: the postmaster hears of it.
            task.watch = now;
            task.doubt = None;
        }
        if !doubtful.is_empty() {
            let mut recipients = tx.recipients(&doubtful, true).await?;
            for recipient in &mut recipients {
                recipient.doubtful = true;
            }
            tx.save_recipients(&recipients).await?;
        }
        tx.save_tasks(&tasks).await?;
        let unused = |one: &mut Destination, _: &_, _| one.give_back_unused();
        give_turns_back(tx, &tasks, &self.rules, unused).await?;
        Ok(tasks.iter().map(Right::to).collect())
    }
}
