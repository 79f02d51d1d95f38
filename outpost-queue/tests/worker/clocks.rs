//! Clocks that are wrong: those of machines, which nobody asks, and that of a store, which all ask.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use outpost_queue::{
    model::{Fate, MessageState, Timestamp},
    operation::{Submission, Submit},
    store::{
        Store,
        memory::{MemoryStore, Rows},
    },
    worker::Stop,
};
use tokio::time::{Instant, sleep};

use crate::kit::{Kit, deferred, sent, submission};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const START: i64 = 1_704_067_200_000_000;

async fn submit(kit: &Kit, submissions: Vec<Submission>) {
    kit.store.run(Submit::new(submissions)).await.unwrap();
}

fn finished(rows: &Rows) -> bool {
    let finished = |one: &outpost_queue::model::Message| one.state == MessageState::Finished;
    rows.messages.values().all(finished)
}

/// A clock that goes on only when it is told to.
fn stopped() -> (MemoryStore, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(START));
    let read = Arc::clone(&clock);
    let store = MemoryStore::new(move || Timestamp::from_micros(read.load(Ordering::Relaxed)));
    (store, clock)
}

/// A clock that goes on by itself, with jumps: microseconds that it is ahead.
fn jumpy() -> (MemoryStore, Arc<AtomicI64>) {
    let ahead = Arc::new(AtomicI64::new(0));
    let (begun, read) = (Instant::now(), Arc::clone(&ahead));
    let store = MemoryStore::new(move || {
        let passed = i64::try_from(begun.elapsed().as_micros()).unwrap();
        Timestamp::from_micros(START + passed + read.load(Ordering::Relaxed))
    });
    (store, ahead)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap()
}

/// The time of one machine is four times as fast as that of the other, and that of the store stands still: what one
/// defers is due for the other when the store says so.
#[tokio::test(start_paused = true)]
async fn a_task_is_due_by_the_clock_of_the_store_alone() {
    for paces in [[0.5, 2.0], [2.0, 0.5]] {
        let tries: Arc<AtomicUsize> = Arc::default();
        let (store, clock) = stopped();
        let machine = |pace| {
            let tried = Arc::clone(&tries);
            let mut kit = Kit::new(move |mut attempt| {
                let first = tried.fetch_add(1, Ordering::Relaxed) == 0;
                async move {
                    attempt.read().await.unwrap();
                    if first { deferred() } else { sent() }
                }
            });
            kit.store = store.clone();
            kit.courier.pace = pace;
            kit
        };
        let [one, two] = paces.map(machine);
        let stop = Stop::new();
        let running = tokio::spawn(one.worker("one").with_stop(stop.clone()).run());
        sleep(3600 * SECOND).await;
        submit(&one, vec![submission(&["a@example.com"])]).await;
        one.until(|rows| rows.tasks.values().any(|task| task.attempts == 1))
            .await;
        stop.step();
        running.await.unwrap();
        let backoff = one.options("").rules.schedule.minimal_backoff;
        let start = Timestamp::from_micros(START);
        {
            let rows = store.rows();
            let arrived = rows.messages.values().map(|message| message.arrived);
            assert_eq!(arrived.collect::<Vec<_>>(), [start]);
            let due = rows.tasks.values().map(|task| task.due);
            assert_eq!(due.collect::<Vec<_>>(), [start.after(backoff)]);
        }
        tokio::spawn(two.worker("two").run());
        sleep(24 * 60 * MINUTE).await;
        clock.fetch_add(micros(backoff) - 1, Ordering::Relaxed);
        sleep(60 * MINUTE).await;
        assert_eq!(tries.load(Ordering::Relaxed), 1, "{paces:?}");
        clock.fetch_add(1, Ordering::Relaxed);
        sleep(5 * SECOND).await;
        assert_eq!(tries.load(Ordering::Relaxed), 2, "{paces:?}");
        assert!(finished(&store.rows()));
        assert_eq!(two.delivered(), 1);
    }
}

/// Leases are as long as the store says, and renewed as often as each machine thinks: one whose time is half as fast
/// as the store's keeps them all the same.
#[tokio::test(start_paused = true)]
async fn leases_outlive_clocks_that_go_wrong() {
    let (store, _) = jumpy();
    let machine = |pace| {
        let mut kit = Kit::new(|_| async {
            sleep(15 * MINUTE).await;
            sent()
        });
        kit.store = store.clone();
        kit.courier.pace = pace;
        kit
    };
    let [slow, fast] = [2.0, 0.5].map(machine);
    submit(&slow, vec![submission(&["a@example.com"])]).await;
    tokio::spawn(slow.worker("slow").run());
    slow.until(|rows| rows.tasks.values().any(|task| task.fence.0 > 0))
        .await;
    tokio::spawn(fast.worker("fast").run());
    slow.until(finished).await;
    assert_eq!((slow.delivered(), fast.delivered()), (1, 0));
    assert!(!slow.heard("died") && !fast.heard("died"));
}

