//! The life of workers: how they stop, and what they outlive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::pending;
use outpost_queue::{
    model::{Fate, Hold, MessageState, TaskState},
    operation::{Change, Manage, SubmissionKey, Submit},
    store::{
        CHUNK, Store,
        memory::{Fault, Rows},
    },
    worker::{Duty, Progress, Stop},
};
use smtp_policy::report::Status;
use tokio::time::{Instant, sleep};

use crate::kit::{Kit, deferred, sent, submission, with_text};

const SECOND: Duration = Duration::from_secs(1);

async fn submit(kit: &Kit, submissions: Vec<outpost_queue::operation::Submission>) {
    let key = SubmissionKey::random();
    kit.store.run(Submit { key, submissions }).await.unwrap();
}

fn leased(rows: &Rows) -> usize {
    let leased = |one: &&outpost_queue::model::Task| matches!(one.state, TaskState::Leased(_));
    rows.tasks.values().filter(leased).count()
}

fn finished(rows: &Rows) -> bool {
    rows.messages
        .values()
        .all(|one| one.state == MessageState::Finished)
}

fn turns(rows: &Rows) -> u32 {
    rows.destinations.values().map(|one| one.running).sum()
}

#[tokio::test(start_paused = true)]
async fn a_delivery_may_end_after_somebody_wants_the_worker_to_stop() {
    let kit = Kit::new(|_| async {
        sleep(20 * SECOND).await;
        sent()
    });
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    let stop = Stop::new();
    let running = tokio::spawn(kit.worker("one").with_stop(stop.clone()).run());
    kit.until(|rows| leased(rows) == 1).await;
    stop.step();
    submit(&kit, vec![submission(&["b@example.com"])]).await;
    let summary = running.await.unwrap();
    assert_eq!((summary.deliveries, summary.sent, summary.left), (1, 1, 0));
    let rows = kit.store.rows();
    assert_eq!((leased(&rows), turns(&rows)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_takes_too_long_is_ended_politely() {
    let kit = Kit::new(|mut attempt| async move {
        attempt.cancelled.wait_for(|wanted| *wanted).await.unwrap();
        deferred()
    });
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    let stop = Stop::new();
    let running = tokio::spawn(kit.worker("one").with_stop(stop.clone()).run());
    kit.until(|rows| leased(rows) == 1).await;
    let begun = Instant::now();
    stop.step();
    let summary = running.await.unwrap();
    assert_eq!((summary.deferred, summary.left), (1, 0));
    assert_eq!(begun.elapsed().as_secs(), kit.options("").grace.as_secs());
    let rows = kit.store.rows();
    assert_eq!((leased(&rows), turns(&rows)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_second_step_leaves_everything_as_it_is_and_another_worker_takes_over() {
    let hangs = Arc::new(AtomicBool::new(true));
    let hung = Arc::clone(&hangs);
    let kit = Kit::new(move |_| {
        let hangs = hung.load(Ordering::Relaxed);
        async move {
            if hangs {
                pending::<()>().await;
            }
            sent()
        }
    });
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    let stop = Stop::new();
    let running = tokio::spawn(kit.worker("one").with_stop(stop.clone()).run());
    kit.until(|rows| leased(rows) == 1).await;
    let begun = Instant::now();
    stop.step();
    stop.step();
    assert_eq!(running.await.unwrap().left, 1);
    assert!(begun.elapsed() < SECOND);
    hangs.store(false, Ordering::Relaxed);
    tokio::spawn(kit.worker("two").run());
    kit.until(finished).await;
    let lease = kit.options("").rules.lease;
    assert!(
        begun.elapsed() > lease - SECOND,
        "not before the lease ran out"
    );
    assert!(begun.elapsed() < 2 * lease);
    assert!(kit.heard("a worker died with task"));
}

#[tokio::test(start_paused = true)]
async fn leases_last_as_long_as_deliveries() {
    let kit = Kit::new(|_| async {
        sleep(900 * SECOND).await;
        sent()
    });
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    for name in ["one", "two"] {
        tokio::spawn(kit.worker(name).run());
    }
    kit.until(finished).await;
    assert_eq!(kit.delivered(), 1);
    assert!(!kit.heard("died"));
}

#[tokio::test(start_paused = true)]
async fn ends_wait_until_a_store_that_was_away_is_back_and_nothing_is_delivered_twice() {
    let kit = Kit::new(|mut attempt| async move {
        attempt.read().await.unwrap();
        sleep(SECOND).await;
        sent()
    });
    let begun = Instant::now();
    // It goes away while the first deliveries are under way, for a minute and a half.
    let away = move |_: &str| {
        let at = begun.elapsed().as_millis();
        (500..90_500).contains(&at).then_some(Fault::Away)
    };
    let store = kit.store.clone().with_faults(away);
    let to: Vec<_> = (0..30)
        .map(|n| submission(&[&format!("a@d{n}.example")]))
        .collect();
    submit(&kit, to).await;
    let mut options = kit.options("one");
    options.slots = 20;
    tokio::spawn(kit.worker_on(store, options).run());
    kit.until(finished).await;
    assert_eq!(kit.delivered(), 30);
    assert!(begun.elapsed() < 110 * SECOND);
    assert!(kit.heard("cannot take down how deliveries have ended: the store cannot be reached"));
    let rows = kit.store.rows();
    assert!(
        rows.recipients
            .values()
            .all(|one| one.fate == Fate::Sent && !one.doubtful)
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_taken_down_without_an_answer_is_no_loss() {
    let kit = Kit::new(|_| async { sent() });
    let unanswered = AtomicBool::new(true);
    let faults = move |name: &str| {
        let first = name.contains("Conclude") && unanswered.swap(false, Ordering::Relaxed);
        first.then_some(Fault::Unanswered)
    };
    let store = kit.store.clone().with_faults(faults);
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    let stop = Stop::new();
    let worker = kit
        .worker_on(store, kit.options("one"))
        .with_stop(stop.clone());
    let running = tokio::spawn(worker.run());
    kit.until(finished).await;
    stop.step();
    assert_eq!(running.await.unwrap().lost, 0);
    assert!(kit.heard("is over"));
}

#[tokio::test(start_paused = true)]
async fn no_server_gets_the_end_of_a_text_that_is_not_marked() {
    for kind in [Fault::Away, Fault::Unanswered] {
        let kit = Kit::new(|mut attempt| async move {
            match attempt.read().await {
                Ok(_) => sent(),
                Err(_) => deferred(),
            }
        });
        let faults = move |name: &str| name.contains("Mark").then_some(kind);
        let store = kit.store.clone().with_faults(faults);
        submit(&kit, vec![submission(&["a@example.com"])]).await;
        tokio::spawn(kit.worker_on(store, kit.options("one")).run());
        kit.until(|rows| rows.tasks.values().any(|one| one.attempts == 1))
            .await;
        let rows = kit.store.rows();
        let pending = rows.recipients.values().next().unwrap();
        assert_eq!(pending.fate, Fate::Pending);
        assert_eq!(pending.outcome().unwrap().unwrap().status, Status::Deferred);
    }
}

#[tokio::test(start_paused = true)]
async fn the_mark_is_in_the_store_before_the_end_is_read() {
    let store = Arc::new(std::sync::Mutex::new(None));
    let seen = Arc::clone(&store);
    let kit = Kit::new(move |mut attempt| {
        let seen: outpost_queue::store::memory::MemoryStore = seen.lock().unwrap().clone().unwrap();
        async move {
            let marked = || seen.rows().tasks.values().all(|one| one.doubt.is_some());
            let first = futures_util::future::poll_fn(|cx| attempt.text.poll_read(cx, 0, 5));
            assert_eq!(first.await.unwrap(), "Subje");
            assert!(!marked());
            attempt.read().await.unwrap();
            assert!(marked());
            sent()
        }
    });
    *store.lock().unwrap() = Some(kit.store.clone());
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    tokio::spawn(kit.worker("one").run());
    kit.until(finished).await;
    assert_eq!(
        kit.store.rows().recipients.values().next().unwrap().fate,
        Fate::Sent
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_deferral_and_takes_nobody_along() {
    let panics = Arc::new(AtomicUsize::new(1));
    let left = Arc::clone(&panics);
    let kit = Kit::new(move |attempt| {
        let domain = attempt.request.nexthop.as_str() == "bad.example";
        let panics = domain && left.swap(0, Ordering::Relaxed) > 0;
        async move {
            assert!(!panics, "as it was told");
            sent()
        }
    });
    submit(
        &kit,
        vec![
            submission(&["a@bad.example"]),
            submission(&["b@good.example"]),
        ],
    )
    .await;
    tokio::spawn(kit.worker("one").run());
    kit.until(|rows| rows.tasks.values().any(|one| one.attempts == 1))
        .await;
    assert!(kit.heard("panicked: as it was told"));
    let verdict = |rows: &Rows| {
        let mut pending = rows
            .recipients
            .values()
            .filter(|one| one.fate == Fate::Pending);
        pending
            .next()
            .map(|one| one.outcome().unwrap().unwrap().text.to_string())
    };
    let text = verdict(&kit.store.rows()).unwrap();
    assert_eq!(text, "the delivery panicked: as it was told");
    kit.until(finished).await;
    assert_eq!(kit.delivered(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_its_worker_three_times_is_held() {
    let kit = Kit::new(|_| pending());
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    for name in ["one", "two", "three"] {
        let stop = Stop::new();
        let running = tokio::spawn(kit.worker(name).with_stop(stop.clone()).run());
        let its_own = |task: &outpost_queue::model::Task| match &task.state {
            TaskState::Leased(lease) => *lease.worker.0 == *name,
            _ => false,
        };
        kit.until(|rows| rows.tasks.values().all(its_own)).await;
        stop.step();
        stop.step();
        running.await.unwrap();
    }
    tokio::spawn(kit.worker("four").run());
    let held = TaskState::Held(Hold::Poison);
    kit.until(|rows| rows.tasks.values().all(|one| one.state == held))
        .await;
    assert!(kit.heard("it is held, since it has killed its workers"));
    assert_eq!(turns(&kit.store.rows()), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_held_and_said() {
    let kit = Kit::new(|_| async { sent() });
    let mut damaged = submission(&["a@example.com"]);
    damaged.envelope = "{}]".into();
    submit(&kit, vec![damaged, submission(&["b@example.com"])]).await;
    tokio::spawn(kit.worker("one").run());
    kit.until(|rows| rows.tasks.len() == 1 && leased(rows) == 0)
        .await;
    let held = TaskState::Held(Hold::Poison);
    assert!(kit.store.rows().tasks.values().all(|one| one.state == held));
    assert!(kit.heard("cannot be read and is held: trailing characters"));
    assert_eq!((kit.delivered(), turns(&kit.store.rows())), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_somebody_took_away_is_not_delivered_any_further() {
    let dropped = Arc::new(AtomicBool::new(false));
    struct Told(Arc<AtomicBool>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let told = Arc::clone(&dropped);
    let kit = Kit::new(move |_| {
        let told = Told(Arc::clone(&told));
        async move {
            let _told = told;
            pending().await
        }
    });
    submit(&kit, vec![submission(&["a@example.com"])]).await;
    tokio::spawn(kit.worker("one").run());
    kit.until(|rows| leased(rows) == 1).await;
    let fenced = |rows: &mut Rows| {
        for task in rows.tasks.values_mut() {
            task.fence = outpost_queue::model::Fence(task.fence.0 + 1);
        }
    };
    fenced(&mut kit.store.rows());
    sleep(kit.options("").rules.lease).await;
    assert!(dropped.load(Ordering::Relaxed));
    assert!(kit.heard("is somebody else's"));
}

#[tokio::test(start_paused = true)]
async fn a_text_is_read_piece_by_piece_from_any_offset() {
    let text: Vec<u8> = (0..CHUNK * 2 + 1000)
        .map(|n| b"0123456789\n"[n % 11])
        .collect();
    let expected = text.clone();
    let kit = Kit::new(move |mut attempt| {
        let expected = expected.clone();
        async move {
            assert!(attempt.read().await.unwrap() == expected);
            // Another server, from the middle, and the end once more.
            for offset in [
                CHUNK + 17,
                5,
                CHUNK * 2 - 1,
                expected.len() - 1,
                expected.len(),
            ] {
                let read = futures_util::future::poll_fn(|cx| {
                    attempt.text.poll_read(cx, offset as u64, 10)
                });
                let read = read.await.unwrap();
                assert!(expected[offset..].starts_with(&read));
                assert_eq!(read.is_empty(), offset == expected.len());
            }
            sent()
        }
    });
    submit(&kit, vec![with_text(&["a@example.com"], text)]).await;
    tokio::spawn(kit.worker("one").run());
    kit.until(finished).await;
    assert!(!kit.heard("panicked"));
}

#[tokio::test(start_paused = true)]
async fn a_text_with_a_hole_is_never_delivered_as_if_it_were_whole() {
    let text = vec![b'\n'; CHUNK * 2 + 1000];
    let kit = Kit::new(|mut attempt| async move {
        match attempt.read().await {
            Ok(_) => sent(),
            Err(_) => deferred(),
        }
    });
    submit(&kit, vec![with_text(&["a@example.com"], text)]).await;
    kit.store
        .rows()
        .chunks
        .retain(|(_, number), _| *number != 1);
    tokio::spawn(kit.worker("one").run());
    kit.until(|rows| rows.tasks.values().any(|one| one.attempts == 1))
        .await;
    assert!(!finished(&kit.store.rows()));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_100_000_recipients_is_delivered() {
    let kit = Kit::new(|_| async { sent() });
    let to: Vec<String> = (0..100_000)
        .map(|n| format!("u{n}@d{}.example", n % 100))
        .collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut submission = submission(&to);
    submission.recipient_limit = 500;
    let stop = Stop::new();
    let worker = kit.worker("one").with_stop(stop.clone());
    worker.queue().submit(submission).await.unwrap();
    let running = tokio::spawn(worker.run());
    kit.until(finished).await;
    stop.step();
    let summary = running.await.unwrap();
    assert_eq!((summary.deliveries, summary.sent), (200, 100_000));
}

#[tokio::test(start_paused = true)]
async fn duties_are_done_now_and_then_whatever_happens_to_them() {
    let kit = Kit::new(|_| async { sent() });
    let rounds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&rounds);
    let round = move || {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 => Ok(Progress::More),
                1 => Err("not now"),
                2 => panic!("in a duty"),
                _ => Ok(Progress::Done),
            }
        }
    };
    let worker = kit
        .worker("one")
        .with_duty(Duty::new("sweep", 60 * SECOND, round));
    tokio::spawn(worker.run());
    sleep(59 * SECOND).await;
    assert_eq!(rounds.load(Ordering::Relaxed), 4);
    sleep(60 * SECOND).await;
    assert_eq!(rounds.load(Ordering::Relaxed), 5);
    assert!(kit.heard("sweep: not now") && kit.heard("sweep: it panicked"));
}

#[tokio::test(start_paused = true)]
async fn fresh_mail_and_deferred_mail_do_not_keep_each_other_back() {
    let kit = Kit::new(|_| async {
        sleep(SECOND).await;
        sent()
    });
    let many = |kind: &str| -> Vec<_> {
        (0..200)
            .map(|n| submission(&[&format!("{kind}@{kind}{n}.example")]))
            .collect()
    };
    submit(&kit, many("old")).await;
    let hold = |change| Manage {
        messages: kit.store.rows().messages.keys().copied().collect(),
        change,
        rules: kit.options("").rules,
    };
    // What an operator lets go is ready, and not new.
    kit.store.run(hold(Change::Hold)).await.unwrap();
    kit.store.run(hold(Change::Release)).await.unwrap();
    submit(&kit, many("new")).await;
    let mut options = kit.options("one");
    options.slots = 20;
    tokio::spawn(kit.worker_on(kit.store.clone(), options).run());
    kit.until(|rows| {
        rows.messages
            .values()
            .filter(|one| one.state == MessageState::Finished)
            .count()
            >= 100
    })
    .await;
    let rows = kit.store.rows();
    let sent = |kind: &str| {
        let of = |one: &&outpost_queue::model::QueuedRecipient| {
            one.fate == Fate::Sent && one.recipient.address.as_str().starts_with(kind)
        };
        rows.recipients.values().filter(of).count()
    };
    assert!(
        sent("old") >= 40 && sent("new") >= 40,
        "{} {}",
        sent("old"),
        sent("new")
    );
}
