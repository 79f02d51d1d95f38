//! Reports about TLS from the counts of many workers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    collections::BTreeMap,
    future::pending,
    io::Read,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::FutureExt;
use outpost_queue::{
    model::{Kind, Timestamp, WorkerName},
    store::{Operation, Store, StoreError, memory::MemoryStore},
    tlsrpt::{Endpoint, Made, Outside, Reporter, Signer, Tally, make_due},
};
use postfix_config::{MainCf, compile};
use serde_json::{Value, json};
use smtp_policy::{
    dns::ResolverConfig,
    event::{Event, Note},
    policy::Policy,
    report::{PolicyType, ResultType, TlsResult},
    sts::{Kept, Mode, MtaSts, StsPolicy},
};

/// Noon of 2026-11-30.
const NOON: u64 = 1_796_040_000;
const HOUR: Duration = Duration::from_secs(3600);

fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}

/// A store that fails when it is told to, before or after it has done its work.
#[derive(Clone)]
struct Shaky {
    store: MemoryStore,
    clock: Arc<AtomicI64>,
    runs: Arc<AtomicU64>,
    /// The run that fails, and whether it is done all the same.
    fails: Option<(u64, bool)>,
}

impl Shaky {
    fn new(fails: Option<(u64, bool)>) -> Self {
        let start = Timestamp::since_epoch(Duration::from_secs(NOON)).micros();
        let clock = Arc::new(AtomicI64::new(start));
        let time = Arc::clone(&clock);
        let now = move || Timestamp::from_micros(time.load(Ordering::Relaxed));
        Self {
            store: MemoryStore::new(now),
            clock,
            runs: Arc::default(),
            fails,
        }
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.fetch_add(micros, Ordering::Relaxed);
    }

    /// The mail in the queue, as recipient and text.
    fn mail(&self) -> Vec<(String, String)> {
        let rows = self.store.rows();
        let mut all = Vec::new();
        for message in rows.messages.values() {
            assert_eq!((message.kind, message.sender.as_str()), (Kind::Report, ""));
            assert!(message.envelope.contains("\"waive_tls\":true"));
            let text = &rows.chunks[&(message.id, 0)];
            let to = rows.recipients[&(message.id, 0)]
                .recipient
                .address
                .to_string();
            all.push((to, String::from_utf8(text.to_vec()).unwrap()));
        }
        all
    }
}

impl Store for Shaky {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        match self.fails {
            Some((fails, false)) if fails == run => Err(StoreError::Unavailable("away".into())),
            Some((fails, true)) if fails == run => {
                self.store.run(operation).await?;
                Err(StoreError::Uncertain("away".into()))
            }
            _ => self.store.run(operation).await,
        }
    }
}

/// A world with records and web servers.
#[derive(Default)]
struct World {
    records: BTreeMap<String, Result<Vec<Vec<u8>>, String>>,
    /// Answers of web servers, last first; then 204.
    answers: Mutex<Vec<u16>>,
    posts: Mutex<Vec<(String, Bytes)>>,
    /// Nobody answers: whoever asks waits until it is killed.
    silent: bool,
}

impl World {
    fn with(domain: &str, record: &str) -> Self {
        let texts = Ok(vec![record.as_bytes().to_vec()]);
        Self {
            records: BTreeMap::from([(format!("_smtp._tls.{domain}"), texts)]),
            ..Self::default()
        }
    }
}

impl Outside for World {
    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, String> {
        if self.silent {
            pending::<()>().await;
        }
        self.records.get(name).cloned().unwrap_or(Ok(Vec::new()))
    }

    async fn post(&self, endpoint: &Endpoint, file: Bytes) -> Result<u16, String> {
        self.posts
            .lock()
            .unwrap()
            .push((endpoint.to_string(), file));
        match self.answers.lock().unwrap().pop() {
            Some(0) => Err("silence".to_owned()),
            Some(status) => Ok(status),
            None => Ok(204),
        }
    }
}

fn policy() -> Policy {
    let main_cf = MainCf::parse("myhostname = a.example\n", "main.cf", Path::new("/")).unwrap();
    let policy = compile(&main_cf, ResolverConfig::default(), &[]).unwrap();
    policy.with_mta_sts(MtaSts::default()).with_tls_results()
}

