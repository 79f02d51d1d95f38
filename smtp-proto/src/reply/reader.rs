//! Reads replies from the byte stream of the connection. It takes bytes in
//! any chunking and never fails on input; it knows nothing of commands, so it
//! cannot tell what a reply answers.
//!
//! The rules are those of Postfix (`src/smtp/smtp_chat.c`, `src/global/smtp_stream.c`), which
//! are more lenient than RFC 5321 4.2: a bare LF ends a line, codes of one reply may differ, and
//! lines that are no reply lines are read over. Postfix reads for ever if the
//! server sends lines for ever; this reader stops at the limits of
//! [`ReplyLimits::lines`] and [`ReplyLimits::bytes`].

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;

use super::input::{Input, Line};
use super::{Reply, status_of};

/// Replaces lines of the server before they are parsed (`smtp_reply_filter`): for broken servers
/// and for tests.
pub trait LineFilter: Send + Sync + fmt::Debug {
    /// Looks at a line without its line end, cut and with unprintable bytes replaced. `None` leaves
    /// it as it is; in a new line, unprintable bytes are replaced as well. A failure ends the reply
    /// with [`ReplyError::Filter`].
    fn filter(&self, line: &str) -> Result<Option<String>, FilterFailure>;
}

/// The table behind a [`LineFilter`] could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterFailure;

/// How much of a reply is kept, and how much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Bytes kept of a line, 2048 by default (`line_length_limit`); the rest is read over.
    pub line: usize,
    /// Once the text of a reply has this many bytes, 2048 by default, no more lines are added to it.
    pub text: usize,
    /// The most lines of a reply, 10,000 by default. More is an error.
    pub lines: u32,
    /// The most bytes of a reply, 4 MiB by default, line ends and what is read over included. More
    /// is an error.
    pub bytes: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            line: 2048,
            text: 2048,
            lines: 10_000,
            bytes: 4 << 20,
        }
    }
}

/// Which bytes of a reply are text. All others become `?`, each by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyText {
    /// Printable ASCII, and valid UTF-8.
    #[default]
    Utf8,
    /// Printable ASCII only (`smtputf8_enable = no`).
    Ascii,
}

/// Why no reply can be read.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A reply has more lines than [`ReplyLimits::lines`].
    TooManyLines,
    /// A reply has more bytes than [`ReplyLimits::bytes`].
    TooManyBytes,
    /// The [`LineFilter`] failed. This is a local fault, not the server's.
    Filter,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyError::TooManyLines => "the reply has too many lines",
            ReplyError::TooManyBytes => "the reply is too long",
            ReplyError::Filter => "the reply filter failed",
        })
    }
}

impl core::error::Error for ReplyError {}

/// Something about a reply that is worth a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyNote {
    /// A line was longer than [`ReplyLimits::line`]; it begins with this text of up to 30 bytes.
    TooLongLine(String),
    /// Lines were left out because the text had reached [`ReplyLimits::text`]; it begins with this
    /// text of up to 30 bytes.
    TooLongText(String),
    /// The filter replaced a line.
    Replaced {
        /// The line of the server.
        old: String,
        /// The line that is used instead.
        new: String,
    },
    /// A line that is no reply line was read over; up to 100 bytes of it.
    Garbage(String),
}

/// Notes kept of a reply, and until somebody takes them; a flood beyond that is not
/// told. It counts for the reply too, so that a reader who takes notes after each
/// piece of it learns no more than one who gets it whole.
const MAX_NOTES: usize = 1000;

/// The room in bytes that most replies of more than one line need.
const USUAL_TEXT: usize = 256;

/// Turns the bytes of a connection into replies.
///
/// Bytes are only cut into lines when they come in; [`next`](Self::next) parses as many lines as it needs. What
/// waits behind a reply is therefore still there to be looked at or thrown away,
/// as after the reply to STARTTLS.
///
/// ```
/// use smtp_proto::{ReplyLimits, ReplyReader};
///
/// let mut reader = ReplyReader::new(ReplyLimits::default(), None);
/// reader.push(b"250-mx.example.com\r\n250 SI");
/// assert!(reader.next().is_none());
/// reader.push(b"ZE 1000\r\n");
/// assert_eq!(reader.next().unwrap().unwrap().text(), "250-mx.example.com\n250 SIZE 1000");
/// assert!(reader.is_empty());
/// ```
#[derive(Debug)]
pub struct ReplyReader {
    input: Input,
    assembly: Assembly,
    /// An error ended the stream; nothing more is read.
    dead: bool,
    /// More was pushed between two calls of `next` than is kept.
    overrun: bool,
}

