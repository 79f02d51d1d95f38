//! Mailers as transports of lettre.
#![cfg(all(feature = "lettre", feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{net::SocketAddr, path::Path, time::Duration};

use lettre::{AsyncTransport, Message, Transport};
use outpost::{
    Mailer, blocking,
    lettre::{LettreError, LettreTransport},
};
use serde_json::json;
use smtp_sim::{host::Host, scenario::Scenario};

/// Starts a server that refuses a user.
fn server(at: &str, dns: &str) -> Host {
    let scenario = json!({ "name": "", "requests": [], "dns": {}, "servers": { at: {
        "name": "mx.test", "rules": [{ "on": "RCPT", "contains": "no@", "reply": ["550 5.1.1 no"] }],
    } } });
    let scenario: Scenario = serde_json::from_value(scenario).unwrap();
    let dns: SocketAddr = dns.parse().unwrap();
    Host::start(
        &scenario,
        Path::new("/nowhere"),
        dns,
        Duration::from_millis(5),
    )
    .unwrap()
}

fn email(to: &str) -> Message {
    Message::builder()
        .from("Me <me@example.org>".parse().unwrap())
        .to("yes@example.com".parse().unwrap())
        .bcc(to.parse().unwrap())
        .subject("h\u{e9}llo")
        .body("Hi there.\n".to_owned())
        .unwrap()
}

#[tokio::test]
async fn an_asynchronous_transport_sends_and_says_who_was_not_sent() {
    let host = server("127.0.0.71:26540", "127.0.0.71:26541");
    let mailer = Mailer::relay("[127.0.0.71]:26540").build().unwrap();
    let mailer = LettreTransport::new(mailer);
    let report = mailer.send(email("also@example.com")).await.unwrap();
    assert_eq!(report.recipients.len(), 2, "{report}");
    let error = mailer.send(email("no@example.com")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no@example.com: bounced (host"),
        "{error}"
    );
    let LettreError::NotSent(report) = error else {
        panic!("{error}")
    };
    assert_eq!(report.recipients[0].1.word, "sent");
    mailer.shutdown().await;
    host.finish();
}

#[test]
fn a_blocking_transport_sends() {
    let host = server("127.0.0.72:26542", "127.0.0.72:26543");
    let mailer = blocking::Mailer::relay("[127.0.0.72]:26542")
        .build()
        .unwrap();
    let report = LettreTransport::new(mailer).send(&email("a@example.com"));
    assert_eq!(report.unwrap().recipients.len(), 2);
    host.finish();
}
