//! Text from strangers in logs and in mail that is made here: one line stays one line,
//! and lines are not too long (`src/util/line_wrap.c`).

use core::{fmt, ops::Deref};
use std::sync::Arc;

use smtp_proto::reply::Reply;

use crate::printable::{is_plain, printable};

/// A text for the log, which may quote strangers: one line without control characters.
///
/// It is made from any text; what cannot be printed becomes `?` ([`printable`]).
///
/// ```
/// use smtp_policy::report::LogText;
///
/// assert_eq!(LogText::from("no\nstatus=sent"), "no?status=sent");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogText(Arc<str>);

impl LogText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for LogText {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&str> for LogText {
    fn from(text: &str) -> Self {
        Self(printable(text).into())
    }
}

/// The text of a reply in one line ([`Reply::one_line`]). The reply shares it, if it is one line.
impl From<&Reply> for LogText {
    fn from(reply: &Reply) -> Self {
        match is_plain(reply.text()) {
            true => Self(reply.shared_text()),
            false => Self::from(reply.one_line()),
        }
    }
}

impl From<LogText> for String {
    fn from(text: LogText) -> Self {
        (*text.0).to_owned()
    }
}

impl Deref for LogText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for LogText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for LogText {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for LogText {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl PartialEq<String> for LogText {
    fn eq(&self, other: &String) -> bool {
        *self.0 == **other
    }
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
    fn a_text_for_the_log_can_be_printed() {
        assert_eq!(LogText::from("a\r\nb"), "a??b");
        assert_eq!(LogText::from("\u{a0}é 例"), "\u{a0}é 例");
    }

    #[test]
    fn a_reply_is_one_line_without_control_characters() {
        for (text, line) in [
            ("250 2.0.0 Ok", "250 2.0.0 Ok"),
            ("250-one\n250 two", "250-one 250 two"),
            ("250 gr\u{fc}n", "250 gr\u{fc}n"),
            ("250 \u{1b}[2J\u{9b}", "250 ?[2J?"),
        ] {
            assert_eq!(LogText::from(&Reply::new(250, text)), line);
        }
    }

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
