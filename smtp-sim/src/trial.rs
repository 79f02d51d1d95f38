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
    let mut fails = |knobs: Knobs| {
        let findings = run(seed, knobs, policies).findings;
        findings.iter().any(|finding| finding.check == check)
    };
    let mut best = knobs;
    let mut attempt = |candidate: Knobs, best: &mut Knobs| {
        if candidate != *best && fails(candidate) {
            *best = candidate;
        }
    };
    let letters = Population::generate(seed, knobs).letters;
    for letter in &letters {
        if best.only.is_none() {
            let only = Some(letter.number);
            attempt(Knobs { only, ..best }, &mut best);
        }
    }
    for deliveries in 1..letters.len() {
        if best.only.is_none() && best.deliveries > letters.len() {
            attempt(Knobs { deliveries, ..best }, &mut best);
        }
    }
    attempt(
        Knobs {
            rough: false,
            ..best
        },
        &mut best,
    );
    for faults in [1, 0] {
        attempt(Knobs { faults, ..best }, &mut best);
    }
    for recipients in [20, 5, 2, 1] {
        attempt(Knobs { recipients, ..best }, &mut best);
    }
    for text in [10_000, 1_000, 200, 40] {
        attempt(Knobs { text, ..best }, &mut best);
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
