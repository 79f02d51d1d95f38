//! Latencies as bars of text, in buckets that grow: 1, 2, 5, 10, 20, 50 and so on.

use std::{env, fmt::Write, time::Duration};

use super::tally::Latencies;

/// The length of the longest bar.
const WIDTH: u64 = 40;
/// Parts of a character, from an eighth on.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// The ends of buckets in a decade.
const STEPS: [u64; 3] = [1, 2, 5];

/// The characters that a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Ascii,
    Utf8,
}

impl Charset {
    /// As the locale of the environment says.
    pub(super) fn of_environment() -> Self {
        Self::of(|name| env::var(name).ok())
    }

    /// The first of the variables that is set counts (POSIX).
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        match locale.contains("utf-8") || locale.contains("utf8") {
            true => Self::Utf8,
            false => Self::Ascii,
        }
    }
}

/// A bucket: from one latency up to, and without, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) count: u64,
}

/// The buckets from the least latency to the longest one; none without latencies.
pub(super) fn buckets(latencies: &Latencies) -> Vec<Bucket> {
    if latencies.count() == 0 {
        return Vec::new();
    }
    let mut ends = (0..12).flat_map(|power| STEPS.map(|step| step * 10_u64.pow(power)));
    let mut from = Duration::ZERO;
    let mut all = Vec::new();
    while from <= latencies.most() {
        let Some(to) = ends.next().map(Duration::from_micros) else {
            break;
        };
        if to > latencies.least() {
            let count = latencies.between(from, to);
            all.push(Bucket { from, to, count });
        }
        from = to;
    }
    all
}

/// The lines of the chart.
pub(super) fn chart(latencies: &Latencies, charset: Charset) -> String {
    let buckets = buckets(latencies);
    let most = buckets.iter().map(|bucket| bucket.count).max();
    let mut out = String::new();
    for Bucket { from, to, count } in buckets {
        let (from, to) = (time(from), time(to));
        let bar = bar(count, most.unwrap_or(1).max(1), charset);
        let line = format!("  {from:>8} to {to:>8} {count:>9} {bar}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A bar of which the longest one stands for `most`. There is one for whatever is there.
fn bar(count: u64, most: u64, charset: Charset) -> String {
    let eighths = (u128::from(count) * u128::from(WIDTH) * 8).div_ceil(u128::from(most));
    let eighths = usize::try_from(eighths).unwrap_or(0);
    match charset {
        Charset::Ascii => "#".repeat(eighths.div_ceil(8)),
        Charset::Utf8 => {
            let mut bar = "█".repeat(eighths / 8);
            bar.extend((eighths % 8).checked_sub(1).and_then(|at| EIGHTHS.get(at)));
            bar
        }
    }
}

/// A time with three digits and the unit that fits.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        ..999.5 => (micros, "us"),
        ..999_500.0 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let digits = match (value, unit) {
        (_, "us") => 0,
        (..9.995, _) => 2,
        (..99.95, _) => 1,
        _ => 0,
    };
    let number = format!("{value:.digits$}");
    // 1.50 ms is 1.5 ms.
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => &number,
    };
    format!("{number} {unit}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    fn some() -> Latencies {
        let mut latencies = Tally::new().unwrap().message;
        for (micros, count) in [(1500, 80), (3000, 41), (12_000, 1)] {
            (0..count).for_each(|_| latencies.add(Duration::from_micros(micros)));
        }
        latencies
    }

    #[test]
    fn bars_are_as_long_as_their_buckets_are_full() {
        let ascii = format!(
            "      1 ms to     2 ms        80 {}\n      2 ms to     5 ms        41 {}\n      \
             5 ms to    10 ms         0\n     10 ms to    20 ms         1 #\n",
            "#".repeat(40),
            "#".repeat(21)
        );
        assert_eq!(chart(&some(), Charset::Ascii), ascii);
        let utf8 = chart(&some(), Charset::Utf8);
        let bars = utf8.lines().map(|line| line.get(33..).unwrap_or(""));
        let bars: Vec<&str> = bars.collect();
        let [full, half] = [40, 20].map(|n| "█".repeat(n));
        assert_eq!(bars, [full.as_str(), &format!("{half}▌"), "", "▌"]);
    }

    #[test]
    fn every_latency_is_in_a_bucket() {
        let count: u64 = buckets(&some()).iter().map(|bucket| bucket.count).sum();
        assert_eq!(count, some().count());
        assert_eq!(buckets(&Tally::new().unwrap().message), []);
        assert_eq!(chart(&Tally::new().unwrap().message, Charset::Ascii), "");
    }

    #[test]
    fn times_have_three_digits() {
        for (micros, text) in [
            (1, "1 us"),
            (999, "999 us"),
            (1000, "1 ms"),
            (1234, "1.23 ms"),
            (12_345, "12.3 ms"),
            (123_456, "123 ms"),
            (999_400, "999 ms"),
            (999_999, "1 s"),
            (61_500_000, "61.5 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let with = |list: &[(&str, &str)]| {
            let list: Vec<(String, String)> = list
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            Charset::of(move |name| {
                let found = list.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            })
        };
        assert_eq!(with(&[]), Charset::Ascii);
        assert_eq!(with(&[("LANG", "en_GB.UTF-8")]), Charset::Utf8);
        assert_eq!(
            with(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]),
            Charset::Ascii
        );
        assert_eq!(with(&[("LC_ALL", ""), ("LANG", "C.utf8")]), Charset::Utf8);
    }
}
