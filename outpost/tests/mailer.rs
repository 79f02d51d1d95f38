//! Mailers of all runtimes, against scripted servers with TLS.
#![cfg(all(
    feature = "tokio",
    feature = "smol",
    feature = "blocking",
    feature = "rustls"
))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    net::SocketAddr,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use outpost::{
    Builder, Envelope, FromPolicy, Mailer, Message, Observer, Outcome, Recipient, Report,
    ResolverConfig, Secret, Status, TlsLevel, TokenRequest, blocking,
    runtime_tokio::AsyncReaderSource,
    smtp_policy::{
        event::{Event, Note},
        report::Encryption,
        tls::Trust,
    },
    smtp_proto::session::Stage,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use smtp_sim::{host::Host, scenario::Scenario};

/// A certificate for a name, signed by its own key: it, and the key.
fn certificate(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Starts servers and a name server.
fn start(servers: Value, dns: Value, at: SocketAddr) -> (Host, ResolverConfig) {
    let scenario = json!({ "name": "", "servers": servers, "dns": dns, "requests": [] });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let host = Host::start(
        &scenario,
        Path::new("/nowhere"),
        at,
        Duration::from_millis(5),
    );
    let resolver = ResolverConfig {
        servers: vec![at],
        ..ResolverConfig::default()
    };
    (host.unwrap(), resolver)
}

/// A server that wants a login inside TLS, and knows one.
fn submission_server(name: &str) -> (Value, String) {
    let (certificate, key) = certificate(name);
    let script = json!({
        "name": name,
        "extensions": ["STARTTLS"],
        "tls_extensions": ["AUTH PLAIN"],
        "tls": { "certificate": certificate, "key": key },
        "rules": [
            { "on": "AUTH", "line": "AUTH PLAIN AG1lAHMzY3IzdA==", "reply": ["235 2.7.0 welcome"] },
            { "on": "MAIL", "tls": false, "reply": ["530 5.7.0 STARTTLS first"] },
            { "on": ".", "reply": ["250 2.0.0 Ok: queued as 4X1"] },
        ],
    });
    (script, certificate)
}

/// Three ways to the same end.
#[derive(Clone, Copy, Debug)]
enum Runtime {
    Tokio,
    Smol,
    Blocking,
}

const RUNTIMES: [Runtime; 3] = [Runtime::Tokio, Runtime::Smol, Runtime::Blocking];

impl Runtime {
    /// Sends a message with a mailer for a submission server.
    fn submit(self, make: &Make<'_>, envelope: Envelope) -> Report {
        let message = Message::from("Subject: x\r\n\r\nx\r\n");
        match self {
            Self::Tokio => {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let mailer = make.finish(Mailer::submission(make.server));
                runtime.block_on(mailer.send(envelope, message))
            }
            Self::Smol => {
                let mailer = make.finish(outpost::smol::Mailer::submission(make.server));
                smol::block_on(mailer.send(envelope, message))
            }
            Self::Blocking => {
                let mailer = make.finish(blocking::Mailer::submission(make.server));
                mailer.send(envelope, message)
            }
        }
    }
}

/// Everything but the runtime.
struct Make<'a> {
    server: &'a str,
    password: &'a str,
    authority: &'a str,
    resolver: &'a ResolverConfig,
}

impl Make<'_> {
    fn finish<M: FromPolicy>(&self, builder: Builder<M>) -> M {
        let builder = builder
            .credentials("me", self.password)
            .authorities(self.authority)
            .resolver(self.resolver.clone())
            // The names of this test are in its name server alone.
            .configure(|settings| settings.lookup.host_lookup.dns = true);
        builder.build().unwrap()
    }
}

