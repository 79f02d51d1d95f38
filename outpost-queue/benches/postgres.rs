//! The speed of the store on PostgreSQL, on the server that `OUTPOST_TEST_POSTGRES` names: submissions, whole ways of messages,
//! and claims beside a million tasks that are deferred.
//!
//! ```text
//! OUTPOST_TEST_POSTGRES=postgres://… cargo bench -p outpost-queue --features postgres --bench postgres -- submit cycle claim
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use outpost_queue::{
    model::{Kind, WorkerName},
    operation::{
        Addressee, Admit, Claim, Claimed, Conclude, Conclusion, Mark, Right, Submission, Submit,
        Submitted,
    },
    rules::Rules,
    store::{Store, postgres::PostgresStore},
};
use smtp_policy::{
    report::{Outcome, Status},
    request::Recipient,
};
use smtp_proto::{Address, EnhancedStatus};

/// The time for which each thing is measured.
const TIME: Duration = Duration::from_secs(10);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wants = |what: &str| wanted.is_empty() || wanted.iter().any(|one| one == what);
    let Ok(server) = std::env::var("OUTPOST_TEST_POSTGRES") else {
        println!("OUTPOST_TEST_POSTGRES names no server: nothing is measured");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        if wants("submit") {
            for batch in [1, 64] {
                let store = fresh(&server, &format!("submit{batch}"), 8).await;
                let rate = measure(8, |n| submit(store.clone(), batch, n)).await;
                println!("submissions in batches of {batch}, 8 connections: {rate:.0} messages/s");
            }
        }
        if wants("cycle") {
            for workers in [1, 2, 4, 8] {
                let store = fresh(&server, &format!("cycle{workers}"), workers).await;
                let rate = measure(workers, |n| cycle(store.clone(), 64, n)).await;
                println!("submit, admit, mark, conclude in batches of 64, {workers} at once: {rate:.0} messages/s");
            }
        }
        if wants("claim") {
            claims(&server).await;
        }
    });
}

async fn client(server: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// An empty store.
async fn fresh(server: &str, name: &str, connections: usize) -> PostgresStore {
    let schema = format!("bench_{name}");
    let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
    client(server).await.batch_execute(&drop).await.unwrap();
    let joint = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{joint}schema={schema}&connections={connections}");
    PostgresStore::open(&url).await.unwrap()
}

/// The times a second that something is done that tells how many times it was.
async fn measure<F: Future<Output = usize> + Send + 'static>(
    tasks: usize,
    work: impl Fn(usize) -> F,
) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|n| tokio::spawn(work(n))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.concurrency.initial = 1000;
    rules.concurrency.limit = 0;
    rules
}

fn submissions(count: usize) -> Vec<Submission> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let text: bytes::Bytes = format!("Subject: hi\n\n{}", "0123456789abcde\n".repeat(256)).into();
    (0..count)
        .map(|_| {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            Submission {
                kind: Kind::Mail,
                sender: "me@example.org".into(),
                envelope: r#"{"sender":"me@example.org"}"#.into(),
                recipients: vec![Addressee {
                    recipient: Recipient::new(
                        Address::parse(&format!("a{n}@d{}.example", n % 100)).unwrap(),
                    ),
                    destination: format!("smtp:d{}.example", n % 100).parse().unwrap(),
                }],
                recipient_limit: 50,
                text: Submitted::Text(text.clone()),
            }
        })
        .collect()
}

async fn submit(store: PostgresStore, batch: usize, _: usize) -> usize {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < TIME {
        done += store
            .run(Submit::new(submissions(batch)))
            .await
            .unwrap()
            .len();
    }
    done
}

async fn cycle(store: PostgresStore, batch: usize, n: usize) -> usize {
    let worker = WorkerName(format!("worker {n}").into());
    let begun = Instant::now();
    let (mut done, mut times) = (0, [Duration::ZERO; 4]);
    while begun.elapsed() < TIME {
        let mut last = Instant::now();
        let mut lap = |place: usize| {
            times[place] += last.elapsed();
            last = Instant::now();
        };
        store.run(Submit::new(submissions(batch))).await.unwrap();
        lap(0);
        let admit = Admit {
            worker: worker.clone(),
            want: batch,
            look: batch,
            rules: rules(),
        };
        let (_, claimed) = store.run(admit).await.unwrap();
        lap(1);
        let rights = claimed.iter().map(right).collect();
        store.run(Mark { rights }).await.unwrap();
        lap(2);
        done += claimed.len();
        store.run(conclude(&claimed, Status::Sent)).await.unwrap();
        lap(3);
    }
    if n == 0 {
        let rounds = u32::try_from(done / batch).unwrap().max(1);
        println!(
            "  submit {:?}, admit {:?}, mark {:?}, conclude {:?}",
            times[0] / rounds,
            times[1] / rounds,
            times[2] / rounds,
            times[3] / rounds
        );
    }
    done
}