fn reporter() -> Reporter {
    Reporter::new("mta.example.org", |address| {
        let text = format!("smtp:{}", address.domain().unwrap());
        text.parse().unwrap()
    })
}

fn result(domain: &str, failure: Option<ResultType>) -> TlsResult {
    TlsResult {
        policy: PolicyType::Sts,
        domain: domain.into(),
        mx_host: "MX.example.net".into(),
        failure,
    }
}

fn worker(name: &str) -> WorkerName {
    WorkerName(name.into())
}

/// Counts a success and a failure of each of these domains, at noon.
fn count(store: &Shaky, domains: &[&str]) {
    let tally = Tally::new(&policy());
    for domain in domains {
        tally.count(&result(domain, None), Duration::from_secs(NOON));
        let failure = Some(ResultType::CertificateExpired);
        tally.count(&result(domain, failure), Duration::from_secs(NOON));
    }
    while ready(tally.flush(store)).is_err() {}
}

fn make(store: &Shaky, world: &World, name: &str) -> Result<Made, StoreError> {
    ready(make_due(store, world, &reporter(), &worker(name)))
}

/// The report in a file.
fn unpacked(gzip: &[u8]) -> Value {
    let mut json = String::new();
    GzDecoder::new(gzip).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// The report in a mail.
fn attached(text: &str) -> Value {
    let (_, part) = text.split_once("json.gz\"\n\n").unwrap();
    let (encoded, _) = part.split_once("\n\n--").unwrap();
    unpacked(&STANDARD.decode(encoded.replace('\n', "")).unwrap())
}

const BOTH: &str = "v=TLSRPTv1;rua=mailto:r@example.com,https://r.example.com/x";

#[test]
fn what_several_workers_have_counted_is_one_report_after_the_day() {
    let store = Shaky::new(None);
    let (policy, at) = (policy(), Duration::from_secs(NOON));
    let enforce = StsPolicy {
        mode: Mode::Enforce,
        max_age: HOUR,
        mx: vec!["*.example.net".into()],
    };
    let kept = Kept {
        policy: Arc::new(enforce),
        id: "1".into(),
        fetched: at,
    };
    policy.mta_sts().unwrap().take_over("example.com", kept);
    let [one, two] = [(); 2].map(|()| Tally::new(&policy));
    let note = |failure| {
        Note::from(Event::TlsReport {
            result: result("Example.com.", failure),
        })
    };
    for _ in 0..3 {
        one.note(&note(None), at);
        two.note(&note(None), at);
        ready(one.flush(&store)).unwrap();
    }
    two.note(&note(Some(ResultType::CertificateExpired)), at);
    two.count(&result("[192.0.2.1]", None), at);
    two.count(&result("192.0.2.1", None), at);
    ready(two.flush(&store)).unwrap();
    // This one is of another day.
    one.note(&note(None), at + HOUR * 12);
    ready(one.flush(&store)).unwrap();
    ready(one.flush(&store)).unwrap();

    let world = World::with("example.com", BOTH);
    store.pass(HOUR * 12 - Duration::from_secs(1));
    assert_eq!(make(&store, &world, "one").unwrap(), Made::default());
    store.pass(HOUR * 4);
    let made = make(&store, &world, "one").unwrap();
    assert_eq!((made.mailed, made.posted, made.waiting.len()), (1, 1, 0));
    let again = make(&store, &world, "two").unwrap();
    assert_eq!(again, Made::default());

    let mail = store.mail();
    assert_eq!(mail.len(), 1);
    assert_eq!(mail[0].0, "r@example.com");
    let report = attached(&mail[0].1);
    let expected = json!({
        "organization-name": "mta.example.org",
        "date-range": {
            "start-datetime": "2026-11-30T00:00:00Z",
            "end-datetime": "2026-11-30T23:59:59Z"
        },
        "contact-info": "postmaster@mta.example.org",
        "report-id": "2026-11-30.example.com@mta.example.org",
        "policies": [{
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: enforce", "mx: *.example.net", "max_age: 3600"],
                "policy-domain": "example.com",
                "mx-host": ["*.example.net"]
            },
            "summary": {"total-successful-session-count": 6, "total-failure-session-count": 1},
            "failure-details": [{
                "result-type": "certificate-expired",
                "receiving-mx-hostname": "mx.example.net",
                "failed-session-count": 1
            }]
        }]
    });
    assert_eq!(report, expected);
    let posts = world.posts.lock().unwrap();
    assert_eq!(posts[0].0, "https://r.example.com:443/x");
    assert_eq!(unpacked(&posts[0].1), expected);
    // The counts of the day are gone, those of the next are not.
    let rows = store.store.rows();
    let topics = rows
        .shared
        .keys()
        .filter(|(topic, _)| topic.starts_with("tlsrpt 2026"));
    let topics: Vec<&str> = topics.map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(topics, ["tlsrpt 2026-12-01 example.com"]);
}