fn submit(runtime: Runtime, password: &str, name: &str, port: u16) -> Report {
    let (script, authority) = submission_server("smtp.test");
    let (endpoint, dns) = (
        format!("127.0.0.61:{port}"),
        format!("127.0.0.61:{}", port + 1),
    );
    let zone =
        json!({ "smtp.test": { "A": ["127.0.0.61"] }, "other.test": { "A": ["127.0.0.61"] } });
    let (host, resolver) = start(json!({ endpoint: script }), zone, dns.parse().unwrap());
    let make = Make {
        server: &format!("{name}:{port}"),
        password,
        authority: &authority,
        resolver: &resolver,
    };
    let envelope = Envelope::new("me@example.org", ["you@example.com"]).unwrap();
    let report = runtime.submit(&make, envelope);
    host.finish();
    report
}

#[test]
fn submission_is_verified_and_logs_in() {
    for (runtime, port) in RUNTIMES.into_iter().zip([26_500, 26_502, 26_504]) {
        let report = submit(runtime, "s3cr3t", "smtp.test", port);
        let outcome = &report.recipients[0].1;
        assert_eq!(outcome.status, Status::Sent, "{runtime:?}: {report}");
        assert_eq!(outcome.remote_queue_id(), Some("4X1"));
        let tls = outcome.encryption.as_ref().and_then(Encryption::tls);
        assert_eq!(tls.unwrap().trust, Trust::Verified);
    }
}

#[test]
fn submission_with_a_wrong_password_or_to_another_server_sends_nothing() {
    for (runtime, port) in RUNTIMES.into_iter().zip([26_510, 26_514, 26_518]) {
        let report = submit(runtime, "wrong", "smtp.test", port);
        assert_eq!(report.recipients[0].1.stage, Some(Stage::Auth), "{report}");
        assert!(report.all(Status::Deferred), "{runtime:?}: {report}");
        let report = submit(runtime, "s3cr3t", "other.test", port + 2);
        let said = report.to_string();
        assert!(said.contains("(Server certificate not verified)"), "{said}");
    }
}

/// Counts handshakes, and remembers the places of the recipients that were settled.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<(u32, Vec<usize>)>>);

impl Observer for Watch {
    fn settled(&mut self, index: usize, _: &Recipient, _: &Outcome) {
        self.0.lock().unwrap().1.push(index);
    }

    fn note(&mut self, note: &Note) {
        if let Event::TlsEstablished { .. } = &note.event {
            self.0.lock().unwrap().0 += 1;
        }
    }
}

/// Two domains: one with TLS, and one without that refuses a user.
fn exchangers(first: u8, port: u16) -> (Host, ResolverConfig) {
    let (certificate, key) = certificate("mx.one.test");
    let with_tls = json!({ "name": "mx.one.test", "extensions": ["STARTTLS"],
                           "tls": { "certificate": certificate, "key": key } });
    let plain = json!({ "name": "mx.two.test",
                        "rules": [{ "on": "RCPT", "contains": "no@", "reply": ["550 5.1.1 no"] }] });
    let address = |last: u8| format!("127.0.0.{last}");
    let at = |last| format!("{}:25", address(last));
    let servers = json!({ at(first): with_tls, at(first + 1): plain });
    let zone = json!({
        "one.test": { "MX": [[10, "mx.one.test"]] }, "mx.one.test": { "A": [address(first)] },
        "two.test": { "MX": [[10, "mx.two.test"]] }, "mx.two.test": { "A": [address(first + 1)] },
    });
    start(
        servers,
        zone,
        format!("127.0.0.{first}:{port}").parse().unwrap(),
    )
}

#[tokio::test]
async fn direct_goes_to_the_exchangers_of_each_domain_and_reports_in_order() {
    let (host, resolver) = exchangers(62, 26_530);
    let mailer = Mailer::direct("me.test")
        .resolver(resolver)
        .build()
        .unwrap();
    let to = ["no@two.test", "a@one.test", "b@two.test"];
    let envelope = Envelope::new("me@me.test", to).unwrap();
    let watch = Watch::default();
    let report = mailer
        .send_watched(envelope, "Subject: x\n\nx\n", watch.clone())
        .await;
    mailer.close().await;
    host.finish();
    let got: Vec<_> = report
        .recipients
        .iter()
        .map(|(to, outcome)| (to.address.as_str(), outcome.status))
        .collect();
    let statuses = [Status::Bounced, Status::Sent, Status::Sent];
    assert_eq!(
        got,
        to.into_iter().zip(statuses).collect::<Vec<_>>(),
        "{report}"
    );
    let (handshakes, mut settled) = watch.0.lock().unwrap().clone();
    settled.sort_unstable();
    assert_eq!((handshakes, settled), (1, vec![0, 1, 2]));
}

