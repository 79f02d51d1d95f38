//! Line ends of a message text that comes from outside the mail system: LF and CR LF
//! end a line; a CR without LF is stray.
//!
//! A stray CR has no meaning in a message (RFC 5322 section 2.2), and servers do not
//! agree on it: some refuse it, and one that takes it for a line end reads another
//! message than the one before it did, up to `CR . CR LF` as the end of the text (SMTP
//! smuggling). In a whole Postfix, cleanup(8) puts a blank in its place
//! (`cleanup_replace_stray_cr_lf`). There is no stray LF here, since every LF ends a line.
//!
//! ```
//! use smtp_policy::line_ends::{LineEnds, StrayCr};
//!
//! let mut line_ends = LineEnds::new(StrayCr::Replace);
//! assert_eq!(line_ends.push("one\r\ntwo\r.\r".into())?, "one\ntwo .");
//! assert_eq!(line_ends.push("\nthree\r".into())?, "\nthree");
//! assert_eq!(line_ends.push("".into())?, " ", "the end");
//! # Ok::<(), smtp_policy::line_ends::StrayCrError>(())
//! ```

use std::fmt;

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

/// The fate of a CR that no LF follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrayCr {
    /// A blank takes its place. The length stays.
    #[default]
    Replace,
    /// The message is refused: a delivery bounces it (5.6.0). It reads the text as it
    /// goes out, so that the connection can be given up in the middle, without the final
    /// dot.
    Refuse,
    /// It goes out as it is.
    Pass,
}

/// A CR that no LF follows, where none may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrayCrError {
    /// The number of its line, counted from one.
    pub line: u64,
}

impl fmt::Display for StrayCrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line } = self;
        write!(
            f,
            "line {line} of the message has a carriage return without a line feed"
        )
    }
}

impl std::error::Error for StrayCrError {}

/// Turns text in any chunking into text whose lines end in LF. A CR at the end of a chunk
/// waits for what follows it.
#[derive(Clone, Debug)]
pub struct LineEnds {
    stray: StrayCr,
    /// A CR came last.
    held: bool,
    /// The number of lines that have ended; counted only where an error can name one.
    lines: u64,
}

impl LineEnds {
    /// The start of a text.
    pub fn new(stray: StrayCr) -> Self {
        Self {
            stray,
            held: false,
            lines: 0,
        }
    }

    /// The start of a text, unless every CR of it is data.
    pub(crate) fn unless_passed(stray: StrayCr) -> Option<Self> {
        (stray != StrayCr::Pass).then(|| Self::new(stray))
    }

    /// The next chunk with LF line ends; an empty one is the end of the text. A chunk
    /// without CR comes back as it is. The result may be empty before the end, and have
    /// something at it.
    ///
    /// # Errors
    /// A stray CR that is to be refused. There is no way on.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, StrayCrError> {
        let first = memchr(b'\r', &chunk);
        if first.is_none() && !self.held {
            self.count(&chunk);
            return Ok(chunk);
        }
        let mut out = Vec::with_capacity(chunk.len() + 1);
        let mut rest = chunk.as_ref();
        if std::mem::take(&mut self.held) && rest.first() != Some(&b'\n') {
            out.push(self.stray()?);
        }
        while let Some((before, after)) = memchr(b'\r', rest).and_then(|at| split_at_cr(rest, at)) {
            self.count(before);
            out.extend_from_slice(before);
            match after.first() {
                Some(b'\n') => {}
                Some(_) => out.push(self.stray()?),
                None => self.held = true,
            }
            rest = after;
        }
        self.count(rest);
        out.extend_from_slice(rest);
        Ok(out.into())
    }

    /// The byte that stands for a stray CR.
    fn stray(&self) -> Result<u8, StrayCrError> {
        match self.stray {
            StrayCr::Replace => Ok(b' '),
            StrayCr::Pass => Ok(b'\r'),
            StrayCr::Refuse => Err(StrayCrError {
                line: self.lines + 1,
            }),
        }
    }

    fn count(&mut self, text: &[u8]) {
        if self.stray == StrayCr::Refuse {
            self.lines += memchr_iter(b'\n', text).count() as u64;
        }
    }
}

/// Splits off the text before and after the CR at offset `at`.
fn split_at_cr(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(stray: StrayCr, chunks: &[&[u8]]) -> Result<Vec<u8>, StrayCrError> {
        let mut line_ends = LineEnds::new(stray);
        let mut out = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            out.extend_from_slice(&line_ends.push(Bytes::copy_from_slice(chunk))?);
        }
        out.extend_from_slice(&line_ends.push(Bytes::new())?);
        Ok(out)
    }

    #[test]
    fn cr_lf_ends_a_line_and_a_cr_alone_is_stray() {
        let cases: [(&str, &str, &str); 9] = [
            ("", "", ""),
            ("a\nb", "a\nb", "a\nb"),
            ("a\r\nb\r\n", "a\nb\n", "a\nb\n"),
            ("a\rb", "a b", "a\rb"),
            ("a\r.\r\nb", "a .\nb", "a\r.\nb"),
            ("a\r\r\nb", "a \nb", "a\r\nb"),
            ("a\n\rb", "a\n b", "a\n\rb"),
            ("\r\r\r", "   ", "\r\r\r"),
            ("a\r", "a ", "a\r"),
        ];
        for (text, replaced, passed) in cases {
            let whole = [text.as_bytes()];
            assert_eq!(read(StrayCr::Replace, &whole).unwrap(), replaced.as_bytes());
            assert_eq!(read(StrayCr::Pass, &whole).unwrap(), passed.as_bytes());
            let refused = read(StrayCr::Refuse, &whole);
            assert_eq!(refused.is_err(), replaced != passed, "{text:?}");
        }
    }

    #[test]
    fn the_line_of_a_refused_cr_is_named() {
        let chunks: [&[u8]; 4] = [b"a\nb\r", b"\nc", b"\r\nd\r", b"\re"];
        let error = read(StrayCr::Refuse, &chunks).unwrap_err();
        assert_eq!(error, StrayCrError { line: 4 });
        assert_eq!(
            error.to_string(),
            "line 4 of the message has a carriage return without a line feed"
        );
        let error = read(StrayCr::Refuse, &[b"a\r"]).unwrap_err();
        assert_eq!(error.line, 1);
    }

    #[test]
    fn a_chunk_without_cr_is_not_copied() {
        let chunk = Bytes::from_static(b"one\ntwo\n");
        let same = LineEnds::new(StrayCr::Replace).push(chunk.clone()).unwrap();
        assert_eq!(same.as_ptr(), chunk.as_ptr());
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            pieces in proptest::collection::vec("[a\r\n.]{0,4}", 0..12),
            stray in prop_oneof![
                Just(StrayCr::Replace), Just(StrayCr::Refuse), Just(StrayCr::Pass)
            ],
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
            let once = read(stray, &[whole.as_bytes()]);
            prop_assert_eq!(&read(stray, &pieces), &once);
            prop_assert_eq!(&read(stray, &bytes), &once);
        }
    }
}
