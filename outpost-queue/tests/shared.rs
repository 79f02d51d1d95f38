//! Workers that share MTA-STS policies and failed logins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use outpost_queue::{
    model::{Timestamp, WorkerName},
    shared::{Exchange, SharedPolicies, join},
    store::{Operation, Store, StoreError, memory::MemoryStore},
};
use postfix_config::{MainCf, compile};
use runtime_tests::web;
use smtp_policy::{
    Protocol,
    dns::ResolverConfig,
    policy::Policy,
    request::{Recipient, Request},
    settings::FailedLogin,
    sts::{FetchError, Fetched, Kept, Mode, MtaSts, PolicyFetch, PolicyShare, StsPolicy, Turn},
};
use smtp_proto::{Address, EnhancedStatus};

const EPOCH: i64 = 1_800_000_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// A store whose clock goes on only when it is told to.
fn store() -> (MemoryStore, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(EPOCH));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_micros(time.load(Ordering::Relaxed));
    (MemoryStore::new(now), clock)
}

fn pass(clock: &AtomicI64, time: Duration) {
    clock.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}

fn worker(name: &str) -> WorkerName {
    WorkerName(name.into())
}

fn wanted(domain: &str, id: &str) -> PolicyFetch {
    PolicyFetch {
        domain: domain.into(),
        id: id.into(),
        host: format!("mta-sts.{domain}"),
        path: "/.well-known/mta-sts.txt",
        addresses: vec![],
        port: 443,
        limit: Duration::from_secs(60),
        size: 65_536,
        authorities: Arc::default(),
    }
}

fn fetched(mode: &str, max_age: u64) -> Fetched {
    let body = format!("version: STSv1\nmode: {mode}\nmx: mx.example\nmax_age: {max_age}\n");
    Fetched {
        status: 200,
        content_type: "text/plain".into(),
        body: body.into(),
        age: Duration::ZERO,
    }
}

#[test]
fn one_worker_fetches_and_the_others_take_what_came() {
    let (store, clock) = store();
    let one = SharedPolicies::new(store.clone(), worker("one"));
    let two = SharedPolicies::new(store, worker("two"));
    let first = wanted("a.example", "1");
    let turn = |of: &SharedPolicies<MemoryStore>, wanted: &PolicyFetch| ready(of.turn(wanted));
    assert_eq!(turn(&one, &first), Turn::Ours);
    assert_eq!(turn(&two, &first), Turn::Later);
    // Another domain is another matter.
    assert_eq!(turn(&two, &wanted("b.example", "1")), Turn::Ours);

    // What failed is nobody else's: they try themselves.
    ready(one.tell(&first, &Err(FetchError::TimedOut)));
    assert_eq!(turn(&two, &first), Turn::Ours);
    // The right is not one's own any more, and cannot be given back.
    ready(one.tell(&first, &Err(FetchError::TimedOut)));
    assert_eq!(turn(&one, &first), Turn::Later);

    ready(two.tell(&first, &Ok(fetched("enforce", 604_800))));
    pass(&clock, Duration::from_secs(100));
    let theirs = Fetched {
        age: Duration::from_secs(100),
        ..fetched("enforce", 604_800)
    };
    assert_eq!(turn(&one, &first), Turn::Theirs(theirs));
    // The record has another id, or the policy is a day old: it is fetched again.
    assert_eq!(turn(&one, &wanted("a.example", "2")), Turn::Ours);
    pass(&clock, DAY);
    assert_eq!(turn(&one, &first), Turn::Ours);
}

#[test]
fn a_worker_that_dies_with_the_right_to_fetch_holds_up_nobody_for_long() {
    let (store, clock) = store();
    let dead = SharedPolicies::new(store.clone(), worker("dead"));
    let alive = SharedPolicies::new(store, worker("alive"));
    let wanted = wanted("a.example", "1");
    assert_eq!(ready(dead.turn(&wanted)), Turn::Ours);
    pass(&clock, Duration::from_secs(19));
    assert_eq!(ready(alive.turn(&wanted)), Turn::Later);
    pass(&clock, Duration::from_secs(1));
    assert_eq!(ready(alive.turn(&wanted)), Turn::Ours);
}

#[test]
fn what_is_no_policy_or_may_not_be_kept_is_not_passed_on() {
    let (store, _) = store();
    let one = SharedPolicies::new(store.clone(), worker("one"));
    let wanted = wanted("a.example", "1");
    let answers = [
        Fetched {
            status: 404,
            ..fetched("enforce", 60)
        },
        Fetched {
            body: "x".into(),
            ..fetched("enforce", 60)
        },
        fetched("enforce", 0),
    ];
    for answer in answers {
        assert_eq!(ready(one.turn(&wanted)), Turn::Ours);
        ready(one.tell(&wanted, &Ok(answer)));
        assert!(store.rows().shared.is_empty());
    }
}

