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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Feedback;

    /// One change of the rules.
    type Edit = fn(&mut Rules);

    fn with(edit: impl FnOnce(&mut Rules)) -> Result<Rules, String> {
        let mut rules = Rules::default();
        edit(&mut rules);
        rules.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn a_time_out_of_its_range_is_refused() {
        /// The place of a time in the rules.
        type Place = fn(&mut Rules) -> &mut Duration;
        let rows: [(&str, Place, Duration, Duration); 6] = [
            ("the lease", |rules| &mut rules.lease, MOMENT, DAY),
            (
                "minimal_backoff_time",
                |rules| &mut rules.schedule.minimal_backoff,
                MOMENT,
                MONTHS,
            ),
            (
                "maximal_backoff_time",
                |rules| &mut rules.schedule.maximal_backoff,
                MOMENT,
                MONTHS,
            ),
            (
                "maximal_queue_lifetime",
                |rules| &mut rules.schedule.maximal_lifetime,
                Duration::ZERO,
                MONTHS,
            ),
            (
                "bounce_queue_lifetime",
                |rules| &mut rules.schedule.bounce_lifetime,
                Duration::ZERO,
                MONTHS,
            ),
            (
                "destination_rate_delay",
                |rules| &mut rules.concurrency.rate_delay,
                Duration::ZERO,
                DAY,
            ),
        ];
        let step = Duration::from_nanos(1);
        for (name, place, least, most) in rows {
            let below = least.checked_sub(step);
            let outside = below.into_iter().chain([most + step, Duration::MAX]);
            for time in outside {
                let wanted = format!("{name} is {time:?}, and not between {least:?} and {most:?}");
                assert_eq!(with(|rules| *place(rules) = time), Err(wanted));
            }
            for time in [least, most] {
                let found = with(|rules| *place(rules) = time);
                assert_eq!(found.err(), None, "{name} {time:?}");
            }
        }
    }

    #[test]
    fn counts_of_zero_and_feedback_beyond_one_are_refused() {
        let positive = "destination_concurrency_positive_feedback";
        let negative = "destination_concurrency_negative_feedback";
        let beyond = |name: &str, value: &str| format!("{name}: {value} is not between 0 and 1");
        let rows: [(Edit, String); 6] = [
            (
                |rules| rules.concurrency.initial = 0,
                "initial_destination_concurrency is zero".into(),
            ),
            (
                |rules| rules.deaths = 0,
                "the number of deaths is zero".into(),
            ),
            (
                |rules| rules.concurrency.positive = Feedback::Constant(1.5),
                beyond(positive, "1.5"),
            ),
            (
                |rules| rules.concurrency.positive = Feedback::InverseRoot(f64::NAN),
                beyond(positive, "NaN"),
            ),
            (
                |rules| rules.concurrency.negative = Feedback::Inverse(-0.5),
                beyond(negative, "-0.5"),
            ),
            (
                |rules| rules.concurrency.negative = Feedback::Constant(f64::INFINITY),
                beyond(negative, "inf"),
            ),
        ];
        for (edit, error) in rows {
            assert_eq!(with(edit), Err(error));
        }
    }

    #[test]
    fn what_postfix_takes_is_taken() {
        let rows: [Edit; 6] = [
            |_| (),
            |rules| rules.schedule.minimal_backoff = rules.schedule.maximal_backoff * 2,
            |rules| rules.schedule.bounce_lifetime = rules.schedule.maximal_lifetime * 2,
            |rules| rules.concurrency.initial = rules.concurrency.limit + 1,
            |rules| (rules.concurrency.limit, rules.concurrency.failed_cohorts) = (0, 0),
            |rules| rules.concurrency.positive = Feedback::Constant(0.0),
        ];
        for (number, edit) in rows.into_iter().enumerate() {
            assert_eq!(with(edit).err(), None, "{number}");
        }
    }
}
