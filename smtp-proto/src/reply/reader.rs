//! Reads replies from the byte stream of the connection. It takes bytes in
//! any chunking and never fails on input; it knows nothing of commands, so it
//! cannot tell what a reply answers.
//!
//! The rules are those of Postfix (`src/smtp/smtp_chat.c`, `src/global/smtp_stream.c`), which
//! are more lenient than RFC 5321 4.2: a bare LF ends a line, codes of one reply may differ, and
//! lines that are no reply lines are read over. Postfix reads for ever if the
//! server sends lines for ever; this reader stops at the limits of
//! [`ReplyLimits::lines`] and [`ReplyLimits::bytes`].

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;

use nom::branch::alt;
use nom::bytes::complete::take_while_m_n;
use nom::character::complete::char;
use nom::combinator::{eof, peek, value};
use nom::sequence::terminated;
use nom::{IResult, Parser};

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

/// What a waiting line costs besides its bytes, so that empty lines count too.
const LINE_COST: usize = size_of::<Line>();

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
    limits: ReplyLimits,
    filter: Option<Arc<dyn LineFilter>>,
    text: ReplyText,
    /// Whole lines that wait to be parsed, and the sum of their costs.
    waiting: VecDeque<Line>,
    waiting_cost: usize,
    /// The line that has no end yet.
    partial: Line,
    /// The reply that has no last line yet.
    draft: Draft,
    notes: Vec<ReplyNote>,
    /// An error ended the stream; nothing more is read.
    dead: bool,
    /// More was pushed between two calls of `next` than is kept.
    overrun: bool,
}

/// A line without its LF.
#[derive(Debug, Default)]
struct Line {
    /// Its beginning: one byte more than the limit at most, to tell a long line.
    kept: Vec<u8>,
    /// Its full length with the LF.
    size: usize,
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
            limits,
            filter,
            text: ReplyText::default(),
            waiting: VecDeque::new(),
            waiting_cost: 0,
            partial: Line::default(),
            draft: Draft::default(),
            notes: Vec::new(),
            dead: false,
            overrun: false,
        }
    }

    /// The same reader, for which other bytes are text.
    #[must_use]
    pub fn with_text(mut self, text: ReplyText) -> Self {
        self.text = text;
        self
    }

    /// Takes bytes from the connection, in any chunking.
    ///
    /// Call [`next`](Self::next) until it is `None` before pushing more: at most twice
    /// [`ReplyLimits::bytes`] wait here, more ends in [`ReplyError::TooManyBytes`].
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.dead && !self.overrun {
            let end = memchr::memchr(b'\n', rest);
            let (line, after) = match end.and_then(|at| rest.split_at_checked(at)) {
                Some((line, after)) => (line, after.get(1..).unwrap_or_default()),
                None => (rest, &[][..]),
            };
            self.extend_partial(line);
            if end.is_some() {
                self.end_partial();
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
        while let Some(line) = self.waiting.pop_front() {
            self.waiting_cost = self.waiting_cost.saturating_sub(line.cost());
            if let Some(result) = self.take_line(&line).transpose() {
                return Some(result.inspect_err(|error| self.stop(*error)));
            }
        }
        let bytes = self.draft.bytes.saturating_add(self.partial.size);
        if self.overrun || bytes > self.limits.bytes {
            self.stop(ReplyError::TooManyBytes);
            return Some(Err(ReplyError::TooManyBytes));
        }
        None
    }

    /// The number of bytes that came and have not become part of a reply; what was cut off an
    /// over-long line does not count.
    pub fn buffered(&self) -> usize {
        let ends = self.waiting.len();
        let kept = |line: &Line| line.kept.len();
        self.waiting.iter().map(kept).sum::<usize>() + ends + kept(&self.partial)
    }

    /// Whether the reader stands between two replies with no byte left over.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.partial.size == 0 && self.draft.lines == 0
    }

    /// Forgets everything that was read, an error too; notes stay.
    pub fn clear(&mut self) {
        self.drop_input();
        self.dead = false;
    }

    /// Takes the notes that have gathered. Beyond a thousand, or a thousand of one
    /// reply, no more are kept.
    pub fn take_notes(&mut self) -> Vec<ReplyNote> {
        take(&mut self.notes)
    }

    fn extend_partial(&mut self, bytes: &[u8]) {
        let line = &mut self.partial;
        line.size = line.size.saturating_add(bytes.len());
        let room = (self.limits.line.saturating_add(1)).saturating_sub(line.kept.len());
        let keep = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        line.kept.extend_from_slice(keep);
    }

    fn end_partial(&mut self) {
        let mut line = take(&mut self.partial);
        line.size = line.size.saturating_add(1);
        self.waiting_cost = self.waiting_cost.saturating_add(line.cost());
        self.overrun = self.waiting_cost > self.limits.bytes.saturating_mul(2);
        self.waiting.push_back(line);
    }

    /// Adds a line to the draft; gives the reply if it was the last one.
    fn take_line(&mut self, line: &Line) -> Result<Option<Reply>, ReplyError> {
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
        if append {
            // Postfix puts no LF after lines that left the text empty.
            if !self.draft.text.is_empty() {
                self.draft.text.push('\n');
            }
            self.draft.text.push_str(&text);
        }
        match parse(&text) {
            LineKind::More => Ok(None),
            LineKind::Last(code) => Ok(Some(self.finish(code, &text))),
            LineKind::Garbage => {
                self.draft.irregular = true;
                self.note(ReplyNote::Garbage(head(&text, 100)));
                Ok(None)
            }
        }
    }

    fn filtered(&mut self, line: String) -> Result<String, ReplyError> {
        let Some(filter) = &self.filter else {
            return Ok(line);
        };
        match filter.filter(&line) {
            Ok(None) => Ok(line),
            Ok(Some(new)) => {
                let new = printable(new.as_bytes(), self.text);
                let replaced = new.clone();
                self.note(ReplyNote::Replaced { old: line, new });
                Ok(replaced)
            }
            Err(FilterFailure) => Err(ReplyError::Filter),
        }
    }

    fn finish(&mut self, code: u16, last: &str) -> Reply {
        let draft = take(&mut self.draft);
        Reply {
            code,
            status: status_of(code, last.get(3..).unwrap_or_default()),
            text: draft.text,
            irregular: draft.irregular,
        }
    }

    fn stop(&mut self, error: ReplyError) {
        if error == ReplyError::Filter {
            self.draft = Draft::default();
        } else {
            self.drop_input();
            self.dead = true;
        }
    }

    fn drop_input(&mut self) {
        self.waiting.clear();
        self.waiting_cost = 0;
        self.partial = Line::default();
        self.draft = Draft::default();
        self.overrun = false;
    }

    fn note(&mut self, note: ReplyNote) {
        if self.notes.len() < MAX_NOTES && self.draft.notes < MAX_NOTES {
            self.draft.notes += 1;
            self.notes.push(note);
        }
    }
}

