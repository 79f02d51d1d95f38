//! A unified diff of two lists of lines, for reading by people. It is small
//! rather than clever: common beginnings and ends are set aside, and the rest is
//! compared by a table of longest common subsequences.

/// Lines that are shown around a difference.
const CONTEXT: usize = 4;
/// The largest table; beyond it the differing middles are shown one after the other.
const MAX_CELLS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Gone,
    New,
}

/// The difference between two lists of lines; empty if there is none.
pub(crate) fn unified(before: &[String], after: &[String]) -> String {
    let edits = edits(before, after);
    let near = |index: usize| {
        let from = index.saturating_sub(CONTEXT);
        edits
            .iter()
            .skip(from)
            .take(index - from + CONTEXT + 1)
            .any(|(kind, _)| *kind != Kind::Same)
    };
    let mut text = String::new();
    let mut shown_before = true;
    for (index, (kind, line)) in edits.iter().enumerate() {
        let shown = near(index);
        if shown && text.is_empty() {
            text.push_str("--- expected\n+++ observed\n");
        }
        if shown && !shown_before {
            text.push_str("@@\n");
        }
        if shown {
            text.push(match kind {
                Kind::Same => ' ',
                Kind::Gone => '-',
                Kind::New => '+',
            });
            text.push_str(line);
            text.push('\n');
        }
        shown_before = shown;
    }
    text
}

fn edits<'a>(before: &'a [String], after: &'a [String]) -> Vec<(Kind, &'a str)> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (common, before) = before.split_at(head);
    let (_, after) = after.split_at(head.min(after.len()));
    let tail = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (before, end) = before.split_at(before.len() - tail);
    let (after, _) = after.split_at(after.len() - tail);
    let mut edits: Vec<(Kind, &str)> = Vec::new();
    edits.extend(common.iter().map(|line| (Kind::Same, line.as_str())));
    middle(before, after, &mut edits);
    edits.extend(end.iter().map(|line| (Kind::Same, line.as_str())));
    edits
}

fn middle<'a>(before: &'a [String], after: &'a [String], edits: &mut Vec<(Kind, &'a str)>) {
    let width = after.len() + 1;
    let rows = if before.len().saturating_mul(width) > MAX_CELLS {
        0
    } else {
        before.len()
    };
    // The cell of a pair of positions: the longest common subsequence from there on.
    let mut table = vec![0_u32; (rows + 1) * width];
    let cell = |table: &[u32], i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
    for (i, old) in before.iter().enumerate().take(rows).rev() {
        for (j, new) in after.iter().enumerate().rev() {
            let longest = if old == new {
                cell(&table, i + 1, j + 1) + 1
            } else {
                cell(&table, i + 1, j).max(cell(&table, i, j + 1))
            };
            if let Some(place) = table.get_mut(i * width + j) {
                *place = longest;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    loop {
        match (before.get(i), after.get(j)) {
            (Some(old), Some(new)) if old == new => {
                edits.push((Kind::Same, old));
                i += 1;
                j += 1;
            }
            (Some(old), Some(_)) if cell(&table, i + 1, j) >= cell(&table, i, j + 1) => {
                edits.push((Kind::Gone, old));
                i += 1;
            }
            (_, Some(new)) => {
                edits.push((Kind::New, new));
                j += 1;
            }
            (Some(old), None) => {
                edits.push((Kind::Gone, old));
                i += 1;
            }
            (None, None) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn differences_are_shown_with_their_surroundings() {
        let cases = [
            ("a b c", "a b c", ""),
            (
                "a b c",
                "a x c",
                "--- expected\n+++ observed\n a\n-b\n+x\n c\n",
            ),
            ("a", "a b", "--- expected\n+++ observed\n a\n+b\n"),
            ("", "a", "--- expected\n+++ observed\n+a\n"),
            (
                "1 2 3 4 5 6 7 8 9 10 11 x",
                "y 2 3 4 5 6 7 8 9 10 11",
                "--- expected\n+++ observed\n-1\n+y\n 2\n 3\n 4\n 5\n@@\n 8\n 9\n 10\n 11\n-x\n",
            ),
        ];
        for (before, after, expected) in cases {
            assert_eq!(
                unified(&lines(before), &lines(after)),
                expected,
                "{before} / {after}"
            );
        }
    }
}
