//! The ranges of the rules.

use core::{fmt, time::Duration};

use super::Rules;

const MOMENT: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);
/// The longest lifetime that Postfix takes.
const MONTHS: Duration = Duration::from_secs(8_640_000);

/// A rule that cannot be: which one, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesError(String);

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for RulesError {}

impl Rules {
    /// These rules, if they can be.
    ///
    /// What Postfix takes is taken: a minimal back-off above the maximal one wins over it, a lifetime of reports above that of
    /// other mail is cut down to it, and so is an initial concurrency above the limit.
    ///
    /// # Errors
    /// A rule is out of its range: a lease, a back-off or a lifetime; no initial concurrency; feedback that is not between
    /// zero and one; no deaths.
    pub fn checked(self) -> Result<Self, RulesError> {
        for (name, time, least, most) in self.times() {
            if !(least..=most).contains(&time) {
                let why = format!("{name} is {time:?}, and not between {least:?} and {most:?}");
                return Err(RulesError(why));
            }
        }
        let counts = [
            ("initial_destination_concurrency", self.concurrency.initial),
            ("the number of deaths", self.deaths),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(RulesError(format!("{name} is zero")));
        }
        let feedback = [
            ("positive", self.concurrency.positive),
            ("negative", self.concurrency.negative),
        ];
        for (name, feedback) in feedback {
            let name = format!("destination_concurrency_{name}_feedback");
            let wrong = |why| RulesError(format!("{name}: {why}"));
            feedback.checked().map_err(wrong)?;
        }
        Ok(self)
    }

    /// Every time, with the shortest and the longest that it may be.
    const fn times(&self) -> [(&'static str, Duration, Duration, Duration); 6] {
        let schedule = &self.schedule;
        let (minimal, maximal) = (schedule.minimal_backoff, schedule.maximal_backoff);
        let (mail, bounce) = (schedule.maximal_lifetime, schedule.bounce_lifetime);
        let pause = self.concurrency.rate_delay;
        [
            ("the lease", self.lease, MOMENT, DAY),
            ("minimal_backoff_time", minimal, MOMENT, MONTHS),
            ("maximal_backoff_time", maximal, MOMENT, MONTHS),
            ("maximal_queue_lifetime", mail, Duration::ZERO, MONTHS),
            ("bounce_queue_lifetime", bounce, Duration::ZERO, MONTHS),
            ("destination_rate_delay", pause, Duration::ZERO, DAY),
        ]
    }
}
