//! Output that comes while the work goes on, held to the published schemas: events, the
//! journal, and standard error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::schema;
use crate::common::tls;

use std::{collections::BTreeSet, fs, path::Path};

use crate::common::{MESSAGE, Sink, folder, request, request_file, run, run_with_input};
use schema::{Strict, published};
use serde_json::{Value, json};
use tls::Tls;

const MAY: [&str; 2] = ["-o", "smtp_tls_security_level=may"];

/// The table of kinds is read as text: there is no list of them in the program.
#[test]
fn every_kind_of_event_is_described_with_its_facts() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smtp-policy/src/event/kinds.rs");
    let table = fs::read_to_string(table).unwrap();
    let (_, table) = table.split_once("\nevents! {").unwrap();
    let schema = published("event");
    let mut kinds = BTreeSet::new();
    let mut kind = String::new();
    let mut facts = BTreeSet::new();
    for line in table.lines() {
        let fact = line
            .strip_prefix("        ")
            .filter(|line| !line.starts_with([' ', '/']));
        if let Some((fact, _)) = fact.and_then(|fact| fact.split_once(": ")) {
            facts.insert(fact.to_owned());
        } else if let Some((name, _)) = line.trim_start().split_once(" {")
            && line.starts_with("    ")
            && !line.starts_with("     ")
            && name.chars().all(char::is_alphanumeric)
        {
            kind = kebab(name);
        }
        if line.starts_with("    }") || line.contains(" {} => ") {
            let described = &schema["$defs"][&kind];
            assert!(
                described["description"].is_string(),
                "{kind} is not described"
            );
            let names = described["properties"].as_object();
            let names: BTreeSet<String> = names
                .into_iter()
                .flat_map(|names| names.keys().cloned())
                .collect();
            assert_eq!(names, std::mem::take(&mut facts), "{kind}");
            kinds.insert(std::mem::take(&mut kind));
        }
    }
    assert!(kinds.len() > 50, "{kinds:?}");
    let named = |entry: &Value| {
        entry["if"]["properties"]["event"]["const"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let conditions: BTreeSet<String> = schema["allOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(named)
        .collect();
    assert_eq!(conditions, kinds);
}

/// `GreetedWithOwnName` as it is in JSON.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}

#[test]
fn standard_error_is_lines_of_json_where_that_is_wanted() {
    let sink = Sink::start(&["--fault", "RCPT bad@=550 5.1.1 no"]);
    let nexthop = sink.nexthop();
    let strict = Strict::new("log");
    let deliver = [
        "deliver",
        "--from",
        "a@x",
        "--to",
        "b@x",
        "--nexthop",
        &nexthop,
    ];
    let json = ["--log-format", "json"];
    for verbosity in ["-v", "-vv"] {
        let args = [&deliver[..], &json, &[verbosity]].concat();
        let run = run_with_input(&args, MESSAGE.as_bytes()).exits(0);
        let lines = strict.takes_lines(&run.stderr);
        let said = |line: &Value| {
            line["fields"]["message"]
                .as_str()
                .unwrap_or("")
                .contains("MAIL FROM")
        };
        let mail = lines.iter().find(|line| said(line)).unwrap();
        assert_eq!(
            (&mail["level"], &mail["target"]),
            (&json!("DEBUG"), &json!("outpost"))
        );
    }
    // Messages of the program, of the command line's reader, and warnings.
    for (args, exit, level) in [
        (
            &["deliver", "--from", "a@x", "--to", "b@x", "/none"][..],
            65,
            "ERROR",
        ),
        (&["deliver", "--colour"], 64, "ERROR"),
        (&[&deliver[..], &["-"]].concat(), 0, "WARN"),
    ] {
        let run = run(&[args, &json].concat()).exits(exit);
        let lines = strict.takes_lines(&run.stderr);
        assert!(!lines.is_empty(), "{run:#?}");
        for line in &lines {
            assert_eq!(line["level"], level, "{line}");
            let message = line["fields"]["message"].as_str().unwrap();
            assert!(
                !message.starts_with("outpost:") && !message.starts_with("warning"),
                "{line}"
            );
        }
    }
    // Otherwise it is for people.
    let plain = run(&["deliver", "--from", "a@x", "--to", "b@x", "/none"]).exits(65);
    assert!(plain.stderr.starts_with("outpost: "), "{plain:#?}");
}

/// Delivers a request with events into a file, and returns them.
fn events(path: &str, args: &[&str], exit: i32) -> Vec<Value> {
    let folder = folder();
    let file = folder.path().join("events.jsonl");
    let to = [
        "deliver",
        "--request",
        path,
        "--events",
        file.to_str().unwrap(),
    ];
    run(&[&to, args].concat()).exits(exit);
    Strict::new("event").takes_lines(&fs::read_to_string(file).unwrap())
}

fn kinds(events: &[Value]) -> BTreeSet<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[test]
fn events_are_written_as_they_happen_and_as_described() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let plain = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    for runtime in crate::common::RUNTIMES {
        let seen = events(&plain, &["--runtime", runtime], 0);
        assert!(
            kinds(&seen).is_superset(&["connected", "disconnected"].into()),
            "{seen:#?}"
        );
        assert!(
            seen.iter()
                .all(|event| event["request"] == 1 && event["id"] == "R1")
        );
        assert!(!kinds(&seen).contains("said"));
        let seen = events(&plain, &["-v", "--runtime", runtime], 0);
        assert!(
            kinds(&seen).is_superset(&["said", "heard", "text-sent"].into()),
            "{seen:#?}"
        );
    }
    // A kind of which nobody has written is found.
    let strict = Strict::new("event");
    let mut odd = events(&plain, &[], 0).remove(0);
    odd["event"] = json!("eclipsed");
    assert!(!strict.faults(&odd).is_empty());
    let (_, config) = tls::certificate("mx.example");
    for (server, args, exit, kind) in [
        (
            tls::serve(Tls::Start(config)),
            &["-o", "smtp_tls_loglevel=1"][..],
            0,
            "tls-established",
        ),
        (tls::serve(Tls::Alert), &[], 75, "handshake-failed"),
        ("[127.0.0.1]:1".into(), &[], 75, "connect-failed"),
    ] {
        let path = request_file(&folder, json!([request(&server, "b@x")]));
        let seen = events(&path, &[&MAY[..], args].concat(), exit);
        assert!(kinds(&seen).contains(kind), "{kind}: {seen:#?}");
    }
}

#[test]
fn events_can_go_between_the_lines_of_the_report() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    let deliver = ["deliver", "--request", &path, "--events", "-", "--report"];
    let run_with = |report| run(&[&deliver[..], &[report]].concat());
    let lines = run_with("jsonl").exits(0).stdout;
    let (event, report) = (Strict::new("event"), Strict::new("report-line"));
    let mut order = Vec::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["event"].as_str().unwrap() {
            "verdict" | "request" => report.takes(&line),
            _ => event.takes(&line),
        }
        order.push(line["event"].as_str().unwrap().to_owned());
    }
    let place = |kind| order.iter().position(|found| found == kind).unwrap();
    assert!(place("connected") < place("verdict"), "{order:?}");
    run_with("json").exits(64).complains("needs --report jsonl");
}

