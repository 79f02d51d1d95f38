//! Operators' commands to messages, on the store in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use outpost_queue::{
    model::{Fate, Hold, Kind, MessageId, MessageState, Task, TaskState, Timestamp, WorkerName},
    operation::{
        Addressee, Admit, Begin, Change, Claim, Claimed, Conclude, Concluded, Conclusion, Manage,
        Managed, Mark, Purge, Right, Submission, Submit, Submitted,
    },
    rules::Rules,
    store::{Operation, Store, memory::MemoryStore},
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

/// A queue whose clock stands still unless it is told.
struct Queue {
    store: MemoryStore,
    clock: Arc<AtomicI64>,
    rules: Rules,
}

impl Queue {
    fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let time = Arc::clone(&clock);
        Self {
            store: MemoryStore::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed))),
            clock,
            rules: Rules::default(),
        }
    }

    fn run<O: Operation>(&self, operation: O) -> O::Output {
        let result = self.store.run(operation).now_or_never();
        result.expect("memory does not wait").expect("no error")
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// Adds a message to these recipients.
    fn submit(&self, to: &[&str]) -> MessageId {
        let addressee = |to: &&str| {
            let address = Address::parse(to).unwrap();
            let destination = format!("smtp:{}", address.domain().unwrap());
            Addressee {
                recipient: Recipient::new(address),
                destination: destination.parse().unwrap(),
            }
        };
        let submission = Submission {
            kind: Kind::Mail,
            sender: "me@example.org".into(),
            envelope: r#"{"sender":"me@example.org"}"#.into(),
            recipients: to.iter().map(addressee).collect(),
            recipient_limit: 50,
            text: Submitted::Text("Subject: hi\n\nhello\n".into()),
        };
        self.run(Submit::new(vec![submission]))[0]
    }

    fn admit(&self) -> Vec<Claimed> {
        let operation = Admit {
            worker: WorkerName("one".into()),
            want: 10,
            look: 10,
            rules: self.rules.clone(),
        };
        self.run(operation).1
    }

    fn claim(&self) -> Vec<Claimed> {
        self.run(Claim {
            worker: WorkerName("two".into()),
            want: 10,
            rules: self.rules.clone(),
        })
    }

    fn manage(&self, message: MessageId, change: Change) -> Managed {
        let operation = Manage {
            messages: vec![message],
            change,
            rules: self.rules.clone(),
        };
        self.run(operation)[&message]
    }

    /// Ends an attempt with the same outcome for the recipient at each of these places.
    fn conclude(&self, right: Right, places: &[u32], outcome: &Outcome) -> Concluded {
        let outcomes = places.iter().map(|place| (*place, outcome.clone()));
        let conclusion = Conclusion {
            right,
            outcomes: outcomes.collect(),
        };
        self.run(Conclude {
            conclusions: vec![conclusion],
            rules: self.rules.clone(),
        })[0]
    }

    fn task(&self) -> Task {
        let rows = self.store.rows();
        assert_eq!(rows.tasks.len(), 1);
        rows.tasks.values().next().unwrap().clone()
    }

    fn running(&self) -> u32 {
        let rows = self.store.rows();
        rows.destinations.values().map(|one| one.running).sum()
    }
}

fn right(claimed: &Claimed) -> Right {
    Right {
        task: claimed.task.id,
        fence: claimed.task.fence,
    }
}

fn outcome(status: Status) -> Outcome {
    let class = match status {
        Status::Sent => 2,
        Status::Deferred => 4,
        Status::Bounced => 5,
    };
    Outcome::new(status, EnhancedStatus::new(class, 0, 0), "said so")
}

#[test]
fn what_is_held_is_not_claimed_before_it_is_released() {
    let queue = Queue::new();
    let id = queue.submit(&["a@example.com"]);
    let held = queue.manage(id, Change::Hold);
    assert_eq!((held.changed, held.stopped, held.under_way), (1, 0, 0));
    assert_eq!(queue.task().state, TaskState::Held(Hold::Operator));
    assert!(queue.admit().is_empty() && queue.claim().is_empty());
    // To hold it again, or to have it tried, changes nothing.
    assert_eq!(queue.manage(id, Change::Hold).changed, 0);
    assert_eq!(queue.manage(id, Change::Retry).changed, 0);
    assert_eq!(queue.manage(id, Change::Release).changed, 1);
    // Nobody had seen it before, and its time ends nevertheless.
    assert!(queue.task().watch < Timestamp::NEVER);
    assert_eq!(queue.claim().len(), 1);
}

#[test]
fn a_worker_whose_task_is_held_or_cancelled_may_not_send_the_end() {
    for change in [Change::Hold, Change::Cancel] {
        let queue = Queue::new();
        let id = queue.submit(&["a@example.com"]);
        let right = right(&queue.admit()[0]);
        assert_eq!(queue.running(), 1);
        let managed = queue.manage(id, change);
        assert_eq!((managed.changed, managed.stopped), (1, 1), "{change:?}");
        assert_eq!(queue.running(), 0, "{change:?}");
        let marked = queue.run(Mark {
            rights: vec![right],
        });
        assert!(marked.is_empty(), "{change:?}");
        let concluded = queue.conclude(right, &[0], &outcome(Status::Deferred));
        assert_eq!(concluded, Concluded::Lost, "{change:?}");
        assert_eq!(queue.running(), 0, "{change:?}");
    }
}