/// A store that is away.
#[derive(Clone, Debug)]
struct Away;

impl Store for Away {
    async fn run<O: Operation>(&self, _: O) -> Result<O::Output, StoreError> {
        Err(StoreError::Unavailable("away".into()))
    }
}

#[test]
fn a_store_that_is_away_or_damaged_leaves_each_to_themselves() {
    let away = SharedPolicies::new(Away, worker("one"));
    let wanted = wanted("a.example", "1");
    assert_eq!(ready(away.turn(&wanted)), Turn::Ours);
    ready(away.tell(&wanted, &Ok(fetched("enforce", 60))));
    let (policy, sts) = with_sts();
    let kept = kept(Mode::Enforce, "1", 5);
    sts.take_over("a.example", kept.clone());
    let result = ready(Exchange::new().run(&Away, &policy, at(6)));
    assert!(matches!(result, Err(StoreError::Unavailable(_))));
    assert_eq!(sts.kept("a.example"), Some(kept.clone()));

    let (store, _) = store();
    let one = SharedPolicies::new(store.clone(), worker("one"));
    assert_eq!(ready(one.turn(&wanted)), Turn::Ours);
    ready(one.tell(&wanted, &Ok(fetched("enforce", 604_800))));
    for thing in store.rows().shared.values_mut() {
        thing.value = "{}".into();
    }
    let result = ready(Exchange::new().run(&store, &policy, at(6)));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("shared sts \"a.example\", value"), "{error}");
    assert_eq!(sts.kept("a.example"), Some(kept));
    assert_eq!(ready(one.turn(&wanted)), Turn::Ours);
}

fn policy(more: &str) -> Policy {
    let text = format!("myhostname = client.example\n{more}");
    let main_cf = MainCf::parse(&text, "main.cf", Path::new("/")).unwrap();
    compile(&main_cf, ResolverConfig::default(), &[]).unwrap()
}

fn with_sts() -> (Policy, Arc<MtaSts>) {
    let policy = policy("").with_mta_sts(MtaSts::default());
    let sts = Arc::clone(policy.mta_sts().unwrap());
    (policy, sts)
}

/// A time by this machine's clock, which is three minutes ahead.
fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_800_000_180 + seconds)
}

fn kept(mode: Mode, id: &str, seconds: u64) -> Kept {
    Kept {
        policy: Arc::new(StsPolicy {
            mode,
            max_age: DAY * 7,
            mx: vec!["mx.example".into()],
        }),
        id: id.into(),
        fetched: at(seconds),
    }
}

#[test]
fn caches_of_policies_come_to_agree_on_the_newest() {
    let (store, clock) = store();
    let ((one, one_sts), (two, two_sts)) = (with_sts(), with_sts());
    let (mut first, mut second) = (Exchange::new(), Exchange::new());
    one_sts.take_over("a.example", kept(Mode::Enforce, "1", 0));
    pass(&clock, Duration::from_secs(10));
    ready(first.run(&store, &one, at(10))).unwrap();
    ready(second.run(&store, &two, at(10))).unwrap();
    let enforced = kept(Mode::Enforce, "1", 0);
    assert_eq!(two_sts.kept("a.example"), Some(enforced));

    // A policy that is taken back is taken back by all, and an older one comes back to nobody.
    let none = kept(Mode::None, "2", 60);
    two_sts.take_over("a.example", none.clone());
    pass(&clock, Duration::from_secs(60));
    ready(first.run(&store, &one, at(70))).unwrap();
    ready(second.run(&store, &two, at(70))).unwrap();
    assert_eq!(one_sts.kept("a.example").unwrap().id, "1");
    ready(first.run(&store, &one, at(70))).unwrap();
    assert_eq!(one_sts.kept("a.example"), Some(none.clone()));

    // Whoever begins later has all at once, and more than a page of them.
    for number in 0..450 {
        let domain = format!("{number}.example");
        one_sts.take_over(&domain, kept(Mode::Testing, "1", 65));
    }
    for _ in 0..3 {
        ready(first.run(&store, &one, at(70))).unwrap();
    }
    let (three, three_sts) = with_sts();
    ready(Exchange::new().run(&store, &three, at(70))).unwrap();
    assert_eq!(three_sts.known().iter().count(), 451);
    // Clocks that differ by a little do not make the same policy a newer one.
    ready(second.run(&store, &two, at(75))).unwrap();
    assert_eq!(two_sts.kept("a.example"), Some(none));
    // What has run out is nobody's.
    pass(&clock, DAY * 8);
    let (four, four_sts) = with_sts();
    ready(Exchange::new().run(&store, &four, at(70) + DAY * 8)).unwrap();
    assert_eq!(four_sts.known().iter().count(), 0);
}