/// The clock of the store is set forward and back by minutes while deliveries run: no living worker loses a task.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_takes_nothing_from_living_workers() {
    for seconds in [25, 45, 61, 600] {
        for pause in [97, 331] {
            let jump = Duration::from_secs(seconds);
            let (store, ahead) = jumpy();
            let mut kit = Kit::new(|mut attempt| async move {
                sleep(20 * MINUTE).await;
                attempt.read().await.unwrap();
                sleep(10 * MINUTE).await;
                sent()
            });
            kit.store = store;
            let to = |n| submission(&[&format!("a@d{n}.example")]);
            submit(&kit, (0..10).map(to).collect()).await;
            for name in ["one", "two"] {
                let mut options = kit.options(name);
                options.slots = 5;
                tokio::spawn(kit.worker_on(kit.store.clone(), options).run());
            }
            let begun = Instant::now();
            while !finished(&kit.store.rows()) {
                assert!(begun.elapsed() < 120 * MINUTE, "{seconds} {pause}");
                sleep(Duration::from_secs(pause)).await;
                let was = ahead.load(Ordering::Relaxed);
                let is = if was == 0 { micros(jump) } else { 0 };
                ahead.store(is, Ordering::Relaxed);
            }
            let row = (seconds, pause, kit.events.lock().unwrap().len());
            assert!(
                !kit.heard("died") && !kit.heard("somebody else's"),
                "{row:?}"
            );
            assert_eq!(kit.delivered(), 10, "{row:?}");
            assert!(begun.elapsed() < 45 * MINUTE, "{row:?}");
        }
    }
}

/// It jumps about at random while workers are killed: nobody is lost, and who has it twice is marked.
#[tokio::test(start_paused = true)]
async fn nobody_is_lost_where_the_clock_jumps_about() {
    let mut state = 7_u64;
    let mut dice = move |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    };
    let mut killed = 0;
    for round in 0..8 {
        let (store, ahead) = jumpy();
        let ends: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let machine = |_: usize| {
            let told = Arc::clone(&ends);
            let mut kit = Kit::new(move |mut attempt| {
                let told = Arc::clone(&told);
                async move {
                    let to = attempt.request.recipients[0].address.as_str().to_owned();
                    let number: u64 = to.split('@').next().unwrap().parse().unwrap();
                    sleep(Duration::from_secs(number * 13 % 100)).await;
                    if attempt.read().await.is_err() {
                        return deferred();
                    }
                    sleep(Duration::from_secs(number * 7 % 50)).await;
                    // The server answers.
                    *told.lock().unwrap().entry(to).or_default() += 1;
                    sent()
                }
            });
            kit.store = store.clone();
            kit
        };
        let kits: Vec<Kit> = (0..2).map(machine).collect();
        let all: Vec<String> = (0..40)
            .map(|n| format!("{n}@d{}.example", n % 20))
            .collect();
        submit(&kits[0], all.iter().map(|to| submission(&[to])).collect()).await;
        let mut running: Vec<_> = kits
            .iter()
            .map(|kit| tokio::spawn(kit.worker("first").run()))
            .collect();
        let begun = Instant::now();
        while !finished(&store.rows()) {
            let rows = store.rows().tasks.clone();
            assert!(begun.elapsed() < 48 * 60 * MINUTE, "{round}: {rows:#?}");
            sleep(Duration::from_secs(1 + dice(90))).await;
            let minutes = i64::try_from(dice(31)).unwrap() - 15;
            ahead.store(minutes * micros(MINUTE), Ordering::Relaxed);
            if dice(4) == 0 && begun.elapsed() < 5 * MINUTE {
                let which = usize::try_from(dice(2)).unwrap();
                running[which].abort();
                kits[which].courier.kill();
                killed += 1;
                let name = format!("after {killed} deaths");
                running[which] = tokio::spawn(kits[which].worker(&name).run());
            }
        }
        running.iter().for_each(tokio::task::JoinHandle::abort);
        kits.iter().for_each(|kit| kit.courier.kill());
        let (rows, ends) = (store.rows(), ends.lock().unwrap());
        for one in rows.recipients.values() {
            let to = one.recipient.address.as_str();
            let times = ends.get(to).copied().unwrap_or_default();
            assert_eq!(one.fate, Fate::Sent, "{round}: {to}");
            assert!(
                times == 1 || times > 1 && one.doubtful,
                "{round}: {to} {times}"
            );
        }
    }
    assert!(killed > 3, "{killed}");
}

/// Decisions and transactions take the time from the store: no source of them names a clock.
#[test]
fn nothing_that_decides_has_a_clock_of_its_own() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked = 0;
    let mut folders: Vec<_> = [
        "model",
        "rules",
        "operation",
        "report",
        "worker",
        "queue",
        "batch",
    ]
    .map(|name| source.join(name))
    .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            looked += 1;
            let text = fs::read_to_string(&path).unwrap();
            for clock in ["SystemTime", "Instant", "Timestamp::now", "Zoned::now"] {
                assert!(!text.contains(clock), "{clock} in {}", path.display());
            }
        }
    }
    assert!(looked > 40, "{looked}");
}
