//! All that the program writes as JSON, held to its published schemas: it has nothing else in it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use outpost::smtp_policy::{
    event::{Event, Note},
    report::Report,
    schema::Verdict,
    server::Server as Endpoint,
};
use outpost_queue::{
    model::{DestinationName, Hold, MessageId, TaskId},
    operation::Finding,
    store::StoreError,
    worker::QueueEvent,
};
use serde_json::{Value, json};
use smtp_proto::dsn::Notify;

use crate::common::{Manner, Queue, Server, run};
use crate::strict::{self, Strict, published};

/// The names of all schemas.
const NAMES: [&str; 4] = ["queue-event", "queue-list", "queue-show", "queue-stats"];

fn names(object: &Value) -> BTreeSet<String> {
    let object = object.as_object().into_iter().flatten();
    object.map(|(name, _)| name.clone()).collect()
}

/// An event as a line of `--events` has it.
fn line(event: &QueueEvent<'_>) -> Value {
    let mut line = serde_json::to_value(event).unwrap();
    line["time"] = json!("2026-11-30T12:00:00.000000Z");
    line
}

/// A recipient of whom as much is known as can be, and one of whom as little.
fn verdicts() -> Report {
    let times = json!({ "queue": 1.5, "setup": 0, "connection": 0.25, "transmission": 2 });
    let full = json!({
        "address": "b@x.example", "status": "sent", "dsn": "2.0.0",
        "relay": "mx.example[192.0.2.1]:25", "text": "250 2.0.0 Ok: queued as 4XyZ",
        "original": "o@x.example", "action": "relayed", "scope": "recipient", "uncertain": false,
        "server": { "host": "mx.example", "address": "192.0.2.1", "port": 25 },
        "connection_uses": 1, "stage": "end-of-data",
        "reply": { "code": 250, "dsn": "2.0.0", "lines": ["2.0.0 Ok: queued as 4XyZ"] },
        "tls": { "established": true, "error": null, "version": "TLSv1.3",
                 "cipher": "TLS_AES_256_GCM_SHA384", "bits": 256, "trust": "Verified",
                 "problem": null },
        "times": times,
    });
    let poor = json!({
        "address": "c@x.example", "status": "deferred", "dsn": "4.4.1", "relay": "none",
        "text": "nobody is there", "action": "delayed", "scope": "site", "uncertain": true,
        "connection_uses": 0, "tls": null, "times": times,
    });
    let both = json!({ "recipients": [full, poor] });
    let mut report: Report = serde_json::from_value(both).unwrap();
    for (recipient, _) in &mut report.recipients {
        recipient.notify = Notify::SUCCESS;
    }
    report
}

/// Events of the kinds whose values are any.
fn simple_events() -> Vec<Value> {
    let (message, task, why) = (MessageId(0x2f), TaskId(3), "for a reason");
    let destination: &DestinationName = &"smtp:x.example".parse().unwrap();
    let (ended, in_doubt, poisoned) = (true, false, true);
    let events = [
        QueueEvent::Claimed {
            message,
            task,
            destination,
            recipients: 2,
            attempts: 0,
        },
        QueueEvent::Concluded { message, task },
        QueueEvent::Lost {
            message,
            task,
            ended,
        },
        QueueEvent::Panicked { message, task, why },
        QueueEvent::SetAside { message, task, why },
        QueueEvent::Reaped {
            message,
            task,
            in_doubt,
            poisoned,
        },
        QueueEvent::StoreFailed {
            doing: "claim tasks",
            error: &StoreError::Other(why.to_owned()),
        },
        QueueEvent::ReportDamaged { message, why },
        QueueEvent::DutyFailed {
            duty: "reports",
            why,
        },
        QueueEvent::Stopping {
            running: 1,
            grace: Duration::from_millis(30_500),
        },
    ];
    events.iter().map(line).collect()
}

/// Events of every kind but notes and verdicts, with all words that there are.
fn plain_events() -> Vec<Value> {
    let (message, task, report) = (MessageId(0x2f), TaskId(3), MessageId(0x30));
    let destination: &DestinationName = &"smtp:x.example".parse().unwrap();
    let mut lines = simple_events();
    for about in ["failure", "delay", "success"] {
        lines.push(line(&QueueEvent::Reported {
            message,
            report,
            about,
            recipients: 1,
        }));
    }
    let holds = [Hold::Operator, Hold::Doubt, Hold::Poison].map(Finding::SetAside);
    for finding in [Finding::Expired, Finding::Delayed]
        .into_iter()
        .chain(holds)
    {
        lines.push(line(&QueueEvent::Looked {
            message,
            task,
            destination,
            finding,
            recipients: 7,
        }));
    }
    lines
}

fn settled() -> Vec<Value> {
    let report = verdicts();
    let events = report.recipients.iter().map(|(recipient, outcome)| {
        let message = MessageId(0x2f);
        let verdict = Verdict { recipient, outcome };
        line(&QueueEvent::Settled { message, verdict })
    });
    events.collect()
}

