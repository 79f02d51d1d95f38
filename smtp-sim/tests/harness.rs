//! The fuzz targets under random input, and over their corpora.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use smtp_proto::Protocol;
use smtp_sim::harness::{Place, TARGETS, Target, is_delivered, reach};
use smtp_sim::scenario::{folder, load_all};

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| (file.display().to_string(), fs::read(file).unwrap()))
        .collect()
}

#[test]
fn every_corpus_is_replayed() {
    for target in TARGETS {
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "no corpus for {}", target.name);
        for (name, input) in inputs {
            println!("{name}");
            (target.run)(&input);
            // Each input is also tried cut short, as a fuzzer would.
            for end in (0..input.len()).step_by(7) {
                (target.run)(input.get(..end).unwrap_or_default());
            }
        }
    }
}

/// What a server says that is in a good mood or not, at the right time or not.
fn answer(good: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bad = prop::sample::select(vec![
        "421 bye\r\n",
        "550 5.1.1 no\r\n",
        "503 what?\r\n",
        "250 ok\r\n250 ok\r\n",
        "garbage\r\n",
        "\r\n\0",
        "250-half",
        "",
    ]);
    prop_oneof![
        30 => Just(good.into()),
        1 => bad.prop_map(Into::into),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (0..=u8::MAX).prop_map(move |pause| [good.as_bytes(), &[0xff, pause]].concat()),
    ]
}

/// What a server says to a client that says EHLO, perhaps STARTTLS, AUTH, and
/// sends messages.
fn server() -> impl Strategy<Value = Vec<u8>> {
    let hello = prop::sample::select(vec![
        "250 mx\r\n",
        "250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n",
        "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
        "250-mx\r\n250-PIPELINING\r\n250-XFORWARD NAME HELO\r\n250 AUTH PLAIN\r\n",
    ]);
    let hello = hello.prop_flat_map(answer).boxed();
    let challenge = prop::sample::select(vec!["", "334 \r\n", "334 YQ==\r\n", "334 ?\r\n"]);
    let login = prop_oneof![
        Just(Vec::new()),
        (challenge.prop_flat_map(answer), answer("235 in\r\n")).prop_map(|(a, b)| [a, b].concat()),
    ];
    let secure = (answer("220 go\r\n"), hello.clone())
        .prop_map(|(go, hello)| [go.as_slice(), b"\xff\0", hello.as_slice()].concat());
    let secure = prop_oneof![Just(Vec::new()), secure];
    let message = prop_oneof![4 => Just("354 go\r\n"), 1 => Just("")]
        .prop_flat_map(|ready| {
            (
                prop::collection::vec(answer("250 ok\r\n"), 2..8),
                answer(ready),
                prop::collection::vec(answer("250 ok\r\n"), 1..4),
            )
        })
        .prop_map(|(before, ready, after)| [before.concat(), ready, after.concat()].concat());
    let greeting = prop::sample::select(vec!["220 mx ESMTP\r\n", "220 ****\r\n"]);
    (
        greeting.prop_flat_map(answer),
        hello,
        secure,
        login,
        prop::collection::vec(message, 0..4),
    )
        .prop_map(|(greeting, hello, secure, login, messages)| {
            [greeting, hello, secure, login, messages.concat()].concat()
        })
}

/// A dialogue behind steering bytes, most of them zero or not, so that random input gets
/// beyond the greeting.
fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![2 => Just(0), 1 => 0..8u8, 1 => any::<u8>()];
    (prop::collection::vec(byte, 16), server())
        .prop_map(|(steering, server)| [steering, server].concat())
}

/// Texts for a request and answers of tables, most of them harmless, so that there is a
/// request, or meant to end a line.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let evil = prop::sample::select(vec![
        "\r\n.\r\nMAIL FROM:<evil@example.net>\r\n",
        "\nX-Evil: y",
        "\r",
        "\0",
        "\u{1b}[2J",
        "\u{9b}",
    ]);
    let word = move |harmless: &'static [&'static str], often: u32| {
        let word = prop::sample::select(harmless);
        let worse = (word.clone(), evil.clone()).prop_map(|(word, evil)| format!("{word}{evil}"));
        prop_oneof![20 => word.prop_map(str::to_owned), often => worse].boxed()
    };
    let address: &[&str] = &["", "a@example.com", "two words@example.com", ".@\u{e9}"];
    let other: &[&str] = &["", "x", ".", "DATA", "\u{e9} +="];
    let hop: &[&str] = &["", "[192.0.2.1]:25", "example.com, [192.0.2.1]"];
    let kind: &[&str] = &["", "rfc822", "utf-8"];
    // In the order in which a request takes them.
    let texts = [
        address,
        address,
        address,
        hop,
        kind,
        other,
        &["", "QID"],
        other,
        other,
        other,
    ];
    let texts: Vec<_> = texts.iter().map(|harmless| word(harmless, 3)).collect();
    let says: &[&str] = &[
        "a@b",
        "user:password",
        "2.0.0 ok",
        "4.0.0 no",
        "may match=x",
        "REPLACE X-A: b",
        "PREPEND X-A: b",
        "INFO",
        "silent",
    ];
    let answers = prop::collection::vec(word(says, 20), 0..8);
    // A server that takes the message, more often than not.
    let asked = prop_oneof![Just(0x1f), any::<u8>()];
    let flags = (asked, prop_oneof![3 => Just(0), 1 => any::<u8>()]);
    let flags = flags.prop_map(|(asked, mood)| asked & 0x1f | mood & 0xe0);
    let tables = prop_oneof![Just([0, 0]), any::<[u8; 2]>()];
    (flags, tables, texts, answers).prop_map(|(flags, tables, texts, answers)| {
        let words = texts.iter().chain(&answers).map(String::as_bytes);
        let words = words.collect::<Vec<_>>().join(&0xff);
        [&[flags], &tables[..], &words].concat()
    })
}

