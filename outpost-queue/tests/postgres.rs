//! The store on PostgreSQL, on the server that `OUTPOST_TEST_POSTGRES` names.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering},
};

use outpost_queue::{
    model::{DestinationName, Kind, WorkerName},
    operation::{
        Addressee, Admit, Claim, Claimed, Conclude, Concluded, Conclusion, Mark, Right, Submission,
        Submit, Submitted,
    },
    rules::Rules,
    store::{Store, postgres::PostgresStore},
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

/// The address of the server, with a schema of its own, whose rest of an earlier run is gone.
async fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server =
        std::env::var("OUTPOST_TEST_POSTGRES").expect("OUTPOST_TEST_POSTGRES names a server");
    let schema = format!(
        "test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let joint = if server.contains('?') { '&' } else { '?' };
    format!("{server}{joint}schema={schema}")
}

fn submission(to: &str) -> Submission {
    let address = Address::parse(to).unwrap();
    let destination = format!("smtp:{}", to.rsplit_once('@').unwrap().1);
    Submission {
        kind: Kind::Mail,
        sender: "me@example.org".into(),
        envelope: r#"{"sender":"me@example.org"}"#.into(),
        recipients: vec![Addressee {
            recipient: Recipient::new(address),
            destination: destination.parse::<DestinationName>().unwrap(),
        }],
        recipient_limit: 50,
        text: Submitted::Text("Subject: hi\n\nhello\n".into()),
    }
}

fn right(one: &Claimed) -> Right {
    Right {
        task: one.task.id,
        fence: one.task.fence,
    }
}

fn conclude(claimed: &[Claimed], status: Status) -> Conclude {
    let code = if status == Status::Sent { 2 } else { 4 };
    let outcome = Outcome::new(status, EnhancedStatus::new(code, 0, 0), "so it is");
    let end = |one: &Claimed| Conclusion {
        right: right(one),
        outcomes: one
            .recipients
            .iter()
            .map(|one| (one.number, outcome.clone()))
            .collect::<BTreeMap<_, _>>(),
    };
    Conclude {
        conclusions: claimed.iter().map(end).collect(),
        rules: Rules::default(),
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/interop runs it"]
async fn messages_go_their_way() {
    let store = PostgresStore::open(&fresh().await).await.unwrap();
    let submit = Submit::new(
        (0..100)
            .map(|n| submission(&format!("a{n}@d{}.example", n % 30)))
            .collect(),
    );
    let ids = store.run(submit.clone()).await.unwrap();
    assert_eq!(store.run(submit).await.unwrap(), ids);
    let worker = WorkerName("one".into());
    let admit = Admit {
        worker: worker.clone(),
        want: 50,
        look: 200,
        rules: Rules::default(),
    };
    let (seen, claimed) = store.run(admit).await.unwrap();
    assert_eq!((seen, claimed.len()), (100, 50));
    let rights: Vec<Right> = claimed.iter().map(right).collect();
    assert_eq!(
        store
            .run(Mark {
                rights: rights.clone()
            })
            .await
            .unwrap(),
        rights.iter().copied().collect::<BTreeSet<_>>()
    );
    let done = store
        .run(conclude(&claimed, Status::Deferred))
        .await
        .unwrap();
    assert!(done.iter().all(|one| *one == Concluded::Done));
    let claim = Claim {
        worker,
        want: 100,
        rules: Rules::default(),
    };
    let claimed = store.run(claim).await.unwrap();
    assert_eq!(claimed.len(), 50);
    let done = store.run(conclude(&claimed, Status::Sent)).await.unwrap();
    assert!(done.iter().all(|one| *one == Concluded::Done));
}
