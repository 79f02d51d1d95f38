//! The serialized forms, as JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use core::time::Duration;
use std::sync::Arc;

use serde_json::{Value, from_value, json, to_value};
use smtp_proto::{
    address::{Address, ReversePath},
    dsn::Notify,
    reply::Reply,
    session::Stage,
    status::EnhancedStatus,
};

use crate::{
    Protocol,
    event::{Event, Note},
    report::{Encryption, Outcome, Relay, Report, Scope, Status, Times, TlsSummary},
    request::{ClientSource, Encoding, Recipient, Request, TlsWish},
    server::Server,
    sts::{Kept, Mode, StsCache, StsPolicy},
    survey::Survey,
    tls::Trust,
};

fn full() -> Value {
    json!({
        "id": "4X1", "protocol": "lmtp",
        "nexthop": "[mx.example.com]:25", "sender": "s@example.org",
        "recipients": [{ "address": "r@example.com", "original": "o@example.com",
                         "orcpt": "rfc822;o@example.com", "notify": "SUCCESS,DELAY" }],
        "envid": "e", "ret": "HDRS", "smtputf8": true, "header_utf8": true, "encoding": "8bit",
        "stray_cr": "pass", "size": 77,
        "client": { "name": "n", "address": "192.0.2.1", "port": "25", "proto": "ESMTP",
                    "helo": "h", "ident": "i", "source": "remote" },
        "flags": "DOR", "probe": true, "connection_cache": ["load", "store"],
        "require_tls": true, "age": 400
    })
}

#[test]
fn a_request_is_read_and_written_with_all_that_it_has() {
    let request: Request = from_value(full()).unwrap();
    assert_eq!(request.protocol, Protocol::Lmtp);
    assert_eq!(request.encoding, Encoding::EightBit);
    assert_eq!(request.tls, TlsWish::Required);
    assert_eq!(request.age, Duration::from_secs(400));
    let client = request.client.as_ref().unwrap();
    assert_eq!(client.source, Some(ClientSource::Remote));
    assert!(request.recipients[0].notify.contains(Notify::DELAY));
    assert!(request.flags.return_path && !request.flags.final_delivery);
    assert_eq!(to_value(&request).unwrap(), full());
}

#[test]
fn what_is_left_out_is_absent_or_off_and_is_not_written() {
    let least = json!({ "protocol": "smtp", "nexthop": "x", "sender": "",
                        "recipients": [{ "address": "r@x" }] });
    let request: Request = from_value(least.clone()).unwrap();
    let to = Recipient::new(Address::parse("r@x").unwrap());
    let nexthop = "x".parse().unwrap();
    let expected = Request::new(Protocol::Smtp, nexthop, ReversePath::Null, vec![to]);
    assert_eq!(request, expected);
    assert_eq!(to_value(&request).unwrap(), least);
}

#[test]
fn a_survey_is_not_written() {
    let nexthop = "x".parse().unwrap();
    let request = Request::survey(Protocol::Smtp, nexthop, Survey::default());
    assert!(to_value(&request).is_err());
}

