//! All that the program writes as JSON, held to the published schemas: it has nothing else in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::schema;
use crate::common::tls;

use std::{collections::BTreeSet, fs};

use crate::common::{Run, Sink, folder, request, request_file, run};
use schema::{Strict, published};
use serde_json::{Value, json};
use tls::Tls;

/// The names of all schemas.
const NAMES: [&str; 8] = [
    "request",
    "report",
    "report-line",
    "event",
    "journal",
    "probe",
    "load",
    "log",
];

const MAY: [&str; 2] = ["-o", "smtp_tls_security_level=may"];

/// Delivers a request file both ways, and returns the whole report and the lines.
fn reports(path: &str, args: &[&str], exit: i32) -> (Value, Vec<Value>) {
    let command = [&["deliver", "--request", path], args].concat();
    let whole = run(&[&command[..], &["--report", "json"]].concat()).exits(exit);
    let whole = whole.report();
    Strict::new("report").takes(&whole);
    let lines = run(&[&command[..], &["--report", "jsonl"]].concat()).exits(exit);
    (whole, Strict::new("report-line").takes_lines(&lines.stdout))
}

fn statuses(whole: &Value) -> Vec<&str> {
    let requests = whole["requests"].as_array().unwrap().iter();
    let recipients = requests.flat_map(|request| request["recipients"].as_array().unwrap());
    recipients
        .map(|to| to["status"].as_str().unwrap())
        .collect()
}

#[test]
fn schemas_are_valid_and_are_what_the_program_prints() {
    let listed = run(&["schema"]).exits(0).stdout;
    let listed: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(listed, NAMES);
    for name in NAMES {
        let schema = published(name);
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        for key in ["$id", "title", "description"] {
            assert!(schema[key].is_string(), "{name}: {key}");
        }
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(run(&["schema", name]).exits(0).report(), schema, "{name}");
        // What the program writes may get new fields; what it reads may have no other ones.
        let text = schema.to_string();
        let is_closed = text.contains(r#""additionalProperties":false"#);
        assert_eq!(is_closed, name == "request", "{name}");
    }
    assert_eq!(fs::read_dir(schema::folder()).unwrap().count(), NAMES.len());
}

#[test]
fn every_value_of_a_schema_is_explained() {
    fn check(at: &str, schema: &Value) {
        for (name, value) in schema["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let explained = value.get("const").is_some() || value.get("$ref").is_some();
            assert!(explained || value["description"].is_string(), "{at}");
            check(&at, value);
        }
        for (name, value) in schema["$defs"].as_object().into_iter().flatten() {
            check(&format!("{at}: {name}"), value);
        }
    }
    for name in NAMES {
        check(name, &published(name));
    }
}

#[test]
fn definitions_of_one_name_are_the_same_in_all_schemas_of_reports() {
    let (report, line, event) = (
        published("report"),
        published("report-line"),
        published("event"),
    );
    for name in ["verdictFields", "server", "stage", "reply", "tls", "trust"] {
        assert_eq!(report["$defs"][name], line["$defs"][name], "{name}");
    }
    for name in ["server", "stage", "reply"] {
        assert_eq!(report["$defs"][name], event["$defs"][name], "{name}");
    }
}

#[test]
fn a_field_that_is_not_described_is_found() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    let (whole, lines) = reports(&path, &[], 0);
    for (pointer, key) in [
        ("", "mood"),
        ("/requests/0", "mood"),
        ("/requests/0/recipients/0", "mood"),
        ("/requests/0/recipients/0/reply", "mood"),
        ("/requests/0/recipients/0/times", "mood"),
    ] {
        let mut odd = whole.clone();
        odd.pointer_mut(pointer).unwrap()[key] = json!(1);
        assert_eq!(Strict::new("report").faults(&odd).len(), 1, "{pointer}");
        // To whoever has the published schema it is one to pass over.
        let open = jsonschema::draft202012::new(&published("report")).unwrap();
        assert!(open.is_valid(&odd), "{pointer}");
    }
    for mut line in lines {
        line["mood"] = json!(1);
        assert!(!Strict::new("report-line").faults(&line).is_empty());
    }
    let mut poor = whole;
    poor.pointer_mut("/requests/0/recipients/0")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("dsn");
    assert!(!Strict::new("report").faults(&poor).is_empty());
}