#[test]
fn counts_are_neither_lost_nor_doubled_by_a_store_that_fails() {
    for fails in 0..4 {
        for done in [false, true] {
            let store = Shaky::new(Some((fails, done)));
            let tally = Tally::new(&policy());
            for _ in 0..4 {
                tally.count(&result("example.com", None), Duration::from_secs(NOON));
                let _ = ready(tally.flush(&store));
            }
            while ready(tally.flush(&store)).is_err() {}
            let rows = store.store.rows();
            let counts = rows.shared.values().map(|thing| thing.number).sum::<i64>();
            assert_eq!(counts, 4, "{fails} {done}");
            let marks = rows
                .shared
                .keys()
                .filter(|(topic, _)| topic == "tlsrpt-flush");
            assert_eq!(marks.count(), 1);
        }
    }
}

#[test]
fn too_many_different_results_are_left_out_and_many_are_written_in_parts() {
    let store = Shaky::new(None);
    let tally = Tally::new(&policy());
    for number in 0..10_007 {
        let domain = format!("{number}.example");
        tally.count(&result(&domain, None), Duration::from_secs(NOON));
    }
    assert_eq!(tally.left_out(), 7);
    ready(tally.flush(&store)).unwrap();
    assert!(store.runs.load(Ordering::Relaxed) >= 20);
    let rows = store.store.rows();
    assert_eq!(
        rows.shared.values().map(|thing| thing.number).sum::<i64>(),
        10_000
    );
}

#[test]
fn whatever_fails_there_is_one_report_by_mail_and_one_on_the_web() {
    for fails in 0..30 {
        for done in [false, true] {
            let store = Shaky::new(Some((fails, done)));
            count(&store, &["example.com"]);
            let world = World::with("example.com", BOTH);
            store.pass(HOUR * 16);
            for round in 0..10 {
                let _ = make(&store, &world, ["one", "two"][round % 2]);
                store.pass(HOUR / 2);
            }
            assert_eq!(store.mail().len(), 1, "{fails} {done}");
            let posts = world.posts.lock().unwrap();
            // It goes out again only if the store went away after the answer, and is the same then.
            assert!((1..=2).contains(&posts.len()), "{fails} {done}");
            assert_eq!(posts[0], posts[posts.len() - 1]);
            assert!(posts.len() == 1 || !done, "{fails} {done}");
        }
    }
}

#[test]
fn a_worker_that_dies_leaves_its_duty_to_the_next() {
    let store = Shaky::new(None);
    count(&store, &["example.com"]);
    store.pass(HOUR * 16);
    let silent = World {
        silent: true,
        ..World::with("example.com", BOTH)
    };
    let (reporter, dead) = (reporter(), worker("dead"));
    assert!(
        make_due(&store, &silent, &reporter, &dead)
            .now_or_never()
            .is_none()
    );
    let world = World::with("example.com", BOTH);
    store.pass(Duration::from_secs(29 * 60));
    assert_eq!(make(&store, &world, "one").unwrap(), Made::default());
    store.pass(Duration::from_secs(60));
    assert_eq!(make(&store, &world, "one").unwrap().mailed, 1);
    assert_eq!(store.mail().len(), 1);
}

