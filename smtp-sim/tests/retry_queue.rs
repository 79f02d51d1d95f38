//! The queue of the example `retry_queue`, with and without its mistake.
#![allow(missing_docs, dead_code, unreachable_pub)]

use smtp_sim::population::Policies;

#[path = "../examples/retry_queue.rs"]
mod retry_queue;

#[test]
fn the_queue_is_well_in_every_world() {
    let mut policies = Policies::default();
    for seed in 0..60 {
        let outcome = retry_queue::simulate(seed, false, &mut policies);
        assert_eq!(outcome, Ok(()), "seed {seed}");
    }
}

#[test]
fn the_kit_finds_the_mistake_of_the_queue() {
    let mut policies = Policies::default();
    let found = (0..60).find_map(|seed| retry_queue::simulate(seed, true, &mut policies).err());
    let what = found.unwrap_or_default();
    assert!(what.starts_with('<'), "found: {what:?}");
}
