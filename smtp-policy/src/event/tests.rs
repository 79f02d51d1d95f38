//! The line of every kind of event, to the letter.
#![allow(clippy::unwrap_used)]

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::{
    reply::Reply,
    session::{PixWorkarounds, Stage},
};

use super::{Charset, Event, Level, Note};
use crate::{
    config::Protocol,
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
fn lines_about_the_way_to_a_server() {
    let unreachable = |error| Event::ConnectFailed {
        server: server(),
        error,
    };
    check([
        (
            Event::Routed {
                text: "ignoring DNS RR: x".into(),
            },
            Level::Info,
            "ignoring DNS RR: x",
        ),
        (
            Event::RouteWarning {
                text: "numeric domain name".into(),
            },
            Level::Warning,
            "numeric domain name",
        ),
        (
            Event::FallbackIgnored {
                relays: "a, b".into(),
            },
            Level::Warning,
            "ignoring \"lmtp_fallback_relay = a, b\" setting for non-TCP connections",
        ),
        (
            Event::ConfigurationProblem {
                parameter: "relayhost",
            },
            Level::Warning,
            "relayhost configuration problem",
        ),
        (
            Event::PassedOn {
                id: id(),
                transport: "lmtp".into(),
            },
            Level::Info,
            "4X1: passing mail to transport=lmtp",
        ),
        (
            Event::PassedOn {
                id: QueueId::default(),
                transport: "lmtp".into(),
            },
            Level::Info,
            "passing mail to transport=lmtp",
        ),
        (
            Event::Connected { server: server() },
            Level::Trace,
            "connected to mx.example[192.0.2.1]:25",
        ),
        (
            unreachable(ConnectError::TimedOut),
            Level::Info,
            "connect to mx.example[192.0.2.1]:25: Connection timed out",
        ),
        (
            unreachable(ConnectError::Other("No route to host".into())),
            Level::Info,
            "connect to mx.example[192.0.2.1]:25: No route to host",
        ),
        (
            unreachable(ConnectError::Bind("in use".into())),
            Level::Info,
            "server configuration error",
        ),
        (
            unreachable(ConnectError::PathTooLong),
            Level::Info,
            "Server configuration error",
        ),
        (
            Event::Disconnected { server: server() },
            Level::Trace,
            "disconnected from mx.example[192.0.2.1]:25",
        ),
        (
            Event::Kept { server: server() },
            Level::Trace,
            "mx.example[192.0.2.1]:25: keeping the connection",
        ),
        (
            Event::Reused {
                server: server(),
                uses: 2,
            },
            Level::Trace,
            "mx.example[192.0.2.1]:25: using the connection that was kept from an earlier message",
        ),
        (
            Event::KeptConnectionOver {
                server: server(),
                why: "lost connection".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: the connection that was kept from an earlier message is \
             over: lost connection",
        ),
        (
            Event::KeptConnectionEnded {
                server: server(),
                said: "421 bye".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: the server ends the connection that was kept from an \
             earlier message: 421 bye",
        ),
        (
            Event::UnaskedReplies {
                server: server(),
                bytes: 12,
            },
            Level::Info,
            "host mx.example[192.0.2.1] said more than it was asked: 12 bytes are forgotten",
        ),
    ]);
}

#[test]
fn lines_about_the_dialogue() {
    check([
        (
            Event::Greeted {
                server: server(),
                name: "mx.example".into(),
            },
            Level::Trace,
            "mx.example[192.0.2.1]:25 introduces itself as mx.example",
        ),
        (
            Event::Said {
                server: server(),
                line: "QUIT".into(),
            },
            Level::Debug,
            "> mx.example[192.0.2.1]:25: QUIT",
        ),
        (
            Event::Heard {
                server: server(),
                line: "221 bye".into(),
            },
            Level::Debug,
            "< mx.example[192.0.2.1]:25: 221 bye",
        ),
        (
            Event::TextSent {
                server: server(),
                bytes: 7,
            },
            Level::Debug,
            "> mx.example[192.0.2.1]:25: [message text of 7 bytes]",
        ),
        (
            Event::ReplyLineTooLong {
                server: server(),
                start: "250 x".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: response longer than 2048: 250 x...",
        ),
        (
            Event::ReplyTooLong {
                server: server(),
                start: "250 x".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: multi-line response longer than 2048 250 x...",
        ),
        (
            Event::ReplyGarbage {
                server: server(),
                line: "hello".into(),
            },
            Level::Warning,
            "non-ESMTP response from mx.example[192.0.2.1]:25: hello",
        ),
        (
            Event::ReplyReplaced {
                server: server(),
                old: "550 a".into(),
                new: "450 a".into(),
            },
            Level::Info,
            "mx.example[192.0.2.1]:25: replacing server reply \"550 a\" with \"450 a\"",
        ),
        (
            Event::Refused {
                server: server(),
                stage: Stage::XforwardNameAddr,
                reply: Reply::new(550, "550-5.7.0 no\n550 5.7.0 never"),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 said: 550-5.7.0 no 550 5.7.0 never (in reply to \
             XFORWARD name/address command)",
        ),
        (
            Event::PixWorkarounds {
                id: id(),
                server: server(),
                workarounds: PixWorkarounds {
                    disable_esmtp: true,
                    delay_dotcrlf: Some(Duration::from_secs(10)),
                },
            },
            Level::Info,
            "4X1: enabling PIX workarounds: disable_esmtp delay_dotcrlf for \
             mx.example[192.0.2.1]:25",
        ),
        (
            Event::GreetedWithOwnName {
                server: server(),
                name: "me.example".into(),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 greeted me with my own hostname me.example",
        ),
        (
            Event::OwnNameInHello {
                server: server(),
                name: "me.example".into(),
            },
            Level::Warning,
            "host mx.example[192.0.2.1]:25 replied to HELO/EHLO with my own hostname me.example",
        ),
        (
            Event::KeywordsDiscarded {
                server: server(),
                keywords: "DSN ETRN".into(),
            },
            Level::Info,
            "discarding EHLO keywords: DSN ETRN",
        ),
        (
            Event::BadSizeLimit {
                server: server(),
                word: "big".into(),
            },
            Level::Warning,
            "bad EHLO SIZE limit \"big\" from mx.example[192.0.2.1]:25",
        ),
        (
            Event::Smtputf8Alone { server: server() },
            Level::Info,
            "host mx.example[192.0.2.1] offers SMTPUTF8 support, but not 8BITMIME",
        ),
        (
            Event::Postponed {
                id: id(),
                server: Some(server()),
                text: "host x said: 450 no".into(),
            },
            Level::Info,
            "4X1: host x said: 450 no",
        ),
    ]);
}

#[test]
fn lines_about_tls() {
    check([
        (
            Event::TlsPolicyWarning { text: "odd".into() },
            Level::Warning,
            "odd",
        ),
        (
            Event::TlsPolicyUnknown {
                what: "lookup error",
                destination: "example.com".into(),
                host: "mx.example".into(),
                why: "client TLS configuration problem".into(),
            },
            Level::Warning,
            "TLS policy lookup error for example.com/mx.example: client TLS configuration problem",
        ),
        (
            Event::WrapperModeUnprotected {
                protocol: Protocol::Smtp,
            },
            Level::Warning,
            "smtp_tls_wrappermode requires \"smtp_tls_security_level = encrypt\" (or stronger)",
        ),
        (
            Event::OpportunisticTlsOnSocket {},
            Level::Warning,
            "opportunistic TLS encryption is not appropriate for unix-domain destinations.",
        ),
        (
            Event::StarttlsOffered { server: server() },
            Level::Info,
            "Host offered STARTTLS: [mx.example]",
        ),
        (
            Event::PlaintextDiscarded {
                server: server(),
                bytes: 9,
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: discarding 9 bytes of plaintext that follow the STARTTLS \
             reply",
        ),
        (
            Event::TlsUnavailable {
                server: server(),
                why: "no engine".into(),
            },
            Level::Warning,
            "no engine",
        ),
        (
            Event::HandshakeFailed {
                server: server(),
                why: "lost connection".into(),
            },
            Level::Info,
            "SSL_connect error to mx.example[192.0.2.1]:25: lost connection",
        ),
        (
            Event::CertificateProblem {
                server: server(),
                problem: Problem::WrongName,
            },
            Level::Info,
            "server certificate verification failed for mx.example[192.0.2.1]:25: num=62:hostname \
             mismatch",
        ),
        (
            Event::TlsResumed { server: server() },
            Level::Info,
            "mx.example[192.0.2.1]:25: Reusing old session",
        ),
        (
            Event::TlsEstablished {
                server: server(),
                tls: tls(Trust::Verified),
            },
            Level::Info,
            "Verified TLS connection established to mx.example[192.0.2.1]:25: TLSv1.3 with cipher \
             TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA \
             (prime256v1)",
        ),
        (
            Event::TlsReused {
                server: server(),
                tls: Arc::new(TlsSummary::new("TLSv1.2", "C", 128, Trust::Untrusted)),
            },
            Level::Info,
            "Untrusted TLS connection reused to mx.example[192.0.2.1]:25: TLSv1.2 with cipher C \
             (128/128 bits)",
        ),
        (
            Event::StsTestFailed {
                domain: "example.com".into(),
                server: server(),
            },
            Level::Warning,
            "MTA-STS policy of example.com is in testing mode: the certificate of \
             mx.example[192.0.2.1]:25 does not fulfil it",
        ),
        (
            Event::EarlyMailReply {
                server: server(),
                protocol: Protocol::Smtp,
            },
            Level::Warning,
            "server mx.example[192.0.2.1] violates smtp_tls_block_early_mail_reply policy",
        ),
        (
            Event::TlsReport {
                result: TlsResult {
                    policy: PolicyType::Sts,
                    domain: "example.com".into(),
                    mx_host: "mx.example".into(),
                    failure: Some(ResultType::CertificateExpired),
                },
            },
            Level::Debug,
            "TLS report: sts example.com mx.example: certificate-expired",
        ),
    ]);
}

#[test]
fn lines_about_login_and_message() {
    check([
        (
            Event::OddMechanisms {
                server: server(),
                remark: "offered null AUTH mechanism list".into(),
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25 offered null AUTH mechanism list",
        ),
        (
            Event::UselessPassword {
                server: server(),
                place: " outside of TLS",
            },
            Level::Warning,
            "mx.example[192.0.2.1]:25: there is a password for this server, but it offers no AUTH \
             outside of TLS: mail goes out without a login",
        ),
        (
            Event::PasswordLookupFailed {
                id: id(),
                protocol: Protocol::Lmtp,
            },
            Level::Warning,
            "4X1: lmtp_sasl_password_maps lookup error",
        ),
        (
            Event::LoggedIn { server: server() },
            Level::Trace,
            "mx.example[192.0.2.1]:25: logged in",
        ),
        (
            Event::UnansweredLogin { server: server() },
            Level::Info,
            "mx.example[192.0.2.1]:25: it was the reply to AUTH that did not come",
        ),
        (
            Event::FlagNeedsOneRecipient {
                flag: 'D',
                protocol: Protocol::Smtp,
            },
            Level::Warning,
            "flag `D' requires smtp_destination_recipient_limit = 1",
        ),
        (
            Event::LineBroken {
                id: id(),
                limit: 998,
            },
            Level::Info,
            "4X1: breaking line > 998 bytes with <CR><LF>SPACE",
        ),
        (
            Event::ContentChecked {
                id: id(),
                text: "warning: header Subject: x".into(),
            },
            Level::Info,
            "4X1: warning: header Subject: x",
        ),
        (
            Event::ContentWarning { text: "bad".into() },
            Level::Warning,
            "bad",
        ),
    ]);
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