#[test]
fn the_corpus_of_sessions_gets_everywhere() {
    let target = TARGETS
        .iter()
        .find(|target| target.name == "session")
        .unwrap();
    let reached: BTreeSet<Place> = corpus(target)
        .iter()
        .flat_map(|(_, input)| reach(input))
        .collect();
    let missing: Vec<_> = Place::ALL
        .iter()
        .filter(|place| !reached.contains(place))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn requests_are_delivered_unless_their_texts_are_refused() {
    let target = TARGETS
        .iter()
        .find(|target| target.name == "request")
        .unwrap();
    for (name, input) in corpus(target) {
        let refused = name.ends_with("with-lines") || name.ends_with("deferred-status");
        assert_eq!(is_delivered(&input), !refused, "{name}");
    }
    let mut runner = TestRunner::deterministic();
    let inputs = (0..200).map(|_| texts().new_tree(&mut runner).unwrap().current());
    let delivered = inputs.filter(|input| is_delivered(input)).count();
    assert!(delivered > 20, "only {delivered} of 200 get there");
}

/// All targets but `world`: worlds by chance are what the simulator's own runner is for.
fn quick() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().filter(|target| target.name != "world")
}

proptest! {
    #[test]
    fn no_target_fails_on_random_bytes(input in prop::collection::vec(any::<u8>(), 0..500)) {
        quick().for_each(|target| (target.run)(&input));
    }

    #[test]
    fn a_request_is_one_message_whatever_its_texts_and_the_tables_say(input in texts()) {
        smtp_sim::harness::request(&input);
    }

    #[test]
    fn no_target_fails_on_something_like_a_dialogue(input in dialogue()) {
        quick().for_each(|target| (target.run)(&input));
    }
}

/// What each server said in the recordings, as an input of the target `session`, where
/// the client does what it did there; less of the steering bytes is an input of others.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let scenarios = load_all(&folder()).unwrap();
    let sessions = scenarios.iter().flat_map(|scenario| {
        let protocol = u8::from(scenario.protocol == Protocol::Lmtp);
        scenario
            .expect
            .sessions
            .iter()
            .map(move |session| (scenario, protocol, session))
    });
    let input = sessions.map(|(scenario, protocol, session)| {
        let said = |who: &str, what: &str| {
            let lines = session.transcript.iter();
            let count = lines.filter(|line| line.0 == who && line.1.starts_with(what));
            u8::try_from(count.count()).unwrap()
        };
        let recipients = said("C", "RCPT").max(1) - 1;
        let starttls = u8::from(said("C", "STARTTLS") == 0);
        let messages = said("C", "MAIL").clamp(1, 4) - 1;
        let mut input = vec![
            protocol, 1, 7, 64, 0, recipients, starttls, 0, 125, 0, 5, 0, 0, messages, 0, 0,
        ];
        for entry in &session.transcript {
            match entry.0.as_str() {
                "S" => input.extend_from_slice(&[entry.1.as_bytes(), b"\r\n"].concat()),
                // What comes inside TLS comes later.
                "T" => input.extend_from_slice(b"\xff\0"),
                _ => {}
            }
        }
        (scenario.name.clone(), input)
    });
    input.collect()
}

#[test]
fn every_recorded_dialogue_is_a_seed() {
    let recorded = recorded();
    assert!(recorded.len() > 400, "{} dialogues", recorded.len());
    for target in TARGETS {
        if matches!(target.name, "differential" | "reply" | "session") {
            for (name, input) in &recorded {
                println!("{} {name}", target.name);
                let steering = match target.name {
                    "session" => 16,
                    "reply" => 4,
                    _ => 0,
                };
                let input = [&input[..steering], &input[16..]].concat();
                (target.run)(&input);
            }
        }
    }
}

/// The bytes of all fields in base64 with this name.
fn fields(json: &serde_json::Value, name: &str, found: &mut Vec<Vec<u8>>) {
    match json {
        serde_json::Value::Object(fields_of) => {
            for (key, value) in fields_of {
                match value.as_str() {
                    Some(text) if key == name => found.push(STANDARD.decode(text).unwrap()),
                    _ => fields(value, name, found),
                }
            }
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| fields(item, name, found));
        }
        _ => {}
    }
}

/// The recorded conversations of Postfix's processes, and their queue files.
#[test]
fn every_recorded_conversation_is_a_seed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../postfix-ipc/tests/data");
    let run = |name: &str, input: &[u8]| {
        let target = TARGETS.iter().find(|target| target.name == name);
        (target.unwrap().run)(input);
    };
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let recording: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (field, target, steering) in [
            ("request_base64", "delivery_request", &[7, 1, 100, 3][..]),
            // Files, and conversations of which one byte says the kind of list.
            ("base64", "queue_file", &[50]),
            ("base64", "attr", &[0, 7, 1, 100, 3]),
            ("base64", "attr", &[1, 7, 1, 100, 3]),
            ("base64", "attr", &[7, 7, 1, 100, 3]),
        ] {
            let mut found = Vec::new();
            fields(&recording, field, &mut found);
            seeds += found.len();
            for bytes in found {
                run(target, &[steering, &bytes].concat());
            }
        }
    }
    assert!(seeds > 1000, "{seeds}");
}