#[test]
fn a_fault_of_a_request_names_the_field() {
    for (key, value, said) in [
        (
            "nexthop",
            json!(7),
            "key \"nexthop\": invalid type: integer `7`, expected a text",
        ),
        (
            "nexthop",
            json!("a\nb"),
            "key \"nexthop\": the next hop has the character U+000A",
        ),
        ("sender", json!("a\nb"), "key \"sender\": "),
        ("id", json!("a\u{7}"), "key \"id\": "),
        ("recipients", json!([]), "key \"recipients\": there is none"),
        (
            "recipients",
            json!([7]),
            "key \"recipients\": recipient 1: invalid type: integer `7`",
        ),
        (
            "recipients",
            json!([{ "address": "a@b" }, { "address": "" }]),
            "key \"recipients\": recipient 2: key \"address\": the address is empty",
        ),
        (
            "recipients",
            json!([{ "adress": "a@b" }]),
            "key \"recipients\": recipient 1: unknown field `adress`, expected one of `address`",
        ),
        (
            "recipients",
            json!([{ "address": "a@b", "notify": "SOMETIMES" }]),
            "key \"recipients\": recipient 1: key \"notify\": \"SOMETIMES\" is not NEVER or a list",
        ),
        (
            "ret",
            json!("ALL"),
            "key \"ret\": \"ALL\" is neither \"FULL\" nor \"HDRS\"",
        ),
        (
            "encoding",
            json!("9bit"),
            "key \"encoding\": \"9bit\" is none of \"7bit\", \"8bit\"",
        ),
        (
            "size",
            json!(-1),
            "key \"size\": invalid value: integer `-1`",
        ),
        ("size", json!(null), "key \"size\": invalid type: null"),
        (
            "client",
            json!({ "nom": "x" }),
            "key \"client\": unknown field `nom`",
        ),
        (
            "client",
            json!({ "source": "here" }),
            "key \"client\": key \"source\": \"here\" is none",
        ),
        (
            "client",
            json!({ "helo": "a\u{1b}" }),
            "key \"client\": key \"helo\": ",
        ),
        ("flags", json!("DZ"), "key \"flags\": unknown letter \"Z\""),
        (
            "probe",
            json!("yes"),
            "key \"probe\": invalid type: string \"yes\", expected a boolean",
        ),
        (
            "connection_cache",
            json!(["keep"]),
            "key \"connection_cache\": \"keep\" is none of",
        ),
        (
            "connection_cache",
            json!([1]),
            "key \"connection_cache\": invalid type: integer `1`",
        ),
        (
            "waive_tls",
            json!(true),
            "key \"waive_tls\": TLS cannot be required and waived",
        ),
        ("colour", json!(1), "unknown field `colour`"),
    ] {
        let mut request = full();
        request[key] = value;
        let fault = from_value::<Request>(request).unwrap_err().to_string();
        assert!(
            fault.starts_with(said),
            "{key}: {fault:?} does not begin with {said:?}"
        );
    }
}