#[test]
fn a_blocking_mailer_serves_all_domains_too() {
    let (host, resolver) = exchangers(64, 26_532);
    let builder = blocking::Mailer::direct("me.test").resolver(resolver);
    let mailer = builder.build().unwrap();
    let envelope = Envelope::new("", ["a@one.test", "b@two.test"]).unwrap();
    let report = mailer.send(envelope, "Subject: x\n\nx\n");
    mailer.close();
    host.finish();
    assert!(report.all(Status::Sent), "{report}");
}

#[tokio::test]
async fn many_messages_share_connections() {
    let (host, resolver) = exchangers(66, 26_534);
    let mailer = Mailer::direct("me.test")
        .resolver(resolver)
        .build()
        .unwrap();
    let envelope = Envelope::new("me@me.test", ["a@one.test"]).unwrap();
    let message = Message::from("Subject: x\n\nx\n");
    let messages = stream::iter((0..10).map(|_| (envelope.clone(), message.clone())));
    let mut reports = pin!(mailer.send_all(messages, 1));
    let (mut numbers, mut reused) = (Vec::new(), 0);
    while let Some((number, report)) = reports.next().await {
        assert!(report.all(Status::Sent), "{report}");
        numbers.push(number);
        reused += u32::from(report.recipients[0].1.connection_uses > 1);
    }
    mailer.close().await;
    host.finish();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(reused, 9);
}

