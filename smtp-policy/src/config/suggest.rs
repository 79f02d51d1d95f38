//! "Did you mean": the known name that is most like an unknown one.

use super::{Parameter, params};

/// Longer names are no slips of the keyboard.
const MAX_NAME: usize = 64;

/// The known name with the fewest differing letters, if they are few. Of equals, a name of this
/// client's table wins over one of another daemon's.
pub(crate) fn suggest(name: &str) -> Option<&'static str> {
    if name.len() > MAX_NAME || !name.is_ascii() {
        return None;
    }
    let limit = (name.len() / 6).clamp(1, 3);
    Parameter::sorted()
        .map(|(_, named)| named.name)
        .chain(params::foreign_names())
        .map(|known| (distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last_left = None;
    for (i, &a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        let mut last_right = None;
        for (j, &b) in right.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&row, j) + usize::from(a != b);
            let mut best = changed.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if last_left == Some(b) && last_right == Some(a) {
                // `before` is two rows up; j is at least 1 here.
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
            last_right = Some(b);
        }
        before = std::mem::replace(&mut row, next);
        last_left = Some(a);
    }
    row.last().copied().unwrap_or(0)
}
