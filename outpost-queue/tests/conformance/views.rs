//! The views of operators.

use outpost_queue::{
    model::{
        Counts, Dead, Destination, DestinationName, Fence, Filter, Hold, Load, Message, MessageId,
        MessageState, Task, TaskState, Timestamp,
    },
    rules::Concurrency,
    store::Transaction,
};
use smtp_policy::request::Recipient;
use smtp_proto::Address;

use super::{
    Fixture,
    rows::{NONE, Rows, at, leased, message, message_ids, numbers, place, recipient, task},
    script,
};

fn list(on: &impl Fixture, filter: &Filter, after: Option<i64>, limit: usize) -> Vec<i64> {
    let after = after.map(MessageId);
    message_ids(&on.run(
        script!(tx [filter: Filter, after: Option<MessageId>, limit: usize] -> Vec<Message> {
            tx.list(filter, *after, *limit).await
        }),
    ))
}

fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    change(&mut filter);
    filter
}

/// Five messages: one is arriving, one has ended, one is held in part, one has another sender.
fn put(on: &impl Fixture) -> Vec<i64> {
    let n = numbers(on, 10);
    let mut messages: Vec<Message> = n[..5].iter().map(|id| message(*id)).collect();
    messages[0].state = MessageState::Arriving;
    messages[1].state = MessageState::Finished;
    messages[1].finished = at(5);
    messages[4].sender = "Ünder@Example.ORG".into();
    let held = Task {
        state: TaskState::Held(Hold::Operator),
        ..task(n[6], n[2], "b.example")
    };
    let new = Task {
        state: TaskState::New,
        ..task(n[8], n[4], "b.example")
    };
    let under_way = Task {
        state: leased(7),
        ..task(n[7], n[3], "a.example")
    };
    let mut somebody = recipient(n[4], 0, n[8]);
    somebody.recipient = Recipient::new(Address::parse("SomeBody@B.Example").unwrap());
    let rows = Rows {
        messages,
        tasks: vec![task(n[5], n[2], "a.example"), held, under_way, new],
        recipients: vec![
            recipient(n[2], 0, n[5]),
            recipient(n[2], 1, n[6]),
            recipient(n[3], 0, n[7]),
            somebody,
        ],
        ..Rows::default()
    };
    rows.put(on);
    n
}

pub(crate) fn filters_are_held_to(on: &impl Fixture) {
    let n = put(on);
    let ask = |change: &dyn Fn(&mut Filter)| list(on, &filter(change), None, 10);
    assert_eq!(ask(&|_| ()), [n[0], n[2], n[3], n[4]]);
    assert_eq!(ask(&|one| one.state = Some(MessageState::Arriving)), [n[0]]);
    assert_eq!(ask(&|one| one.state = Some(MessageState::Queued)), n[2..5]);
    assert_eq!(ask(&|one| one.state = Some(MessageState::Finished)), [n[1]]);
    assert_eq!(
        ask(&|one| one.sender = Some("ünder@example.org".into())),
        [n[4]]
    );
    assert_eq!(ask(&|one| one.sender = Some(String::new())), NONE);
    assert_eq!(
        ask(&|one| one.recipient = Some("somebody@b.example".into())),
        [n[4]]
    );
    assert_eq!(
        ask(&|one| one.recipient = Some("r1@example.com".into())),
        [n[2]]
    );
    assert_eq!(
        ask(&|one| one.destination = Some(place("a.example"))),
        [n[2], n[3]]
    );
    assert_eq!(
        ask(&|one| one.destination = Some(place("b.example"))),
        [n[2], n[4]]
    );
    assert_eq!(
        ask(&|one| one.destination = Some(place("nowhere.example"))),
        NONE
    );
    assert_eq!(ask(&|one| one.held = true), [n[2]]);
    assert_eq!(
        ask(&|one| one.before = Some(message(n[3]).arrived)),
        [n[0], n[2]]
    );
    let both = |one: &mut Filter| {
        one.held = true;
        one.destination = Some(place("a.example"));
        one.recipient = Some("r0@example.com".into());
    };
    assert_eq!(ask(&both), [n[2]]);
    let none = |one: &mut Filter| {
        one.destination = Some(place("a.example"));
        one.state = Some(MessageState::Finished);
    };
    assert_eq!(ask(&none), NONE);
}

