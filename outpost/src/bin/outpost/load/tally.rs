//! The results of a run so far: counts, reasons, latencies.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use smtp_policy::report::{Outcome, Report, Status};

/// The longest latency that is told from longer ones.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Digits of a latency that count.
const DIGITS: u8 = 3;
/// Reasons that are kept.
const REASONS: usize = 5;

/// Latencies of one kind, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Result<Self, CreationError> {
        let longest = micros(LONGEST);
        Histogram::new_with_bounds(1, longest, DIGITS).map(Self)
    }

    pub(super) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(micros(latency).max(1));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn least(&self) -> Duration {
        Duration::from_micros(self.0.min())
    }

    pub(super) fn most(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    pub(super) fn mean(&self) -> Duration {
        Duration::try_from_secs_f64(self.0.mean() / 1e6).unwrap_or_default()
    }

    /// The latency that this part of all did not exceed. `part` is from 0 to 1.
    pub(super) fn within(&self, part: f64) -> Duration {
        // The histogram answers with the end of a bucket, which may lie behind the longest of all.
        Duration::from_micros(self.0.value_at_quantile(part)).min(self.most())
    }

    /// Returns the number of latencies from `from` up to, but not including, `to`.
    pub(super) fn between(&self, from: Duration, to: Duration) -> u64 {
        let (from, to) = (micros(from), micros(to));
        let recorded = self.0.iter_recorded();
        let inside = recorded.filter(|bucket| (from..to).contains(&bucket.value_iterated_to()));
        inside.map(|bucket| bucket.count_at_value()).sum()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The books of a run.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) messages: Messages,
    pub(super) recipients: Recipients,
    /// The bytes of messages that somebody was accepted for.
    pub(super) bytes: u64,
    pub(super) connections: Connections,
    pub(super) connect: Latencies,
    pub(super) tls: Latencies,
    /// From MAIL to the reply to the dot.
    pub(super) message: Latencies,
    /// From the moment when the message was due.
    pub(super) response: Latencies,
    /// The first reasons that differ, with how often each was heard.
    pub(super) reasons: Vec<(String, u64)>,
    pub(super) other_reasons: u64,
    /// Messages in a row that nobody was accepted for.
    failed_in_a_row: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    pub(super) begun: u64,
    /// For all recipients.
    pub(super) accepted: u64,
    /// For some recipients.
    pub(super) partly: u64,
    pub(super) failed: u64,
}