#[test]
fn events_that_cannot_be_written_hold_no_mail_up() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    let deliver = ["deliver", "--request", &path, "--events"];
    run(&[&deliver[..], &["/none/events"]].concat())
        .exits(74)
        .complains("cannot write /none/events");
    assert_eq!(sink.messages().len(), 0);
    let full = run(&[&deliver[..], &["/dev/full"]].concat()).exits(74);
    assert_eq!(
        full.stderr
            .matches("cannot write events to /dev/full")
            .count(),
        1,
        "{full:#?}"
    );
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn journals_are_as_described() {
    let sink = Sink::start(&[
        "--fault",
        "RCPT bounced@=550 5.1.1 no such user",
        "--fault",
        "RCPT deferred@=450 4.2.0 later",
    ]);
    let nexthop = sink.nexthop();
    let folder = folder();
    let message = crate::common::write(&folder, "message.eml", MESSAGE);
    let journal = folder.path().join("journal");
    let mut args = vec!["deliver", "--nexthop", &nexthop, "--from", "a@x"];
    args.extend(["--journal", journal.to_str().unwrap(), &message]);
    for to in ["sent@x", "bounced@x", "deferred@x"] {
        args.extend(["--to", to]);
    }
    run(&args).exits(75);
    let lines = Strict::new("journal").takes_lines(&fs::read_to_string(journal).unwrap());
    let events: BTreeSet<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["doubt", "journal", "verdict"].into(), "{lines:#?}");
}