#[test]
fn an_attempt_in_its_last_step_goes_on_and_counts() {
    for change in [Change::Hold, Change::Cancel] {
        let queue = Queue::new();
        let id = queue.submit(&["a@example.com"]);
        let right = right(&queue.admit()[0]);
        queue.run(Mark {
            rights: vec![right],
        });
        let managed = queue.manage(id, change);
        assert_eq!((managed.changed, managed.under_way), (0, 1), "{change:?}");
        assert_eq!(managed.recipients, 0);
        let concluded = queue.conclude(right, &[0], &outcome(Status::Sent));
        assert_eq!(concluded, Concluded::Done);
        let rows = queue.store.rows();
        assert_eq!(rows.recipients[&(id, 0)].fate, Fate::Sent);
        assert_eq!(rows.messages[&id].state, MessageState::Finished);
    }
}

#[test]
fn who_is_cancelled_is_out_and_the_message_finished() {
    let queue = Queue::new();
    let id = queue.submit(&["a@example.com", "b@example.net"]);
    let claimed = queue.admit();
    let sent = queue.conclude(right(&claimed[0]), &[0], &outcome(Status::Sent));
    let left = queue.conclude(right(&claimed[1]), &[1], &outcome(Status::Deferred));
    assert_eq!([sent, left], [Concluded::Done; 2]);
    let managed = queue.manage(id, Change::Cancel);
    assert_eq!((managed.changed, managed.recipients), (1, 1));
    let rows = queue.store.rows();
    assert_eq!(rows.recipients[&(id, 0)].fate, Fate::Sent);
    assert_eq!(rows.recipients[&(id, 1)].fate, Fate::Cancelled);
    assert!(rows.recipients.values().all(|one| one.owed.is_none()));
    let message = &rows.messages[&id];
    assert_eq!(
        (message.state, message.unsettled, message.report_at),
        (MessageState::Finished, 0, Timestamp::NEVER)
    );
    assert!(rows.tasks.is_empty() && rows.chunks.is_empty());
    let waits = rows.destinations.values().map(|one| one.ready_at);
    assert!(waits.min() == Some(Timestamp::NEVER));
}

#[test]
fn a_cancelled_message_still_owes_the_report_of_who_bounced_before() {
    let queue = Queue::new();
    let id = queue.submit(&["a@example.com", "b@example.net"]);
    let claimed = queue.admit();
    queue.conclude(right(&claimed[0]), &[0], &outcome(Status::Bounced));
    queue.manage(id, Change::Cancel);
    let rows = queue.store.rows();
    let message = &rows.messages[&id];
    assert_eq!(
        (message.state, message.unsettled),
        (MessageState::Queued, 0)
    );
    assert!(message.report_at < Timestamp::NEVER);
    assert!(!rows.chunks.is_empty(), "the report returns the message");
}

#[test]
fn what_is_to_be_tried_now_is_due_although_its_destination_rests() {
    let queue = Queue::new();
    let id = queue.submit(&["a@example.com"]);
    let claimed = queue.admit();
    queue.conclude(right(&claimed[0]), &[0], &outcome(Status::Deferred));
    {
        let mut destination = {
            let rows = queue.store.rows();
            rows.destinations.values().next().unwrap().clone()
        };
        let until = Timestamp::from_micros(900_000_000);
        destination.dead = Some(outpost_queue::model::Dead {
            until,
            why: "down".into(),
        });
        destination.ready_at = until;
        let name = destination.name.clone();
        queue.store.rows().destinations.insert(name, destination);
    }
    queue.pass(1);
    assert!(queue.claim().is_empty());
    assert_eq!(queue.manage(id, Change::Retry).changed, 1);
    assert_eq!(queue.claim().len(), 1);
    assert_eq!(
        queue.manage(id, Change::Retry),
        Managed {
            under_way: 1,
            ..Managed::default()
        }
    );
}

#[test]
fn messages_that_are_not_there_are_not_in_the_answer() {
    let queue = Queue::new();
    let operation = Manage {
        messages: vec![MessageId(77)],
        change: Change::Hold,
        rules: Rules::default(),
    };
    assert_eq!(queue.run(operation), BTreeMap::new());
}

#[test]
fn old_messages_are_purged_and_others_stay() {
    const DAY: Duration = Duration::from_secs(86_400);
    let queue = Queue::new();
    let done = queue.submit(&["a@example.com"]);
    queue.conclude(right(&queue.admit()[0]), &[0], &outcome(Status::Sent));
    let waiting = queue.submit(&["b@example.com"]);
    let orphan = queue.run(Begin);
    let purge = Purge {
        finished: DAY,
        arriving: 2 * DAY,
        limit: 10,
    };
    assert_eq!(queue.run(purge), []);
    queue.pass(86_401);
    assert_eq!(queue.run(purge), [done]);
    queue.pass(86_401);
    assert_eq!(queue.run(purge), [orphan]);
    let rows = queue.store.rows();
    assert_eq!(rows.messages.keys().copied().collect::<Vec<_>>(), [waiting]);
    assert_eq!(rows.recipients.len(), 1);
}
