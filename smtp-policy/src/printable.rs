//! Text from strangers as one line that does nothing to a terminal (`src/util/printable.c`).

use std::borrow::Cow;

/// The text with every control character replaced by `?`, so that it is one line and can
/// do nothing to a terminal.
///
/// Postfix does the same before anything is logged, but lets the control characters
/// U+0080 to U+009F pass, with which some terminals can be commanded too.
///
/// ```
/// use smtp_policy::report::printable;
///
/// assert_eq!(printable("Grüße\r\n\u{1b}[2J\u{9b}2J"), "Grüße???[2J?2J");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    match !is_plain(text) && text.contains(char::is_control) {
        true => Cow::Owned(text.replace(char::is_control, "?")),
        false => Cow::Borrowed(text),
    }
}

/// Returns whether there is nothing but printable ASCII. It looks at every byte, so that it looks
/// at many at once.
pub(crate) fn is_plain(text: &str) -> bool {
    let is_plain = |byte| matches!(byte, b' '..=b'~');
    text.bytes().fold(true, |all, byte| all & is_plain(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_a_question_mark() {
        for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            assert_eq!(printable(&format!("a{c}b")), "a?b", "{c:?}");
        }
        for text in ["", " ~", "\u{a0}é 例 \u{1f600}"] {
            assert_eq!(printable(text), text);
        }
    }
}
