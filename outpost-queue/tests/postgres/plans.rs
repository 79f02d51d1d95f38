//! The plans of the statements: rows are found by indexes, however many there are.

use outpost_queue::{
    operation::{Purge, Reap, Submit},
    rules::Rules,
    store::Store,
};
use smtp_policy::report::Status;

use tokio_postgres::Client;

use super::kit::{admit, claim, client, conclude, name, open, right, server, submissions, with};

/// More than it takes for a plan to be kept.
const ROUNDS: i64 = 8;

/// Many rows of all kinds, and what the server knows of them.
const ROWS: &str = "
    INSERT INTO @message (id, kind, state, sender, envelope, size, arrived, unsettled)
        SELECT -n, 0, 1, '', '{}', 4, 0, 1 FROM generate_series(1, 20000) AS n;
    INSERT INTO @task (id, message, destination, state, due, fence, attempts, deaths, arrived, watch, warned)
        SELECT -n, -n, 'smtp:x' || n % 100 || '.example', 1, 4000000000000000, 1, 1, 0, 1, 4000000000000000, false
        FROM generate_series(1, 20000) AS n;
    INSERT INTO @recipient (message, number, task, address, notify, fate, doubtful)
        SELECT -n, 0, -n, 'a@x', 0, 0, false FROM generate_series(1, 20000) AS n;
    INSERT INTO @chunk SELECT -n, 0, 'abc' FROM generate_series(1, 20000) AS n;
    ANALYZE @message; ANALYZE @task; ANALYZE @recipient; ANALYZE @chunk";

/// Waits for the end of the sessions of a store, with which they tell what they have counted.
async fn gone(beside: &Client, schema: &str) {
    let alive = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{schema}%' AND pid <> pg_backend_pid()"
    );
    while beside
        .query_one(&alive, &[])
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {
        tokio::time::sleep(core::time::Duration::from_millis(5)).await;
    }
}

/// The server counts the rows that it has read: of twenty thousand it is a few each time.
#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn no_statement_goes_through_a_whole_table() {
    let schema = name();
    // The session that made the tables went through them to make indexes.
    drop(open(&server(), &schema).await);
    let beside = client(&server()).await;
    beside
        .batch_execute(&ROWS.replace('@', &format!("{schema}.")))
        .await
        .unwrap();
    // A table is read from one end to the other as itself, or by an index that does not help.
    let read = format!(
        "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_all_tables WHERE schemaname = '{schema}' \
         AND relname IN ('message', 'task', 'recipient', 'chunk'))::bigint + \
         (SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE schemaname = '{schema}')::bigint"
    );
    let count = async || beside.query_one(&read, &[]).await.unwrap().get::<_, i64>(0);
    gone(&beside, &schema).await;
    let store = open(&with(&server(), "connections=1"), &schema).await;
    let before = count().await;
    for _ in 0..ROUNDS {
        store.run(Submit::new(submissions(10, 5))).await.unwrap();
        let (_, mut claimed) = store.run(admit("one", 10)).await.unwrap();
        claimed.extend(store.run(claim("one", 10)).await.unwrap());
        let rights = claimed.iter().map(right).collect();
        store
            .run(outpost_queue::operation::Mark { rights })
            .await
            .unwrap();
        store.run(conclude(&claimed, Status::Sent)).await.unwrap();
        store
            .run(Reap {
                limit: 10,
                rules: Rules::default(),
            })
            .await
            .unwrap();
        let hour = core::time::Duration::from_secs(3600);
        store
            .run(Purge {
                finished: hour,
                arriving: hour,
                limit: 10,
            })
            .await
            .unwrap();
    }
    drop(store);
    gone(&beside, &schema).await;
    let read = count().await - before;
    assert!(read < ROUNDS * 1000, "{read} rows were read");
}
