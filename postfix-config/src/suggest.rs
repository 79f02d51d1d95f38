//! "Did you mean": the known name that is most like an unknown one.
//!
//! A file may have any number of unknown names, so that the work is bounded: names of another length
//! are not compared at all, the others only as far as a few differing letters allow, and after a
//! hundred names there are no more hints.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{Parameter, params};

/// Longer names are no slips of the keyboard.
const MAX_NAME: usize = 64;
/// The number of names of a file are looked at.
const MAX_HINTS: usize = 100;
/// The number of letters may differ.
const MAX_DISTANCE: usize = 3;

/// Gives hints for the unknown names of one file.
#[derive(Debug)]
pub(crate) struct Hints {
    left: usize,
}

impl Hints {
    pub(crate) fn new() -> Self {
        Self { left: MAX_HINTS }
    }

    /// The known name that is like this one, if there is one. None also when there were too many
    /// names, which [`are_spent`](Self::are_spent) tells.
    pub(crate) fn hint(&mut self, name: &str) -> Option<&'static str> {
        self.left = self.left.checked_sub(1)?;
        suggest(name).0
    }

    /// Returns whether there are no more hints to give.
    pub(crate) fn are_spent(&self) -> bool {
        self.left == 0
    }
}

/// A spelling and the name that it stands for.
struct Known {
    spelling: String,
    name: &'static str,
    /// Of equally similar spellings, the one with the least rank wins.
    rank: usize,
}

/// All spellings by their length: the names of this client's table, the names that one protocol
/// would have if it called things as the other does, and the names of other daemons.
static KNOWN: LazyLock<BTreeMap<usize, Vec<Known>>> = LazyLock::new(|| {
    let own = Parameter::sorted().map(|(_, named)| (named.name.to_owned(), named.name));
    let foreign = params::foreign_names().map(|name| (name.to_owned(), name));
    let mut known: BTreeMap<usize, Vec<Known>> = BTreeMap::new();
    let spellings = own
        .chain(Parameter::all().flat_map(borrowed))
        .chain(foreign);
    for (rank, (spelling, name)) in spellings.enumerate() {
        known.entry(spelling.len()).or_default().push(Known {
            spelling,
            name,
            rank,
        });
    }
    known
});

/// `lmtp_helo_timeout` for `lmtp_lhlo_timeout`, and the other way round.
fn borrowed(parameter: &Parameter) -> Vec<(String, &'static str)> {
    let (Some(smtp), Some(lmtp)) = (parameter.smtp, parameter.lmtp) else {
        return Vec::new();
    };
    let bare = (
        smtp.name.strip_prefix("smtp_"),
        lmtp.name.strip_prefix("lmtp_"),
    );
    match bare {
        (Some(of_smtp), Some(of_lmtp)) if of_smtp != of_lmtp => vec![
            (format!("lmtp_{of_smtp}"), lmtp.name),
            (format!("smtp_{of_lmtp}"), smtp.name),
        ],
        _ => Vec::new(),
    }
}

/// The known name with the fewest differing letters, if they are few, and how many names were
/// compared. Of equals, a name of this client's table wins over one of another daemon's.
fn suggest(name: &str) -> (Option<&'static str>, usize) {
    if name.len() > MAX_NAME || !name.is_ascii() {
        return (None, 0);
    }
    let limit = (name.len() / 6).clamp(1, MAX_DISTANCE);
    let lengths = name.len().saturating_sub(limit)..=name.len() + limit;
    let mut compared = 0;
    let mut best: Option<(usize, usize, &'static str)> = None;
    for known in KNOWN.range(lengths).flat_map(|(_, known)| known) {
        compared += 1;
        let found = distance(name.as_bytes(), known.spelling.as_bytes(), limit);
        let found = found.map(|distance| (distance, known.rank, known.name));
        best = match (best, found) {
            (Some(best), Some(found)) => Some(best.min(found)),
            (best, found) => best.or(found),
        };
    }
    (best.map(|(_, _, name)| name), compared)
}

/// Counts the letters that must be added, dropped, changed or swapped with their neighbour, if they
/// are at most `limit`. Only what is that near to the diagonal of the usual table is computed.
fn distance(left: &[u8], right: &[u8], limit: usize) -> Option<usize> {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last_left = None;
    for (i, &a) in left.iter().enumerate() {
        let near = i.saturating_sub(limit)..right.len().min(i + limit + 1);
        let mut next = vec![usize::MAX / 2; right.len() + 1];
        set(&mut next, 0, i + 1);
        let mut least = usize::MAX;
        let mut last_right = near
            .start
            .checked_sub(1)
            .and_then(|j| right.get(j))
            .copied();
        for j in near {
            let b = right.get(j).copied();
            let changed = at(&row, j) + usize::from(Some(a) != b);
            let mut best = changed.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if last_left.is_some() && last_left == b && last_right == Some(a) {
                // `before` is two rows up; j is at least 1 here.
                best = best.min(at(&before, j.saturating_sub(1)) + 1);
            }
            set(&mut next, j + 1, best);
            least = least.min(best);
            last_right = b;
        }
        if least > limit {
            return None;
        }
        before = std::mem::replace(&mut row, next);
        last_left = Some(a);
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

fn at(row: &[usize], column: usize) -> usize {
    row.get(column).copied().unwrap_or(usize::MAX / 2)
}

fn set(row: &mut [usize], column: usize, value: usize) {
    if let Some(cell) = row.get_mut(column) {
        *cell = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted_up_to_a_limit() {
        let table = [
            ("abc", "abc", Some(0)),
            ("abc", "acb", Some(1)),
            ("abc", "abcd", Some(1)),
            ("abcd", "abc", Some(1)),
            ("xabc", "abc", Some(1)),
            ("abc", "xyc", Some(2)),
            ("timeout", "timeuot", Some(1)),
            ("timeout", "tmieuot", Some(2)),
            ("abcdef", "uvwxyz", None),
            ("abcd", "abcdefgh", None),
        ];
        for (left, right, expected) in table {
            for (left, right) in [(left, right), (right, left)] {
                let found = distance(left.as_bytes(), right.as_bytes(), 3);
                assert_eq!(found, expected, "{left} {right}");
            }
        }
    }

    #[test]
    fn only_names_of_about_the_same_length_are_compared() {
        let all: usize = KNOWN.values().map(Vec::len).sum();
        for length in 1..=80 {
            let (_, compared) = suggest(&"x".repeat(length));
            assert!(compared * 2 < all, "{length}: {compared} of {all}");
        }
        assert_eq!(suggest(&"x".repeat(MAX_NAME + 1)), (None, 0));
    }

    #[test]
    fn every_name_with_a_slip_is_recognised() {
        for (_, named) in Parameter::sorted().filter(|(_, named)| named.name.len() <= 60) {
            let slip = format!("{}q", named.name);
            let (hint, _) = suggest(&slip);
            assert!(hint.is_some(), "{slip}");
            if named.name.len() > 12 {
                assert_eq!(hint, Some(named.name));
            }
        }
    }
}