pub(crate) fn lists_go_on_behind_a_name(on: &impl Fixture) {
    let n = put(on);
    let all = Filter::default();
    assert_eq!(list(on, &all, None, 2), [n[0], n[2]]);
    assert_eq!(list(on, &all, Some(n[2]), 2), [n[3], n[4]]);
    assert_eq!(list(on, &all, Some(n[4]), 2), NONE);
    assert_eq!(list(on, &all, None, 0), NONE);
    let b = filter(|one| one.destination = Some(place("b.example")));
    assert_eq!(list(on, &b, None, 1), [n[2]]);
    assert_eq!(list(on, &b, Some(n[2]), 1), [n[4]]);
    let held = filter(|one| one.held = true);
    assert_eq!(list(on, &held, Some(n[2]), 1), NONE);
}

pub(crate) fn counts_are_right(on: &impl Fixture) {
    let count = || on.run(script!(tx [] -> Counts { tx.counts(at(100)).await }));
    let none = count();
    assert_eq!(
        (none.messages, none.new, none.oldest),
        (0, 0, Timestamp::NEVER)
    );
    let n = numbers(on, 12);
    let mut messages: Vec<Message> = n[..3].iter().map(|id| message(*id)).collect();
    messages[0].state = MessageState::Finished;
    messages[1].state = MessageState::Arriving;
    let state = |id: usize, state: TaskState, due: i64| Task {
        state,
        due: at(due),
        ..task(n[id], n[2], "a.example")
    };
    let doubt = Task {
        doubt: Some(Fence(3)),
        ..state(8, leased(7), 1)
    };
    let rows = Rows {
        messages,
        tasks: vec![
            state(3, TaskState::New, 1),
            state(4, TaskState::Ready, 100),
            state(5, TaskState::Ready, 101),
            state(6, TaskState::Ready, 102),
            state(7, leased(7), 1),
            doubt,
            state(9, TaskState::Held(Hold::Poison), 1),
            state(10, TaskState::Held(Hold::Operator), 1),
        ],
        ..Rows::default()
    };
    rows.put(on);
    let names = vec![place("a.example"), place("b.example"), place("c.example")];
    on.run(script!(tx [names: Vec<DestinationName>] -> () {
        let new = |name: &DestinationName| Destination::new(name.clone(), &Concurrency::default());
        let mut all = tx.lock_destinations(names, new).await?;
        for (destination, until) in all.iter_mut().zip([at(101), at(100)]) {
            destination.dead = Some(Dead { until, why: "no".into() });
        }
        tx.save_destinations(&all).await
    }));
    let counts = count();
    assert_eq!(counts.messages, 2);
    assert_eq!(counts.new, 1);
    assert_eq!((counts.due, counts.deferred), (1, 2));
    assert_eq!((counts.leased, counts.in_doubt), (2, 1));
    assert_eq!((counts.held, counts.dead), (2, 1));
    assert_eq!(counts.oldest, task(n[3], n[2], "a.example").arrived);
}

pub(crate) fn loads_are_right(on: &impl Fixture) {
    let n = numbers(on, 8);
    let state = |id: usize, host: &str, state: TaskState| Task {
        state,
        ..task(n[id], n[0], host)
    };
    let rows = Rows {
        messages: vec![message(n[0])],
        tasks: vec![
            state(1, "a.example", TaskState::New),
            state(2, "b.example", TaskState::Ready),
            state(3, "b.example", TaskState::New),
            state(4, "b.example", leased(5)),
            state(5, "b.example", TaskState::Held(Hold::Doubt)),
            state(6, "c.example", TaskState::Ready),
            state(7, "c.example", TaskState::Ready),
        ],
        ..Rows::default()
    };
    rows.put(on);
    let names: Vec<DestinationName> = ["a", "b", "c", "d"]
        .map(|host| place(&format!("{host}.example")))
        .to_vec();
    let all = on.run(script!(tx [names: Vec<DestinationName>] -> Vec<Destination> {
        let new = |name: &DestinationName| Destination::new(name.clone(), &Concurrency::default());
        tx.lock_destinations(names, new).await
    }));
    let ask =
        |limit: usize| on.run(script!(tx [limit: usize] -> Vec<Load> { tx.loads(*limit).await }));
    let load = |place: usize, tasks: u64, oldest: usize| Load {
        destination: all[place].clone(),
        tasks,
        oldest: task(n[oldest], n[0], "unused").arrived,
    };
    let wanted = [load(1, 4, 2), load(2, 2, 6), load(0, 1, 1)];
    assert_eq!(ask(10), wanted);
    assert_eq!(ask(2), wanted[..2]);
    assert_eq!(ask(0), []);
}
