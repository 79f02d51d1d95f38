//! Limits for monitoring: two numbers, of which the second is the graver one.

use std::str::FromStr;

use crate::exit::Check;

/// A quantity that is watched.
pub(crate) trait Quantity {
    /// Less of it is worse.
    const FALLS: bool;
    /// The largest limit that makes sense.
    const MOST: f64;
    /// The form that a limit must have, for errors.
    const EXPECTED: &'static str;
}

/// Days that a certificate is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Days {}

impl Quantity for Days {
    const FALLS: bool = true;
    const MOST: f64 = 1e6;
    const EXPECTED: &'static str =
        "expected two numbers of days, such as 14,7, of which the second is not greater";
}

/// Seconds that a look takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seconds {}

impl Quantity for Seconds {
    const FALLS: bool = false;
    const MOST: f64 = 1e6;
    const EXPECTED: &'static str =
        "expected two numbers of seconds, such as 5,10, of which the second is not less";
}

/// The limits of a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits<Q> {
    warning: f64,
    critical: f64,
    quantity: std::marker::PhantomData<fn() -> Q>,
}

impl<Q: Quantity> Limits<Q> {
    /// The status of a value.
    pub(super) fn judge(self, value: f64) -> Check {
        let exceeds = |limit: f64| match Q::FALLS {
            true => value < limit,
            false => value > limit,
        };
        match (exceeds(self.warning), exceeds(self.critical)) {
            (_, true) => Check::Critical,
            (true, _) => Check::Warning,
            _ => Check::Ok,
        }
    }

    /// The limits as performance data has them: `WARN;CRIT`, with a colon where less is worse.
    pub(super) fn shown(self) -> String {
        let colon = if Q::FALLS { ":" } else { "" };
        format!("{}{colon};{}{colon}", self.warning, self.critical)
    }
}

impl<Q: Quantity> FromStr for Limits<Q> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let value: Option<f64> = text.parse().ok();
            value.filter(|value| is_plain && *value <= Q::MOST)
        };
        let pair = text.split_once(',');
        let pair = pair.and_then(|(one, other)| number(one).zip(number(other)));
        match pair {
            Some((warning, critical))
                if Q::FALLS == (critical < warning) || critical == warning =>
            {
                Ok(Self {
                    warning,
                    critical,
                    quantity: std::marker::PhantomData,
                })
            }
            _ => Err(Q::EXPECTED),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_two_numbers_in_the_right_order() {
        for text in ["14,7", "7,7", "0,0", "14.5,7"] {
            assert!(text.parse::<Limits<Days>>().is_ok(), "{text}");
        }
        for text in [
            "", "14", "7,14", "14,", ",7", "a,b", "-1,-2", "14, 7", "1,2,3", "inf,1",
        ] {
            assert!(text.parse::<Limits<Days>>().is_err(), "{text}");
        }
        assert!("5,10".parse::<Limits<Seconds>>().is_ok());
        assert!("10,5".parse::<Limits<Seconds>>().is_err());
    }

    #[test]
    fn what_exceeds_a_limit_has_its_status() {
        let days: Limits<Days> = "14,7".parse().unwrap();
        for (value, check) in [
            (14.0, Check::Ok),
            (13.9, Check::Warning),
            (7.0, Check::Warning),
            (6.9, Check::Critical),
            (-1.0, Check::Critical),
        ] {
            assert_eq!(days.judge(value), check, "{value}");
        }
        assert_eq!(days.shown(), "14:;7:");
        let seconds: Limits<Seconds> = "0.5,1".parse().unwrap();
        for (value, check) in [
            (0.5, Check::Ok),
            (0.6, Check::Warning),
            (1.1, Check::Critical),
        ] {
            assert_eq!(seconds.judge(value), check, "{value}");
        }
        assert_eq!(seconds.shown(), "0.5;1");
    }
}
