//! Text in quoted-printable form (RFC 2045 section 6.7), as Postfix writes it.

use alloc::vec::Vec;

use super::scan::RecordEnd;

/// Encodes records as quoted-printable lines.
///
/// Control characters but TAB, `=`, DEL and all bytes above 127 become `=XX`; so
/// does a blank or TAB at the end of a line. A line of more than 72 characters is
/// continued with `=` at its end, so that no line has more than 76. Fragments
/// belong to one line. There is no other encoding: text that cannot do without
/// its bytes is already base64.
///
/// Postfix: `mime_state_downgrade` in `src/global/mime_state.c`.
///
/// ```
/// use smtp_proto::mime::{QuotedPrintable, RecordEnd};
///
/// let (mut encoder, mut lines) = (QuotedPrintable::new(), Vec::new());
/// encoder.record("Grüße ".as_bytes(), RecordEnd::Line, &mut |line| lines.push(line));
/// assert_eq!(lines, [b"Gr=C3=BC=C3=9Fe=20"]);
/// ```
#[derive(Debug, Default)]
pub struct QuotedPrintable {
    /// What will go into the next line.
    line: Vec<u8>,
}

/// With more than this many characters a line is full.
const FULL: usize = 72;

impl QuotedPrintable {
    /// An encoder at the start of a line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes a record; `emit` gets each line that is complete, without its end.
    pub fn record(&mut self, text: &[u8], end: RecordEnd, emit: &mut dyn FnMut(Vec<u8>)) {
        for byte in text {
            if self.line.len() > FULL {
                self.line.push(b'=');
                emit(core::mem::take(&mut self.line));
            }
            match *byte {
                b'=' => self.escape(b'='),
                b'\t' | b' '..=b'~' => self.line.push(*byte),
                other => self.escape(other),
            }
        }
        if end == RecordEnd::Line {
            if let Some(blank @ (b' ' | b'\t')) = self.line.last().copied() {
                self.line.pop();
                self.escape(blank);
            }
            emit(core::mem::take(&mut self.line));
        }
    }

    fn escape(&mut self, byte: u8) {
        self.line
            .extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
    }
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'A' + (value - 10),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn encoded(records: &[(&[u8], RecordEnd)]) -> Vec<Vec<u8>> {
        let (mut encoder, mut lines) = (QuotedPrintable::new(), Vec::new());
        for (text, end) in records {
            encoder.record(text, *end, &mut |line| lines.push(line));
        }
        lines
    }

    /// The reading of RFC 2045: `=XX`, and a line that ends in `=` goes on.
    fn decoded(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (mut out, mut line) = (Vec::new(), Vec::new());
        for encoded in lines {
            let mut at = 0;
            while at < encoded.len() {
                if encoded[at] == b'=' && at + 1 < encoded.len() {
                    let hex = core::str::from_utf8(&encoded[at + 1..at + 3]).unwrap();
                    line.push(u8::from_str_radix(hex, 16).unwrap());
                    at += 3;
                } else {
                    line.extend((encoded[at] != b'=').then_some(encoded[at]));
                    at += 1;
                }
            }
            if encoded.last() != Some(&b'=') {
                out.push(core::mem::take(&mut line));
            }
        }
        out
    }

    #[test]
    fn what_is_escaped() {
        for (text, want) in [
            (&b"plain ~"[..], "plain ~"),
            (b"a=b", "a=3Db"),
            (b"\x7f\xff\x80", "=7F=FF=80"),
            (b"a\rb\0c\x1b", "a=0Db=00c=1B"),
            (b"a\tb \t", "a\tb =09"),
            (b" ", "=20"),
            (b"", ""),
            (b".", "."),
        ] {
            assert_eq!(encoded(&[(text, RecordEnd::Line)]), [want.as_bytes()]);
        }
    }

    #[test]
    fn a_line_is_continued_behind_73_to_75_characters() {
        let text = [b'x'].repeat(73);
        assert_eq!(
            encoded(&[(&text, RecordEnd::Line)]),
            core::slice::from_ref(&text)
        );
        let text = [b'x'].repeat(74);
        let lines = encoded(&[(&text, RecordEnd::Line)]);
        let lines: Vec<String> = lines
            .iter()
            .map(|l| String::from_utf8_lossy(l).into())
            .collect();
        assert_eq!(lines, [alloc::format!("{}=", "x".repeat(73)), "x".into()]);
    }

    #[test]
    fn fragments_make_one_line() {
        let (first, last) = (
            (&b"one "[..], RecordEnd::Fragment),
            (&b"two"[..], RecordEnd::Line),
        );
        assert_eq!(encoded(&[first, last]), [b"one two"]);
    }

    proptest! {
        #[test]
        fn decoding_gives_the_lines_back(
            lines in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..300), 0..5),
        ) {
            let records: Vec<(&[u8], RecordEnd)> =
                lines.iter().map(|line| (line.as_slice(), RecordEnd::Line)).collect();
            let encoded = encoded(&records);
            prop_assert_eq!(decoded(&encoded), lines);
            for line in encoded {
                prop_assert!(line.len() <= 76);
                prop_assert!(line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
                prop_assert!(!matches!(line.last(), Some(b' ' | b'\t')));
            }
        }
    }
}
