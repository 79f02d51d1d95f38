//! The days of reports, which are those of UTC (RFC 8460 section 4.1).

use core::{fmt, time::Duration};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::Timestamp;

const SECONDS: i64 = 86_400;
const MICROS: i64 = SECONDS * 1_000_000;
/// The steps in which reports are made when their day is over.
pub(super) const SLOTS: u32 = 16;
/// The length of a step: all of them are the four hours over which RFC 8460 section 4.1 has reports spread.
const STEP: Duration = Duration::from_secs(15 * 60);

/// A day, by its number since the beginning of 1970. Text form: `2026-11-30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

impl Day {
    /// The day of a Unix time.
    pub(super) fn of(now: Duration) -> Self {
        Self(
            i64::try_from(now.as_secs())
                .unwrap_or(0)
                .div_euclid(SECONDS),
        )
    }

    /// The day of a time of the store.
    pub(super) const fn at(now: Timestamp) -> Self {
        Self(now.micros().div_euclid(MICROS))
    }

    /// The day so many days before.
    pub(super) const fn before(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Its first second, in Unix time.
    pub(super) const fn start(self) -> i64 {
        self.0.saturating_mul(SECONDS)
    }

    /// Its last second.
    pub(super) const fn last(self) -> i64 {
        self.start().saturating_add(SECONDS - 1)
    }

    /// The moment when it is over.
    pub(super) const fn end(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_add(1).saturating_mul(MICROS))
    }

    /// The time of reports of a step.
    pub(super) fn due(self, slot: u32) -> Timestamp {
        self.end().after(STEP * slot)
    }

    /// The step of a domain's report: by chance, and the same for every worker of one build.
    pub(super) fn slot(self, domain: &str) -> u32 {
        let mut hasher = DefaultHasher::new();
        (self.0, domain).hash(&mut hasher);
        u32::try_from(hasher.finish() % u64::from(SLOTS)).unwrap_or(0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = jiff::Timestamp::from_second(self.start()).unwrap_or_default();
        write!(f, "{}", first.to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_utc() {
        let day = Day::of(Duration::from_secs(1_796_083_199));
        assert_eq!(day.to_string(), "2026-11-30");
        assert_eq!(day, Day::at(Timestamp::from_micros(1_796_083_199_999_999)));
        assert_eq!(Day::of(Duration::from_secs(1_796_083_200)).before(1), day);
        assert_eq!((day.start(), day.last()), (1_795_996_800, 1_796_083_199));
        assert_eq!(day.end().micros(), 1_796_083_200_000_000);
        assert_eq!(day.due(15).since(day.end()), Duration::from_secs(15 * 900));
    }

    #[test]
    fn reports_are_spread_over_four_hours() {
        let day = Day::of(Duration::from_secs(1_796_083_199));
        let mut count = [0; SLOTS as usize];
        for number in 0..1600 {
            count[day.slot(&format!("{number}.example")) as usize] += 1;
        }
        assert!(
            count.iter().all(|count| (50..150).contains(count)),
            "{count:?}"
        );
        assert_eq!(day.slot("a.example"), day.slot("a.example"));
    }
}
