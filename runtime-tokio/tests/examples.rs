//! The examples `submission` and `direct`, against scripted servers with TLS.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use std::{net::SocketAddr, path::Path, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use smtp_policy::{
    dns::ResolverConfig,
    report::{Encryption, Report, Status},
    tls::Trust,
};
use smtp_proto::{Address, session::Stage};
use smtp_sim::{host::Host, scenario::Scenario};

#[path = "../examples/direct.rs"]
mod direct;
#[path = "../examples/submission.rs"]
mod submission;

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

async fn submit(password: &str, name: &str, port: u16) -> Report {
    let (script, authority) = submission_server("smtp.test");
    let (endpoint, dns) = (
        format!("127.0.0.61:{port}"),
        format!("127.0.0.61:{}", port + 1),
    );
    let zone =
        json!({ "smtp.test": { "A": ["127.0.0.61"] }, "other.test": { "A": ["127.0.0.61"] } });
    let (host, resolver) = start(json!({ endpoint: script }), zone, dns.parse().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority).unwrap();
    let policy = submission::settings(("me", password), file.path(), resolver).unwrap();
    let server = format!("[{name}]:{port}");
    let parties = ("me@example.org", "you@example.com");
    let report = submission::submit(policy, &server, parties, "Subject: x\n\nx\n".into()).await;
    let report = report.unwrap();
    host.finish();
    report
}

#[tokio::test]
async fn submission_is_verified_and_logs_in() {
    let report = submit("s3cr3t", "smtp.test", 26_500).await;
    let outcome = &report.recipients[0].1;
    assert_eq!(outcome.status, Status::Sent, "{report}");
    assert_eq!(outcome.remote_queue_id(), Some("4X1"));
    let tls = outcome.encryption.as_ref().and_then(Encryption::tls);
    assert_eq!(tls.unwrap().trust, Trust::Verified);
}

#[tokio::test]
async fn submission_with_a_wrong_password_or_to_another_server_sends_nothing() {
    let report = submit("wrong", "smtp.test", 26_510).await;
    assert_eq!(report.recipients[0].1.stage, Some(Stage::Auth), "{report}");
    assert!(report.all(Status::Deferred), "{report}");
    let report = submit("s3cr3t", "other.test", 26_520).await;
    assert!(
        report
            .to_string()
            .contains("(Server certificate not verified)"),
        "{report}"
    );
}

#[tokio::test]
async fn direct_goes_to_the_exchangers_of_each_domain_and_counts_tls() {
    let (certificate, key) = certificate("mx.one.test");
    let with_tls = json!({ "name": "mx.one.test", "extensions": ["STARTTLS"],
                           "tls": { "certificate": certificate, "key": key } });
    let plain = json!({ "name": "mx.two.test",
                        "rules": [{ "on": "RCPT", "contains": "no@", "reply": ["550 5.1.1 no"] }] });
    let servers = json!({ "127.0.0.62:25": with_tls, "127.0.0.63:25": plain });
    let zone = json!({
        "one.test": { "MX": [[10, "mx.one.test"]] }, "mx.one.test": { "A": ["127.0.0.62"] },
        "two.test": { "MX": [[10, "mx.two.test"]] }, "mx.two.test": { "A": ["127.0.0.63"] },
    });
    let (host, resolver) = start(servers, zone, "127.0.0.62:26530".parse().unwrap());
    let client = runtime_tokio::Client::new(direct::settings("me.test", resolver).unwrap());
    let to = ["a@one.test", "b@two.test", "no@two.test"];
    let to = to.map(|to| to.parse::<Address>().unwrap());
    let watch = direct::Handshakes::default();
    let from = "me@me.test".parse().unwrap();
    let report = direct::deliver(&client, &from, &to, "Subject: x\n\nx\n".into(), &watch).await;
    let report = report.unwrap();
    client.close().await;
    host.finish();
    let statuses: Vec<Status> = report.recipients.iter().map(|(_, o)| o.status).collect();
    assert_eq!(
        statuses,
        [Status::Sent, Status::Sent, Status::Bounced],
        "{report}"
    );
    let counts: Vec<(String, usize)> = watch.counts().into_iter().collect();
    assert_eq!(counts, [("TLSv1.3, not verified".to_owned(), 1)]);
}
