//! What the verdicts of one attempt leave (bounce(8), defer(8); qmgr(8): `src/qmgr/qmgr_deliver.c`,
//! `qmgr_active.c`).

use smtp_policy::report::{Action, DsnKind, HopStatus, Outcome, Status};
use smtp_proto::{EnhancedStatus, Notify};

use crate::model::{Destination, Fate, Hold, Message, QueuedRecipient, Task, TaskState, Timestamp};

use super::{DoubtPolicy, Rules, schedule::is_null};

/// What is left of a task after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Recipients who are tried again.
    Task,
    /// Nobody: the task is over.
    Nothing,
}

/// What an attempt changes about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Recipients with a last verdict.
    pub recipients: u32,
    /// Somebody owes the sender a report.
    pub owes: bool,
}

/// Takes down what an attempt says of a recipient. Outcomes of recipients who are settled are of no account.
pub fn settle(recipient: &mut QueuedRecipient, outcome: &Outcome, settled: &mut Settled) {
    if recipient.fate != Fate::Pending {
        return;
    }
    recipient.doubtful |= outcome.uncertain;
    recipient.set_verdict(outcome);
    let notify = recipient.recipient.notify;
    let (fate, owed) = match outcome.status {
        Status::Deferred => return,
        Status::Sent => {
            let owes = outcome.owes_success_report(&recipient.recipient);
            (Fate::Sent, owes.then_some(DsnKind::Success))
        }
        Status::Bounced => {
            let wanted = notify.is_none() || notify.contains(Notify::FAILURE);
            (Fate::Bounced, wanted.then_some(DsnKind::Failure))
        }
    };
    recipient.fate = fate;
    recipient.owed = owed;
    settled.recipients += 1;
    settled.owes |= owed.is_some();
}

/// The verdict on a recipient whose time is over: that of the last attempt, as a failure.
pub fn expire(last: Option<Outcome>) -> Outcome {
    let mut outcome = last.unwrap_or_else(|| {
        let code = EnhancedStatus::new(4, 4, 7);
        Outcome::new(
            Status::Bounced,
            code,
            "message delivery expired before it was tried",
        )
    });
    outcome.status = Status::Bounced;
    outcome.word = Status::Bounced.as_str();
    outcome.action = Action::Failed;
    outcome
}

/// Decides on the rest of a task after an attempt that has told each recipient's outcome.
pub fn leave(
    task: &mut Task,
    message: &Message,
    recipients: &mut [QueuedRecipient],
    rules: &Rules,
    now: Timestamp,
    settled: &mut Settled,
) -> Result<Left, serde_json::Error> {
    let null_sender = is_null(message.kind, &message.sender);
    task.attempts = task.attempts.saturating_add(1);
    task.deaths = 0;
    task.doubt = None;
    if now >= rules.schedule.expires(null_sender, task.arrived) {
        for recipient in recipients
            .iter_mut()
            .filter(|one| one.fate == Fate::Pending)
        {
            let outcome = expire(recipient.outcome()?);
            settle(recipient, &outcome, settled);
        }
    }
    let mut pending = recipients
        .iter()
        .filter(|one| one.fate == Fate::Pending)
        .peekable();
    if pending.peek().is_none() {
        return Ok(Left::Nothing);
    }
    let doubtful = pending.any(|one| one.doubtful);
    task.due = rules.schedule.next_attempt(task.arrived, now);
    task.watch = rules.schedule.watch(null_sender, task.arrived, task.warned);
    task.state = match (doubtful, rules.doubt) {
        (true, DoubtPolicy::Hold) => TaskState::Held(Hold::Doubt),
        _ => TaskState::Ready,
    };
    Ok(Left::Task)
}

/// Tells a destination how an attempt has gone.
pub fn feed_back<'a>(
    destination: &mut Destination,
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    rules: &Rules,
    now: Timestamp,
) {
    destination.give_back(&rules.concurrency, now);
    let failure = outcomes
        .into_iter()
        .find_map(|outcome| match outcome.status {
            Status::Deferred => outcome.hop.as_deref(),
            _ => None,
        });
    match failure {
        Some(HopStatus { text, .. }) => {
            destination.failed(
                &rules.concurrency,
                rules.schedule.minimal_backoff,
                text,
                now,
            );
        }
        None => destination.succeeded(&rules.concurrency),
    }
}
