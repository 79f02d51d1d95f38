//! An attempt is over: the verdicts, what is left of the task with its time, the reports that are owed, the turn, and what
//! the destination has shown, all at once.

use std::collections::{BTreeMap, BTreeSet};

use smtp_policy::report::Outcome;

use crate::{
    model::{Message, MessageId, MessageState, QueuedRecipient, Task, TaskId, Timestamp},
    report::LOOK_AGAIN,
    rules::{
        Rules,
        schedule::is_null,
        settle::{Left, Settled, feed_back, leave, leave_open, settle},
    },
    store::{Operation, StoreError, Transaction},
};

use super::{
    claim::refresh,
    lease::{Right, lock, lock_known},
    suppress::enter,
};

/// Takes down how attempts have ended.
#[derive(Clone, Debug)]
pub struct Conclude {
    /// The attempts, each of another task.
    pub conclusions: Vec<Conclusion>,
    /// The rules.
    pub rules: Rules,
}

/// The end of one attempt.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The right to the task.
    pub right: Right,
    /// The outcome of each recipient, by its place in the envelope.
    pub outcomes: BTreeMap<u32, Outcome>,
}

/// The effect of the end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concluded {
    /// It was taken down.
    Done,
    /// The task belongs to somebody else by now, and nothing was taken down.
    Lost,
}

impl Operation for Conclude {
    /// One for each conclusion, in their order.
    type Output = Vec<Concluded>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Concluded>, StoreError> {
        let tasks = lock(tx, self.conclusions.iter().map(|one| one.right)).await?;
        let names: BTreeSet<_> = tasks.iter().map(|task| task.destination.clone()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let mut destinations = lock_known(tx, &names, &self.rules).await?;
        let held: BTreeSet<Right> = tasks.iter().map(Right::to).collect();
        let ends = self.ends();
        let now = tx.now().await?;
        for destination in &mut destinations {
            let name = destination.name.clone();
            for task in tasks.iter().filter(|task| task.destination == name) {
                let outcomes = ends
                    .get(&Right::to(task))
                    .into_iter()
                    .flat_map(|one| one.outcomes.values());
                feed_back(destination, outcomes, &self.rules, now);
            }
        }
        settle_tasks(tx, tasks, &ends, &self.rules, now).await?;
        refresh(tx, &mut destinations, &self.rules, now).await?;
        tx.save_destinations(&destinations).await?;
        let concluded = |one: &Conclusion| match held.contains(&one.right) {
            true => Concluded::Done,
            false => Concluded::Lost,
        };
        Ok(self.conclusions.iter().map(concluded).collect())
    }
}

impl Conclude {
    fn ends(&self) -> BTreeMap<Right, &Conclusion> {
        self.conclusions
            .iter()
            .map(|one| (one.right, one))
            .collect()
    }
}

/// Writes what attempts have left of tasks that are locked: recipients, tasks, messages.
pub(super) async fn settle_tasks<T: Transaction>(
    tx: &mut T,
    tasks: Vec<Task>,
    ends: &BTreeMap<Right, &Conclusion>,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let messages: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
    let messages: Vec<MessageId> = messages.into_iter().collect();
    let mut messages: BTreeMap<_, _> = tx
        .lock_messages(&messages)
        .await?
        .into_iter()
        .map(|one| (one.id, one))
        .collect();
    let mut recipients: BTreeMap<TaskId, Vec<QueuedRecipient>> = BTreeMap::new();
    for recipient in tx.recipients(&ids, true).await? {
        recipients
            .entry(recipient.task)
            .or_default()
            .push(recipient);
    }
    let mut kept = Vec::new();
    let mut over = Vec::new();
    let mut changed = Vec::new();
    let mut outcomes = BTreeMap::new();
    for mut task in tasks {
        let mut concerned = recipients.remove(&task.id).unwrap_or_default();
        let Some(message) = messages.get_mut(&task.message) else {
            // Nobody is there to be told.
            over.push(task.id);
            continue;
        };
        let mut settled = Settled::default();
        let end = ends.get(&Right::to(&task)).copied();
        outcomes.extend(end.map(|end| (task.id, &end.outcomes)));
        let null_sender = is_null(message.kind, &message.sender);
        for recipient in &mut concerned {
            match end.and_then(|end| end.outcomes.get(&recipient.number)) {
                Some(outcome) => settle(recipient, outcome, null_sender, &mut settled),
                None => leave_open(recipient, task.doubt.is_some(), &mut settled),
            }
        }
        let left = leave(&mut task, message, &mut concerned, rules, now, &mut settled);
        account(message, settled, now);
        match left {
            Left::Task => kept.push(task),
            Left::Nothing => over.push(task.id),
        }
        changed.append(&mut concerned);
    }
    tx.save_recipients(&changed).await?;
    tx.save_tasks(&kept).await?;
    tx.delete_tasks(&over).await?;
    save_messages(tx, messages.into_values().collect()).await?;
    let told = |one| told(one, &outcomes);
    enter(tx, changed.iter().filter_map(told), rules, now).await
}

/// A recipient with what its attempt has told of it.
fn told<'a>(
    recipient: &'a QueuedRecipient,
    outcomes: &BTreeMap<TaskId, &'a BTreeMap<u32, Outcome>>,
) -> Option<(&'a QueuedRecipient, &'a Outcome)> {
    let outcome = outcomes.get(&recipient.task)?.get(&recipient.number)?;
    Some((recipient, outcome))
}

/// Takes down at a message what became of its recipients. A report is due when nobody is left, and otherwise soon: others that
/// fail meanwhile are told of in the same one.
pub(super) fn account(message: &mut Message, settled: Settled, now: Timestamp) {
    message.unsettled = message.unsettled.saturating_sub(settled.recipients);
    if settled.owes {
        message.report_at = message.report_at.min(now.after(LOOK_AGAIN));
    }
    if message.unsettled == 0 && message.report_at != Timestamp::NEVER {
        message.report_at = message.report_at.min(now);
    }
    let open = message.state == MessageState::Queued;
    if open && message.unsettled == 0 && message.report_at == Timestamp::NEVER {
        message.state = MessageState::Finished;
        message.finished = now;
    }
}

/// Writes messages, and removes the texts of those that are finished.
pub(super) async fn save_messages<T: Transaction>(
    tx: &mut T,
    messages: Vec<Message>,
) -> Result<(), StoreError> {
    tx.save_messages(&messages).await?;
    let finished = messages
        .iter()
        .filter(|one| one.state == MessageState::Finished);
    let finished: Vec<MessageId> = finished.map(|one| one.id).collect();
    tx.delete_texts(&finished).await
}
