//! The way of one message through the queue, in memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use futures_util::FutureExt;
use outpost_queue::{
    model::{DestinationName, Fate, Kind, MessageState, Timestamp, WorkerName},
    operation::{
        Addressee, Admit, Claim, Conclude, Concluded, Conclusion, Mark, Right, Submission, Submit,
        Submitted,
    },
    rules::Rules,
    store::{Operation, Store, memory::MemoryStore},
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

fn run<O: Operation>(store: &MemoryStore, operation: O) -> O::Output {
    let result = store.run(operation).now_or_never();
    result.expect("memory does not wait").expect("no error")
}

fn submission(to: &str) -> Submission {
    let destination: DestinationName = "smtp:example.com".parse().expect("a destination");
    let recipient = Recipient::new(Address::parse(to).expect("an address"));
    Submission {
        kind: Kind::Mail,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        recipients: vec![Addressee {
            recipient,
            destination,
        }],
        recipient_limit: 50,
        text: Submitted::Text("Subject: hi\n\nhello\n".into()),
    }
}

#[test]
fn a_deferred_recipient_is_due_after_five_minutes_and_then_sent() {
    let clock = Arc::new(AtomicI64::new(1_000_000));
    let time = Arc::clone(&clock);
    let store = MemoryStore::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed)));
    let rules = Rules::default();
    let worker = WorkerName("one".into());
    let id = run(&store, Submit::new(vec![submission("a@example.com")]))[0];
    let admit = Admit {
        worker: worker.clone(),
        want: 10,
        look: 10,
        rules: rules.clone(),
    };
    let (seen, claimed) = run(&store, admit);
    assert_eq!((seen, claimed.len()), (1, 1));
    let request = claimed[0].request().expect("a request");
    assert_eq!(request.nexthop, "example.com");
    assert_eq!(request.recipients.len(), 1);

    let right = Right {
        task: claimed[0].task.id,
        fence: claimed[0].task.fence,
    };
    assert!(
        run(
            &store,
            Mark {
                rights: vec![right]
            }
        )
        .contains(&right)
    );
    let deferred = Outcome::new(Status::Deferred, EnhancedStatus::new(4, 0, 0), "later");
    let end = |right, outcome| Conclude {
        conclusions: vec![Conclusion {
            right,
            outcomes: BTreeMap::from([(0, outcome)]),
        }],
        rules: Rules::default(),
    };
    assert_eq!(run(&store, end(right, deferred.clone())), [Concluded::Done]);
    assert_eq!(run(&store, end(right, deferred)), [Concluded::Lost]);

    let claim = Claim {
        worker,
        want: 10,
        rules,
    };
    assert!(run(&store, claim.clone()).is_empty());
    clock.fetch_add(301_000_000, Ordering::Relaxed);
    let claimed = run(&store, claim);
    assert_eq!(claimed[0].task.attempts, 1);
    let right = Right {
        task: claimed[0].task.id,
        fence: claimed[0].task.fence,
    };
    let sent = Outcome::new(Status::Sent, EnhancedStatus::new(2, 0, 0), "ok");
    assert_eq!(run(&store, end(right, sent)), [Concluded::Done]);
    let rows = store.rows();
    assert_eq!(rows.messages[&id].state, MessageState::Finished);
    assert_eq!(rows.recipients[&(id, 0)].fate, Fate::Sent);
    assert!(rows.tasks.is_empty() && rows.chunks.is_empty());
    assert_eq!(
        rows.destinations
            .values()
            .map(|one| one.running)
            .sum::<u32>(),
        0
    );
}

#[test]
fn what_is_submitted_again_under_its_key_is_there_once() {
    let store = MemoryStore::new(Timestamp::default);
    let twice = vec![submission("a@example.com"), submission("b@example.com")];
    let submit = Submit::new(twice.clone());
    let ids = run(&store, submit.clone());
    assert_eq!(ids.len(), 2);
    assert_eq!(run(&store, submit), ids);
    assert_eq!(store.rows().messages.len(), 2);
    assert_ne!(run(&store, Submit::new(twice)), ids);
    assert_eq!(store.rows().messages.len(), 4);
}