fn notes() -> Vec<Value> {
    let server = std::sync::Arc::new(Endpoint::inet(
        "mx.example",
        "192.0.2.1:25".parse().unwrap(),
    ));
    let relays = "relay.example".to_owned();
    let (uses, name) = (2, "mx.example".to_owned());
    let events = [
        Event::FallbackIgnored { relays },
        Event::Connected {
            server: server.clone(),
        },
        Event::Reused {
            server: server.clone(),
            uses,
        },
        Event::GreetedWithOwnName { server, name },
    ];
    let message = MessageId(0x2f);
    let note = |event| {
        line(&QueueEvent::Note {
            message,
            note: &Note::from(event),
        })
    };
    events.map(note).into()
}

fn every_event() -> Vec<Value> {
    [plain_events(), settled(), notes()].concat()
}

#[test]
fn schemas_are_valid_and_are_what_the_program_prints() {
    let listed = run(&["schema"]).exits(0).stdout;
    let listed = listed.lines().filter_map(|line| line.split(' ').next());
    assert_eq!(listed.collect::<Vec<_>>(), NAMES);
    for name in NAMES {
        let schema = published(name);
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        for key in ["title", "description"] {
            assert!(schema[key].is_string(), "{name}: {key}");
        }
        let id = schema["$id"].as_str().unwrap();
        assert!(id.ends_with(&format!("outpost-queue/schema/{name}.schema.json")));
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert_eq!(run(&["schema", name]).exits(0).json(), schema, "{name}");
    }
    assert_eq!(fs::read_dir(strict::folder()).unwrap().count(), NAMES.len());
    run(&["schema", "weather"]).exits(64);
}

#[test]
fn every_value_of_a_schema_is_explained() {
    fn check(at: &str, schema: &Value) {
        for (name, value) in schema["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            let explained = value.get("$ref").is_some() || value["description"].is_string();
            assert!(explained, "{at}");
            check(&at, value);
        }
        for (name, value) in schema["$defs"].as_object().into_iter().flatten() {
            let at = format!("{at}: {name}");
            assert!(
                value["description"].is_string() || name == "noteFields",
                "{at}"
            );
            check(&at, value);
        }
    }
    for name in NAMES {
        check(name, &published(name));
    }
}

/// Facts of the engine are described as in the schemas of the program `outpost`.
#[test]
fn definitions_of_the_engine_are_the_same_as_those_of_deliveries() {
    let theirs = |name: &str| -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../outpost/schema");
        let text = fs::read_to_string(folder.join(format!("{name}.schema.json"))).unwrap();
        // There are two objects of this name, of which the queue has both.
        let text = match name {
            "report" => text.replace("\"#/$defs/tls\"", "\"#/$defs/encryption\""),
            _ => text,
        };
        serde_json::from_str(&text).unwrap()
    };
    let (event, report) = (theirs("event"), theirs("report"));
    let ours = published("queue-event");
    assert_eq!(ours["$defs"]["note"]["allOf"], event["allOf"]);
    for (name, value) in event["$defs"].as_object().unwrap() {
        if name != "noteFields" {
            assert_eq!(&ours["$defs"][name], value, "{name}");
        }
    }
    let fields = &event["$defs"]["noteFields"]["properties"];
    for name in ["level", "log", "event"] {
        let field = &ours["$defs"]["note"]["properties"][name];
        assert_eq!(field, &fields[name], "{name}");
    }
    for schema in [&ours, &published("queue-show")] {
        for name in ["verdictFields", "server", "stage", "reply", "trust"] {
            assert_eq!(schema["$defs"][name], report["$defs"][name], "{name}");
        }
        assert_eq!(schema["$defs"]["encryption"], report["$defs"]["tls"]);
    }
}

#[test]
fn definitions_of_one_name_are_the_same_in_all_schemas() {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for schema in NAMES.map(published) {
        for (name, value) in schema["$defs"].as_object().unwrap() {
            let first = seen.entry(name.clone()).or_insert_with(|| value.clone());
            assert_eq!(first, value, "{name}");
        }
    }
    let (list, show) = (published("queue-list"), published("queue-show"));
    for (name, value) in list["properties"].as_object().unwrap() {
        assert_eq!(&show["properties"][name], value, "{name}");
    }
}

