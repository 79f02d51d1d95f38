//! Submissions in a transaction of the caller's own.

use outpost_queue::{
    model::MessageState,
    operation::{Submit, Survey},
    store::{Store, StoreError, postgres::submit_in},
};

use super::kit::{admit, client, name, open, server, submissions};

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn they_are_there_when_the_caller_commits_and_not_before() {
    let schema = name();
    let store = open(&server(), &schema).await;
    let mut own = client(&server()).await;
    own.batch_execute(&format!("CREATE TABLE {schema}.orders (customer TEXT)"))
        .await
        .unwrap();
    let submit = Submit::new(submissions(3, 2));
    for commit in [false, true] {
        let transaction = own.transaction().await.unwrap();
        transaction
            .execute(&format!("INSERT INTO {schema}.orders VALUES ('me')"), &[])
            .await
            .unwrap();
        let ids = submit_in(&transaction, &schema, &submit).await.unwrap();
        assert_eq!(ids.len(), 3);
        let state = store.run(Survey { destinations: 1 }).await.unwrap();
        assert_eq!((state.counts.messages, state.counts.new), (0, 0));
        assert_eq!(store.run(admit("one", 10)).await.unwrap().0, 0);
        if commit {
            transaction.commit().await.unwrap();
            // Whoever cannot tell whether it was committed may ask again.
            assert_eq!(store.run(submit.clone()).await.unwrap(), ids);
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    let state = store.run(Survey { destinations: 1 }).await.unwrap();
    assert_eq!((state.counts.messages, state.counts.new), (3, 3));
    let (seen, claimed) = store.run(admit("one", 10)).await.unwrap();
    assert_eq!((seen, claimed.len()), (3, 3));
    assert!(
        claimed
            .iter()
            .all(|one| one.message.state == MessageState::Queued && !one.text.is_empty())
    );
    let orders = own
        .query_one(&format!("SELECT count(*) FROM {schema}.orders"), &[])
        .await
        .unwrap();
    assert_eq!(orders.get::<_, i64>(0), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn a_schema_that_is_not_there_or_newer_is_an_error() {
    let schema = name();
    let mut own = client(&server()).await;
    let submit = Submit::new(submissions(1, 1));
    let transaction = own.transaction().await.unwrap();
    let error = submit_in(&transaction, &schema, &submit).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    transaction.rollback().await.unwrap();
    let error = submit_in(&own.transaction().await.unwrap(), "a\"b", &submit)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error}");
    drop(open(&server(), &schema).await);
    own.batch_execute(&format!("UPDATE {schema}.version SET version = 1000"))
        .await
        .unwrap();
    let error = submit_in(&own.transaction().await.unwrap(), &schema, &submit)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        StoreError::Version {
            found: 1000,
            known: 1
        }
    );
}
