//! Text from strangers in mail that is made here: one line stays one line, and
//! lines are not too long (`src/util/line_wrap.c`, `src/util/printable.c`).

/// The text with every control character replaced by `?`.
pub(crate) fn printable(text: &str) -> String {
    let show = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(show).collect()
}

/// Breaks a line at blanks so that each piece has at most `width` bytes, if it has
/// a blank early enough. Pieces after the first are indented. Blanks at the break
/// and at the end go away.
pub(crate) fn wrap(line: &str, width: usize, indent: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = line;
    loop {
        let room = if pieces.is_empty() {
            width
        } else {
            width.saturating_sub(indent)
        };
        let (piece, behind) = break_off(rest, room);
        let margin = if pieces.is_empty() { 0 } else { indent };
        pieces.push(format!("{:margin$}{}", "", piece.trim_ascii_end()));
        if behind.is_empty() {
            return pieces;
        }
        rest = behind;
    }
}

/// Splits before the first word that does not end within `room`, though not before
/// the first word of all.
fn break_off(text: &str, room: usize) -> (&str, &str) {
    let is_blank = |c: char| c == ' ' || c == '\t';
    let mut word = 0;
    for (blank, _) in text.match_indices(is_blank).chain([(text.len(), "")]) {
        if word > 0 && blank > room {
            let (piece, behind) = text.split_at_checked(word).unwrap_or((text, ""));
            return (piece, behind.trim_ascii_start());
        }
        word = blank + 1;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_if_there_are_any() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[""]),
            ("short", &["short"]),
            ("exactly ten", &["exactly", "  ten"]),
            ("0123456789", &["0123456789"]),
            ("0123456789abc def", &["0123456789abc", "  def"]),
            ("aaa bbb ccc ddd eee", &["aaa bbb", "  ccc ddd", "  eee"]),
            ("ends in blanks   ", &["ends in", "  blanks"]),
            ("two  blanks", &["two", "  blanks"]),
        ];
        for (line, pieces) in rows {
            assert_eq!(wrap(line, 10, 2), *pieces, "{line:?}");
        }
    }
}
