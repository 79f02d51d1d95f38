//! Whole ways through the queue.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use outpost_queue::{
    model::{
        Destination, Fate, Message, MessageId, MessageState, QueuedRecipient, Task, TaskId,
        TaskState, Timestamp, WorkerName,
    },
    operation::{
        Admit, Append, Begin, Claim, Claimed, Conclude, Concluded, Conclusion, Mark, Purge, Reap,
        Reaped, Release, Renew, Right, Submission, Submit, Submitted,
    },
    rules::{Concurrency, Rules},
    store::{CHUNK, Transaction},
};
use smtp_policy::report::{Outcome, Status};
use smtp_proto::EnhancedStatus;

use super::{
    Fixture,
    rows::{at, place, submission, submit},
    script,
};

pub(crate) fn worker(name: &str) -> WorkerName {
    WorkerName(name.into())
}

pub(crate) fn admit(on: &impl Fixture, name: &str, rules: &Rules) -> Vec<Claimed> {
    on.run(Admit {
        worker: worker(name),
        want: 100,
        look: 100,
        rules: rules.clone(),
    })
    .1
}

pub(crate) fn claim(on: &impl Fixture, name: &str, rules: &Rules) -> Vec<Claimed> {
    on.run(Claim {
        worker: worker(name),
        want: 100,
        rules: rules.clone(),
    })
}

pub(crate) fn right(claimed: &Claimed) -> Right {
    Right {
        task: claimed.task.id,
        fence: claimed.task.fence,
    }
}

pub(crate) fn mark(on: &impl Fixture, right: Right) -> bool {
    on.run(Mark {
        rights: vec![right],
    })
    .contains(&right)
}

pub(crate) fn outcome(status: Status) -> Outcome {
    let class = match status {
        Status::Sent => 2,
        Status::Deferred => 4,
        Status::Bounced => 5,
    };
    Outcome::new(
        status,
        EnhancedStatus::new(class, 0, 0),
        "so said the server",
    )
}

/// Ends an attempt the same for all recipients.
pub(crate) fn end(claimed: &Claimed, status: Status, rules: &Rules) -> Conclude {
    let outcomes = claimed.recipients.iter();
    let outcomes = outcomes.map(|one| (one.number, outcome(status)));
    Conclude {
        conclusions: vec![Conclusion {
            right: right(claimed),
            outcomes: outcomes.collect::<BTreeMap<_, _>>(),
        }],
        rules: rules.clone(),
    }
}

fn state(on: &impl Fixture, message: MessageId) -> (Message, Vec<Task>, Vec<QueuedRecipient>) {
    on.run(
        script!(tx [message: MessageId] -> (Message, Vec<Task>, Vec<QueuedRecipient>) {
            let messages = tx.messages(&[*message]).await?;
            let tasks = tx.tasks_of(&[*message]).await?;
            Ok((messages[0].clone(), tasks, tx.recipients_of(*message).await?))
        }),
    )
}

fn running(on: &impl Fixture, host: &str) -> u32 {
    let name = place(host);
    on.run(
        script!(tx [name: outpost_queue::model::DestinationName] -> u32 {
            let new = |name: &_| Destination::new(Clone::clone(name), &Concurrency::default());
            Ok(tx.lock_destinations(core::slice::from_ref(name), new).await?[0].running)
        }),
    )
}

/// Lets the lease of a task run out.
fn let_die(on: &impl Fixture, task: TaskId) {
    on.run(script!(tx [task: TaskId] -> () {
        let mut tasks = tx.lock_tasks(&[*task]).await?;
        for task in &mut tasks {
            if let TaskState::Leased(lease) = &mut task.state {
                lease.until = at(1);
            }
        }
        tx.save_tasks(&tasks).await
    }));
}

fn reap(on: &impl Fixture) -> Vec<Reaped> {
    on.run(Reap {
        limit: 100,
        rules: Rules::default(),
    })
}

/// Rules under which what is deferred is due at once.
fn hasty() -> Rules {
    let mut rules = Rules::default();
    rules.schedule.minimal_backoff = Duration::ZERO;
    rules.schedule.maximal_backoff = Duration::ZERO;
    rules
}

