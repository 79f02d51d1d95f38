//! The cost of the store in a file of SQLite, with nothing else running: messages in, through and out, and claims with a
//! million tasks waiting.
//!
//! `cargo bench -p outpost-queue --bench sqlite [-- WAITING]`; `TMPDIR` says on which disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use outpost_queue::{
    model::{Kind, WorkerName},
    operation::{
        Addressee, Admit, Claim, Claimed, Conclude, Conclusion, Mark, Right, Submission, Submit,
        Submitted,
    },
    rules::Rules,
    store::{
        Operation, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

const MESSAGES: usize = 20_000;
const BATCH: usize = 64;
const TEXT: usize = 4096;
const DESTINATIONS: usize = 10_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn run<O: Operation>(store: &SqliteStore, operation: O) -> O::Output {
    let mut future = core::pin::pin!(store.run(operation));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value.unwrap(),
            Poll::Pending => thread::park(),
        }
    }
}

fn submission(number: usize, destinations: usize) -> Submission {
    let host = format!("host{}.example", number % destinations);
    let address = Address::parse(&format!("user{number}@{host}")).unwrap();
    Submission {
        kind: Kind::Mail,
        sender: "sender@example.org".into(),
        envelope: r#"{"sender":"sender@example.org","encoding":"8bit","size":4096}"#.into(),
        recipients: vec![Addressee {
            recipient: Recipient::new(address),
            destination: format!("smtp:{host}").parse().unwrap(),
        }],
        recipient_limit: 50,
        text: Submitted::Text(vec![b'x'; TEXT].into()),
    }
}

fn fill(store: &SqliteStore, messages: usize, destinations: usize, text: usize) {
    for first in (0..messages).step_by(1000) {
        let all = (first..messages.min(first + 1000)).map(|number| {
            let mut one = submission(number, destinations);
            one.text = Submitted::Text(vec![b'x'; text].into());
            one
        });
        run(store, Submit::new(all.collect()));
    }
}

fn rights(claimed: &[Claimed]) -> Vec<Right> {
    let right = |one: &Claimed| Right {
        task: one.task.id,
        fence: one.task.fence,
    };
    claimed.iter().map(right).collect()
}

fn conclude(claimed: &[Claimed], rules: &Rules, status: Status) -> Conclude {
    let class = if status == Status::Sent { 2 } else { 4 };
    let outcome = Outcome::new(status, EnhancedStatus::new(class, 0, 0), "queued as 12345");
    let one = |one: &Claimed| Conclusion {
        right: rights(core::slice::from_ref(one))[0],
        outcomes: one
            .recipients
            .iter()
            .map(|one| (one.number, outcome.clone()))
            .collect::<BTreeMap<_, _>>(),
    };
    Conclude {
        conclusions: claimed.iter().map(one).collect(),
        rules: rules.clone(),
    }
}

fn admit(store: &SqliteStore, rules: &Rules) -> (usize, Vec<Claimed>) {
    run(
        store,
        Admit {
            worker: WorkerName("bench".into()),
            want: BATCH,
            look: 2 * BATCH,
            rules: rules.clone(),
        },
    )
}

fn claim(store: &SqliteStore, rules: &Rules) -> Vec<Claimed> {
    run(
        store,
        Claim {
            worker: WorkerName("bench".into()),
            want: BATCH,
            rules: rules.clone(),
        },
    )
}

/// The beginning of a part, by the clock and in the time of the processor that this process has used.
#[derive(Clone, Copy)]
struct Begun(Instant, f64);

impl Begun {
    fn now() -> Self {
        Self(Instant::now(), processor())
    }

    fn said(self, what: &str, messages: usize) {
        let seconds = self.0.elapsed().as_secs_f64();
        let rate = messages as f64 / seconds;
        let each = (processor() - self.1) / messages as f64 * 1e6;
        println!(
            "{what}: {messages} in {seconds:.2} s, {rate:.0}/s, {each:.0} us of the processor each"
        );
    }
}