#[test]
fn reports_are_as_described_whatever_becomes_of_the_mail() {
    let sink = Sink::start(&[
        "--fault",
        "RCPT bounced@=550 5.1.1 no such user",
        "--fault",
        "RCPT deferred@=450 4.2.0 later",
    ]);
    let folder = folder();
    let mut all = request(&sink.nexthop(), "sent@x");
    all["id"] = json!("4XyZ");
    all["recipients"] = json!([
        { "address": "sent@x", "original": "o@x", "notify": "SUCCESS" },
        { "address": "bounced@x" }, { "address": "deferred@x" },
    ]);
    let mut bad = all.clone();
    bad["colour"] = json!("red");
    let mut asked = request(&sink.nexthop(), "bounced@x");
    asked["probe"] = json!(true);
    let nobody = request("[127.0.0.1]:1", "c@x");
    let path = request_file(&folder, json!([all, bad, asked, nobody]));
    let (whole, lines) = reports(&path, &[], 65);
    let found: BTreeSet<&str> = statuses(&whole).into_iter().collect();
    assert_eq!(
        found,
        ["bounced", "deferred", "sent", "undeliverable"].into()
    );
    assert!(whole["requests"][1]["error"].is_string());
    assert_eq!(lines.len(), 5 + 4, "{lines:#?}");
    // What can be understood is what its schema takes, and nothing else.
    let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let faults = Strict::new("request").faults(&file);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("/requests/1:"), "{faults:?}");

    let (whole, _) = reports(&path, &["-o", "soft_bounce=yes"], 65);
    assert!(statuses(&whole).contains(&"SOFTBOUNCE"), "{whole:#}");
}

#[test]
fn reports_are_as_described_where_nobody_knows_whether_mail_was_accepted() {
    // Hangs up instead of the reply to the end of the message.
    let sink = Sink::start(&["--fault", ".=close"]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), "b@x")]));
    let (whole, _) = reports(&path, &[], 75);
    assert_eq!(
        whole["requests"][0]["recipients"][0]["uncertain"], true,
        "{whole:#}"
    );
}

#[test]
fn reports_are_as_described_with_lmtp() {
    let sink = Sink::start(&["--lmtp"]);
    let folder = folder();
    let mut request = request(&sink.nexthop(), "b@x");
    request["recipients"] = json!([{ "address": "b@x" }, { "address": "c@x" }]);
    let file = json!({ "protocol": "lmtp", "requests": [request] });
    Strict::new("request").takes(&file);
    let path = crate::common::write(&folder, "lmtp.json", file.to_string());
    let (whole, lines) = reports(&path, &[], 0);
    assert_eq!(statuses(&whole), ["sent", "sent"]);
    assert_eq!(lines.len(), 3);
}

#[test]
fn reports_are_as_described_with_tls_and_where_it_fails() {
    let (_, config) = tls::certificate("mx.example");
    let folder = folder();
    for (server, level, exit, trust) in [
        (Tls::Start(config.clone()), "encrypt", 0, Some("Untrusted")),
        (Tls::Start(config), "secure", 75, Some("Untrusted")),
        (Tls::Alert, "encrypt", 75, None),
        (Tls::Refuse, "encrypt", 75, None),
        (Tls::Refuse, "may", 0, None),
    ] {
        let path = request_file(&folder, json!([request(&tls::serve(server), "b@x")]));
        let level = format!("smtp_tls_security_level={level}");
        let (whole, _) = reports(&path, &["-o", &level], exit);
        let recipient = &whole["requests"][0]["recipients"][0];
        assert_eq!(recipient["tls"]["trust"].as_str(), trust, "{whole:#}");
        assert!(recipient["tls"].is_object(), "{level}: {whole:#}");
    }
}