/// Makes replies of lines.
#[derive(Debug)]
struct Assembly {
    limits: ReplyLimits,
    filter: Option<Arc<dyn LineFilter>>,
    text: ReplyText,
    /// The reply that has no last line yet.
    draft: Draft,
    notes: Vec<ReplyNote>,
}

/// A reply as far as it is known.
#[derive(Debug, Default)]
struct Draft {
    text: String,
    lines: u32,
    bytes: usize,
    irregular: bool,
    cut: bool,
    notes: usize,
}

impl ReplyReader {
    /// A reader with nothing in it.
    pub fn new(limits: ReplyLimits, filter: Option<Arc<dyn LineFilter>>) -> Self {
        Self {
            input: Input::default(),
            assembly: Assembly {
                limits,
                filter,
                text: ReplyText::default(),
                draft: Draft::default(),
                notes: Vec::new(),
            },
            dead: false,
            overrun: false,
        }
    }

    /// The same reader, for which other bytes are text.
    #[must_use]
    pub fn with_text(mut self, text: ReplyText) -> Self {
        self.assembly.text = text;
        self
    }

    /// Takes bytes from the connection, in any chunking.
    ///
    /// Call [`next`](Self::next) until it is `None` before pushing more: at most twice
    /// [`ReplyLimits::bytes`] wait here, more ends in [`ReplyError::TooManyBytes`].
    pub fn push(&mut self, bytes: &[u8]) {
        let limits = self.assembly.limits;
        self.input.reserve(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() && !self.dead && !self.overrun {
            let end = memchr::memchr(b'\n', rest);
            let (line, after) = match end.and_then(|at| rest.split_at_checked(at)) {
                Some((line, after)) => (line, after.get(1..).unwrap_or_default()),
                None => (rest, &[][..]),
            };
            self.input.extend(line, limits.line);
            if end.is_some() {
                self.input.end_line();
                self.overrun = self.input.cost() > limits.bytes.saturating_mul(2);
            }
            rest = after;
        }
    }

    /// The next reply, if its last line has come.
    ///
    /// After [`ReplyError::TooManyLines`] and [`ReplyError::TooManyBytes`] the stream is out of
    /// step: what waits is dropped and what comes is ignored until [`clear`](Self::clear). After
    /// [`ReplyError::Filter`] reading goes on with the next line.
    #[expect(clippy::should_implement_trait, reason = "more can follow after None")]
    pub fn next(&mut self) -> Option<Result<Reply, ReplyError>> {
        while let Some(line) = self.input.next_line() {
            let result = self.assembly.add(line);
            self.input.release();
            match result {
                Ok(None) => {}
                Ok(Some(reply)) => return Some(Ok(reply)),
                Err(error) => {
                    self.stop(error);
                    return Some(Err(error));
                }
            }
        }
        let begun = self.assembly.draft.bytes;
        let bytes = begun.saturating_add(self.input.unended());
        if self.overrun || bytes > self.assembly.limits.bytes {
            self.stop(ReplyError::TooManyBytes);
            return Some(Err(ReplyError::TooManyBytes));
        }
        None
    }

    /// The number of bytes that came and have not become part of a reply; what was cut off an
    /// over-long line does not count.
    pub fn buffered(&self) -> usize {
        self.input.len()
    }

    /// Whether the reader stands between two replies with no byte left over.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.assembly.draft.lines == 0
    }

    /// Forgets everything that was read, an error too; notes stay.
    pub fn clear(&mut self) {
        self.drop_input();
        self.dead = false;
    }

    /// Takes the notes that have gathered. Beyond a thousand, or a thousand of one
    /// reply, no more are kept.
    pub fn take_notes(&mut self) -> Vec<ReplyNote> {
        take(&mut self.assembly.notes)
    }

    fn stop(&mut self, error: ReplyError) {
        if error == ReplyError::Filter {
            self.assembly.draft = Draft::default();
        } else {
            self.drop_input();
            self.dead = true;
        }
    }

    fn drop_input(&mut self) {
        self.input.clear();
        self.assembly.draft = Draft::default();
        self.overrun = false;
    }
}

