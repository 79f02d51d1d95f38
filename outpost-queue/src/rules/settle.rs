//! The effects of the verdicts of one attempt (bounce(8), defer(8); qmgr(8): `src/qmgr/qmgr_deliver.c`,
//! `qmgr_active.c`).

#[cfg(test)]
mod tests;

use smtp_policy::report::{Action, DsnKind, HopStatus, Outcome, Status};
use smtp_proto::{EnhancedStatus, Notify};

use crate::model::{Destination, Fate, Hold, Message, QueuedRecipient, Task, TaskState, Timestamp};

use super::{DoubtPolicy, Rules, schedule::is_null};

/// The remainder of a task after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Recipients who are tried again.
    Task,
    /// Nobody: the task is over.
    Nothing,
}

/// The changes that an attempt makes to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Recipients with a last verdict.
    pub recipients: u32,
    /// Somebody owes the sender a report.
    pub owes: bool,
    /// Recipients may have the message though they are not settled: this attempt has left it open.
    pub doubtful: bool,
}

/// Takes down what an attempt says of a recipient. Outcomes of recipients who are settled are of no account. The null sender
/// is owed nothing (RFC 5321 section 6.1).
pub fn settle(
    recipient: &mut QueuedRecipient,
    outcome: &Outcome,
    null_sender: bool,
    settled: &mut Settled,
) {
    if recipient.fate != Fate::Pending {
        return;
    }
    recipient.doubtful |= outcome.uncertain;
    settled.doubtful |= outcome.uncertain && outcome.status == Status::Deferred;
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
    let owed = owed.filter(|_| !null_sender);
    recipient.fate = fate;
    recipient.owed = owed;
    settled.recipients += 1;
    settled.owes |= owed.is_some();
}

/// Takes down that an attempt says nothing of a recipient. It may have the message if the end of the text may have gone out.
pub fn leave_open(recipient: &mut QueuedRecipient, in_doubt: bool, settled: &mut Settled) {
    if recipient.fate == Fate::Pending && in_doubt {
        recipient.doubtful = true;
        settled.doubtful = true;
    }
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

/// Decides on the rest of a task after an attempt, when all that it said was taken down.
pub fn leave(
    task: &mut Task,
    message: &Message,
    recipients: &mut [QueuedRecipient],
    rules: &Rules,
    now: Timestamp,
    settled: &mut Settled,
) -> Left {
    let null_sender = is_null(message.kind, &message.sender);
    task.attempts = task.attempts.saturating_add(1);
    task.deaths = 0;
    task.doubt = None;
    if now >= rules.schedule.expires(null_sender, task.arrived) {
        for recipient in recipients
            .iter_mut()
            .filter(|one| one.fate == Fate::Pending)
        {
            // What cannot be read any more is no reason to keep the verdicts of others waiting.
            let outcome = expire(recipient.outcome().ok().flatten());
            settle(recipient, &outcome, null_sender, settled);
        }
    }
    if recipients.iter().all(|one| one.fate != Fate::Pending) {
        return Left::Nothing;
    }
    task.due = rules.schedule.next_attempt(task.arrived, now);
    // An earlier doubt was decided on then.
    (task.state, task.watch) = match (settled.doubtful, rules.doubt) {
        // Somebody has to look at it now: the postmaster may want to know.
        (true, DoubtPolicy::Hold) => (TaskState::Held(Hold::Doubt), now),
        _ => {
            let watch = rules.schedule.watch(null_sender, task.arrived, task.warned);
            (TaskState::Ready, watch)
        }
    };
    Left::Task
}

/// Tells a destination how an attempt has gone, and takes its turn back.
///
/// It failed if somebody is to be tried again, and the reason is one that other mail would meet. One that gave nobody an
/// outcome never came as far as the destination, and says nothing of it, as a delivery agent that crashed does not.
pub fn feed_back<'a>(
    destination: &mut Destination,
    outcomes: impl IntoIterator<Item = &'a Outcome>,
    rules: &Rules,
    now: Timestamp,
) {
    let concurrency = &rules.concurrency;
    destination.wake(concurrency, now);
    let mut outcomes = outcomes.into_iter().peekable();
    let some = outcomes.peek().is_some();
    let failure = outcomes.find_map(|outcome| match outcome.status {
        Status::Deferred => outcome.hop.as_deref(),
        _ => None,
    });
    match failure {
        Some(HopStatus { text, .. }) => {
            let rest = rules.schedule.minimal_backoff;
            destination.failed(concurrency, rest, text, now);
        }
        None if some => destination.succeeded(concurrency),
        None => {}
    }
    // Afterwards: what a delivery shows is weighed while its turn is out (`qmgr_deliver_update`).
    destination.give_back(concurrency, now);
}