pub(crate) fn a_message_is_delivered(on: &impl Fixture) {
    let rules = Rules::default();
    let to = ["a@a.example", "b@b.example", "c@a.example"];
    let id = on.run(submit(vec![submission(&to)]))[0];
    let (message, tasks, recipients) = state(on, id);
    assert_eq!(
        (message.state, message.unsettled),
        (MessageState::Queued, 3)
    );
    assert_eq!((tasks.len(), recipients.len()), (2, 3));
    let claimed = admit(on, "one", &rules);
    assert_eq!(claimed.len(), 2);
    assert_eq!(running(on, "a.example"), 1);
    for one in &claimed {
        assert_eq!(one.text, "Subject: hi\n\nhello\n");
        assert_eq!(one.message.id, id);
        let host = one.task.destination.nexthop();
        let addresses = one.recipients.iter().map(|one| &one.recipient.address);
        assert!(addresses.clone().all(|one| one.as_str().ends_with(host)));
        assert_eq!(addresses.count(), if host == "a.example" { 2 } else { 1 });
        assert!(mark(on, right(one)));
        assert_eq!(on.run(end(one, Status::Sent, &rules)), [Concluded::Done]);
    }
    let (message, tasks, recipients) = state(on, id);
    assert_eq!(
        (message.state, message.unsettled),
        (MessageState::Finished, 0)
    );
    assert!(message.finished >= message.arrived && message.finished < Timestamp::NEVER);
    assert_eq!(tasks, []);
    assert!(recipients.iter().all(|one| one.fate == Fate::Sent));
    let text = recipients[0].outcome().unwrap().unwrap().text;
    assert_eq!(text, "so said the server");
    assert_eq!((running(on, "a.example"), running(on, "b.example")), (0, 0));
    let left = on.run(script!(tx [id: MessageId] -> Option<Bytes> { tx.chunk(*id, 0).await }));
    assert_eq!(left, None);
}

pub(crate) fn what_is_deferred_is_due_again(on: &impl Fixture) {
    on.run(submit(vec![submission(&["a@a.example"])]));
    let rules = hasty();
    let claimed = admit(on, "one", &rules);
    on.run(end(&claimed[0], Status::Deferred, &rules));
    let again = claim(on, "two", &rules);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].task.attempts, 1);
    assert!(again[0].task.fence > claimed[0].task.fence);
    // By the usual rules it waits for five minutes, and so does nobody look for it.
    let rules = Rules::default();
    on.run(end(&again[0], Status::Deferred, &rules));
    assert_eq!(claim(on, "one", &rules).len(), 0);
    let (_, tasks, _) = state(on, again[0].message.id);
    assert_eq!(tasks[0].attempts, 2);
    assert!(tasks[0].due >= again[0].now.after(Duration::from_secs(300)));
    assert_eq!(running(on, "a.example"), 0);
}

pub(crate) fn what_is_too_old_is_given_up(on: &impl Fixture) {
    let id = on.run(submit(vec![submission(&["a@a.example"])]))[0];
    let mut rules = hasty();
    rules.schedule.maximal_lifetime = Duration::ZERO;
    let claimed = admit(on, "one", &rules);
    on.run(end(&claimed[0], Status::Deferred, &rules));
    let (message, tasks, recipients) = state(on, id);
    assert_eq!((message.unsettled, tasks.len()), (0, 0));
    assert_eq!(recipients[0].fate, Fate::Bounced);
    assert!(recipients[0].owed.is_some() && message.report_at < Timestamp::NEVER);
}

pub(crate) fn a_dead_worker_loses_its_right(on: &impl Fixture) {
    let rules = Rules::default();
    let id = on.run(submit(vec![submission(&["a@a.example"])]))[0];
    let first = admit(on, "one", &rules).remove(0);
    assert_eq!(reap(on), []);
    let_die(on, first.task.id);
    let reaped = reap(on);
    assert_eq!(reaped.len(), 1);
    assert_eq!(
        (reaped[0].task.deaths, reaped[0].task.state.clone()),
        (1, TaskState::Ready)
    );
    assert_eq!(running(on, "a.example"), 0);
    let second = claim(on, "two", &rules).remove(0);
    assert!(!mark(on, right(&first)));
    let renewed = on.run(Renew {
        rights: vec![right(&first)],
        worker: worker("one"),
        rules: rules.clone(),
    });
    assert!(renewed.is_empty());
    assert_eq!(on.run(end(&first, Status::Sent, &rules)), [Concluded::Lost]);
    assert_eq!(state(on, id).2[0].fate, Fate::Pending);
    assert!(mark(on, right(&second)));
    assert_eq!(
        on.run(end(&second, Status::Sent, &rules)),
        [Concluded::Done]
    );
    assert_eq!(
        on.run(end(&second, Status::Sent, &rules)),
        [Concluded::Lost]
    );
    assert_eq!(state(on, id).2[0].fate, Fate::Sent);
}