fn login(user: &str, password: u8, seconds: u64) -> FailedLogin {
    FailedLogin {
        host: "mx.example".into(),
        user: user.into(),
        fingerprint: [password; 32],
        status: EnhancedStatus::new(5, 7, 8),
        text: "535 5.7.8 no\u{e9}".into(),
        since: at(seconds),
    }
}

#[test]
fn a_login_that_failed_for_one_is_known_to_all_until_it_works_for_one() {
    const LOGIN: &str = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = static:bob:hush\n\
        smtp_sasl_auth_cache_name = proxy:btree:/x\nsmtp_sasl_auth_cache_time = 1h\n";
    let (store, clock) = store();
    let [one, two, three] = [(); 3].map(|()| policy(LOGIN));
    let [mut first, mut second, mut third] = [(); 3].map(|()| Exchange::new());
    let failed = |policy: &Policy| policy.failed_logins(Protocol::Smtp).unwrap().clone();
    assert!(one.failed_logins(Protocol::Lmtp).is_none());
    let odd = "e\u{e9}\0e";
    failed(&one).learn(login("bob", 1, 0));
    failed(&one).learn(login(odd, 2, 0));
    failed(&one).learn(login(&"x".repeat(1000), 3, 0));
    ready(first.run(&store, &one, at(0))).unwrap();
    ready(second.run(&store, &two, at(0))).unwrap();
    ready(third.run(&store, &three, at(0))).unwrap();
    let both = [login("bob", 1, 0), login(odd, 2, 0)];
    assert_eq!(failed(&two).all(), both);
    assert_eq!(failed(&three).all(), both);
    for thing in store.rows().shared.values() {
        assert!(!thing.key.contains('\0') && !thing.value.contains('\0'));
    }

    // A later failure with another password takes its place.
    pass(&clock, Duration::from_secs(60));
    failed(&two).learn(login("bob", 7, 60));
    ready(second.run(&store, &two, at(60))).unwrap();
    ready(first.run(&store, &one, at(60))).unwrap();
    assert_eq!(failed(&one).all()[0], login("bob", 7, 60));

    // Somebody removes it, as one does for whom it works: the others forget it.
    let is_bob = |key: &str| key.contains("bob");
    store.rows().shared.retain(|(_, key), _| !is_bob(key));
    ready(first.run(&store, &one, at(60))).unwrap();
    ready(second.run(&store, &two, at(60))).unwrap();
    for policy in [&one, &two] {
        assert!(failed(policy).all().iter().all(|login| login.user != "bob"));
    }
    assert_eq!(store.rows().shared.len(), 1);

    // Its time is over in the store as it is in the memory.
    pass(&clock, Duration::from_secs(3600));
    let four = policy(LOGIN);
    ready(Exchange::new().run(&store, &four, at(3660))).unwrap();
    assert!(failed(&four).all().is_empty());
}

fn request() -> Request {
    let to = Address::parse("a@example.com").unwrap();
    let from = "me@example.org".parse().unwrap();
    let nexthop = "example.com".parse().unwrap();
    Request::new(Protocol::Smtp, nexthop, from, vec![Recipient::new(to)])
}

/// The text of the verdict on a delivery.
async fn deliver(policy: &Arc<Policy>) -> String {
    let client = runtime_tokio::Client::new(Arc::clone(policy));
    let text = bytes::Bytes::from_static(b"Subject: hi\n\nhello\n");
    let report = client.deliver(request(), text, ()).await;
    report.recipients[0].1.text.to_string()
}

#[tokio::test]
async fn two_workers_that_deliver_at_once_fetch_once() {
    // The web server answers once, and is gone.
    let (store, _) = store();
    let [one, two] = web::policies(true);
    join(&store, &one, &worker("one"));
    join(&store, &two, &worker("two"));
    let texts = futures_util::future::join(deliver(&one), deliver(&two)).await;
    assert_eq!(texts, (web::UNNAMED.to_owned(), web::UNNAMED.to_owned()));
}

#[tokio::test]
async fn without_a_store_the_second_of_two_workers_has_to_fetch_too() {
    // The world of the test before has nothing for it.
    let [one, two] = web::policies(true);
    assert_eq!(deliver(&one).await, web::UNNAMED);
    assert_ne!(deliver(&two).await, web::UNNAMED);
}

#[tokio::test]
async fn a_delivery_waits_for_a_dead_worker_no_longer_than_its_right_lasts() {
    // Each look at this clock takes five seconds.
    let clock = AtomicI64::new(EPOCH);
    let now = move || Timestamp::from_micros(clock.fetch_add(5_000_000, Ordering::Relaxed));
    let store = MemoryStore::new(now);
    let dead = SharedPolicies::new(store.clone(), worker("dead"));
    assert_eq!(dead.turn(&wanted("example.com", "1")).await, Turn::Ours);
    let [alive] = web::policies(true);
    join(&store, &alive, &worker("alive"));
    assert_eq!(deliver(&alive).await, web::UNNAMED);
}
