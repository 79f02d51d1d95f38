//! Many users of one store at the same time.

use std::{
    collections::BTreeSet,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use outpost_queue::{
    model::{Fate, MessageId, QueuedRecipient, Shared, Timestamp},
    operation::{Admit, Claim, Claimed, Concluded},
    rules::Rules,
    store::Transaction,
};
use smtp_policy::report::Status;

use super::{
    Fixture,
    flows::{end, mark, right, worker},
    rows::{numbers, submission, submit},
    script,
};

const MESSAGES: usize = 300;
const THREADS: usize = 4;

/// Has several workers take tasks, new ones and due ones, until nothing is left. `each` gets those that were taken.
fn work(on: &impl Fixture, rules: &Rules, each: impl Fn(Vec<Claimed>) + Sync) {
    // Whoever has the last tasks sees nothing for so many times only after they are done.
    const IDLE: usize = 20;
    let failed = AtomicBool::new(false);
    let one = |number: usize| {
        let mut idle = 0;
        while idle < IDLE && !failed.load(Ordering::Relaxed) {
            let name = worker(&format!("worker {number}"));
            let (_, mut claimed) = on.run(Admit {
                worker: name.clone(),
                want: 3,
                look: 7,
                rules: rules.clone(),
            });
            claimed.extend(on.run(Claim {
                worker: name,
                want: 5,
                rules: rules.clone(),
            }));
            idle = if claimed.is_empty() { idle + 1 } else { 0 };
            each(claimed);
            thread::yield_now();
        }
    };
    side_by_side(|number| {
        let guard = Fails(&failed);
        one(number);
        core::mem::forget(guard);
    });
}

/// Says that a thread has failed, unless it is forgotten.
struct Fails<'a>(&'a AtomicBool);

impl Drop for Fails<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something in several threads at the same time.
fn side_by_side(job: impl Fn(usize) + Sync) {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (job, start) = (&job, &start);
            scope.spawn(move || {
                start.wait();
                job(number);
            });
        }
    });
}

pub(crate) fn no_task_is_claimed_twice(on: &impl Fixture) {
    let to = |number: usize| format!("r@{}.example", number % 7);
    let all: Vec<_> = (0..MESSAGES)
        .map(|number| submission(&[&to(number)]))
        .collect();
    let ids = on.run(submit(all));
    let rules = Rules::default();
    let taken = Mutex::new(BTreeSet::new());
    work(on, &rules, |claimed| {
        for one in claimed {
            assert!(taken.lock().unwrap().insert(one.task.id), "{one:?}");
            assert!(mark(on, right(&one)));
            assert_eq!(on.run(end(&one, Status::Sent, &rules)), [Concluded::Done]);
        }
    });
    assert_eq!(taken.into_inner().unwrap().len(), MESSAGES);
    let fates = on.run(script!(tx [ids: Vec<MessageId>] -> Vec<Fate> {
        let mut fates = Vec::new();
        for id in ids {
            let recipients: Vec<QueuedRecipient> = tx.recipients_of(*id).await?;
            fates.extend(recipients.iter().map(|one| one.fate));
        }
        Ok(fates)
    }));
    assert_eq!(fates, [Fate::Sent; MESSAGES]);
}

pub(crate) fn no_window_is_exceeded(on: &impl Fixture) {
    const WINDOW: u32 = 3;
    let to = |number: usize| format!("r@{}.example", number % 2);
    let all: Vec<_> = (0..MESSAGES / 3)
        .map(|number| submission(&[&to(number)]))
        .collect();
    on.run(submit(all));
    let mut rules = Rules::default();
    rules.concurrency.initial = WINDOW;
    rules.concurrency.limit = WINDOW;
    let running = [AtomicU32::new(0), AtomicU32::new(0)];
    let most = AtomicU32::new(0);
    let done = AtomicU32::new(0);
    work(on, &rules, |claimed| {
        let count =
            |one: &Claimed| &running[usize::from(one.task.destination.nexthop() == "1.example")];
        for one in &claimed {
            let now = count(one).fetch_add(1, Ordering::SeqCst) + 1;
            assert!(now <= WINDOW, "{now} at a time");
            most.fetch_max(now, Ordering::Relaxed);
        }
        for one in &claimed {
            assert!(mark(on, right(one)));
            count(one).fetch_sub(1, Ordering::SeqCst);
            assert_eq!(on.run(end(one, Status::Sent, &rules)), [Concluded::Done]);
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(done.into_inner() as usize, MESSAGES / 3);
    assert_eq!(most.into_inner(), WINDOW);
}

pub(crate) fn numbers_are_given_out_once(on: &impl Fixture) {
    let all = Mutex::new(BTreeSet::new());
    side_by_side(|_| {
        for count in 1..20 {
            let numbers = numbers(on, count);
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
            let mut all = all.lock().unwrap();
            assert!(numbers.into_iter().all(|number| all.insert(number)));
        }
    });
    assert_eq!(all.into_inner().unwrap().len(), THREADS * 190);
}

fn count(key: &str) -> Shared {
    Shared {
        topic: "t".into(),
        key: key.into(),
        value: String::new(),
        number: 1,
        until: Timestamp::NEVER,
    }
}

pub(crate) fn sums_of_many_threads_are_right(on: &impl Fixture) {
    const EACH: usize = 50;
    side_by_side(|_| {
        for _ in 0..EACH {
            let things = vec![count("a"), count("b")];
            on.run(script!(tx [things: Vec<Shared>] -> () { tx.add_shared(things).await }));
        }
    });
    let sums = on.run(script!(tx [] -> Vec<Shared> {
        tx.scan_shared("t", "", 10, Timestamp::from_micros(0)).await
    }));
    let wanted = (THREADS * EACH) as i64;
    assert_eq!(
        sums.iter().map(|one| one.number).collect::<Vec<_>>(),
        [wanted, wanted]
    );
}

pub(crate) fn one_of_many_claims_a_thing(on: &impl Fixture) {
    let claimed = AtomicU32::new(0);
    side_by_side(|_| {
        for key in 0..30 {
            let things = vec![count(&key.to_string())];
            let keys = on.run(script!(tx [things: Vec<Shared>] -> Vec<String> {
                tx.claim_shared(things, Timestamp::from_micros(0)).await
            }));
            claimed.fetch_add(keys.len() as u32, Ordering::Relaxed);
        }
    });
    assert_eq!(claimed.into_inner(), 30);
}