fn report() -> Report {
    let mut to = Recipient::new(Address::parse("a@example.com").unwrap());
    to.original = Some("b@example.com".parse().unwrap());
    let status = EnhancedStatus::new(2, 0, 0);
    let mut outcome = Outcome::new(Status::Sent, status, "250 2.0.0 Ok: queued as 4X1");
    let server = Server::inet("mx.example", "192.0.2.1:25".parse().unwrap());
    outcome.relay = Relay::Server(Arc::new(server));
    outcome.reply = Some(Reply::new(250, "250 2.0.0 Ok: queued as 4X1"));
    outcome.stage = Some(Stage::EndOfData);
    outcome.connection_uses = 1;
    let tls = TlsSummary::new("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, Trust::Verified);
    outcome.encryption = Some(Encryption::Tls(Arc::new(tls)));
    outcome.times = Times {
        queue: Duration::from_secs(400),
        connection: Duration::from_millis(250),
        ..Times::default()
    };
    let mut second = Outcome::new(
        Status::Bounced,
        EnhancedStatus::new(5, 4, 4),
        "no such host",
    );
    second.scope = Scope::Site;
    second.uncertain = true;
    Report::new(vec![
        (to, outcome),
        (
            Recipient::new(Address::parse("c@example.com").unwrap()),
            second,
        ),
    ])
}

#[test]
fn a_report_has_the_fields_that_are_promised() {
    let expected = json!({ "recipients": [
        { "address": "a@example.com", "status": "sent", "dsn": "2.0.0",
          "relay": "mx.example[192.0.2.1]:25", "text": "250 2.0.0 Ok: queued as 4X1",
          "original": "b@example.com", "action": "relayed", "scope": "recipient",
          "uncertain": false, "host": "mx.example",
          "server": { "host": "mx.example", "address": "192.0.2.1", "port": 25 },
          "connection_uses": 1, "stage": "end-of-data",
          "reply": { "code": 250, "dsn": "2.0.0", "lines": ["250 2.0.0 Ok: queued as 4X1"] },
          "queue_id": "4X1",
          "tls": { "established": true, "error": null, "version": "TLSv1.3",
                   "cipher": "TLS_AES_256_GCM_SHA384", "bits": 256, "trust": "Verified",
                   "problem": null },
          "times": { "queue": 400.0, "setup": 0.0, "connection": 0.25, "transmission": 0.0 } },
        { "address": "c@example.com", "status": "bounced", "dsn": "5.4.4", "relay": "none",
          "text": "no such host", "action": "failed", "scope": "site", "uncertain": true,
          "connection_uses": 0, "tls": null,
          "times": { "queue": 0.0, "setup": 0.0, "connection": 0.0, "transmission": 0.0 } },
    ] });
    assert_eq!(to_value(report()).unwrap(), expected);
}

#[test]
fn a_report_is_read_back_as_it_was() {
    let report = report();
    let read: Report = from_value(to_value(&report).unwrap()).unwrap();
    assert_eq!(read.recipients, report.recipients);
}

#[test]
fn a_fault_of_a_report_names_the_field() {
    for (key, value, said) in [
        ("status", json!("gone"), "\"gone\" is none of"),
        (
            "dsn",
            json!("2.0"),
            "recipient 2: key \"dsn\": \"2.0\" is no enhanced status code",
        ),
        ("stage", json!("lunch"), "\"lunch\" is no stage"),
        (
            "relay",
            json!("mx.example[192.0.2.1]:25"),
            "relay \"mx.example[192.0.2.1]:25\" has no key \"server\"",
        ),
        ("mood", json!(1), "recipient 2: unknown field `mood`"),
    ] {
        let mut value_of = to_value(report()).unwrap();
        value_of["recipients"][1][key] = value;
        let fault = from_value::<Report>(value_of).unwrap_err().to_string();
        assert!(fault.contains(said), "{key}: {fault}");
    }
}

#[test]
fn an_event_has_its_line_and_its_facts() {
    let server = Arc::new(Server::inet("mx.example", "192.0.2.1:25".parse().unwrap()));
    let note = Note::from(Event::GreetedWithOwnName {
        server: Arc::clone(&server),
        name: "me.example".into(),
    });
    assert_eq!(
        to_value(&note).unwrap(),
        json!({ "level": "warning",
                "log": "host mx.example[192.0.2.1]:25 greeted me with my own hostname me.example",
                "event": "greeted-with-own-name",
                "server": { "host": "mx.example", "address": "192.0.2.1", "port": 25 },
                "name": "me.example" })
    );
    let tls = Arc::new(TlsSummary::new("TLSv1.2", "C", 128, Trust::Untrusted));
    let note = to_value(Note::from(Event::TlsEstablished { server, tls })).unwrap();
    assert_eq!(note["event"], "tls-established");
    assert_eq!(note["tls"]["trust"], "Untrusted");
}

#[test]
fn the_memory_of_policies_is_read_back_as_it_was() {
    let policy = StsPolicy {
        mode: Mode::Enforce,
        max_age: Duration::from_secs(86_400),
        mx: vec!["*.example.com".into()],
    };
    let mut cache = StsCache::default();
    let kept = Kept {
        policy: Arc::new(policy),
        id: "1".into(),
        fetched: Duration::from_secs(1_800_000_000),
    };
    cache.insert("example.com", kept);
    let value = to_value(&cache).unwrap();
    let entry = json!({ "id": "1", "fetched": 1_800_000_000, "mode": "enforce",
                        "max_age": 86_400, "mx": ["*.example.com"] });
    assert_eq!(value, json!({ "policies": { "example.com": entry } }));
    assert_eq!(from_value::<StsCache>(value.clone()).unwrap(), cache);
    let mut wrong = value;
    wrong["policies"]["example.com"]["mode"] = json!("sometimes");
    let fault = from_value::<StsCache>(wrong).unwrap_err().to_string();
    assert_eq!(fault, "key \"mode\": \"sometimes\" is no mode");
}
