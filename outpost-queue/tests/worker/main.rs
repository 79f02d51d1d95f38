//! Workers on a store in memory, under virtual time, with couriers that do what a test says.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod clocks;
mod kit;
mod large;
mod life;
mod trouble;

use outpost_queue::{
    model::{Fate, MessageState},
    worker::Stop,
};

use kit::{Kit, sent, submission};

#[tokio::test(start_paused = true)]
async fn what_is_submitted_is_delivered_at_once() {
    let kit = Kit::new(|_| async { sent() });
    let stop = Stop::new();
    let worker = kit.worker("one").with_stop(stop.clone());
    let queue = worker.queue();
    let running = tokio::spawn(worker.run());
    // It sleeps for as long as it can.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let before = tokio::time::Instant::now();
    let submit = |n: u32| queue.submit(submission(&[&format!("u{n}@example.com")]));
    let ids = futures_util::future::join_all((0..10).map(submit)).await;
    let ids: Vec<_> = ids.into_iter().map(Result::unwrap).collect();
    kit.until(|rows| {
        let finished = |one: &outpost_queue::model::Message| one.state == MessageState::Finished;
        rows.messages.values().all(finished)
    })
    .await;
    assert!(before.elapsed().as_millis() < 100, "nobody slept");
    stop.step();
    let summary = running.await.unwrap();
    assert_eq!(
        (summary.deliveries, summary.sent, summary.left),
        (10, 10, 0)
    );
    let rows = kit.store.rows();
    assert!(
        ids.iter()
            .all(|id| rows.recipients[&(*id, 0)].fate == Fate::Sent)
    );
    assert_eq!(kit.delivered(), 10);
}
