//! Several at once.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use outpost_queue::{
    model::{Destination, DestinationName, Timestamp},
    operation::Submit,
    rules::Rules,
    store::{Operation, Store, StoreError, Transaction},
};
use smtp_policy::report::Status;
use tokio::sync::Barrier;

use super::kit::{admit, claim, client, conclude, fresh, name, open, server, submissions};

/// Locks two destinations, one after the other, and meets somebody who does so in the other order.
struct Cross {
    names: [DestinationName; 2],
    met: Arc<Barrier>,
    times: Arc<AtomicU32>,
}

impl Operation for Cross {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let [first, second] = &self.names;
        let new =
            |name: &DestinationName| Destination::new(name.clone(), &Rules::default().concurrency);
        tx.lock_destinations(core::slice::from_ref(first), new)
            .await?;
        if self.times.fetch_add(1, Ordering::SeqCst) < 2 {
            self.met.wait().await;
        }
        let mut second = tx
            .lock_destinations(core::slice::from_ref(second), new)
            .await?;
        for one in &mut second {
            one.running += 1;
        }
        tx.save_destinations(&second).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn of_two_that_wait_for_each_other_both_are_done() {
    let schema = name();
    let store = open(&server(), &schema).await;
    let (met, times) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let [a, b]: [DestinationName; 2] =
        ["smtp:a.example", "smtp:b.example"].map(|name| name.parse().unwrap());
    let cross = |names| {
        let (store, met, times) = (store.clone(), Arc::clone(&met), Arc::clone(&times));
        tokio::spawn(async move { store.run(Cross { names, met, times }).await })
    };
    let both = [cross([a.clone(), b.clone()]), cross([b, a])];
    for one in both {
        one.await.unwrap().unwrap();
    }
    assert!(
        times.load(Ordering::SeqCst) >= 3,
        "nobody had to begin again"
    );
    let rows = client(&server())
        .await
        .query(&format!("SELECT running FROM {schema}.destination"), &[])
        .await
        .unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row.get::<_, i64>(0))
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

/// Is in the way of others each time.
struct Stubborn(Arc<AtomicU32>);

impl Operation for Stubborn {
    type Output = ();

    async fn run<T: Transaction>(&self, _: &mut T) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::Conflict("as ever".to_owned()))
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn conflicts_have_an_end() {
    let (store, times) = (fresh().await, Arc::new(AtomicU32::new(0)));
    let error = store.run(Stubborn(Arc::clone(&times))).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict("as ever".to_owned()));
    assert_eq!(times.load(Ordering::SeqCst), 11);
}

/// Four workers with a store each on three destinations: what is out is counted by the workers themselves.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn workers_together_never_exceed_a_window() {
    let schema = name();
    let store = open(&server(), &schema).await;
    store.run(Submit::new(submissions(600, 3))).await.unwrap();
    let limit = Rules::default().concurrency.limit;
    let out: Arc<BTreeMap<String, AtomicU32>> = Arc::new(
        (0..3)
            .map(|n| (format!("smtp:d{n}.example"), AtomicU32::new(0)))
            .collect(),
    );
    let left = Arc::new(AtomicU32::new(600));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let (schema, out, left) = (schema.clone(), Arc::clone(&out), Arc::clone(&left));
            tokio::spawn(async move {
                let (store, name) = (open(&server(), &schema).await, format!("worker {n}"));
                while left.load(Ordering::SeqCst) > 0 {
                    let (_, mut claimed) = store.run(admit(&name, 20)).await.unwrap();
                    claimed.extend(store.run(claim(&name, 20)).await.unwrap());
                    for one in &claimed {
                        let running = &out[one.task.destination.as_str()];
                        assert!(
                            running.fetch_add(1, Ordering::SeqCst) < limit,
                            "more than {limit}"
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    for one in &claimed {
                        out[one.task.destination.as_str()].fetch_sub(1, Ordering::SeqCst);
                    }
                    store.run(conclude(&claimed, Status::Sent)).await.unwrap();
                    left.fetch_sub(u32::try_from(claimed.len()).unwrap(), Ordering::SeqCst);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// Reads the time.
struct Now;

impl Operation for Now {
    type Output = Timestamp;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Timestamp, StoreError> {
        tx.now().await
    }
}

/// The clock is the database's: this machine's is not asked.
#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn the_time_is_that_of_the_database() {
    let beside = client(&server()).await;
    let question = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let store = fresh().await;
    let before: i64 = beside.query_one(question, &[]).await.unwrap().get(0);
    let now = store.run(Now).await.unwrap().micros();
    let after: i64 = beside.query_one(question, &[]).await.unwrap().get(0);
    assert!(before <= now && now <= after, "{before} {now} {after}");
}