#[test]
fn threads_share_a_blocking_mailer() {
    let (host, resolver) = exchangers(68, 26_536);
    let builder = blocking::Mailer::direct("me.test").resolver(resolver);
    let mailer = builder.build().unwrap();
    let envelope = Envelope::new("me@me.test", ["b@two.test"]).unwrap();
    let message = Message::from("Subject: x\n\nx\n");
    let messages = (0..20).map(|_| (envelope.clone(), message.clone()));
    let mut numbers = Vec::new();
    mailer.send_all(messages, 4, |number, report| {
        assert!(report.all(Status::Sent), "{report}");
        numbers.push(number);
    });
    mailer.close();
    host.finish();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn all_that_is_wrong_with_a_mailer_is_named() {
    let error = Mailer::submission("smtp.example.com:")
        .hostname("not a name")
        .credentials("me:too", "secret")
        .authorities("no certificate")
        .configure(|settings| settings.limits.header = 0)
        .build()
        .unwrap_err();
    let reasons: Vec<_> = error.reasons().collect();
    assert!(
        reasons[0].starts_with("server 'smtp.example.com:': expected HOST"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].starts_with("hostname 'not a name': "),
        "{reasons:?}"
    );
    assert_eq!(reasons[2], "user 'me:too': a user has no colon");
    assert!(reasons[3].starts_with("authorities 'PEM': "), "{reasons:?}");
    assert!(reasons[4].contains("limits.header"), "{reasons:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn whoever_gets_a_password_is_verified_unless_somebody_wants_less() {
    let level = |builder: Builder<Mailer>| {
        let mailer = builder.build().unwrap();
        mailer
            .policy()
            .settings(outpost::smtp_proto::Protocol::Smtp)
            .tls
            .level
    };
    let (_, key) = submission_server("smtp.test");
    let relay = || Mailer::relay("[smtp.test]:25").authorities(&key);
    assert_eq!(level(relay()), TlsLevel::Dane);
    assert_eq!(level(relay().credentials("me", "secret")), TlsLevel::Secure);
    let direct = || Mailer::direct("me.test").authorities(&key);
    assert_eq!(level(direct()), TlsLevel::Dane);
    assert_eq!(
        level(direct().credentials("me", "secret")),
        TlsLevel::Secure
    );
    let less = relay().credentials("me", "secret").tls(TlsLevel::Encrypt);
    assert_eq!(level(less), TlsLevel::Encrypt);
}

/// A server that takes one token, and refuses all others.
fn token_server() -> (Value, String) {
    let (certificate, key) = certificate("smtp.test");
    let script = json!({
        "name": "smtp.test",
        "extensions": ["STARTTLS"],
        "tls_extensions": ["AUTH XOAUTH2"],
        "tls": { "certificate": certificate, "key": key },
        "rules": [
            // user=me, auth=Bearer new
            { "on": "AUTH", "line": "AUTH XOAUTH2 dXNlcj1tZQFhdXRoPUJlYXJlciBuZXcBAQ==",
              "reply": ["235 2.7.0 welcome"] },
            { "on": "AUTH", "reply": ["535 5.7.8 that token is over"] },
        ],
    });
    (script, certificate)
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (script, authority) = token_server();
    let zone = json!({ "smtp.test": { "A": ["127.0.0.74"] } });
    let servers = json!({ "127.0.0.74:26550": script });
    let (host, resolver) = start(servers, zone, "127.0.0.74:26551".parse().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    let mailer = Mailer::submission("smtp.test:26550")
        .async_token("me", move |wanted: TokenRequest| {
            told.lock().unwrap().push(wanted.refresh);
            let token = if wanted.refresh { "new" } else { "old" };
            async move { Ok(Secret::new(token)) }
        })
        .authorities(authority)
        .resolver(resolver)
        .configure(|settings| settings.lookup.host_lookup.dns = true)
        .build()
        .unwrap();
    let envelope = Envelope::new("me@example.org", ["you@example.com"]).unwrap();
    let report = mailer.send(envelope, "Subject: x\n\nx\n").await;
    mailer.close().await;
    host.finish();
    assert!(report.all(Status::Sent), "{report}");
    assert_eq!(*asked.lock().unwrap(), [false, true]);
}

#[tokio::test]
async fn a_message_is_read_from_a_reader_and_from_a_source_that_are_awaited() {
    let text = b"Subject: x\r\n\r\ngr\xc3\xbcn\r\n";
    let message = Message::read_async(&text[..]).await.unwrap();
    assert_eq!(
        (message.facts().size, message.facts().eight_bit),
        (21, true)
    );

    let (host, resolver) = exchangers(76, 26_538);
    let mailer = Mailer::direct("me.test")
        .resolver(resolver)
        .build()
        .unwrap();
    let text = b"Subject: x\n\nlater\n";
    let facts = outpost::message::Facts::of(text);
    let message = Message::from_source(facts, move || {
        AsyncReaderSource::new(std::io::Cursor::new(&text[..]))
    });
    let envelope = Envelope::new("me@me.test", ["a@one.test"]).unwrap();
    let report = mailer.send(envelope, message).await;
    mailer.close().await;
    host.finish();
    assert!(report.all(Status::Sent), "{report}");
}

/// Collects what a delivery tells.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Observer for Told {
    fn note(&mut self, note: &Note) {
        self.0.lock().unwrap().push(note.to_string());
    }
}

#[tokio::test]
async fn a_dialogue_has_the_answers_of_name_servers_and_the_certificate_in_it() {
    let (host, resolver) = exchangers(78, 26_560);
    let builder = Mailer::direct("me.test").resolver(resolver).dialogue();
    let mailer = builder.build().unwrap();
    let envelope = Envelope::new("me@me.test", ["a@one.test"]).unwrap();
    let told = Told::default();
    mailer
        .send_watched(envelope, "Subject: x\n\nx\n", told.clone())
        .await;
    mailer.close().await;
    host.finish();
    let told = told.0.lock().unwrap().join("\n");
    for line in [
        "one.test MX 10 mx.one.test.",
        "mx.one.test A 127.0.0.78",
        "> mx.one.test[127.0.0.78]:25: EHLO me.test",
        "certificate of mx.one.test[127.0.0.78]:25: CN=rcgen self signed cert, issued by CN=rcgen",
    ] {
        assert!(told.contains(line), "no {line:?} in {told}");
    }
}