/// A request with every field that there is.
#[test]
fn a_request_file_may_have_every_field_that_its_schema_has() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let schema = published("request");
    let mut full = request(&sink.nexthop(), "b@x");
    let more = json!({
        "id": "4X1", "protocol": "smtp", "sender": "",
        "recipients": [{ "address": "r@example.com", "original": "o@example.com",
                         "orcpt": "rfc822;o@example.com", "notify": "SUCCESS,DELAY" }],
        "envid": "e", "ret": "HDRS", "smtputf8": false, "header_utf8": false, "encoding": "8bit",
        "stray_cr": "pass", "size": 77, "flags": "DOR", "probe": false,
        "connection_cache": ["load", "store"], "require_tls": false, "waive_tls": true,
        "age": 400, "pause_ms": 0,
        "client": { "name": "n", "address": "192.0.2.1", "port": "25", "proto": "ESMTP",
                    "helo": "h", "ident": "i", "source": "remote" },
    });
    for (key, value) in more.as_object().unwrap() {
        full[key] = value.clone();
    }
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let of = |name: &str| names(&schema["$defs"][name]["properties"]);
    assert_eq!(names(&full), of("request"));
    assert_eq!(names(&full["client"]), of("client"));
    assert_eq!(names(&full["recipients"][0]), of("recipient"));
    let file = json!({ "protocol": "smtp", "requests": [full] });
    Strict::new("request").takes(&file);
    let path = crate::common::write(&folder, "full.json", file.to_string());
    assert_eq!(statuses(&reports(&path, &[], 0).0), ["sent"]);
}

#[test]
fn findings_are_as_described() {
    let (_, config) = tls::certificate("mx.example");
    let secure = tls::serve(Tls::Start(config));
    let sink = Sink::start(&[]);
    let plain = sink.nexthop();
    let refusing = Sink::start(&["--fault", "CONNECT=554 5.7.1 go away"]);
    let alert = tls::serve(Tls::Alert);
    let strict = Strict::new("probe");
    let probe = |args: &[&str], to: &[&str]| -> Run {
        run(&[&["probe", "--json"], &MAY[..], args, to].concat())
    };
    for (server, args, exit) in [
        (&secure, &[][..], 0),
        (&secure, &["-o", "smtp_tls_security_level=verify"], 75),
        (&plain, &[], 0),
        (&plain, &["-o", "smtp_tls_security_level=encrypt"], 75),
        (&refusing.nexthop(), &[], 75),
        (&alert, &[], 75),
    ] {
        let run = probe(args, &[server]);
        strict.takes(&run.report());
        assert_eq!(run.exit, Some(exit), "{run:#?}");
    }
    let report = probe(&[], &[&secure]).report();
    assert!(
        report["hosts"][0]["tls"]["chain"][0]["subject"].is_string(),
        "{report:#}"
    );
    let several = probe(&[], &[&secure, &plain]).exits(0);
    assert_eq!(strict.takes_lines(&several.stdout).len(), 2);
    let socket = run(&["probe", "--json", "--protocol", "lmtp", "unix:/none"]).exits(75);
    strict.takes(&socket.report());
}

#[test]
fn summaries_of_load_are_as_described() {
    let sink = Sink::start(&["--fault", "RCPT bad@=550 5.1.1 no"]);
    let server = sink.address.to_string();
    let strict = Strict::new("load");
    for (args, exit) in [
        (&["--messages", "3"][..], 0),
        (
            &[
                "--messages",
                "3",
                "--rate",
                "100/s",
                "--per-connection",
                "2",
            ],
            0,
        ),
        (&["--messages", "2", "--to", "bad@x"], 69),
    ] {
        let run = run(&[&["load", "--json"], args, &[&server]].concat()).exits(exit);
        strict.takes(&run.report());
    }
    let (_, config) = tls::certificate("mx.example");
    let secure = tls::serve(Tls::Start(config)).replace(['[', ']'], "");
    let run = run(&[&["load", "--json"], &MAY[..], &[&secure]].concat()).exits(0);
    strict.takes(&run.report());
    assert!(run.report()["latency"]["tls"].is_object());
}