impl Draft {
    /// Adds a line. Postfix puts no LF after lines that left the text empty.
    fn append(&mut self, line: &str) {
        if self.text.is_empty() {
            self.text.reserve(line.len().max(USUAL_TEXT));
        } else {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }
}

impl Assembly {
    /// Adds a line to the draft; gives the reply if it was the last one.
    fn add(&mut self, line: Line<'_>) -> Result<Option<Reply>, ReplyError> {
        self.draft.bytes = self.draft.bytes.saturating_add(line.size);
        self.draft.lines = self.draft.lines.saturating_add(1);
        if self.draft.bytes > self.limits.bytes {
            return Err(ReplyError::TooManyBytes);
        }
        if self.draft.lines > self.limits.lines {
            return Err(ReplyError::TooManyLines);
        }
        let (content, cut) = line.content(self.limits.line);
        let text = printable(content, self.text);
        if cut {
            self.note(ReplyNote::TooLongLine(head(&text, 30)));
        }
        let append = self.draft.text.len() < self.limits.text;
        if !append && !self.draft.cut {
            self.draft.cut = true;
            self.note(ReplyNote::TooLongText(head(&self.draft.text, 30)));
        }
        let text = self.filtered(text)?;
        let kind = parse(&text);
        if let LineKind::Last(code) = kind
            && append
            && self.draft.text.is_empty()
        {
            return Ok(Some(self.finish(code, &text, Arc::from(&*text))));
        }
        if append {
            self.draft.append(&text);
        }
        match kind {
            LineKind::More => Ok(None),
            LineKind::Last(code) => {
                let whole = Arc::from(self.draft.text.as_str());
                Ok(Some(self.finish(code, &text, whole)))
            }
            LineKind::Garbage => {
                self.draft.irregular = true;
                self.note(ReplyNote::Garbage(head(&text, 100)));
                Ok(None)
            }
        }
    }

    fn filtered<'a>(&mut self, line: Cow<'a, str>) -> Result<Cow<'a, str>, ReplyError> {
        let Some(filter) = &self.filter else {
            return Ok(line);
        };
        match filter.filter(&line) {
            Ok(None) => Ok(line),
            Ok(Some(new)) => {
                let new = printable(new.as_bytes(), self.text).into_owned();
                let (old, used) = (line.into_owned(), new.clone());
                self.note(ReplyNote::Replaced { old, new });
                Ok(used.into())
            }
            Err(FilterFailure) => Err(ReplyError::Filter),
        }
    }

    /// The reply with this text that ends with the line `last`.
    fn finish(&mut self, code: u16, last: &str, text: Arc<str>) -> Reply {
        let draft = take(&mut self.draft);
        Reply {
            code,
            status: status_of(code, last.get(3..).unwrap_or_default()),
            text,
            irregular: draft.irregular,
        }
    }

    fn note(&mut self, note: ReplyNote) {
        if self.notes.len() < MAX_NOTES && self.draft.notes < MAX_NOTES {
            self.draft.notes += 1;
            self.notes.push(note);
        }
    }
}

/// The line as text: unprintable ASCII characters and each byte that is not part of text become `?`. As in Postfix, whose lines are C strings, a NUL ends it
/// (`src/util/printable.c`).
fn printable(line: &[u8], kind: ReplyText) -> Cow<'_, str> {
    match core::str::from_utf8(line) {
        Ok(text) if is_printable(text, kind) => Cow::Borrowed(text),
        _ => {
            let end = memchr::memchr(0, line).and_then(|at| line.get(..at));
            Cow::Owned(masked(end.unwrap_or(line), kind))
        }
    }
}

fn is_printable(text: &str, kind: ReplyText) -> bool {
    // To look at all bytes takes less than to stop at the first.
    let all = |shown: fn(u8) -> bool| text.bytes().fold(true, |all, byte| all & shown(byte));
    match kind {
        ReplyText::Utf8 => all(|byte| !byte.is_ascii_control()),
        ReplyText::Ascii => all(|byte| matches!(byte, b' '..=b'~')),
    }
}

fn masked(line: &[u8], kind: ReplyText) -> String {
    if kind == ReplyText::Ascii {
        let shown = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '?',
        };
        return line.iter().map(shown).collect();
    }
    let mut text = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        let shown = |c: char| if c.is_ascii_control() { '?' } else { c };
        text.extend(chunk.valid().chars().map(shown));
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

/// The first characters of a text, `limit` bytes at most.
fn head(text: &str, limit: usize) -> String {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    String::from(text.get(..end).unwrap_or_default())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineKind {
    More,
    Last(u16),
    Garbage,
}

/// RFC 5321 4.2.1: a code of three digits, then a hyphen if more lines follow, a blank or the end
/// of the line if not.
fn parse(line: &str) -> LineKind {
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line.as_bytes() else {
        return LineKind::Garbage;
    };
    let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
    match rest.first() {
        Some(b'-') => LineKind::More,
        None | Some(b' ') => LineKind::Last(100 * a + 10 * b + c),
        Some(_) => LineKind::Garbage,
    }
}
