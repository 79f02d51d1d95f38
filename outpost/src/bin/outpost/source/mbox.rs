//! An mbox as a stream of messages.
//!
//! A line that begins with `From ` begins a message; it is no part of it, and neither is
//! the empty line before the next one. Text of a message that looks like one was quoted by
//! whoever wrote the file: one `>` is taken off `>From `, and off `>>From ` as mboxrd has
//! it. Of mboxo, whose writers quote `From ` only, `>>From ` comes out with one `>` less.
//!
//! No more is in memory than a piece of a line, and of a message as much as
//! [`Message::read`] keeps there.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, bail};
use outpost::{Message, message::Intake};

use super::FROM_LINE;

/// The number of bytes read at a time, and the most of a line that is looked at together.
const CHUNK: usize = 64 * 1024;

/// A reader of an mbox. Between messages its piece is a `From ` line, or nothing at the end.
#[derive(Debug)]
pub(super) struct Mbox<R> {
    pieces: Pieces<R>,
    intake: Intake,
    /// The number of the message that was read last.
    number: u64,
}

impl Mbox<File> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or does not begin as an mbox does. An empty one has no messages.
    pub(super) fn open(path: &Path, intake: Intake) -> anyhow::Result<Self> {
        Self::new(File::open(path)?, intake)
    }
}

impl<R: Read> Mbox<R> {
    fn new(stream: R, intake: Intake) -> anyhow::Result<Self> {
        let mut pieces = Pieces {
            reader: BufReader::with_capacity(CHUNK, stream),
            bytes: Vec::new(),
            begins_line: true,
        };
        pieces.advance()?;
        if !pieces.bytes.is_empty() && !pieces.is_from_line() {
            bail!("it is no mbox: its first line does not begin with \"From \"");
        }
        Ok(Self {
            pieces,
            intake,
            number: 0,
        })
    }

    /// The next message with its number, from one on. What cannot be read is the last one.
    pub(super) fn next(&mut self) -> Option<(u64, anyhow::Result<Message>)> {
        if self.pieces.bytes.is_empty() {
            return None;
        }
        self.number += 1;
        let message = self.message();
        // The next one can be read although there was too much of this one.
        while !self.pieces.bytes.is_empty() && !self.pieces.is_from_line() {
            if self.pieces.advance().is_err() {
                self.pieces.bytes.clear();
            }
        }
        Some((self.number, message))
    }

    fn message(&mut self) -> anyhow::Result<Message> {
        let mut is_whole = false;
        while !is_whole && !self.pieces.bytes.is_empty() {
            is_whole = self.pieces.bytes.ends_with(b"\n");
            let advanced = self.pieces.advance();
            advanced.context("cannot read the message")?;
        }
        let text = OneMessage {
            pieces: &mut self.pieces,
            ready: Vec::new(),
            given: 0,
            held: Vec::new(),
        };
        Ok(Message::read_with(text, self.intake)?)
    }
}

/// Lines of a stream, the long ones in pieces.
#[derive(Debug)]
struct Pieces<R> {
    reader: BufReader<R>,
    /// The current piece; empty at the end.
    bytes: Vec<u8>,
    /// True if it is the beginning of a line.
    begins_line: bool,
}

impl<R: Read> Pieces<R> {
    /// Goes on to the next piece.
    fn advance(&mut self) -> io::Result<()> {
        self.begins_line = self.bytes.last().is_none_or(|last| *last == b'\n');
        self.bytes.clear();
        let mut room = (&mut self.reader).take(CHUNK as u64);
        let read = room.read_until(b'\n', &mut self.bytes);
        if read.is_err() {
            self.bytes.clear();
        }
        read.map(|_| ())
    }

    fn is_from_line(&self) -> bool {
        self.begins_line && self.bytes.starts_with(FROM_LINE)
    }

    fn is_empty_line(&self) -> bool {
        self.begins_line && matches!(self.bytes.as_slice(), b"\n" | b"\r\n")
    }

    /// `>From `, with any number of `>`.
    fn is_quoted(&self) -> bool {
        let past = self.bytes.iter().position(|byte| *byte != b'>');
        let rest = past.and_then(|past| self.bytes.get(past..));
        self.begins_line
            && past.is_some_and(|count| count > 0)
            && rest.is_some_and(|rest| rest.starts_with(FROM_LINE))
    }
}

/// The text of one message, up to the next `From ` line.
struct OneMessage<'a, R> {
    pieces: &'a mut Pieces<R>,
    /// The piece that is being read, and how much of it was.
    ready: Vec<u8>,
    given: usize,
    /// An empty line that belongs to the message only if another line follows.
    held: Vec<u8>,
}