fn right(one: &Claimed) -> Right {
    Right {
        task: one.task.id,
        fence: one.task.fence,
    }
}

fn conclude(claimed: &[Claimed], status: Status) -> Conclude {
    let code = if status == Status::Sent { 2 } else { 4 };
    let outcome = Arc::new(Outcome::new(
        status,
        EnhancedStatus::new(code, 0, 0),
        "so it is",
    ));
    let end = |one: &Claimed| Conclusion {
        right: right(one),
        outcomes: one
            .recipients
            .iter()
            .map(|one| (one.number, (*outcome).clone()))
            .collect::<BTreeMap<_, _>>(),
    };
    Conclude {
        conclusions: claimed.iter().map(end).collect(),
        rules: rules(),
    }
}

/// A million deferred tasks of ten thousand destinations, of which some are due soon.
const LOAD: &str = "
    INSERT INTO @message (id, kind, state, sender, envelope, size, arrived, unsettled)
        SELECT -n, 0, 1, 'me@example.org', '{\"sender\":\"me@example.org\"}', 4, 0, 1 FROM generate_series(1, 1000000) AS n;
    INSERT INTO @chunk SELECT -n, 0, 'abc' FROM generate_series(1, 1000000) AS n;
    INSERT INTO @task (id, message, destination, state, due, fence, attempts, deaths, arrived, watch, warned)
        SELECT -n, -n, 'smtp:d' || n % 10000 || '.example', 1, $2 + n * 1000::bigint, 1, 1, 0, $2, $2 + 400000000000, false
        FROM generate_series(1, 1000000) AS n;
    INSERT INTO @recipient (message, number, task, address, notify, fate, doubtful)
        SELECT -n, 0, -n, 'a@d' || n % 10000 || '.example', 0, 0, false FROM generate_series(1, 1000000) AS n;
    INSERT INTO @destination
        SELECT 'smtp:d' || n || '.example', 0, 5, 0, 0, 0, NULL, NULL, 0, $2 + n * 1000::bigint FROM generate_series(1, 10000) AS n;
    UPDATE @message SET arrived = $2;
    ANALYZE @message; ANALYZE @task; ANALYZE @recipient; ANALYZE @destination; ANALYZE @chunk;
    ALTER TABLE @message SET (autovacuum_enabled = off); ALTER TABLE @task SET (autovacuum_enabled = off);
    ALTER TABLE @recipient SET (autovacuum_enabled = off); ALTER TABLE @destination SET (autovacuum_enabled = off);
    ALTER TABLE @chunk SET (autovacuum_enabled = off)";

async fn claims(server: &str) {
    let store = fresh(server, "claim", 8).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros();
    // A thousand tasks are due each second, and two minutes' worth already is.
    let load = LOAD
        .replace('@', "bench_claim.")
        .replace("$2", &format!("({}::bigint)", now - 120_000_000));
    client(server).await.batch_execute(&load).await.unwrap();
    let worker = WorkerName("worker".into());
    let claim = Claim {
        worker: worker.clone(),
        want: 64,
        rules: rules(),
    };
    for round in 0..8 {
        let (mut claimed, mut claims, mut ends) = (0, Vec::new(), Vec::new());
        for _ in 0..250 {
            let begun = Instant::now();
            let found = store.run(claim.clone()).await.unwrap();
            claims.push(begun.elapsed());
            claimed += found.len();
            let begun = Instant::now();
            store.run(conclude(&found, Status::Deferred)).await.unwrap();
            ends.push(begun.elapsed());
        }
        println!(
            "claims of 64 beside 1,000,000 deferred, round {round}: {} ({claimed} tasks); deferrals: {}",
            times(claims),
            times(ends)
        );
    }
    let mut admits = Vec::new();
    for _ in 0..250 {
        store.run(Submit::new(submissions(64))).await.unwrap();
        let begun = Instant::now();
        let admit = Admit {
            worker: worker.clone(),
            want: 64,
            look: 64,
            rules: rules(),
        };
        let (_, claimed) = store.run(admit).await.unwrap();
        admits.push(begun.elapsed());
        store.run(conclude(&claimed, Status::Sent)).await.unwrap();
    }
    println!("fresh mail beside them, 64 at a time: {}", times(admits));
    let empty: Vec<_> = (0..2)
        .map(|_| Claim {
            want: 1,
            ..claim.clone()
        })
        .collect();
    for claim in empty {
        let begun = Instant::now();
        store.run(claim).await.unwrap();
        println!("a claim of one: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    store
        .run(outpost_queue::operation::Survey { destinations: 10 })
        .await
        .unwrap();
    println!("counts: {:?}", begun.elapsed());
}

/// The mean, the median, and what 99 of 100 stay below.
fn times(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap();
    format!(
        "mean {mean:?}, median {:?}, 99 % {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    )
}
