//! A server that is killed under load: what was acknowledged is there afterwards, once.

use core::time::Duration;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use outpost_queue::{
    model::MessageId,
    operation::Submit,
    store::{Store, postgres::PostgresStore},
};

use super::kit::{Server, client, name, open, submissions};

/// The answer to a submitter.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<MessageId>,
    rounds: usize,
}

/// Submits until it is to stop. A submission without an answer is run again, as the same.
async fn submit(store: PostgresStore, told: Arc<Mutex<Told>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let submit = Submit::new(submissions(5, 3));
        let ids = loop {
            match store.run(submit.clone()).await {
                Ok(ids) => break ids,
                Err(error) => assert!(error.passes(), "{error}"),
            }
        };
        let mut told = told.lock().unwrap();
        told.rounds += 1;
        for id in ids {
            assert!(told.acknowledged.insert(id), "{id} was given twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn what_was_acknowledged_survives_kills_and_is_there_once() {
    let server = Server::start(&[]);
    let schema = name();
    let store = open(&server.url, &schema).await;
    let (told, stop) = (
        Arc::new(Mutex::new(Told::default())),
        Arc::new(AtomicBool::new(false)),
    );
    let all: Vec<_> = (0..8)
        .map(|_| tokio::spawn(submit(store.clone(), Arc::clone(&told), Arc::clone(&stop))))
        .collect();
    for kill in 0..5 {
        let before = told.lock().unwrap().rounds;
        while told.lock().unwrap().rounds < before + 50 + 7 * kill {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        server.up();
    }
    stop.store(true, Ordering::SeqCst);
    for one in all {
        one.await.unwrap();
    }
    let beside = client(&server.url).await;
    let rows = beside
        .query(&format!("SELECT id FROM {schema}.message"), &[])
        .await
        .unwrap();
    let there: BTreeSet<_> = rows.iter().map(|row| MessageId(row.get(0))).collect();
    let acknowledged = told.lock().unwrap().acknowledged.clone();
    // Each was run until it had an answer: there is nothing else.
    assert_eq!(there, acknowledged);
    let parts = format!(
        "SELECT (SELECT count(*) FROM {schema}.task), (SELECT count(*) FROM {schema}.recipient), \
        (SELECT count(*) FROM {schema}.chunk)"
    );
    let row = beside.query_one(&parts, &[]).await.unwrap();
    let there = i64::try_from(there.len()).unwrap();
    assert_eq!(
        (
            row.get::<_, i64>(0),
            row.get::<_, i64>(1),
            row.get::<_, i64>(2)
        ),
        (there, there, there)
    );
}
