//! The questions of a delivery beside its connection: name servers, the system, tables, the web.

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, ThreadId},
};

use smtp_policy::{
    Protocol::Smtp,
    policy::Policy,
    report::Status,
    settings::{Credentials, Login, SecurityOptions, Settings, TokenFailure, TokenRequest},
    tables::{AsyncTable, LookupFuture, Table, TableFailure},
};

use smtp_proto::Secret;

use crate::{
    Client, client, deliver, serve,
    toy::{self, Peer, Toy, policy, request},
    web,
};

pub fn an_answer_of_the_name_server_that_does_not_fit_is_fetched_over_tcp<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let port = toy.nexthop.rsplit(':').next().unwrap();
    let policy = policy("inet_protocols = ipv4", vec![toy::truncating_dns()]);
    let nexthop = format!("[mx.example.com]:{port}");
    let report = deliver(&C::new(policy), request(Smtp, &nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
}

pub fn the_operating_system_finds_hosts_for_native_lookups<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let port = toy.nexthop.rsplit(':').next().unwrap();
    let client = client::<C>("smtp_host_lookup = native\ninet_protocols = ipv4");
    let report = deliver(&client, request(Smtp, &format!("[localhost]:{port}"), 1));
    assert!(report.all(Status::Sent), "{report:?}");
    let report = deliver(
        &client,
        request(Smtp, &format!("[no.such.host.invalid]:{port}"), 1),
    );
    let text = &report.recipients[0].1.text;
    assert!(text.contains("no.such.host.invalid: "), "{text}");
    assert!(!text.contains("failed to lookup"), "{text}");
}

pub fn a_table_that_panics_defers_the_mail<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:broken");
    client.add_table("broken", Arc::new(Broken));
    let report = deliver(&client, request(Smtp, &Toy::nobody(), 1));
    assert!(report.all(Status::Deferred), "{report:?}");
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "client TLS configuration problem");
}

/// A table that panics.
#[derive(Debug)]
struct Broken;

impl Table for Broken {
    fn lookup(&self, _: &str) -> Result<Option<String>, TableFailure> {
        panic!("the table is broken")
    }
}

pub fn a_table_that_is_awaited_is_asked_on_the_thread_of_its_delivery<C: Client>() {
    let toy = Toy::tcp("127.0.0.1", serve);
    let client = client::<C>("smtp_tls_policy_maps = external:slow");
    let (asks, asked) = mpsc::channel();
    client.add_async_table("slow", Arc::new(Slow(asks)));
    let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
    assert!(report.all(Status::Sent), "{report:?}");
    let threads: Vec<_> = asked.try_iter().collect();
    assert!(!threads.is_empty());
    let here = thread::current().id();
    assert!(threads.iter().all(|thread| *thread == here), "{threads:?}");
}

/// A table that knows nothing, and has another thread tell it. It tells the thread that asks.
#[derive(Debug)]
struct Slow(mpsc::Sender<ThreadId>);

impl AsyncTable for Slow {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        Box::pin(async {
            let _ = self.0.send(thread::current().id());
            blocking::unblock(|| Ok(None)).await
        })
    }
}

pub fn a_table_that_is_awaited_and_panics_defers_the_mail<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:broken");
    client.add_async_table("broken", Arc::new(Broken));
    let report = deliver(&client, request(Smtp, &Toy::nobody(), 1));
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "client TLS configuration problem");
}

impl AsyncTable for Broken {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        panic!("the table is broken")
    }
}

pub fn cancelling_does_not_wait_for_a_table_that_is_awaited<C: Client>() {
    let client = client::<C>("smtp_tls_policy_maps = external:hanging");
    let (asks, asked) = mpsc::channel();
    client.add_async_table("hanging", Arc::new(Hanging(asks)));
    let report = thread::scope(|scope| {
        let canceller = client.clone();
        scope.spawn(move || {
            asked.recv().unwrap();
            canceller.cancel();
        });
        deliver(&client, request(Smtp, &Toy::nobody(), 1))
    });
    let text = &report.recipients[0].1.text;
    assert_eq!(text, "delivery was cancelled");
}