#[test]
fn what_fails_is_tried_again_for_a_day_and_never_doubled() {
    let store = Shaky::new(None);
    count(&store, &["example.com", "other.example", "broken.example"]);
    let mut world = World::with("example.com", BOTH);
    let broken = "_smtp._tls.broken.example".to_owned();
    world.records.insert(broken, Err("try again".into()));
    world.answers = Mutex::new(vec![0, 503]);
    store.pass(HOUR * 16);
    let made = make(&store, &world, "one").unwrap();
    assert_eq!((made.mailed, made.posted, made.unwanted), (1, 0, 1));
    let waiting = [
        ("broken.example", "_smtp._tls.broken.example: try again"),
        ("example.com", "https://r.example.com:443/x answers 503"),
    ];
    let mut found = made.waiting;
    found.sort();
    assert_eq!(
        found,
        waiting.map(|(domain, why)| (domain.to_owned(), why.to_owned()))
    );

    // The pause doubles: 15 minutes, then 30.
    store.pass(Duration::from_secs(899));
    assert_eq!(make(&store, &world, "one").unwrap(), Made::default());
    store.pass(Duration::from_secs(1));
    assert_eq!(make(&store, &world, "two").unwrap().waiting.len(), 2);
    store.pass(Duration::from_secs(1799));
    assert_eq!(make(&store, &world, "two").unwrap(), Made::default());
    store.pass(Duration::from_secs(1));
    let made = make(&store, &world, "one").unwrap();
    assert_eq!((made.mailed, made.posted, made.waiting.len()), (0, 1, 1));
    let mut given_up = Vec::new();
    for _ in 0..30 {
        store.pass(HOUR);
        given_up.extend(make(&store, &world, "one").unwrap().given_up);
    }
    assert_eq!(given_up, ["broken.example"]);
    assert_eq!(store.mail().len(), 1);
    assert_eq!(world.posts.lock().unwrap().len(), 3);
}

