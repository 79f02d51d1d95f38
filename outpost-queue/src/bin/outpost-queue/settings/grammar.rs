//! The texts of values: times, numbers and feedback as Postfix has them, and a few words.

use std::time::Duration;

use outpost_queue::rules::{DoubtPolicy, Feedback, FeedbackError};

/// The error in a value, in words.
pub(super) type Wrong = String;

const UNITS: [(&str, u64); 5] = [
    ("s", 1),
    ("m", 60),
    ("h", 3600),
    ("d", 86_400),
    ("w", 604_800),
];

/// The biggest number of seconds, as in Postfix.
const MAX: u64 = i32::MAX as u64;

/// A time: a number and a unit, one of `s`, `m`, `h`, `d`, `w` (`src/global/conv_time.c`). Postfix passes over what stands
/// behind the unit's letter; here it is an error.
pub(crate) fn time(text: &str, unit: &str) -> Result<Duration, Wrong> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, written) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit = match written {
        "" => unit,
        written => written,
    };
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("bad time unit in \"{}\"", text.escape_debug()));
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("\"{}\" is no time", text.escape_debug()))?;
    let seconds = number.checked_mul(*seconds).filter(|all| *all <= MAX);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("\"{}\" is too long", text.escape_debug()))
}

/// The same, not shorter than a second.
pub(super) fn some_time(text: &str, unit: &str) -> Result<Duration, Wrong> {
    match time(text, unit)? {
        Duration::ZERO => Err("it must be at least 1s".to_owned()),
        time => Ok(time),
    }
}

/// A lifetime: 100 days at most.
pub(super) fn lifetime(text: &str) -> Result<Duration, Wrong> {
    const LIMIT: Duration = Duration::from_secs(8_640_000);
    match time(text, "d")? {
        time if time > LIMIT => Err("it must be at most 100d".to_owned()),
        time => Ok(time),
    }
}

/// A number from `least` on.
pub(super) fn number(text: &str, least: u32) -> Result<u32, Wrong> {
    let text = text.trim();
    let parsed = text.parse::<u32>().ok();
    match parsed.filter(|number| u64::from(*number) <= MAX) {
        None => Err(format!("\"{}\" is no number", text.escape_debug())),
        Some(number) if number < least => Err(format!("it must be at least {least}")),
        Some(number) => Ok(number),
    }
}

/// Feedback, as the rules read it.
pub(super) fn feedback(text: &str) -> Result<Feedback, Wrong> {
    text.parse().map_err(|why: FeedbackError| why.to_string())
}

/// The policy for recipients who may have the message.
pub(super) fn doubt(text: &str) -> Result<DoubtPolicy, Wrong> {
    match text.trim() {
        "retry" => Ok(DoubtPolicy::Retry),
        "hold" => Ok(DoubtPolicy::Hold),
        other => Err(format!(
            "\"{}\" is not one of retry, hold",
            other.escape_debug()
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_postfix() {
        let seconds = |text| time(text, "d").ok().map(|time| time.as_secs());
        for (text, expected) in [
            ("5", Some(432_000)),
            ("0", Some(0)),
            ("300s", Some(300)),
            ("5m", Some(300)),
            ("2h", Some(7200)),
            ("1d", Some(86_400)),
            ("1w", Some(604_800)),
            (" 1w ", Some(604_800)),
            ("", None),
            ("d", None),
            ("-1s", None),
            ("1x", None),
            ("1ss", None),
            ("1 s", None),
            ("1.5h", None),
            ("99999w", None),
            ("99999999999999999999s", None),
            ("٣s", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_have_limits() {
        assert_eq!(number("5", 1), Ok(5));
        assert!(number("0", 1).is_err() && number("-1", 0).is_err());
        assert!(number("4294967295", 0).is_err() && number("x", 0).is_err());
    }
}
