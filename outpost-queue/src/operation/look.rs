//! Tasks that nobody tries since their destination rests: they become too old all the same. Tasks whose senders are to
//! hear that it takes long. And tasks that were set aside: the postmaster hears of them.
//!
//! As in qmgr(8), a task is given up when an attempt ends after its time ([`leave`](crate::rules::settle::leave)), or when
//! it is due then and its destination is known not to answer. What waits for a turn, or for a worker after days without
//! any, has its attempt first. What is held never becomes too old and causes no warning, like Postfix's hold queue: it waits
//! for an operator.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use smtp_policy::report::{DsnKind, Outcome, Status};
use smtp_proto::{EnhancedStatus, Notify};

use crate::{
    model::{
        Dead, DestinationName, Hold, Message, MessageId, QueuedRecipient, Task, TaskId, TaskState,
        Timestamp,
    },
    report::{Context, DELAY_ROUND, NOT_TRIED, Notice},
    rules::{
        Rules,
        schedule::is_null,
        settle::{Settled, expire, settle},
    },
    store::{Operation, StoreError, Transaction},
};

use super::{
    conclude::{account, save_messages},
    lease::lock_known,
    submit::{Submission, add},
};

/// Looks at tasks whose time to be looked at has come.
#[derive(Clone, Debug)]
pub struct Look {
    /// The contents of notices, and those who get them.
    pub context: Context,
    /// The rules.
    pub rules: Rules,
    /// The most tasks.
    pub limit: usize,
}

/// The findings, one for each task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looked {
    /// The tasks, each with what was done. Those for which it was too early are left out.
    pub tasks: Vec<Seen>,
    /// Notices to the postmaster.
    pub notices: Vec<MessageId>,
    /// There may be others: call again.
    pub more: bool,
}

/// A task that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The task.
    pub task: TaskId,
    /// Its message.
    pub message: MessageId,
    /// Its destination.
    pub destination: DestinationName,
    /// The result of the look.
    pub finding: Finding,
    /// The recipients concerned.
    pub recipients: u32,
}

/// The result of a look at a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// It was too old: its recipients are given up, and it is over.
    Expired,
    /// Its sender is to hear that it takes long.
    Delayed,
    /// It was set aside.
    SetAside(Hold),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "expired",
            Self::Delayed => "delayed",
            Self::SetAside(Hold::Operator) => "held",
            Self::SetAside(Hold::Doubt) => "held in doubt",
            Self::SetAside(Hold::Poison) => "set aside",
        })
    }
}

/// The changes that are written in the end.
#[derive(Default)]
struct Work {
    kept: Vec<Task>,
    over: Vec<TaskId>,
    changed: Vec<QueuedRecipient>,
    notices: Vec<Submission>,
    looked: Looked,
}

/// A task with what it takes to decide on it.
struct Case<'a> {
    task: Task,
    message: &'a mut Message,
    recipients: Vec<QueuedRecipient>,
    /// The failure of its destination, if that is dead.
    dead: Option<&'a Dead>,
}

impl Operation for Look {
    type Output = Looked;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Looked, StoreError> {
        let now = tx.now().await?;
        let tasks = tx.lock_watched(now, self.limit).await?;
        let mut work = Work::default();
        if tasks.is_empty() {
            return Ok(work.looked);
        }
        work.looked.more = tasks.len() >= self.limit;
        let mut recipients = recipients_of(tx, &tasks).await?;
        let dead = self.dead(tx, &tasks).await?;
        let messages: BTreeSet<MessageId> = tasks.iter().map(|task| task.message).collect();
        let messages = tx
            .lock_messages(&messages.into_iter().collect::<Vec<_>>())
            .await?;
        let mut messages: BTreeMap<_, _> = messages.into_iter().map(|one| (one.id, one)).collect();
        let now = tx.now().await?;
        for task in tasks {
            let gone =
                || StoreError::Damaged(format!("tasks, {}, message: it is not there", task.id));
            let case = Case {
                message: messages.get_mut(&task.message).ok_or_else(gone)?,
                recipients: recipients.remove(&task.id).unwrap_or_default(),
                dead: dead.get(&task.destination),
                task,
            };
            match case.task.state {
                TaskState::Held(hold) => self.set_aside(case, hold, &mut work, now),
                _ => self.decide(case, &mut work, now),
            }
        }
        work.looked.notices = add(tx, &work.notices, now).await?;
        tx.save_recipients(&work.changed).await?;
        tx.save_tasks(&work.kept).await?;
        tx.delete_tasks(&work.over).await?;
        save_messages(tx, messages.into_values().collect()).await?;
        Ok(work.looked)
    }
}

async fn recipients_of<T: Transaction>(
    tx: &mut T,
    tasks: &[Task],
) -> Result<BTreeMap<TaskId, Vec<QueuedRecipient>>, StoreError> {
    let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    let mut recipients: BTreeMap<TaskId, Vec<QueuedRecipient>> = BTreeMap::new();
    for one in tx.recipients(&ids, true).await? {
        recipients.entry(one.task).or_default().push(one);
    }
    Ok(recipients)
}

