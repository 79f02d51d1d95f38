//! Message text in records: lines, and pieces of lines that are too long for one.
//!
//! Postfix keeps text in a queue file as records of at most `line_length_limit`
//! (2048) bytes, and all its processing of content sees records, not lines. The
//! places where a long line is cut therefore show in what is sent.

use alloc::vec::Vec;

use bytes::Bytes;
use memchr::memchr;

/// The most bytes of a record (`line_length_limit` of the mail system, not of the
/// wire).
pub const RECORD_LIMIT: usize = 2048;

/// What follows a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// The end of a line (Postfix's record type N).
    Line,
    /// More of the same line, or the end of a text whose last line has no end
    /// (type L).
    Fragment,
}

/// A line or a piece of one, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes; no LF among them.
    pub text: Bytes,
    /// What follows.
    pub end: RecordEnd,
}

/// Cuts text with LF line ends, in any chunking, into records. It holds one
/// chunk and less than one record besides.
///
/// A line of more than [`RECORD_LIMIT`] bytes becomes fragments of that size and a
/// last piece.
#[derive(Debug, Default)]
pub struct RecordReader {
    chunk: Bytes,
    /// The beginning of a record whose rest was not in the chunks before.
    held: Vec<u8>,
}

impl RecordReader {
    /// A reader at the start of a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk of text.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let joined = [self.chunk.as_ref(), chunk.as_ref()].concat();
            self.chunk = Bytes::from(joined);
        }
    }

    /// The next record; `None` when more text is needed to know it.
    pub fn next_record(&mut self) -> Option<Record> {
        let room = RECORD_LIMIT.saturating_sub(self.held.len());
        // A line of exactly the limit is one record, so one byte more decides.
        let window = self.chunk.get(..=room).unwrap_or(&self.chunk);
        match memchr(b'\n', window) {
            Some(at) => {
                let text = self.take(at);
                self.chunk = self.chunk.slice(1..);
                Some(Record {
                    text,
                    end: RecordEnd::Line,
                })
            }
            None if self.chunk.len() > room => {
                let text = self.take(room);
                Some(Record {
                    text,
                    end: RecordEnd::Fragment,
                })
            }
            None => {
                self.held.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                None
            }
        }
    }

    /// The text is over: the last record, if the last line had no end.
    pub fn finish(&mut self) -> Option<Record> {
        let text = self.take(self.chunk.len());
        (!text.is_empty()).then_some(Record {
            text,
            end: RecordEnd::Fragment,
        })
    }

    /// All that was not read yet, for a reader that goes on without records.
    pub fn into_rest(mut self) -> Bytes {
        self.take(self.chunk.len())
    }

    /// What is held, and the next `count` bytes of the chunk.
    fn take(&mut self, count: usize) -> Bytes {
        let piece = self.chunk.split_to(count.min(self.chunk.len()));
        if self.held.is_empty() {
            return piece;
        }
        self.held.extend_from_slice(&piece);
        Bytes::from(core::mem::take(&mut self.held))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(chunks: &[&[u8]]) -> Vec<(Vec<u8>, RecordEnd)> {
        let mut reader = RecordReader::new();
        let mut out = Vec::new();
        for chunk in chunks {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Some(record) = reader.next_record() {
                out.push((record.text.to_vec(), record.end));
            }
        }
        out.extend(
            reader
                .finish()
                .map(|record| (record.text.to_vec(), record.end)),
        );
        out
    }

    #[test]
    fn a_long_line_is_cut_and_a_line_of_the_limit_is_not() {
        for (length, want) in [
            (0, &[0][..]),
            (2047, &[2047]),
            (2048, &[2048]),
            (2049, &[2048, 1]),
            (4096, &[2048, 2048]),
            (4097, &[2048, 2048, 1]),
        ] {
            let mut text = [b'x'].repeat(length);
            text.push(b'\n');
            let got = records(&[&text]);
            let sizes: Vec<usize> = got.iter().map(|(text, _)| text.len()).collect();
            assert_eq!(sizes, want, "{length}");
            assert_eq!(got.last().unwrap().1, RecordEnd::Line);
            assert!(
                got.iter()
                    .rev()
                    .skip(1)
                    .all(|(_, end)| *end == RecordEnd::Fragment)
            );
        }
    }

    #[test]
    fn an_unended_last_line_is_a_fragment() {
        let want = [
            (b"a".to_vec(), RecordEnd::Line),
            (b"b".to_vec(), RecordEnd::Fragment),
        ];
        assert_eq!(records(&[b"a\nb"]), want);
        assert_eq!(records(&[b"a\n"]), want[..1]);
        assert_eq!(records(&[]), []);
    }

    proptest! {
        #[test]
        fn records_do_not_depend_on_the_chunks(
            text in "([a\n]{0,9}|b{2040,2060}|c{4090,4100}){0,5}",
            cuts in proptest::collection::vec(0usize..9000, 0..6),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(text.get(from..cut).unwrap());
                from = cut;
            }
            chunks.push(text.get(from..).unwrap());
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(records(&chunks), records(&[text]));
            prop_assert_eq!(records(&bytes), records(&[text]));
        }
    }
}
