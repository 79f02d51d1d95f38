//! Values of the command line: sizes, times, ranges of both, rates, counts without a limit.
//!
//! Each reads one text and says what it expected. Nothing is rounded or cut to fit.

use std::{fmt, str::FromStr, time::Duration};

/// The largest size of a message.
const LARGEST: u64 = 1 << 40;
/// The longest time: a year. What is added to the clock stays in its range.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

const SIZE_UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("", 1),
];

/// Milliseconds in each unit of time.
const TIME_UNITS: [(&str, f64); 5] = [
    ("ms", 1.0),
    ("s", 1000.0),
    ("m", 60_000.0),
    ("h", 3_600_000.0),
    ("", 1000.0),
];

/// The number before a unit, and the unit.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A number without sign, exponent and words.
fn number(digits: &str) -> Option<f64> {
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit());
    starts_well.then(|| digits.parse().ok()).flatten()
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) = split(text);
        let unit = SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let count: Option<u64> = digits.parse().ok();
        let bytes = count.zip(unit).and_then(|(n, (_, of))| n.checked_mul(*of));
        match bytes {
            Some(bytes) if bytes <= LARGEST => Ok(Self(bytes)),
            Some(_) => Err("expected at most 1024 GiB".to_owned()),
            None => Err("expected a size such as 1000, 4KiB or 2M".to_owned()),
        }
    }
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) = split(text);
        let unit = TIME_UNITS.iter().find(|(name, _)| *name == unit);
        let milliseconds = number(digits).zip(unit).map(|(n, (_, of))| n * of);
        let time = milliseconds.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
        match time {
            Some(time) if time <= LONGEST => Ok(Self(time)),
            Some(_) => Err("expected at most a year".to_owned()),
            None => Err("expected a time such as 30s, 500ms, 5m or 1h".to_owned()),
        }
    }
}

/// A value, or two with `..` between: from the first to the second, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between<T> {
    pub(crate) least: T,
    pub(crate) most: T,
}

impl<T: FromStr<Err = String> + Copy + PartialOrd> FromStr for Between<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((least, most)) = text.split_once("..") else {
            let only = text.parse()?;
            return Ok(Self {
                least: only,
                most: only,
            });
        };
        let (least, most) = (least.parse()?, most.parse()?);
        match least <= most {
            true => Ok(Self { least, most }),
            false => Err("the first of the two is greater than the second".to_owned()),
        }
    }
}

impl Between<Size> {
    /// A size from the range that follows from `seed`: the same one each time.
    pub(crate) fn pick(self, seed: u64) -> u64 {
        let Self { least, most } = self;
        let width = most.0 - least.0;
        least.0 + mixed(seed) % (width + 1)
    }
}

impl Between<Span> {
    /// A time from the range that follows from `seed`: the same one each time.
    pub(crate) fn pick(self, seed: u64) -> Duration {
        let Self { least, most } = self;
        // 24 bits of chance, of which a `u32` is made.
        let part = u32::try_from(mixed(seed) >> 40).unwrap_or(0);
        let width = most.0.saturating_sub(least.0);
        least.0 + width.mul_f64(f64::from(part) / f64::from(1 << 24))
    }
}

/// SplitMix64: numbers in a row become numbers all over the range.
const fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Messages in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate(pub(crate) f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, per) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match per {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => 0.0,
        };
        let count = number(count).filter(|_| count.len() == split(count).0.len());
        match count.map(|count| count / seconds) {
            // Once a year is the least: the time until a message is due stays in range.
            Some(rate) if rate > 3.2e-8 && rate <= 1e6 => Ok(Self(rate)),
            Some(rate) if rate.is_finite() && rate > 1e6 => {
                Err("expected at most 1000000/s".to_owned())
            }
            _ => Err("expected a rate such as 100/s, 90/m or 0.5/s".to_owned()),
        }
    }
}

/// The most of something: a number, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most(pub(crate) Option<u32>);

impl FromStr for Most {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "0" | "unlimited" => Ok(Self(None)),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .map(|most| Self(Some(most)))
                .map_err(|_| "expected a number up to 4294967295, or unlimited".to_owned()),
            _ => Err("expected a number, or unlimited".to_owned()),
        }
    }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(most) => most.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_ranges_two_ends() {
        for (text, least, most) in [
            ("0", 0, 0),
            ("4KiB", 4096, 4096),
            ("4k", 4096, 4096),
            ("1KiB..64KiB", 1024, 65536),
            ("10..2M", 10, 2 << 20),
            ("1G", 1 << 30, 1 << 30),
        ] {
            let range: Between<Size> = text.parse().unwrap();
            assert_eq!((range.least.0, range.most.0), (least, most), "{text}");
        }
        for text in [
            "",
            "KiB",
            "-1",
            "+1",
            "1.5K",
            "4KB",
            "4 KiB",
            "2..1",
            "1..",
            "..1",
            "1...2",
            "9999G",
            "99999999999999999999",
            "1..2..3",
        ] {
            assert!(text.parse::<Between<Size>>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [
            ("0", 0),
            ("30", 30_000),
            ("1.5s", 1500),
            ("250ms", 250),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(milliseconds), "{text}");
        }
        for text in [
            "", "s", "-1s", "1d", "1 s", ".5s", "1e3", "9999999h", "inf", "1.2.3s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rates_are_per_second_minute_or_hour() {
        for (text, rate) in [
            ("100", 100.0),
            ("100/s", 100.0),
            ("90/m", 1.5),
            ("0.5/s", 0.5),
        ] {
            assert_eq!(text.parse(), Ok(Rate(rate)), "{text}");
        }
        for text in [
            "",
            "0",
            "0/s",
            "-1/s",
            "1/d",
            "1/",
            "/s",
            "1e3/s",
            "inf",
            "NaN",
            "2000000/s",
            "5s/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        for (text, most) in [("1", Some(1)), ("0", None), ("unlimited", None)] {
            assert_eq!(text.parse(), Ok(Most(most)));
        }
        for text in ["", "-1", "+1", "many", "99999999999"] {
            assert!(text.parse::<Most>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn picks_stay_in_their_range_reach_all_of_it_and_are_the_same_each_time() {
        let range: Between<Size> = "10..13".parse().unwrap();
        let picks: Vec<u64> = (0..100).map(|seed| range.pick(seed)).collect();
        assert!((10..=13).all(|size| picks.contains(&size)), "{picks:?}");
        assert!(picks.iter().all(|size| (10..=13).contains(size)));
        assert_eq!(
            picks,
            (0..100).map(|seed| range.pick(seed)).collect::<Vec<_>>()
        );
        let times: Between<Span> = "1s..2s".parse().unwrap();
        let second = Duration::from_secs(1);
        assert!((0..100).all(|seed| (second..=2 * second).contains(&times.pick(seed))));
    }
}
