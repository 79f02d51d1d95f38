//! Tasks.

use outpost_queue::{
    model::{
        DestinationName, Fence, Hold, Lease, MessageId, Task, TaskId, TaskState, Timestamp,
        WorkerName,
    },
    store::Transaction,
};

use super::{
    Fixture,
    rows::{NONE, at, ids, leased, numbers, place, put_tasks, task},
    script,
};

fn find(on: &impl Fixture, ids: &[i64]) -> Vec<Task> {
    let ids: Vec<TaskId> = ids.iter().copied().map(TaskId).collect();
    on.run(script!(tx [ids: Vec<TaskId>] -> Vec<Task> { tx.lock_tasks(ids).await }))
}

/// Tasks of one message at `a.example`, changed one by one.
fn made(on: &impl Fixture, changes: &[&dyn Fn(&mut Task)]) -> Vec<i64> {
    let n = numbers(on, changes.len() + 1);
    let tasks: Vec<Task> = changes
        .iter()
        .zip(&n[1..])
        .map(|(change, id)| {
            let mut task = task(*id, n[0], "a.example");
            change(&mut task);
            task
        })
        .collect();
    put_tasks(on, &tasks);
    n[1..].to_vec()
}

pub(crate) fn found_by_name_in_order(on: &impl Fixture) {
    let n = numbers(on, 4);
    let tasks = [task(n[3], n[0], "b.example"), task(n[1], n[0], "a.example")];
    put_tasks(on, &tasks);
    assert_eq!(find(on, &n), [tasks[1].clone(), tasks[0].clone()]);
    assert_eq!(find(on, &[n[2]]), []);
}

pub(crate) fn every_field_comes_back(on: &impl Fixture) {
    let states = [
        TaskState::New,
        TaskState::Ready,
        TaskState::Leased(Lease {
            worker: WorkerName("wörker/1 'x'".into()),
            until: at(12_345),
        }),
        TaskState::Held(Hold::Operator),
        TaskState::Held(Hold::Doubt),
        TaskState::Held(Hold::Poison),
    ];
    let n = numbers(on, states.len() + 1);
    let mut all = Vec::new();
    for (id, state) in n[1..].iter().zip(states) {
        let even = id % 2 == 0;
        all.push(Task {
            destination: ["lmtp:unix:/run/ü.sock", "smtp:[192.0.2.1]:26"][usize::from(even)]
                .parse()
                .unwrap(),
            state,
            due: if even { Timestamp::NEVER } else { at(-1) },
            fence: Fence(i64::MAX - id),
            attempts: u32::MAX >> 1,
            deaths: 2,
            doubt: even.then_some(Fence(i64::MAX - id)),
            watch: if even { at(9) } else { Timestamp::NEVER },
            warned: even,
            ..task(*id, n[0], "unused")
        });
    }
    put_tasks(on, &all);
    assert_eq!(find(on, &n), all);
    // Saved, each takes the state of another.
    let mut states: Vec<TaskState> = all.iter().map(|task| task.state.clone()).collect();
    states.rotate_left(1);
    for (task, state) in all.iter_mut().zip(states) {
        task.state = state;
        task.warned = !task.warned;
        task.doubt = None;
    }
    let new = all.clone();
    on.run(script!(tx [new: Vec<Task>] -> () { tx.save_tasks(new).await }));
    assert_eq!(find(on, &n), all);
}

pub(crate) fn saved_without_what_stays(on: &impl Fixture) {
    let n = numbers(on, 3);
    let (old, other) = (task(n[1], n[0], "a.example"), task(n[2], n[0], "a.example"));
    put_tasks(on, &[old.clone(), other.clone()]);
    let saved = Task {
        id: old.id,
        message: MessageId(n[2]),
        destination: place("b.example"),
        state: leased(5),
        due: at(7),
        fence: Fence(8),
        attempts: 9,
        deaths: 1,
        doubt: Some(Fence(8)),
        arrived: at(10),
        watch: at(11),
        warned: true,
    };
    let new = vec![saved.clone()];
    on.run(script!(tx [new: Vec<Task>] -> () { tx.save_tasks(new).await }));
    let wanted = Task {
        message: old.message,
        destination: old.destination,
        arrived: old.arrived,
        ..saved
    };
    assert_eq!(find(on, &n), [wanted, other]);
}

pub(crate) fn deleted_by_name(on: &impl Fixture) {
    let n = made(on, &[&|_| (), &|_| (), &|task| task.state = leased(5)]);
    let gone = vec![TaskId(n[0]), TaskId(n[2]), TaskId(i64::MAX)];
    on.run(script!(tx [gone: Vec<TaskId>] -> () { tx.delete_tasks(gone).await }));
    assert_eq!(ids(&find(on, &n)), [n[1]]);
}

pub(crate) fn new_ones_come_in_order(on: &impl Fixture) {
    let new = |task: &mut Task| task.state = TaskState::New;
    let held = |task: &mut Task| task.state = TaskState::Held(Hold::Operator);
    let lent = |task: &mut Task| task.state = leased(5);
    let n = made(on, &[&|_| (), &new, &held, &new, &lent, &new]);
    let ask = |limit: usize| {
        ids(&on.run(script!(tx [limit: usize] -> Vec<Task> { tx.lock_new(*limit).await })))
    };
    assert_eq!(ask(10), [n[1], n[3], n[5]]);
    assert_eq!(ask(2), [n[1], n[3]]);
    assert_eq!(ask(0), NONE);
}

