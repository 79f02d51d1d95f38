//! The line format that all table files share: comments, continuation lines, line numbers.
//!
//! Source: Postfix `src/util/readlline.c` and postconf(5).

use smtp_policy::tables::words::is_space;

/// One logical line, put together from a line and its continuation lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Number of its first line in the file; the first line of a file is 1.
    pub(super) number: usize,
    /// The text without line ends.
    pub(super) text: String,
}

/// The logical lines of a file. Lines that cannot be used are skipped with a warning.
///
/// A line that is empty, blank or starts (after white space) with `#` does not count at all: it
/// neither ends nor starts a logical line. A line that starts with white space continues the line
/// before.
pub(super) fn logical_lines(name: &str, bytes: &[u8], warnings: &mut Vec<String>) -> Vec<Line> {
    let mut raw: Vec<(usize, Vec<u8>)> = Vec::new();
    for (at, bytes) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = at + 1;
        let first_visible = bytes.iter().find(|&&byte| !is_space(char::from(byte)));
        if matches!(first_visible, None | Some(b'#')) {
            continue;
        }
        let continues = bytes
            .first()
            .is_some_and(|&byte| is_space(char::from(byte)));
        match raw.last_mut() {
            Some((_, text)) if continues => text.extend_from_slice(bytes),
            None if continues => warnings.push(format!(
                "{name}: logical line must not start with whitespace: \"{}\"",
                start_of(bytes)
            )),
            _ => raw.push((number, bytes.to_vec())),
        }
    }
    let mut lines = Vec::with_capacity(raw.len());
    for (number, mut bytes) in raw {
        if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
            warnings.push(format!(
                "{name}, line {number}: text after null byte is ignored"
            ));
            bytes.truncate(end);
        }
        match String::from_utf8(bytes) {
            Ok(text) => lines.push(Line { number, text }),
            Err(error) => warnings.push(format!(
                "{name}, line {number}: non-UTF-8 input \"{}\" -- ignoring this line",
                start_of(error.as_bytes())
            )),
        }
    }
    lines
}

/// The first 30 characters of some bytes, safe to print.
fn start_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut start: String = text.chars().take(30).collect();
    if start.len() < text.len() {
        start.push_str("...");
    }
    start
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    #[test]
    fn comments_and_continuation_lines_are_read_as_postfix_reads_them() {
        // (file text, (first line, text) of each logical line, number of warnings)
        type Row = (&'static str, &'static [(usize, &'static str)], usize);
        let rows: &[Row] = &[
            ("", &[], 0),
            (" abcde\nfghij\n", &[(2, "fghij")], 1),
            (" #abcde\nfghij\n", &[(2, "fghij")], 0),
            ("#abc\ndef", &[(2, "def")], 0),
            ("\nabc\n", &[(2, "abc")], 0),
            (" \nabc\n", &[(2, "abc")], 0),
            ("abc def", &[(1, "abc def")], 0),
            ("abc\0def\nghi", &[(1, "abc"), (2, "ghi")], 1),
            ("abc\n def\n", &[(1, "abc def")], 0),
            ("abc\n #def\n ghi", &[(1, "abc ghi")], 0),
            ("abc\n#def\n ghi", &[(1, "abc ghi")], 0),
            ("abc\n\n ghi\nx", &[(1, "abc ghi"), (4, "x")], 0),
            ("abc\n ", &[(1, "abc")], 0),
        ];
        for (text, expected, warned) in rows {
            let mut warnings = Vec::new();
            let lines = logical_lines("f", text.as_bytes(), &mut warnings);
            let lines: Vec<_> = lines.iter().map(|l| (l.number, l.text.as_str())).collect();
            assert_eq!(&lines, expected, "{text:?}");
            assert_eq!(warnings.len(), *warned, "{text:?}: {warnings:?}");
        }
    }

    #[test]
    fn a_line_that_is_not_utf8_is_skipped_with_a_warning() {
        let mut warnings = Vec::new();
        let lines = logical_lines("f", b"a b\nc \xff\nd e", &mut warnings);
        assert_eq!(lines.len(), 2);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("f, line 2: non-UTF-8 input"));
    }
}