#[test]
fn many_domains_are_done_in_batches_and_those_that_wait_hold_up_nobody() {
    let store = Shaky::new(None);
    let names: Vec<String> = (0..70).map(|number| format!("{number}.example")).collect();
    count(
        &store,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let mut world = World::default();
    for name in &names[..50] {
        let name = format!("_smtp._tls.{name}");
        world.records.insert(name, Err("try again".into()));
    }
    store.pass(HOUR * 16);
    let (mut waiting, mut unwanted, mut calls) = (0, 0, 0);
    loop {
        let made = make(&store, &world, "one").unwrap();
        (waiting, unwanted, calls) = (
            waiting + made.waiting.len(),
            unwanted + made.unwanted,
            calls + 1,
        );
        if !made.more {
            break;
        }
    }
    assert_eq!((waiting, unwanted, calls), (50, 20, 4));
}

#[test]
fn counts_that_are_damaged_are_said_and_hold_up_nobody() {
    let store = Shaky::new(None);
    count(&store, &["bad.example", "good.example"]);
    for ((topic, _), thing) in &mut store.store.rows().shared {
        if topic.ends_with(" bad.example") {
            thing.value = "nonsense".into();
        }
    }
    let mut world = World::with("good.example", BOTH);
    world
        .records
        .extend(World::with("bad.example", BOTH).records);
    store.pass(HOUR * 16);
    let error = make(&store, &world, "one").unwrap_err().to_string();
    assert!(
        error.contains("shared tlsrpt 2026-11-30 bad.example \"sts mx.example.net"),
        "{error}"
    );
    let mail = store.mail();
    assert_eq!(mail.len(), 1);
    assert!(mail[0].1.contains("TLS-Report-Domain: good.example\n"));
}

#[derive(Debug)]
struct NoKey;

impl Signer for NoKey {
    fn sign(&self, _: &[u8], _: Timestamp) -> Result<String, String> {
        Err("no key".to_owned())
    }
}

#[test]
fn a_report_that_cannot_be_signed_waits() {
    let store = Shaky::new(None);
    count(&store, &["example.com"]);
    store.pass(HOUR * 16);
    let world = World::with("example.com", "v=TLSRPTv1;rua=mailto:r@example.com");
    let mut reporter = reporter();
    reporter.signer = Some(Arc::new(NoKey));
    let made = ready(make_due(&store, &world, &reporter, &worker("one"))).unwrap();
    assert_eq!(
        made.waiting,
        [("example.com".to_owned(), "no key".to_owned())]
    );
    assert!(store.mail().is_empty());
}

#[cfg(feature = "dkim")]
#[test]
fn a_report_is_signed_with_the_time_of_the_store_before_it_is_in_the_queue() {
    use outpost_queue::tlsrpt::DkimSigner;

    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/ed25519.pem");
    let key = std::fs::read(key).unwrap();
    let store = Shaky::new(None);
    count(&store, &["example.com"]);
    store.pass(HOUR * 16);
    let world = World::with("example.com", "v=TLSRPTv1;rua=mailto:r@example.com");
    let mut reporter = reporter();
    let signer = Arc::new(DkimSigner::new("example.org", "tls", &key).unwrap());
    reporter.signer = Some(signer.clone());
    let made = ready(make_due(&store, &world, &reporter, &worker("one"))).unwrap();
    assert_eq!(made.mailed, 1);
    let (_, text) = store.mail().remove(0);
    // The signature of the rest of the text, as it goes out, is the one in front.
    let (field, rest) = text.split_once("Date: ").unwrap();
    let rest = format!("Date: {rest}").replace('\n', "\r\n");
    let now = Timestamp::since_epoch(Duration::from_secs(NOON) + HOUR * 16);
    let again = signer.sign(rest.as_bytes(), now).unwrap();
    assert_eq!(field.replace('\n', "\r\n"), again);
    assert!(field.contains(" d=example.org;"), "{field}");
}

#[cfg(feature = "mta-sts")]
#[tokio::test]
async fn a_client_finds_records_and_sends_files() {
    let answer = runtime_tests::web::answer("201 Created", "", "");
    let (policy, web) = runtime_tests::web::client_of("reports.example.com", answer);
    let client = runtime_tokio::Client::new(policy);
    let texts = client.texts("_smtp._tls.example.com").await.unwrap();
    assert_eq!(texts, [b"v=STSv1; id=1;"]);
    let mut endpoint = Endpoint {
        host: "reports.example.com".into(),
        port: web.port,
        path: "/v1?a=b".into(),
    };
    assert_eq!(client.post(&endpoint, "x".into()).await, Ok(201));
    let heard = web.heard().unwrap();
    assert!(heard.starts_with("POST /v1?a=b HTTP/1.1\r\n"), "{heard}");
    assert!(
        heard
            .to_ascii_lowercase()
            .contains("content-type: application/tlsrpt+gzip\r\n")
    );
    // The web server is gone, and before that its certificate was for this name alone.
    endpoint.host = "other.example.com".into();
    assert!(client.post(&endpoint, "x".into()).await.is_err());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn counts_and_duties_are_kept_in_sqlite() {
    use outpost_queue::store::sqlite::{SqliteOptions, SqliteStore};

    let dir = tempfile::TempDir::new().unwrap();
    let options = SqliteOptions::default();
    let store = SqliteStore::open(dir.path().join("queue.db"), &options).unwrap();
    let tally = Tally::new(&policy());
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    // Some of these are due at any time of the day.
    let mut world = World::default();
    for number in 0..400 {
        let domain = format!("{number}.example");
        tally.count(&result(&domain, None), now - HOUR * 24);
        tally.count(
            &result(&domain, Some(ResultType::CertificateExpired)),
            now - HOUR * 24,
        );
        world.records.extend(World::with(&domain, BOTH).records);
    }
    tally.flush(&store).await.unwrap();
    let (reporter, worker) = (reporter(), worker("one"));
    let mut domains = Vec::new();
    loop {
        let made = make_due(&store, &world, &reporter, &worker).await.unwrap();
        assert_eq!((made.mailed, &made.waiting), (made.posted, &Vec::new()));
        domains.push(made.mailed);
        if !made.more {
            break;
        }
    }
    let made: usize = domains.iter().sum();
    assert!(made > 0 && made <= 400, "{made}");
    let posts = world.posts.lock().unwrap().clone();
    assert_eq!(posts.len(), made);
    for (_, file) in posts {
        let summary = &unpacked(&file)["policies"][0]["summary"];
        assert_eq!(summary["total-successful-session-count"], 1);
        assert_eq!(summary["total-failure-session-count"], 1);
    }
}