pub(crate) fn due_ones_come_earliest_first(on: &impl Fixture) {
    let n = made(
        on,
        &[
            &|task| task.due = at(50),
            &|task| task.due = at(10),
            &|task| task.due = at(51),
            &|task| task.due = at(20),
            &|task| (task.due, task.state) = (at(1), leased(5)),
            &|task| (task.due, task.state) = (at(1), TaskState::New),
            &|task| (task.due, task.state) = (at(1), TaskState::Held(Hold::Doubt)),
            &|task| (task.due, task.destination) = (at(5), place("b.example")),
            &|task| (task.due, task.destination) = (at(6), place("b.example")),
            &|task| (task.due, task.destination) = (at(7), place("c.example")),
        ],
    );
    let ask = |turns: &[(&str, u32)]| {
        let turns: Vec<_> = turns
            .iter()
            .map(|(host, turns)| (place(host), *turns))
            .collect();
        let found = on.run(
            script!(tx [turns: Vec<(DestinationName, u32)>] -> Vec<Task> {
                tx.lock_due(turns, at(50)).await
            }),
        );
        // Of each destination in their order; that of the destinations is the store's.
        let mut by_destination: Vec<(String, i64)> = found
            .iter()
            .map(|task| (task.destination.to_string(), task.id.0))
            .collect();
        by_destination.sort_by(|a, b| a.0.cmp(&b.0));
        by_destination
            .into_iter()
            .map(|(_, id)| id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(&[("a.example", 10)]), [n[1], n[3], n[0]]);
    assert_eq!(
        ask(&[("a.example", 2), ("b.example", 1)]),
        [n[1], n[3], n[7]]
    );
    assert_eq!(ask(&[("a.example", 1), ("nowhere.example", 5)]), [n[1]]);
    assert_eq!(ask(&[("b.example", 0)]), NONE);
    assert_eq!(ask(&[]), NONE);
}

pub(crate) fn the_next_due_time_is_told(on: &impl Fixture) {
    made(
        on,
        &[
            &|task| task.due = at(50),
            &|task| task.due = at(10),
            &|task| (task.due, task.state) = (at(1), leased(5)),
            &|task| {
                (task.due, task.state, task.destination) =
                    (at(1), TaskState::New, place("b.example"));
            },
        ],
    );
    let names = vec![
        place("a.example"),
        place("b.example"),
        place("nowhere.example"),
    ];
    let found = on.run(
        script!(tx [names: Vec<DestinationName>] -> Vec<(DestinationName, Timestamp)> {
            let mut found = tx.next_due(names).await?;
            found.sort();
            Ok(found)
        }),
    );
    let told: Vec<Timestamp> = names
        .iter()
        .map(|name| {
            let found = found.iter().find(|(one, _)| one == name);
            found.map_or(Timestamp::NEVER, |(_, due)| *due)
        })
        .collect();
    assert_eq!(told, [at(10), Timestamp::NEVER, Timestamp::NEVER]);
}

pub(crate) fn abandoned_ones_come_earliest_first(on: &impl Fixture) {
    let n = made(
        on,
        &[
            &|task| task.state = leased(50),
            &|task| task.state = leased(49),
            &|_| (),
            &|task| task.state = leased(10),
            &|task| task.state = leased(i64::MAX),
        ],
    );
    let ask = |limit: usize| {
        ids(&on.run(script!(tx [limit: usize] -> Vec<Task> {
            tx.lock_abandoned(at(50), *limit).await
        })))
    };
    assert_eq!(ask(10), [n[3], n[1]]);
    assert_eq!(ask(1), [n[3]]);
    assert_eq!(ask(0), NONE);
}

pub(crate) fn watched_ones_come_earliest_first(on: &impl Fixture) {
    let n = made(
        on,
        &[
            &|task| task.watch = at(50),
            &|task| (task.watch, task.state) = (at(10), TaskState::Held(Hold::Operator)),
            &|task| (task.watch, task.state) = (at(11), TaskState::Held(Hold::Doubt)),
            &|task| (task.watch, task.state) = (at(12), TaskState::Held(Hold::Poison)),
            &|task| (task.watch, task.state) = (at(1), TaskState::New),
            &|task| (task.watch, task.state) = (at(1), leased(5)),
            &|task| task.watch = at(51),
            &|_| (),
        ],
    );
    let ask = |limit: usize| {
        ids(&on.run(script!(tx [limit: usize] -> Vec<Task> {
            tx.lock_watched(at(50), *limit).await
        })))
    };
    assert_eq!(ask(10), [n[1], n[2], n[3], n[0]]);
    assert_eq!(ask(2), [n[1], n[2]]);
    assert_eq!(ask(0), NONE);
}

pub(crate) fn found_by_message(on: &impl Fixture) {
    let n = numbers(on, 6);
    put_tasks(
        on,
        &[
            task(n[5], n[0], "a.example"),
            task(n[3], n[1], "a.example"),
            task(n[4], n[0], "b.example"),
        ],
    );
    let ask = |messages: &[i64]| {
        let messages: Vec<MessageId> = messages.iter().copied().map(MessageId).collect();
        ids(&on.run(script!(tx [messages: Vec<MessageId>] -> Vec<Task> {
            tx.tasks_of(messages).await
        })))
    };
    assert_eq!(ask(&n[..2]), [n[3], n[4], n[5]]);
    assert_eq!(ask(&n[1..3]), [n[3]]);
    assert_eq!(ask(&[]), NONE);
}