impl Line {
    fn cost(&self) -> usize {
        self.kept.capacity().saturating_add(LINE_COST)
    }

    /// What is used of the line, and whether it was too long.
    ///
    /// Postfix reads up to `limit` bytes, the LF among them, so a line of `limit` bytes is too long already, unless
    /// the last of them is the CR of the line end. CRs are taken off the end of a line
    /// that is not too long.
    fn content(&self, limit: usize) -> (&[u8], bool) {
        let kept = self.kept.as_slice();
        let long = kept.len() > limit || (kept.len() == limit && kept.last() != Some(&b'\r'));
        if long {
            return (kept.get(..limit).unwrap_or_default(), true);
        }
        let end = kept.iter().rposition(|byte| *byte != b'\r');
        (
            kept.get(..end.map_or(0, |at| at + 1)).unwrap_or_default(),
            false,
        )
    }
}

/// The line as text: unprintable ASCII characters and each byte that is not part of text become `?`. As in Postfix, whose lines are C strings, a NUL ends it
/// (`src/util/printable.c`).
fn printable(line: &[u8], kind: ReplyText) -> String {
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
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
        match chunk.valid().bytes().any(|byte| byte.is_ascii_control()) {
            true => text.extend(chunk.valid().chars().map(shown)),
            false => text.push_str(chunk.valid()),
        }
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
    let more = value(LineKind::More, terminated(code, char('-')));
    let end = alt((value((), char(' ')), value((), eof)));
    let last = terminated(code, peek(end)).map(LineKind::Last);
    match alt((more, last)).parse(line) {
        Ok((_, kind)) => kind,
        Err(_) => LineKind::Garbage,
    }
}

fn code(line: &str) -> IResult<&str, u16> {
    take_while_m_n(3, 3, |c: char| c.is_ascii_digit())
        .map_res(str::parse)
        .parse(line)
}