impl Messages {
    /// The messages whose end is known.
    pub(super) const fn ended(&self) -> u64 {
        self.accepted + self.partly + self.failed
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recipients {
    pub(super) sent: u64,
    pub(super) deferred: u64,
    pub(super) bounced: u64,
    /// Of those who were deferred or bounced.
    pub(super) uncertain: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connections {
    pub(super) made: u64,
    pub(super) failed: u64,
    pub(super) encrypted: u64,
}

impl Tally {
    /// Empty books.
    ///
    /// # Errors
    /// None that can be met: the limits of the histograms are right.
    pub(super) fn new() -> Result<Self, CreationError> {
        let empty = Latencies::new()?;
        Ok(Self {
            messages: Messages::default(),
            recipients: Recipients::default(),
            bytes: 0,
            connections: Connections::default(),
            connect: empty.clone(),
            tls: empty.clone(),
            message: empty.clone(),
            response: empty,
            reasons: Vec::new(),
            other_reasons: 0,
            failed_in_a_row: 0,
        })
    }

    /// Takes down what became of a message of so many bytes, `response` after it was due.
    /// Returns the number of messages in a row that nobody was accepted for.
    pub(super) fn ended(&mut self, report: &Report, bytes: u64, response: Duration) -> u64 {
        for (_, outcome) in &report.recipients {
            self.settled(outcome);
        }
        let outcomes = || report.recipients.iter().map(|(_, outcome)| outcome);
        let sent = || outcomes().filter(|outcome| outcome.status == Status::Sent);
        match sent().map(|outcome| outcome.times.transmission).max() {
            Some(transmission) => {
                self.message.add(transmission);
                self.response.add(response);
                self.bytes += bytes;
                self.failed_in_a_row = 0;
                match sent().count() == outcomes().count() {
                    true => self.messages.accepted += 1,
                    false => self.messages.partly += 1,
                }
            }
            None => {
                self.messages.failed += 1;
                self.failed_in_a_row += 1;
            }
        }
        self.failed_in_a_row
    }

    fn settled(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Sent => {
                self.recipients.sent += 1;
                return;
            }
            Status::Deferred => self.recipients.deferred += 1,
            Status::Bounced => self.recipients.bounced += 1,
        }
        self.recipients.uncertain += u64::from(outcome.uncertain);
        let text = format!("{} ({}): {}", outcome.word, outcome.code, outcome.text);
        let room = self.reasons.len() < REASONS;
        match self.reasons.iter_mut().find(|(known, _)| *known == text) {
            Some((_, count)) => *count += 1,
            None if room => self.reasons.push((text, 1)),
            None => self.other_reasons += 1,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use smtp_policy::request::Recipient;
    use smtp_proto::{Address, EnhancedStatus};

    use super::*;

    fn report(outcomes: &[(Status, &str)]) -> Report {
        let one = |(status, text): &(Status, &str)| {
            let to = Recipient::new(Address::parse("a@x").unwrap());
            let mut outcome = Outcome::new(*status, EnhancedStatus::new(4, 0, 0), *text);
            outcome.times.transmission = Duration::from_millis(5);
            (to, outcome)
        };
        Report::new(outcomes.iter().map(one).collect())
    }

    #[test]
    fn messages_count_by_what_their_recipients_got() {
        let mut tally = Tally::new().unwrap();
        let (ok, no) = ((Status::Sent, "ok"), (Status::Deferred, "no"));
        let second = Duration::from_secs(1);
        assert_eq!(tally.ended(&report(&[no, no]), 10, second), 1);
        assert_eq!(tally.ended(&report(&[no]), 10, second), 2);
        assert_eq!(tally.ended(&report(&[ok, no]), 10, second), 0);
        assert_eq!(tally.ended(&report(&[ok, ok]), 10, 3 * second), 0);
        let Messages {
            accepted,
            partly,
            failed,
            ..
        } = tally.messages;
        assert_eq!((accepted, partly, failed), (1, 1, 2));
        assert_eq!((tally.recipients.sent, tally.recipients.deferred), (3, 4));
        assert_eq!((tally.bytes, tally.message.count()), (20, 2));
        assert_eq!(tally.reasons, [("deferred (4.0.0): no".to_owned(), 4)]);
        assert_eq!(tally.message.most().as_millis(), 5);
        assert_eq!(tally.response.within(0.5).as_secs_f64().round(), 1.0);
    }

    #[test]
    fn only_the_first_reasons_are_kept() {
        let mut tally = Tally::new().unwrap();
        for number in 0..8 {
            let text = format!("reason {number}");
            tally.ended(&report(&[(Status::Bounced, &text)]), 0, Duration::ZERO);
        }
        assert_eq!((tally.reasons.len(), tally.other_reasons), (5, 3));
    }

    #[test]
    fn latencies_lie_between_the_least_and_the_most() {
        let mut latencies = Latencies::new().unwrap();
        for millisecond in 1..=1000 {
            latencies.add(Duration::from_millis(millisecond));
        }
        let near = |part, wanted: f64| {
            let is = latencies.within(part).as_secs_f64() * 1000.0;
            assert!((is - wanted).abs() <= wanted / 500.0, "{part}: {is}");
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        assert!(latencies.within(1.0) <= latencies.most());
        let ms = Duration::from_millis;
        assert_eq!(latencies.between(ms(0), ms(2000)), 1000);
        assert_eq!(latencies.between(ms(2000), ms(3000)), 0);
    }
}
