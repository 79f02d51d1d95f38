//! `randmap:{text, …}`: one of some texts. Source: Postfix `src/util/dict_random.c`.

use std::sync::atomic::{AtomicU64, Ordering};

use smtp_policy::tables::words::{braced, split};
use smtp_policy::tables::{Table, TableError, TableFailure};

/// Picks one of its answers anew at each lookup. The picks follow from the seed alone, so that equal
/// runs give equal answers.
#[derive(Debug)]
pub(super) struct Random {
    answers: Vec<String>,
    state: AtomicU64,
}

/// The step of the generator: an odd number without pattern (2^64 divided by the golden ratio).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// Reads the answers; the seed decides the sequence of picks.
    pub(super) fn open(name: &str, seed: u64) -> Result<Self, TableError> {
        let answers: Vec<String> = braced(name)
            .map(split)
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect();
        if answers.is_empty() {
            return Err(TableError::new(
                format!("randmap:{name}"),
                "bad syntax; need \"randmap:{value...}\"",
            ));
        }
        Ok(Random {
            answers,
            state: AtomicU64::new(seed),
        })
    }
}

impl Table for Random {
    fn lookup(&self, _key: &str) -> Result<Option<String>, TableFailure> {
        let state = self.state.fetch_add(STEP, Ordering::Relaxed);
        let count = u64::try_from(self.answers.len()).unwrap_or(u64::MAX);
        let pick = mix(state).checked_rem(count).unwrap_or(0);
        Ok(usize::try_from(pick)
            .ok()
            .and_then(|pick| self.answers.get(pick))
            .cloned())
    }

    // Postfix asks a randmap with full keys only.
    fn is_pattern(&self) -> bool {
        true
    }
}

/// Spreads the bits of a counter over the whole number (the SplitMix64 generator).
pub(super) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    fn picks(seed: u64) -> Vec<String> {
        let table = Random::open("{a, b, c}", seed).unwrap();
        (0..40)
            .map(|_| table.lookup("k").unwrap().unwrap())
            .collect()
    }

    #[test]
    fn the_seed_alone_decides_the_picks() {
        assert_eq!(picks(1), picks(1));
        assert_ne!(picks(1), picks(2));
    }

    #[test]
    fn every_answer_is_picked_some_time() {
        let picks = picks(7);
        for answer in ["a", "b", "c"] {
            assert!(picks.iter().any(|pick| pick == answer), "{answer}");
        }
    }
}
