//! Chance that all parts of a world share.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use smtp_sim::dice::Dice;

#[derive(Clone)]
pub(crate) struct Chance(Arc<Mutex<Dice>>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Dice::new(seed))))
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().below(bound)
    }

    /// Never for zero.
    pub(crate) fn once_in(&self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// Between two times, the short ones more often.
    pub(crate) fn time(&self, least: Duration, most: Duration) -> Duration {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
        let span = self.below(micros(most) - micros(least) + 1);
        let scale = self.below(1000) + 1;
        least + Duration::from_micros(span / 1000 * scale)
    }

    pub(crate) fn millis(&self, least: u64, most: u64) -> Duration {
        self.time(Duration::from_millis(least), Duration::from_millis(most))
    }

    pub(crate) fn seconds(&self, least: u64, most: u64) -> Duration {
        self.time(Duration::from_secs(least), Duration::from_secs(most))
    }
}
