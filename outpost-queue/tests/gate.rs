//! The gate before the end of a text, with a real mailer and scripted servers: it is reached when a server waits for the end, and
//! not before; and without the mark no server gets the end.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use outpost::{Envelope, Mailer, Message, ResolverConfig};
use outpost_queue::{
    model::{Fate, Timestamp},
    queue::Route,
    store::memory::{Fault, MemoryStore},
    worker::{Options, Stop, Worker},
};
use serde_json::{Value, json};
use smtp_policy::{report::Outcome, route::ServiceName};
use smtp_sim::{
    host::Host,
    scenario::{Scenario, SessionRecord},
};

/// The end of a message.
struct Run {
    fate: Fate,
    outcome: Outcome,
    doubtful: bool,
    marks: usize,
    sessions: Vec<SessionRecord>,
}

/// Delivers a message for example.com, whose mail exchangers are servers with these rules, with a store whose marks may fail.
fn deliver(net: u8, rules: &[Value], marks_fail: bool) -> Run {
    let port = 10_250;
    let address = |n: usize| format!("127.0.{net}.{}", n + 1);
    let mut servers = serde_json::Map::new();
    let mut zone = serde_json::Map::new();
    for (n, rules) in rules.iter().enumerate() {
        let name = format!("mx{n}.example.com");
        let script = json!({ "name": name, "extensions": ["PIPELINING"], "rules": rules });
        servers.insert(format!("{}:{port}", address(n)), script);
        zone.insert(name, json!({ "A": [address(n)] }));
    }
    let exchangers: Vec<_> = (0..rules.len())
        .map(|n| json!([n, format!("mx{n}.example.com")]))
        .collect();
    zone.insert("example.com".into(), json!({ "MX": exchangers }));
    let scenario = json!({ "name": "", "servers": servers, "dns": zone, "requests": [] });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let dns: SocketAddr = format!("127.0.{net}.1:10053").parse().unwrap();
    let hold = Duration::from_millis(5);
    let host = Host::start(&scenario, Path::new("/nowhere"), dns, hold).unwrap();
    let marks = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(work(dns, port, marks_fail, Arc::clone(&marks)));
    drop(runtime);
    let rows = store.rows();
    let recipient = rows.recipients.values().next().unwrap();
    Run {
        fate: recipient.fate,
        outcome: recipient.outcome().unwrap().unwrap(),
        doubtful: recipient.doubtful,
        marks: marks.load(Ordering::Relaxed),
        sessions: host.finish(),
    }
}

/// Runs a worker until it has taken down one attempt.
async fn work(
    dns: SocketAddr,
    port: u16,
    marks_fail: bool,
    marks: Arc<AtomicUsize>,
) -> MemoryStore {
    let resolver = ResolverConfig {
        servers: vec![dns],
        ..ResolverConfig::default()
    };
    let mailer = Mailer::direct("client.example.org")
        .resolver(resolver)
        .configure(|settings| settings.connect.service = ServiceName::port(port))
        .build()
        .unwrap();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let store = MemoryStore::new(move || Timestamp::since_epoch(now()));
    let faulty = store.clone().with_faults(move |name| {
        let is_mark = name.contains("Mark");
        marks.fetch_add(usize::from(is_mark), Ordering::Relaxed);
        (is_mark && marks_fail).then_some(Fault::Away)
    });
    let mut options = Options::default();
    options.mark = Duration::from_millis(400);
    let stop = Stop::new();
    let worker = Worker::new(faulty, mailer, options).with_stop(stop.clone());
    let envelope = Envelope::new("me@example.org", ["you@example.com"]).unwrap();
    let message = Message::from("Subject: x\n\nx\n");
    let queue = worker.queue();
    queue
        .send(envelope, &message, &Route::Direct)
        .await
        .unwrap();
    let running = tokio::spawn(worker.run());
    let is_over = || {
        let rows = store.rows();
        let mut recipients = rows.recipients.values();
        recipients.all(|one| one.verdict.is_some())
    };
    while !is_over() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.step();
    running.await.unwrap();
    store
}

/// Returns whether a server got the end of the text.
fn got_the_end(session: &SessionRecord) -> bool {
    session.transcript.iter().any(|(_, line)| line == ".")
}

#[test]
fn the_gate_is_passed_once_where_all_goes_well() {
    let run = deliver(71, &[json!([])], false);
    assert_eq!(
        (run.fate, run.marks, run.doubtful),
        (Fate::Sent, 1, false),
        "{}",
        run.outcome
    );
    assert!(
        got_the_end(&run.sessions[0]),
        "{:?}",
        run.sessions[0].transcript
    );
}

#[test]
fn the_gate_is_not_reached_where_a_command_before_the_text_fails() {
    for (net, command) in [(72, "MAIL"), (73, "RCPT"), (74, "DATA")] {
        let rules = json!([{ "on": command, "reply": ["554 5.7.1 no"] }]);
        let run = deliver(net, &[rules], false);
        assert_eq!(run.sessions.len(), 1);
        assert_eq!(
            (run.fate, run.marks),
            (Fate::Bounced, 0),
            "{command}: {}",
            run.outcome
        );
    }
}

#[test]
fn no_server_gets_the_end_without_a_mark() {
    let run = deliver(75, &[json!([]), json!([])], true);
    assert_eq!(run.fate, Fate::Pending);
    assert!(run.marks > 0);
    assert!(!run.outcome.uncertain && !run.doubtful, "{}", run.outcome);
    assert!(!run.sessions.is_empty());
    for session in &run.sessions {
        assert!(!got_the_end(session), "{:?}", session.transcript);
    }
}

#[test]
fn the_next_server_is_as_good_as_the_first() {
    let later = json!([{ "on": ".", "reply": ["451 4.3.0 later"] }]);
    let run = deliver(76, &[later, json!([])], false);
    assert_eq!((run.fate, run.marks), (Fate::Sent, 2), "{}", run.outcome);
    assert!(run.sessions.iter().all(got_the_end));
}

#[test]
fn an_end_without_an_answer_is_a_doubt() {
    let silent = json!([{ "on": ".", "reply": [], "then": "close" }]);
    let run = deliver(77, &[silent], false);
    assert_eq!((run.fate, run.marks), (Fate::Pending, 1), "{}", run.outcome);
    assert!(run.outcome.uncertain && run.doubtful);
}
