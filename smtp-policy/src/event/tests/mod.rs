//! The line of every kind of event, to the letter.
#![allow(clippy::unwrap_used)]

mod connection;
mod dialogue;
mod encryption;
mod message;

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::{
    reply::Reply,
    session::{PixWorkarounds, Stage},
};

use super::{Charset, Event, Level, Note};
use crate::{
    Protocol,
    report::{Notice, PolicyType, ResultType, TlsResult, TlsSummary},
    request::QueueId,
    server::{ConnectError, Endpoint, Server},
    tables::TableFailure,
    tls::{Problem, Trust},
};

fn server() -> Arc<Server> {
    let address = "192.0.2.1:25".parse().unwrap();
    Arc::new(Server::inet("mx.example", address))
}

fn id() -> QueueId {
    "4X1".parse().unwrap()
}

fn tls(trust: Trust) -> Arc<TlsSummary> {
    let mut tls = TlsSummary::new("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, trust);
    tls.key_exchange = Some("X25519".into());
    tls.signature = Some("ECDSA (prime256v1)".into());
    Arc::new(tls)
}

/// Checks severity and line of each.
fn check(rows: impl IntoIterator<Item = (Event, Level, &'static str)>) {
    for (event, level, line) in rows {
        let note = Note::from(event);
        assert_eq!(note.to_string(), line);
        assert_eq!(note.event.to_string(), line);
        assert_eq!(note.level(), level, "{line}");
    }
}

#[test]
fn lines_around_the_delivery() {
    let notice = Notice {
        protocol: Protocol::Smtp,
        mail_name: "Postfix".into(),
        sender: "double-bounce@client.example".into(),
        from: "MAILER-DAEMON@client.example".into(),
        recipient: "postmaster".into(),
        relay: "mx.example[192.0.2.1]:25".into(),
        transcript: Vec::new(),
    };
    check([
        (
            Event::TableFailed {
                failure: TableFailure {
                    table: "external:x".into(),
                    reason: "down".into(),
                },
            },
            Level::Warning,
            "external:x: down",
        ),
        (
            Event::StatusFilterWarning { text: "bad".into() },
            Level::Warning,
            "bad",
        ),
        (
            Event::DnssecUnavailable { text: "bad".into() },
            Level::Warning,
            "bad",
        ),
        (
            Event::Answered {
                answer: "mx.example A 192.0.2.1".into(),
                validated: true,
            },
            Level::Trace,
            "mx.example A 192.0.2.1; validated",
        ),
        (
            Event::CertificateShown {
                server: server(),
                subject: "CN=mx.example".into(),
                issuer: "CN=ca".into(),
                not_after: "2026-11-22T22:05:30Z".into(),
            },
            Level::Trace,
            "certificate of mx.example[192.0.2.1]:25: CN=mx.example, issued by CN=ca, \
             valid until 2026-11-22T22:05:30Z",
        ),
        (
            Event::PostmasterNotice {
                notice: Box::new(notice),
            },
            Level::Debug,
            "errors from mx.example[192.0.2.1]:25: the postmaster is to be notified",
        ),
    ]);
}

#[test]
fn no_stranger_can_end_the_line() {
    let event = Event::BadSizeLimit {
        server: Arc::new(Server::new("mx\u{9b}", Endpoint::Unix("/a\nb".into()))),
        word: "1\r\n\u{1b}[2J".into(),
    };
    let line = "bad EHLO SIZE limit \"1???[2J\" from mx?[/a?b]";
    assert_eq!(event.to_string(), line);
}

#[test]
fn a_line_in_ascii_has_a_question_mark_for_each_byte() {
    let event = Event::ContentWarning {
        text: "gr\u{fc}n\u{85}".into(),
    };
    assert_eq!(event.to_string(), "gr\u{fc}n?");
    let note = Note::from(event).in_charset(Charset::Ascii);
    assert_eq!(note.to_string(), "gr??n?");
}

#[test]
fn a_parameter_can_take_a_line_out_of_the_log() {
    let event = Event::TlsResumed { server: server() };
    let note = Note::from(event).with_level(Level::Trace);
    assert_eq!(
        (note.level(), note.event.level()),
        (Level::Trace, Level::Info)
    );
    assert_eq!(note.event.name(), "TlsResumed");
}
