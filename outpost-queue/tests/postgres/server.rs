//! A server that goes away, and comes back.

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use outpost_queue::{
    operation::Submit,
    store::{Operation, Store, StoreError, Transaction},
};
use tokio::sync::Notify;

use super::kit::{Server, admit, client, name, open, server, submissions};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_restart_between_two_operations_is_not_noticed() {
    let server = Server::start(&[]);
    let store = open(&server.url, &name()).await;
    let all: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { store.run(Submit::new(submissions(1, 1))).await.unwrap() }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    server.stop();
    server.up();
    for _ in 0..10 {
        store.run(Submit::new(submissions(1, 1))).await.unwrap();
    }
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 18);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_server_that_stays_away_is_told_and_one_that_comes_back_is_found() {
    let server = Server::start(&[]);
    let store = open(&server.url, &name()).await;
    server.stop();
    let error = store.run(Submit::new(submissions(1, 1))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.passes());
    // It comes back while somebody waits for it.
    let waits = tokio::spawn({
        let store = store.clone();
        async move { store.run(Submit::new(submissions(1, 1))).await }
    });
    server.up();
    waits.await.unwrap().unwrap();
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 1);
}

/// A submission whose connection is ended in the middle of its first run.
struct Broken {
    submit: Submit,
    inside: Arc<Notify>,
    go_on: Arc<Notify>,
    times: Arc<AtomicU32>,
}

impl Operation for Broken {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        self.submit.run(tx).await?;
        if self.times.fetch_add(1, Ordering::SeqCst) == 0 {
            self.inside.notify_one();
            self.go_on.notified().await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_connection_that_is_ended_in_the_middle_is_replaced() {
    let schema = name();
    let store = open(&server(), &schema).await;
    let [inside, go_on] = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let times = Arc::new(AtomicU32::new(0));
    let broken = Broken {
        submit: Submit::new(submissions(2, 1)),
        inside: Arc::clone(&inside),
        go_on: Arc::clone(&go_on),
        times: Arc::clone(&times),
    };
    let runs = tokio::spawn({
        let store = store.clone();
        async move { store.run(broken).await }
    });
    inside.notified().await;
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE state = 'idle in transaction' AND query LIKE '%{schema}%'"
    );
    let beside = client(&server()).await;
    // Its last statement may not have arrived yet.
    while beside.query_one(&end, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    go_on.notify_one();
    runs.await.unwrap().unwrap();
    assert_eq!(times.load(Ordering::SeqCst), 2);
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 2);
}

/// A transaction that is given up in the middle leaves nothing, and its connection is not used again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn what_is_dropped_in_the_middle_leaves_nothing() {
    let store = open(&server(), &name()).await;
    let inside = Arc::new(Notify::new());
    let broken = Broken {
        submit: Submit::new(submissions(2, 1)),
        inside: Arc::clone(&inside),
        go_on: Arc::default(),
        times: Arc::default(),
    };
    let runs = tokio::spawn({
        let store = store.clone();
        async move { store.run(broken).await }
    });
    inside.notified().await;
    runs.abort();
    assert!(runs.await.unwrap_err().is_cancelled());
    store.run(Submit::new(submissions(1, 1))).await.unwrap();
    assert_eq!(store.run(admit("one", 100)).await.unwrap().0, 1);
}

/// An error that is nobody's fault but the caller's ends one transaction, and nothing else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn what_the_server_does_not_take_is_an_error_of_its_own() {
    struct Wrong(&'static str);
    impl Operation for Wrong {
        type Output = ();
        async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
            // PostgreSQL takes no NUL in a text.
            let now = tx.now().await?;
            tx.shared(self.0, &["k".to_owned()], now).await.map(drop)
        }
    }
    let store = open(&server(), &name()).await;
    let error = store.run(Wrong("a\0b")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Other(why) if why.contains("22021")),
        "{error}"
    );
    store.run(Wrong("fine")).await.unwrap();
}