impl<R: Read> OneMessage<'_, R> {
    /// Makes the next piece ready. Returns whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.given = 0;
        while self.ready.is_empty() {
            let pieces = &mut *self.pieces;
            if pieces.bytes.is_empty() || pieces.is_from_line() {
                return Ok(false);
            }
            self.ready.append(&mut self.held);
            if pieces.is_empty_line() {
                self.held.extend_from_slice(&pieces.bytes);
            } else {
                let quote = usize::from(pieces.is_quoted());
                let text = pieces.bytes.get(quote..).unwrap_or_default();
                self.ready.extend_from_slice(text);
            }
            pieces.advance()?;
        }
        Ok(true)
    }
}

impl<R: Read> Read for OneMessage<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() && !self.advance()? {
            return Ok(0);
        }
        let mut left = self.ready.get(self.given..).unwrap_or_default();
        let read = left.read(into)?;
        self.given += read;
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use outpost::{SizeLimit, TextSource};

    use super::*;

    /// Gives so many bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let room = into.len().min(self.1);
            let (into, _) = into.split_at_mut(room);
            self.0.read(into)
        }
    }

    fn texts(bytes: &[u8], drip: usize) -> Vec<String> {
        let mut mbox = Mbox::new(Drip(bytes, drip), Intake::default()).unwrap();
        let mut all = Vec::new();
        while let Some((number, message)) = mbox.next() {
            let message = message.unwrap();
            let text = message.text().read(0, 1 << 20).unwrap();
            all.push(String::from_utf8(text.to_vec()).unwrap());
            assert_eq!(number, all.len() as u64);
        }
        all
    }

    #[test]
    fn messages_are_cut_at_from_lines_and_unquoted() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("From a\n", &[""]),
            ("From a", &[""]),
            ("From a\nA: b\n\nx\n", &["A: b\n\nx\n"]),
            (
                "From a\nA: b\n\nx\n\nFrom c\nC: d\n\ny\n\n",
                &["A: b\n\nx\n", "C: d\n\ny\n"],
            ),
            ("From a\n\nx\n\n\n\nFrom b\n\n\ny", &["\nx\n\n\n", "\n\ny"]),
            // No empty line before it.
            ("From a\nA: b\nFrom c\nC: d\n", &["A: b\n", "C: d\n"]),
            (
                "From a\n\n>From x\n>>From y\n>x\n > From\n>From\nFrome\nFrom\n",
                &["\nFrom x\n>From y\n>x\n > From\n>From\nFrome\nFrom\n"],
            ),
            (
                "From a\r\nA: b\r\n\r\nx\r\n\r\nFrom b\r\n\r\ny\r\n",
                &["A: b\n\nx\n", "\ny\n"],
            ),
        ];
        for (bytes, expected) in table {
            for drip in [1, 2, 5, 1000] {
                assert_eq!(texts(bytes.as_bytes(), drip), *expected, "{bytes:?} {drip}");
            }
        }
    }

    #[test]
    fn a_long_line_is_one_line() {
        let long = "x".repeat(CHUNK - 3);
        // The piece that begins with the mark is in the middle of a line.
        for line in [
            format!("{}From x\n", "y".repeat(CHUNK)),
            format!(">{long}\n"),
        ] {
            let bytes = format!("From a\n\n{line}\nFrom b\n\nz\n");
            assert_eq!(
                texts(bytes.as_bytes(), 9999),
                [format!("\n{line}"), "\nz\n".into()]
            );
        }
    }

    #[test]
    fn too_big_a_message_is_no_fault_of_the_next() {
        let bytes = format!("From a\n\n{}\nFrom b\n\nz\n", "x\n".repeat(1_000_000));
        let mut intake = Intake::default();
        intake.limit = SizeLimit::mebibytes(1);
        let mut mbox = Mbox::new(bytes.as_bytes(), intake).unwrap();
        let (_, first) = mbox.next().unwrap();
        let error = format!("{:#}", first.unwrap_err());
        assert!(error.contains("larger than the limit of 1 MiB"), "{error}");
        let (number, second) = mbox.next().unwrap();
        assert_eq!((number, second.unwrap().facts().length), (2, 3));
        assert!(mbox.next().is_none());
    }

    #[test]
    fn a_file_that_does_not_begin_with_a_from_line_is_no_mbox() {
        for bytes in ["A: b\n\nx\n", "\nFrom a\n", "from a\n", ">From a\n"] {
            let error = Mbox::new(bytes.as_bytes(), Intake::default()).unwrap_err();
            assert!(error.to_string().contains("it is no mbox"), "{bytes:?}");
        }
    }
}
