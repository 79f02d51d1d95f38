//! Deliveries in a whole world: which servers there are, what they do wrong, and what
//! is sent, is read off the bytes.

use std::cell::RefCell;

use crate::{
    dice::Dice,
    population::{Knobs, Policies, Population},
    trial::examine,
};

use super::read;

/// No more than an input can say something about.
const KNOBS: Knobs = Knobs {
    deliveries: 4,
    only: None,
    recipients: 8,
    faults: 8,
    text: 4000,
    rough: true,
};

thread_local! {
    static POLICIES: RefCell<Policies> = RefCell::default();
}

/// A population whose dice fall as the bytes say. The first byte is the seed of what
/// is left to chance in its world, such as where bytes are cut.
///
/// # Panics
/// One of the [checks](crate::check::Check) found something.
pub fn world(input: &[u8]) {
    let Some((seed, throws)) = read::<(u8, &[u8])>(input) else {
        return;
    };
    let population = Population::throw(seed.into(), Dice::of_bytes(throws), KNOBS);
    let trial = POLICIES.with_borrow_mut(|policies| examine(&population, policies));
    let findings: Vec<String> = trial.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
