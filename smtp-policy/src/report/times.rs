//! The times of a delivery up to a verdict: Postfix's `delays=a/b/c/d`
//! (`src/global/msg_stats.h`, `log_adhoc.c`, `src/util/format_tv.c`).

use core::{
    fmt::{self, Write},
    time::Duration,
};

/// The time that a recipient's message has taken so far, in four parts that follow each
/// other. Its `Display` is `a/b/c/d`, as Postfix prints it with the default of
/// `delay_logging_resolution_limit`.
///
/// A delivery that comes to a verdict before it has said MAIL has no transmission: all its
/// time is that of the connection. What an earlier server has cost counts as connection,
/// too.
///
/// ```
/// use std::time::Duration;
/// use smtp_policy::report::Times;
///
/// let times = Times {
///     queue: Duration::from_secs(75),
///     connection: Duration::from_millis(1_240),
///     transmission: Duration::from_millis(36),
///     ..Times::default()
/// };
/// assert_eq!(times.to_string(), "75/0/1.2/0.04");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Time in the queue before the request was made ([`Request::age`]).
    ///
    /// [`Request::age`]: crate::request::Request::age
    pub queue: Duration,
    /// Time between the request and the begin of its delivery: the wait for a turn.
    pub setup: Duration,
    /// Time until MAIL was said: look-ups, connections, the introduction, TLS, the login.
    pub connection: Duration,
    /// Time from MAIL to the verdict.
    pub transmission: Duration,
}

/// `delay_logging_resolution_limit` of Postfix.
pub(super) const RESOLUTION: u32 = 2;

impl Times {
    /// The sum of the four.
    pub fn total(&self) -> Duration {
        let Self {
            queue,
            setup,
            connection,
            transmission,
        } = *self;
        [setup, connection, transmission]
            .into_iter()
            .fold(queue, Duration::saturating_add)
    }

    /// The four numbers in this resolution: 10^-`digits` seconds at the finest
    /// (`delay_logging_resolution_limit`).
    pub(super) fn shown(&self, digits: u32) -> String {
        let Self {
            queue,
            setup,
            connection,
            transmission,
        } = *self;
        let mut text = String::with_capacity(32);
        for part in [queue, setup, connection, transmission] {
            if !text.is_empty() {
                text.push('/');
            }
            write_seconds(&mut text, part, digits);
        }
        text
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(RESOLUTION))
    }
}

/// A delay in seconds with two digits that count, in steps of 10^-`digits` seconds at the
/// finest.
pub(super) fn seconds(delay: Duration, digits: u32) -> String {
    let mut text = String::new();
    write_seconds(&mut text, delay, digits);
    text
}

fn write_seconds(text: &mut String, delay: Duration, digits: u32) {
    const SECOND: u32 = 1_000_000;
    let (mut seconds, mut micros) = (delay.as_secs(), delay.subsec_micros());
    let mut step = 10_u32
        .saturating_pow(6_u32.saturating_sub(digits))
        .min(SECOND);
    if step < SECOND {
        match seconds {
            0 => {
                while micros >= 100 * step {
                    step *= 10;
                }
            }
            1..=9 => step = SECOND / 10,
            _ => step = SECOND,
        }
    }
    micros += step / 2;
    if micros >= SECOND {
        seconds = seconds.saturating_add(1);
        micros -= SECOND;
    }
    // A String takes everything.
    let _ = write!(text, "{seconds}");
    if micros >= step {
        text.push('.');
    }
    let mut digit = SECOND / 10;
    while micros >= step && digit > 0 {
        let _ = write!(text, "{}", micros / digit);
        micros %= digit;
        digit /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_two_digits_that_count() {
        let cases = [
            (0, "0"),
            (4_000, "0"),
            (5_000, "0.01"),
            (40_000, "0.04"),
            (123_456, "0.12"),
            (500_000, "0.5"),
            (999_999, "1"),
            (1_050_000, "1.1"),
            (1_949_999, "1.9"),
            (1_950_000, "2"),
            (9_960_000, "10"),
            (11_499_999, "11"),
            (11_500_000, "12"),
            (123_000_000, "123"),
        ];
        for (micros, text) in cases {
            assert_eq!(
                seconds(Duration::from_micros(micros), 2),
                text,
                "{micros} us"
            );
        }
    }

    #[test]
    fn the_resolution_limit_is_the_finest_step() {
        let delay = Duration::from_micros(1_234);
        for (limit, text) in [
            (0, "0"),
            (1, "0"),
            (2, "0"),
            (3, "0.001"),
            (4, "0.0012"),
            (6, "0.0012"),
        ] {
            assert_eq!(seconds(delay, limit), text, "limit {limit}");
        }
    }
}
