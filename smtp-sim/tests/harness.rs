//! The fuzz targets under random input, and over their corpora.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use proptest::prelude::*;
use smtp_sim::harness::{TARGETS, Target};
use smtp_sim::scenario::{Dialect, folder, load_all};

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

/// Pieces of dialogue, so that random input gets beyond the greeting.
fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"220 mx ESMTP\r\n".to_vec()),
        Just(b"250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n".to_vec()),
        Just(b"250 ok\r\n".to_vec()),
        Just(b"354 go\r\n".to_vec()),
        Just(b"421 bye\r\n".to_vec()),
        Just(b"550 5.1.1 no\r\n".to_vec()),
        Just(b"garbage\r\n".to_vec()),
        Just(b"\r\n\0".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (
        prop::collection::vec(any::<u8>(), 4),
        prop::collection::vec(line, 0..20),
    )
        .prop_map(|(steering, lines)| [steering, lines.concat()].concat())
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
    fn no_target_fails_on_something_like_a_dialogue(input in dialogue()) {
        quick().for_each(|target| (target.run)(&input));
    }
}

/// What each server said in the recordings, as an input: behind a byte for the
/// dialect, in pieces of some lengths.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let scenarios = load_all(&folder()).unwrap();
    let sessions = scenarios.iter().flat_map(|scenario| {
        let dialect = u8::from(scenario.protocol == Dialect::Lmtp);
        scenario
            .expect
            .sessions
            .iter()
            .map(move |session| (scenario, dialect, session))
    });
    let input = sessions.map(|(scenario, dialect, session)| {
        let mut input = vec![dialect, 1, 7, 64];
        for entry in &session.transcript {
            if entry.0 == "S" {
                input.extend_from_slice(entry.1.as_bytes());
                input.extend_from_slice(b"\r\n");
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
                (target.run)(input);
            }
        }
    }
}