/// The kinds are read as text: there is no list of them in the library.
#[test]
fn every_kind_of_event_is_described_with_its_fields() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/worker/event.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, table) = source.split_once("pub enum QueueEvent<'a> {\n").unwrap();
    let (table, _) = table.split_once("\n}\n").unwrap();
    let schema = published("queue-event");
    let (mut kinds, mut kind) = (BTreeSet::new(), String::new());
    for line in table.lines() {
        if let Some(name) = line.strip_suffix(" {") {
            kind = snake(name.trim());
            kinds.insert(kind.clone());
        } else if let Some((field, _)) = line.trim().split_once(": ")
            && line.starts_with("        ")
            && !field.contains(['/', '#'])
            // What is in their place is in others' definitions.
            && !["note", "verdict"].contains(&field)
        {
            let described = &schema["$defs"][&kind];
            assert!(
                described["properties"][field].is_object(),
                "{kind}: {field}"
            );
            let required = described["required"].as_array().unwrap();
            assert!(required.contains(&json!(field)), "{kind}: {field}");
        }
    }
    assert!(kinds.len() > 10, "{kinds:?}");
    let conditions = schema["allOf"].as_array().unwrap().iter();
    let conditions = conditions.map(|entry| {
        let kind = entry["if"]["properties"]["kind"]["const"].as_str().unwrap();
        assert_eq!(entry["then"]["$ref"], format!("#/$defs/{kind}"));
        kind.to_owned()
    });
    assert_eq!(conditions.collect::<BTreeSet<_>>(), kinds);
    let made = every_event()
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, made, "an example of each kind");
}

/// `StoreFailed` as it is in JSON.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[test]
fn events_of_every_kind_are_as_described() {
    let strict = Strict::new("queue-event");
    for event in every_event() {
        strict.takes(&event);
    }
    // Nothing is described that there is not, and what need not be there is in one of the examples.
    let schema = published("queue-event");
    for event in plain_events() {
        let mut described = names(&schema["$defs"][event["kind"].as_str().unwrap()]["properties"]);
        described.extend(names(&schema["properties"]));
        assert_eq!(names(&event), described);
    }
    let seen: BTreeSet<String> = settled().iter().flat_map(names).collect();
    let mut described = names(&schema["$defs"]["verdictFields"]["properties"]);
    described.extend(names(&schema["properties"]));
    described.insert("message".to_owned());
    assert_eq!(seen, described);
}

#[test]
fn fields_and_kinds_that_are_not_described_are_found() {
    let strict = Strict::new("queue-event");
    let open = jsonschema::draft202012::new(&published("queue-event")).unwrap();
    for event in every_event() {
        for at in ["", "/server", "/reply", "/tls", "/times"] {
            let mut odd = event.clone();
            let Some(object) = odd.pointer_mut(at).and_then(Value::as_object_mut) else {
                continue;
            };
            object.insert("mood".to_owned(), json!(1));
            assert!(!strict.faults(&odd).is_empty(), "{at}: {odd:#}");
            // To whoever has the published schema it is one to pass over.
            assert!(open.is_valid(&odd), "{at}: {odd:#}");
        }
        for tag in ["kind", "event"] {
            let mut odd = event.clone();
            odd[tag] = json!("eclipsed");
            assert!(!strict.faults(&odd).is_empty(), "{odd:#}");
        }
        // Of a verdict some fields need not be there.
        for name in names(&event).iter().filter(|_| event["kind"] != "settled") {
            let mut poor = event.clone();
            poor.as_object_mut().unwrap().remove(name);
            assert!(!open.is_valid(&poor), "{name}: {poor:#}");
        }
    }
}

#[test]
fn what_a_worker_and_the_queue_say_is_as_described() {
    let event = Strict::new("queue-event");
    let (show, stats) = (Strict::new("queue-show"), Strict::new("queue-stats"));
    let queue = Queue::new();
    let looks = |ids: &[&String]| {
        for state in ["arriving", "queued", "finished"] {
            queue.list(&["--state", state]);
        }
        for id in ids {
            show.takes(&queue.run(&["show", id, "--json"]).exits(0).json());
        }
        stats.takes(&queue.run(&["stats", "--json"]).exits(0).json());
    };
    let servers = [Manner::Takes, Manner::Defers, Manner::Refuses].map(Server::start);
    let ids = servers
        .each_ref()
        .map(|server| queue.submit(&server.nexthop, &["a@x.example", "b@x.example"]));
    let held = queue.submit("[127.0.0.1]:1", &["c@x.example"]);
    let dead = queue.submit("[127.0.0.1]:2", &["c@x.example"]);
    queue.run(&["hold", &held]).exits(0);
    let all: Vec<&String> = ids.iter().chain([&held, &dead]).collect();
    looks(&all);
    let file = queue.path("events");
    let options = [
        "run",
        "--drain",
        "--events",
        &file,
        "-o",
        "inet_interfaces=127.0.0.1",
    ];
    queue.run(&options).exits(0);
    looks(&all);
    let lines = event.takes_lines(&fs::read_to_string(file).unwrap());
    let kinds: BTreeSet<&str> = lines
        .iter()
        .map(|line| line["kind"].as_str().unwrap())
        .collect();
    for kind in ["claimed", "note", "settled", "concluded", "reported"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    let tasks: BTreeSet<String> = queue
        .list(&[])
        .iter()
        .flat_map(|line| line["tasks"].as_array().unwrap().clone())
        .map(|task| task["state"].to_string())
        .collect();
    assert!(tasks.contains("\"held\""), "{tasks:?}");
}
