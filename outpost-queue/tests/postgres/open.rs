//! States of a database when it is opened.

use outpost_queue::{
    operation::Submit,
    store::{AnyStore, Store, StoreError, postgres::PostgresStore},
};
use tokio_postgres::Client;

use super::kit::{client, fresh, name, open, server, submissions, with};

/// A database of its own, made with these words.
async fn database(words: &str) -> (Client, String, String) {
    let (admin, name) = (client(&server()).await, name());
    admin
        .batch_execute(&format!("CREATE DATABASE {name} {words}"))
        .await
        .unwrap();
    let url = server().replacen("/outpost", &format!("/{name}"), 1);
    assert_ne!(
        url,
        server(),
        "the database of OUTPOST_TEST_POSTGRES is named outpost"
    );
    (admin, name, url)
}

async fn drop_database(admin: &Client, name: &str) {
    admin
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_newer_schema_is_refused_and_left_alone() {
    let schema = name();
    drop(open(&server(), &schema).await);
    let beside = client(&server()).await;
    beside
        .batch_execute(&format!("UPDATE {schema}.version SET version = 1000"))
        .await
        .unwrap();
    let error = PostgresStore::open(&with(&server(), &format!("schema={schema}")))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        StoreError::Version {
            found: 1000,
            known: 1
        }
    );
    let row = beside
        .query_one(&format!("SELECT version FROM {schema}.version"), &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 1000);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn an_older_schema_is_brought_up_to_date() {
    let schema = name();
    let beside = client(&server()).await;
    let older = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.version (one BOOLEAN PRIMARY KEY, version BIGINT NOT NULL);
         INSERT INTO {schema}.version VALUES (true, 0)"
    );
    beside.batch_execute(&older).await.unwrap();
    let store = open(&server(), &schema).await;
    assert_eq!(
        store
            .run(Submit::new(submissions(1, 1)))
            .await
            .unwrap()
            .len(),
        1
    );
    let row = beside
        .query_one(&format!("SELECT version FROM {schema}.version"), &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn of_many_that_open_at_once_one_makes_the_tables() {
    for _ in 0..5 {
        let url = with(&server(), &format!("schema={}", name()));
        let opened: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { PostgresStore::open(&url).await })
            })
            .collect();
        for store in opened {
            let store = store.await.unwrap().unwrap();
            store.run(Submit::new(submissions(1, 1))).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn another_encoding_is_refused_by_name() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let words = format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let (admin, name, url) = database(&words).await;
        let error = PostgresStore::open(&url).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unusable(why) if why.contains(encoding)),
            "{error}"
        );
        drop_database(&admin, &name).await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_database_that_may_not_be_written_says_so() {
    let (admin, name, url) = database("").await;
    let read_only = |on| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    admin.batch_execute(&read_only("on")).await.unwrap();
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    admin.batch_execute(&read_only("off")).await.unwrap();
    drop(PostgresStore::open(&url).await.unwrap());
    admin.batch_execute(&read_only("on")).await.unwrap();
    let store = PostgresStore::open(&url).await.unwrap();
    let error = store.run(Submit::new(submissions(1, 1))).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    drop(store);
    drop_database(&admin, &name).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn tables_and_rows_that_make_no_sense_are_damage() {
    let schema = name();
    let store = open(&server(), &schema).await;
    store.run(Submit::new(submissions(1, 1))).await.unwrap();
    let beside = client(&server()).await;
    beside
        .batch_execute(&format!("UPDATE {schema}.task SET destination = 'nothing'"))
        .await
        .unwrap();
    let error = store.run(super::kit::admit("one", 1)).await.unwrap_err();
    let StoreError::Damaged(why) = &error else {
        panic!("{error}")
    };
    assert!(
        why.contains("table task, row ") && why.contains("column destination"),
        "{why}"
    );
    beside
        .batch_execute(&format!("DROP TABLE {schema}.task"))
        .await
        .unwrap();
    let error = store.run(Submit::new(submissions(1, 1))).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn what_cannot_be_reached_is_told_from_what_refuses() {
    let nobody = "postgres://me:s3cret@127.0.0.1:1/outpost?sslmode=disable";
    let error = PostgresStore::open(nobody).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let nothing = server().replacen("/outpost", "/no_such_database", 1);
    let error = PostgresStore::open(&nothing).await.unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn an_address_opens_it() {
    let store = AnyStore::open(&with(&server(), &format!("schema={}", name())))
        .await
        .unwrap();
    assert!(matches!(store, AnyStore::Postgres(_)));
    assert_eq!(
        store
            .run(Submit::new(submissions(2, 1)))
            .await
            .unwrap()
            .len(),
        2
    );
    drop(fresh().await);
}