impl Look {
    /// The destinations of tasks that do not answer.
    async fn dead<T: Transaction>(
        &self,
        tx: &mut T,
        tasks: &[Task],
    ) -> Result<BTreeMap<DestinationName, Dead>, StoreError> {
        let ready = tasks.iter().filter(|task| task.state == TaskState::Ready);
        let names: BTreeSet<_> = ready.map(|task| task.destination.clone()).collect();
        let names: Vec<DestinationName> = names.into_iter().collect();
        let destinations = lock_known(tx, &names, &self.rules).await?;
        let dead = destinations.into_iter();
        Ok(dead.filter_map(|one| Some((one.name, one.dead?))).collect())
    }

    /// Gives a task up, has its sender warned, or says when to look again.
    fn decide(&self, mut case: Case<'_>, work: &mut Work, now: Timestamp) {
        let schedule = &self.rules.schedule;
        let null_sender = is_null(case.message.kind, &case.message.sender);
        let arrived = case.task.arrived;
        let expires = schedule.expires(null_sender, arrived);
        let rests = case.dead.is_some_and(|dead| dead.until > now);
        if expires <= now && case.task.due <= now && rests {
            return case.give_up(work, now);
        }
        if !case.task.warned && schedule.warns(null_sender, arrived) <= now {
            case.warn(work, now);
        }
        let watch = schedule.watch(null_sender, arrived, case.task.warned);
        // What is too old already has its attempt, or becomes one whose destination rests.
        case.task.watch = match watch <= now {
            true => case.task.due.max(now.after(NOT_TRIED)),
            false => watch,
        };
        work.kept.push(case.task);
    }

    /// Has the postmaster told of a task that was set aside. It is not looked at any more before it is released.
    fn set_aside(&self, mut case: Case<'_>, hold: Hold, work: &mut Work, now: Timestamp) {
        case.task.watch = Timestamp::NEVER;
        if let Some(postmaster) = self.context.hears_of(hold) {
            let notice = Notice {
                hold,
                task: &case.task,
                message: case.message,
                recipients: &case.recipients,
            };
            work.notices
                .push(notice.write(&self.context, postmaster, now));
        }
        if hold != Hold::Operator {
            work.saw(&case.task, Finding::SetAside(hold), case.recipients.len());
        }
        work.kept.push(case.task);
    }
}

impl Case<'_> {
    /// The last verdict on a recipient; one that says why there is none.
    fn verdict(&self, recipient: &QueuedRecipient) -> Outcome {
        // What cannot be read is as good as none: the recipient must not stay for that.
        let last = recipient.outcome().ok().flatten();
        last.unwrap_or_else(|| match self.dead {
            Some(dead) => {
                let text = format!("delivery temporarily suspended: {}", dead.why);
                Outcome::new(Status::Deferred, EnhancedStatus::new(4, 4, 1), text)
            }
            None => {
                let text = "the message was not tried: mail for its destination has to wait";
                Outcome::new(Status::Deferred, EnhancedStatus::new(4, 4, 5), text)
            }
        })
    }

    fn give_up(self, work: &mut Work, now: Timestamp) {
        let null_sender = is_null(self.message.kind, &self.message.sender);
        let mut settled = Settled::default();
        let mut changed = Vec::with_capacity(self.recipients.len());
        for mut one in self.recipients.iter().cloned() {
            let outcome = expire(Some(self.verdict(&one)));
            settle(&mut one, &outcome, null_sender, &mut settled);
            changed.push(one);
        }
        account(self.message, settled, now);
        work.saw(&self.task, Finding::Expired, changed.len());
        work.changed.append(&mut changed);
        work.over.push(self.task.id);
    }

    /// Has the sender told, once for each task: all tasks of a message have the same time, and those that were under way
    /// then follow.
    fn warn(&mut self, work: &mut Work, now: Timestamp) {
        self.task.warned = true;
        let mut changed = Vec::new();
        for one in &self.recipients {
            let notify = one.recipient.notify;
            if !notify.is_none() && !notify.contains(Notify::DELAY) {
                continue;
            }
            let mut one = one.clone();
            one.set_verdict(&self.verdict(&one));
            one.owed = Some(DsnKind::Delay);
            changed.push(one);
        }
        if changed.is_empty() {
            return;
        }
        let soon = now.after(DELAY_ROUND);
        self.message.report_at = self.message.report_at.min(soon);
        work.saw(&self.task, Finding::Delayed, changed.len());
        work.changed.append(&mut changed);
    }
}

impl Work {
    fn saw(&mut self, task: &Task, finding: Finding, recipients: usize) {
        self.looked.tasks.push(Seen {
            task: task.id,
            message: task.message,
            destination: task.destination.clone(),
            finding,
            recipients: u32::try_from(recipients).unwrap_or(u32::MAX),
        });
    }
}
