//! Every recording, played in the simulator.

use smtp_sim::conformance::{Failures, Selection};
use smtp_sim::scenario::Rule;
use smtp_sim::world::World;
use smtp_sim::{Scenario, compare};

fn play(scenario: &Scenario, seed: u64) -> Result<(), String> {
    let observation = World::run(scenario, seed);
    let verdict = match &observation.error {
        None => compare(scenario, &observation.picture),
        Some(error) => {
            let difference = compare(scenario, &observation.picture)
                .err()
                .unwrap_or_default();
            Err(format!("{difference}! {error}\n"))
        }
    };
    verdict.map_err(|text| format!("{text}log:\n    {}\n", observation.notes.join("\n    ")))
}

#[test]
fn every_recording_is_reproduced_in_the_simulator() -> Result<(), Failures> {
    Selection::load()?.run(|scenario| play(scenario, 0))
}

/// Whether when each piece comes is part of the case, so that other cuts make
/// another case of it: a server cuts up what it says by itself, or says more than a reply
/// after STARTTLS or the text, which the client throws away only if it is there before
/// the handshake, or before the connection is kept.
fn has_cuts_of_its_own(scenario: &Scenario) -> bool {
    let says_more = |rule: &Rule| {
        let lines = rule.reply.iter().flatten();
        let ends = matches!(rule.on.as_str(), "STARTTLS" | "." | "RSET");
        ends && lines.filter(|line| line.get(3..4) != Some("-")).count() > 1
    };
    let mut rules = scenario.servers.values().flat_map(|server| &server.rules);
    rules.any(|rule| !rule.chunks.is_empty() || says_more(rule))
}

#[test]
fn cutting_the_bytes_up_changes_nothing() -> Result<(), Failures> {
    Selection::load()?.run(|scenario| {
        let seeds = if has_cuts_of_its_own(scenario) {
            0..1
        } else {
            1..4
        };
        seeds.into_iter().try_for_each(|seed| play(scenario, seed))
    })
}

#[test]
fn a_seed_repeats_a_run_to_the_byte() -> Result<(), Failures> {
    for scenario in Selection::load()?.scenarios {
        let [first, second] = [World::run(&scenario, 7), World::run(&scenario, 7)];
        assert_eq!(first.picture, second.picture, "{}", scenario.name);
        assert_eq!(first.notes, second.notes, "{}", scenario.name);
    }
    Ok(())
}
