//! One seed, run and judged; and what it shrinks to when it fails.
//!
//! ```
//! use smtp_sim::{population::{Knobs, Policies}, trial};
//!
//! let mut policies = Policies::default();
//! let trial = trial::run(1, Knobs::default(), &mut policies);
//! assert!(trial.findings.is_empty());
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use smtp_policy::delivery::PhasesTaken;
use smtp_proto::session::Taken;

use crate::{
    check::{Check, Finding, judge},
    population::{Knobs, Policies, Population},
    world::World,
};

/// What came of one seed.
#[derive(Debug, Default)]
pub struct Trial {
    /// What is not as it must be; empty: all is well.
    pub findings: Vec<Finding>,
    /// How many deliveries were simulated.
    pub deliveries: usize,
    /// Which moves their sessions made.
    pub taken: Taken,
    /// The moves of the deliveries between their phases.
    pub phases: PhasesTaken,
}

/// Runs the population of a seed and judges it. Every fourth seed is run a second time
/// to see whether it is the same, and so is every population whose verdicts may not
/// depend on how bytes are cut up, with other cuts.
pub fn run(seed: u64, knobs: Knobs, policies: &mut Policies) -> Trial {
    let mut trial = Trial::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let population = Population::generate(seed, knobs);
        attempt(&population, policies, &mut trial);
    }));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        trial.find(Check::Ends, format!("panic: {}", text.unwrap_or_default()));
    }
    trial
}

/// Runs a population and judges it. A panic is not caught.
pub fn examine(population: &Population, policies: &mut Policies) -> Trial {
    let mut trial = Trial::default();
    attempt(population, policies, &mut trial);
    trial
}

/// The conversation of a seed, for a person to read.
pub fn trace(seed: u64, knobs: Knobs, policies: &mut Policies) -> String {
    let population = Population::generate(seed, knobs);
    match population.world(policies, true) {
        Ok(mut world) => {
            world.run_out();
            world.trace().text().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// The smallest knobs with which a seed still fails the same check.
pub fn shrink(seed: u64, knobs: Knobs, check: Check, policies: &mut Policies) -> Knobs {
    let letters = Population::generate(seed, knobs).letters;
    let numbers: Vec<usize> = letters.iter().map(|letter| letter.number).collect();
    shrink_by(&numbers, knobs, |knobs| {
        let findings = run(seed, knobs, policies).findings;
        findings.iter().any(|finding| finding.check == check)
    })
}

/// The smallest knobs that still fail, for messages with these numbers: first a single
/// message or the first few, then one knob after the other.
fn shrink_by(letters: &[usize], knobs: Knobs, mut fails: impl FnMut(Knobs) -> bool) -> Knobs {
    let single = letters.iter().map(|number| Knobs {
        only: Some(*number),
        ..knobs
    });
    let first = (1..letters.len()).map(|deliveries| Knobs {
        deliveries,
        ..knobs
    });
    let mut best = single.chain(first).find(|few| fails(*few)).unwrap_or(knobs);
    let mut attempt = |change: &dyn Fn(&mut Knobs)| {
        let mut smaller = best;
        change(&mut smaller);
        if smaller != best && fails(smaller) {
            best = smaller;
        }
    };
    attempt(&|knobs| knobs.rough = false);
    for faults in [1, 0] {
        attempt(&|knobs| knobs.faults = faults);
    }
    for recipients in [20, 5, 2, 1] {
        attempt(&|knobs| knobs.recipients = recipients);
    }
    for text in [10_000, 1_000, 200, 40] {
        attempt(&|knobs| knobs.text = text);
    }
    best
}

fn attempt(population: &Population, policies: &mut Policies, trial: &mut Trial) {
    let seed = population.seed;
    let Some(first) = trial.live(population, policies, None) else {
        return;
    };
    trial.findings.extend(judge(population, &first));
    if seed.is_multiple_of(4)
        && policies.are_exact()
        && let Some(second) = trial.live(population, policies, None)
        && second.trace().digest() != first.trace().digest()
    {
        trial.find(Check::SameTrace, "two runs are different".to_owned());
    }
    if population.is_timeless()
        && let Some(other) = trial.live(population, policies, Some(!seed))
    {
        trial.compare(&first, &other);
    }
}

impl Trial {
    fn find(&mut self, check: Check, what: String) {
        self.findings.push(Finding { check, what });
    }

    fn live(
        &mut self,
        population: &Population,
        policies: &mut Policies,
        chunks: Option<u64>,
    ) -> Option<World> {
        let mut world = match population.world(policies, false) {
            Ok(world) => world,
            Err(error) => {
                self.find(Check::Ends, error.to_string());
                return None;
            }
        };
        if let Some(seed) = chunks {
            world = world.with_chunks(seed);
        }
        world.run_out();
        self.deliveries += population.letters.len();
        self.taken = self.taken.union(&world.taken());
        self.phases = self.phases.union(&world.phases_taken());
        Some(world)
    }

    fn compare(&mut self, first: &World, other: &World) {
        for (number, (one, two)) in first
            .deliveries()
            .iter()
            .zip(other.deliveries())
            .enumerate()
        {
            let (Some(one), Some(two)) = (&one.report, &two.report) else {
                continue;
            };
            for ((to, one), (_, two)) in one.recipients.iter().zip(&two.recipients) {
                if (one.word, one.code, &one.text) != (two.word, two.code, &two.text) {
                    let what = format!(
                        "delivery {number} <{}>: {} {} ({}) and {} {} ({})",
                        to.address.as_str(),
                        one.word,
                        one.code,
                        one.text,
                        two.word,
                        two.code,
                        two.text
                    );
                    self.find(Check::AnyChunking, what);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_does_not_need_is_left_out() {
        let letters = [0, 1, 2, 3];
        let smallest = shrink_by(&letters, Knobs::default(), |knobs| {
            let letter = knobs.only.is_none_or(|only| only == 2) && knobs.deliveries > 3;
            letter && knobs.rough && knobs.recipients >= 2 && knobs.text >= 150
        });
        let expected = Knobs {
            only: Some(2),
            recipients: 2,
            faults: 0,
            text: 200,
            ..Knobs::default()
        };
        assert_eq!(smallest, expected);
    }

    #[test]
    fn a_failure_that_takes_several_messages_keeps_as_few_as_it_can() {
        let smallest = shrink_by(&[0, 1, 2, 3], Knobs::default(), |knobs| {
            knobs.only.is_none() && knobs.deliveries >= 3
        });
        assert_eq!((smallest.only, smallest.deliveries), (None, 3));
        assert!(!smallest.rough && smallest.recipients == 1);
    }

    #[test]
    fn what_fails_only_as_a_whole_stays_as_it_is() {
        let whole = Knobs::default();
        assert_eq!(shrink_by(&[0, 1], whole, |knobs| knobs == whole), whole);
    }
}