/// The seconds of the processor that this process has used.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // utime and stime, in ticks of a hundredth.
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    f64::from(ticks) / 100.0
}

/// Delivers everything that is new.
fn drain(store: &SqliteStore, rules: &Rules) -> usize {
    let mut done = 0;
    loop {
        let (seen, mut claimed) = admit(store, rules);
        if claimed.is_empty() {
            claimed = claim(store, rules);
        }
        if claimed.is_empty() && seen == 0 {
            return done;
        }
        run(
            store,
            Mark {
                rights: rights(&claimed),
            },
        );
        run(store, conclude(&claimed, rules, Status::Sent));
        done += claimed.len();
    }
}

fn submissions(store: &SqliteStore) {
    for batch in [1, BATCH] {
        let begun = Begun::now();
        let messages = MESSAGES * batch.min(8) / 8;
        for first in (0..messages).step_by(batch) {
            let all = (first..first + batch).map(|number| submission(number, 100));
            run(store, Submit::new(all.collect()));
        }
        begun.said(&format!("submitted, {batch} at a time"), messages);
    }
    let begun = Begun::now();
    thread::scope(|scope| {
        for thread in 0..64 {
            scope.spawn(move || {
                for number in 0..MESSAGES / 64 {
                    run(store, Submit::new(vec![submission(number + thread, 100)]));
                }
            });
        }
    });
    begun.said("submitted, by 64 threads one by one", MESSAGES / 64 * 64);
}

/// Claims and defers with many tasks waiting.
fn with_many_waiting(waiting: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(folder.path().join("queue.db"), &SqliteOptions::default()).unwrap();
    let mut rules = Rules::default();
    // They are due when they were looked at twice.
    rules.schedule.minimal_backoff = Duration::ZERO;
    rules.schedule.maximal_backoff = Duration::ZERO;
    let begun = Begun::now();
    fill(&store, waiting, DESTINATIONS, 64);
    begun.said("filled", waiting);
    let begun = Begun::now();
    let mut looked = 0;
    loop {
        let admit = Admit {
            worker: WorkerName("bench".into()),
            want: 0,
            look: 1000,
            rules: rules.clone(),
        };
        let (seen, _) = run(&store, admit);
        if seen == 0 {
            break;
        }
        looked += seen;
    }
    begun.said("looked at", looked);
    let mut times = Vec::new();
    let begun = Begun::now();
    let mut done = 0;
    for _ in 0..500 {
        let before = Instant::now();
        let claimed = claim(&store, &rules);
        times.push(before.elapsed());
        done += claimed.len();
        run(
            &store,
            Mark {
                rights: rights(&claimed),
            },
        );
        run(&store, conclude(&claimed, &rules, Status::Deferred));
    }
    begun.said("claimed, marked, deferred", done);
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "a claim of {BATCH}: median {:?}, 99 % {:?}, longest {:?}",
        at(50),
        at(99),
        at(100)
    );
    let begun = Instant::now();
    let survey = outpost_queue::operation::Survey { destinations: 10 };
    let state = run(&store, survey);
    println!(
        "counted {:?} tasks in {:?}",
        state.counts.deferred + state.counts.due,
        begun.elapsed()
    );
}

fn main() {
    let waiting = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(folder.path().join("queue.db"), &SqliteOptions::default()).unwrap();
    let rules = Rules::default();
    submissions(&store);
    let begun = Begun::now();
    let done = drain(&store, &rules);
    begun.said("admitted, marked, concluded", done);
    let begun = Begun::now();
    let mut cycles = 0;
    while cycles < MESSAGES {
        let all = (cycles..cycles + BATCH).map(|number| submission(number, 100));
        run(&store, Submit::new(all.collect()));
        cycles += drain(&store, &rules);
    }
    begun.said("whole ways, one batch after the other", cycles);
    drop(store);
    drop(folder);
    with_many_waiting(waiting.unwrap_or(1_000_000));
}
