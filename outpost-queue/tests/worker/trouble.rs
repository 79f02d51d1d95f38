//! Stores that are away while much is under way, and a message that kills whoever delivers it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use outpost_queue::{
    model::{Fate, Hold, Kind, MessageState, TaskState},
    operation::{Submission, Submit},
    report::{self, Context},
    store::{
        Store,
        memory::{Fault, Rows},
    },
};
use smtp_proto::Address;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::kit::{Attempt, Kit, deferred, sent, submission};

const SECOND: Duration = Duration::from_secs(1);

async fn submit(kit: &Kit, submissions: Vec<Submission>) {
    kit.store.run(Submit::new(submissions)).await.unwrap();
}

fn recipient(attempt: &Attempt) -> String {
    attempt.request.recipients[0].address.as_str().to_owned()
}

fn finished(rows: &Rows) -> bool {
    let finished = |one: &outpost_queue::model::Message| one.state == MessageState::Finished;
    rows.messages.values().all(finished)
}

/// The store goes away for a while when some ends are about to be taken down, others wait at the gate, and others are in
/// the middle of their text.
#[tokio::test(start_paused = true)]
async fn whatever_is_under_way_when_the_store_goes_away_is_delivered_once() {
    for (seconds, put_off) in [(20, 0), (45, 5), (60, 5), (300, 10)] {
        let ends: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let told = Arc::clone(&ends);
        let kit = Kit::new(move |mut attempt| {
            let told = Arc::clone(&told);
            async move {
                let to = recipient(&attempt);
                let before = match to.split('@').next() {
                    Some("taken-down") => 0,
                    Some("gate") => 1,
                    _ => 70,
                };
                sleep(before * SECOND).await;
                if attempt.read().await.is_err() {
                    return deferred();
                }
                *told.lock().unwrap().entry(to).or_default() += 1;
                sleep(SECOND).await;
                sent()
            }
        });
        let begun = Instant::now();
        let end = 500 + 1000 * seconds;
        let away = move |_: &str| {
            let now = begun.elapsed().as_millis();
            (500..end).contains(&now).then_some(Fault::Away)
        };
        let store = kit.store.clone().with_faults(away);
        let kinds = ["taken-down", "gate", "text"];
        let all = kinds
            .iter()
            .flat_map(|kind| (0..5).map(move |n| format!("{kind}@{kind}{n}.example")));
        let all: Vec<String> = all.collect();
        submit(&kit, all.iter().map(|to| submission(&[to])).collect()).await;
        for name in ["one", "two"] {
            tokio::spawn(kit.worker_on(store.clone(), kit.options(name)).run());
        }
        sleep(100 * SECOND + Duration::from_secs(seconds as u64)).await;
        let waits = |rows: &Rows| rows.tasks.values().filter(|one| one.attempts == 1).count();
        assert_eq!(waits(&kit.store.rows()), put_off, "away for {seconds} s");
        kit.until(finished).await;
        let once: BTreeMap<String, usize> = all.iter().map(|to| (to.clone(), 1)).collect();
        assert_eq!(*ends.lock().unwrap(), once, "away for {seconds} s");
        let rows = kit.store.rows();
        let good =
            |one: &outpost_queue::model::QueuedRecipient| one.fate == Fate::Sent && !one.doubtful;
        assert!(rows.recipients.values().all(good), "away for {seconds} s");
        assert!(!kit.heard("died"), "away for {seconds} s");
    }
}

/// Three workers are killed in the middle of a delivery. The message is set aside and the postmaster hears of it, once;
/// what was under way beside it is delivered.
#[tokio::test(start_paused = true)]
async fn a_message_that_kills_its_workers_is_told_to_the_postmaster_once() {
    let (deadly, tries) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let delivered: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let (kills, tried, took) = (deadly.clone(), tries.clone(), delivered.clone());
    let kit = Kit::new(move |mut attempt| {
        let (kills, tried, took) = (kills.clone(), tried.clone(), took.clone());
        async move {
            let to = recipient(&attempt);
            if to == "a@poison.example" {
                tried.fetch_add(1, Ordering::Relaxed);
                sleep(SECOND / 10).await;
                kills.notify_one();
                return std::future::pending().await;
            }
            sleep(SECOND).await;
            let text = String::from_utf8(attempt.read().await.unwrap()).unwrap();
            took.lock().unwrap().push((to, text));
            sent()
        }
    });
    let poison = submission(&["a@poison.example"]);
    submit(&kit, vec![poison, submission(&["b@innocent.example"])]).await;
    let mut context = Context::new("mail.example.net", |address: &Address| {
        let domain = address.domain().unwrap_or("localhost");
        format!("smtp:{domain}").parse().unwrap()
    });
    context.postmaster = Some(Address::parse("postmaster@mail.example.net").unwrap());
    let work = |name: &str| {
        let rules = kit.options(name).rules;
        let mut worker = kit.worker(name);
        for duty in report::duties(&kit.store, &context, &rules, &Arc::new(())) {
            worker = worker.with_duty(duty);
        }
        tokio::spawn(worker.run())
    };
    for name in ["one", "two", "three"] {
        let running = work(name);
        deadly.notified().await;
        running.abort();
        kit.courier.kill();
    }
    work("four");
    work("five");
    sleep(6 * 3600 * SECOND).await;
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    let rows = kit.store.rows();
    let held: Vec<_> = rows.tasks.values().collect();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].state, TaskState::Held(Hold::Poison));
    let notices = rows
        .messages
        .values()
        .filter(|one| one.kind == Kind::Report);
    assert_eq!(notices.count(), 1);
    let mut delivered = delivered.lock().unwrap();
    delivered.sort();
    let to: Vec<&str> = delivered.iter().map(|(to, _)| &**to).collect();
    assert_eq!(to, ["b@innocent.example", "postmaster@mail.example.net"]);
    let id = format!("Queue id:    {}\n", held[0].message);
    assert!(delivered[1].1.contains(&id), "{}", delivered[1].1);
    assert!(delivered[1].1.contains("<a@poison.example>"));
    assert_eq!(
        rows.destinations
            .values()
            .map(|one| one.running)
            .sum::<u32>(),
        0
    );
}