/// A table that never answers.
#[derive(Debug)]
struct Hanging(mpsc::Sender<()>);

impl AsyncTable for Hanging {
    fn lookup<'a>(&'a self, _: &'a str) -> LookupFuture<'a> {
        let _ = self.0.send(());
        Box::pin(pending())
    }
}

/// Refuses the first login, and takes the second. Tells each, and the message.
fn refuse_first(mut peer: Peer, logins: &AtomicUsize) {
    peer.say("220 toy.example ESMTP");
    assert!(peer.line().starts_with("EHLO"));
    peer.say("250-toy.example\r\n250 AUTH PLAIN XOAUTH2");
    let login = peer.line();
    peer.tell(login);
    match logins.fetch_add(1, Ordering::SeqCst) {
        0 => peer.say("535 5.7.8 expired"),
        _ => peer.say("235 2.7.0 welcome"),
    }
    peer.answer_until("nothing");
}

/// A client that logs in with these credentials, TLS or not.
fn client_with<C: Client>(credentials: Credentials) -> C {
    let mut login = Login::new(credentials);
    login.plaintext = SecurityOptions::NOANONYMOUS;
    let mut settings = Settings::smtp();
    settings.login = Some(login);
    C::new(Arc::new(Policy::new(settings.build().unwrap())))
}

pub fn a_refused_token_is_renewed_by_its_source_of_either_kind<C: Client>() {
    let token = |wanted: &TokenRequest| match wanted.refresh {
        false => Secret::new("old"),
        true => Secret::new("new"),
    };
    let kinds = [
        Credentials::token("me", move |wanted: &TokenRequest| Ok(token(wanted))),
        Credentials::async_token("me", move |wanted: TokenRequest| {
            blocking::unblock(move || Ok(token(&wanted)))
        }),
    ];
    for credentials in kinds {
        let logins = AtomicUsize::new(0);
        let toy = Toy::tcp("127.0.0.1", move |peer| refuse_first(peer, &logins));
        let client = client_with::<C>(credentials);
        let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
        assert!(report.all(Status::Sent), "{report:?}");
        let [old, new] = [toy.told(), toy.told()];
        assert!(old.starts_with("AUTH XOAUTH2 ") && new.starts_with("AUTH XOAUTH2 "));
        assert_ne!(old, new);
    }
}

pub fn a_source_of_tokens_that_panics_defers_the_mail<C: Client>() {
    fn broken(wanted: &TokenRequest) -> Result<Secret, TokenFailure> {
        panic!("there is no token for {}", wanted.host)
    }
    let kinds = [
        Credentials::token("me", broken),
        Credentials::async_token("me", |wanted: TokenRequest| ready(broken(&wanted))),
    ];
    for credentials in kinds {
        let logins = AtomicUsize::new(0);
        let toy = Toy::tcp("127.0.0.1", move |peer| refuse_first(peer, &logins));
        let client = client_with::<C>(credentials);
        let report = deliver(&client, request(Smtp, &toy.nexthop, 1));
        let text = &report.recipients[0].1.text;
        assert!(
            text.ends_with("no access token: its source panicked"),
            "{text}"
        );
    }
}

pub fn a_policy_of_mta_sts_is_fetched_over_https<C: Client>() {
    let report = deliver(&C::new(web::policy(true)), request(Smtp, "example.com", 1));
    let text = &report.recipients[0].1.text;
    assert_eq!(text, web::UNNAMED);
    let report = deliver(&C::new(web::policy(false)), request(Smtp, "example.com", 1));
    let text = &report.recipients[0].1.text;
    assert!(!text.contains("MTA-STS"), "{text}");
    assert!(report.all(Status::Deferred), "{report:?}");
}