pub(crate) fn doubt_is_marked_after_a_death(on: &impl Fixture) {
    let rules = Rules::default();
    let id = on.run(submit(vec![submission(&["a@a.example"])]))[0];
    let first = admit(on, "one", &rules).remove(0);
    assert!(mark(on, right(&first)));
    assert_eq!(state(on, id).1[0].doubt, Some(first.task.fence));
    let_die(on, first.task.id);
    assert!(reap(on)[0].aftermath.doubtful);
    let (_, tasks, recipients) = state(on, id);
    assert_eq!(tasks[0].doubt, None);
    assert!(recipients[0].doubtful);
}

pub(crate) fn what_is_released_is_due_as_before(on: &impl Fixture) {
    let rules = Rules::default();
    on.run(submit(vec![
        submission(&["a@a.example"]),
        submission(&["b@b.example"]),
    ]));
    let claimed = admit(on, "one", &rules);
    let rights: Vec<Right> = claimed.iter().map(right).collect();
    // One may have gone out: it is not given back.
    assert!(mark(on, rights[1]));
    let released = on.run(Release {
        rights: rights.clone(),
        rules: rules.clone(),
    });
    assert_eq!(released.into_iter().collect::<Vec<_>>(), [rights[0]]);
    assert_eq!((running(on, "a.example"), running(on, "b.example")), (0, 1));
    let again = claim(on, "two", &rules);
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].task.id, again[0].task.attempts),
        (rights[0].task, 0)
    );
}

pub(crate) fn a_text_in_pieces_arrives_as_a_whole(on: &impl Fixture) {
    let rules = Rules::default();
    let id = on.run(Begin);
    let text = Bytes::from(vec![b'x'; 2 * CHUNK + 5]);
    for (number, piece) in [(0, text.slice(..CHUNK)), (1, text.slice(CHUNK..))] {
        on.run(Append {
            message: id,
            number,
            text: piece,
        });
    }
    assert_eq!(admit(on, "one", &rules).len(), 0);
    let whole = Submission {
        text: Submitted::Before(id, text.len() as u64),
        ..submission(&["a@a.example"])
    };
    assert_eq!(on.run(submit(vec![whole.clone()])), [id]);
    assert!(on.attempt(submit(vec![whole])).is_err());
    let claimed = admit(on, "one", &rules);
    assert_eq!(claimed[0].message.size, text.len() as u64);
    assert_eq!(claimed[0].text, text.slice(..CHUNK));
    let last = on.run(script!(tx [id: MessageId] -> Option<Bytes> { tx.chunk(*id, 2).await }));
    assert_eq!(last.unwrap(), "xxxxx");
}

pub(crate) fn what_is_old_is_purged(on: &impl Fixture) {
    let rules = Rules::default();
    let ids = on.run(submit(vec![
        submission(&["a@a.example"]),
        submission(&["b@b.example"]),
    ]));
    let claimed = admit(on, "one", &rules);
    on.run(end(&claimed[0], Status::Sent, &rules));
    let begun = on.run(Begin);
    let gone = claimed[0].message.id;
    let mut purge = Purge {
        finished: Duration::from_secs(3600),
        arriving: Duration::from_secs(3600),
        limit: 10,
    };
    assert_eq!(on.run(purge), []);
    purge.finished = Duration::ZERO;
    let mut purged = on.run(purge);
    while purged.is_empty() {
        // It is as if it ended now, until the clock moves.
        purged = on.run(purge);
    }
    assert_eq!(purged, [gone]);
    purge.arriving = Duration::ZERO;
    let mut purged = on.run(purge);
    while purged.is_empty() {
        purged = on.run(purge);
    }
    assert_eq!(purged, [begun]);
    let stays = ids.into_iter().find(|id| *id != gone).unwrap();
    let all = vec![gone, stays, begun];
    let left = on.run(script!(tx [all: Vec<MessageId>] -> Vec<Message> {
        tx.messages(all).await
    }));
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, stays);
}

pub(crate) fn a_submission_that_is_run_again_is_there_once(on: &impl Fixture) {
    let operation = Submit::new(vec![submission(&["a@a.example"]), submission(&["b@x"])]);
    let ids = on.run(operation.clone());
    assert_eq!(on.run(operation), ids);
    assert_eq!(admit(on, "one", &Rules::default()).len(), 2);
    assert_ne!(on.run(submit(vec![submission(&["a@a.example"])])), ids);
}
