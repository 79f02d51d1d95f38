//! Message text in wire form: CRLF line ends, doubled leading dots, long lines
//! broken. It is not a MIME encoder, and it cannot end the text: the final
//! line with the dot is the session's.
//!
//! RFC 5321 4.5.2 (transparency); Postfix's `smtp_text_out` in `src/smtp/smtp_proto.c`.
//!
//! ```
//! use bytes::{Buf, Bytes};
//! use smtp_proto::{BodyEncoder, SendQueue};
//!
//! let (mut encoder, mut out) = (BodyEncoder::new(998), SendQueue::new());
//! encoder.push(Bytes::from_static(b"one\n.two\nthr"), &mut out);
//! encoder.push(Bytes::from_static(b"ee"), &mut out);
//! encoder.finish(&mut out);
//! assert_eq!(out.copy_to_bytes(out.len()), &b"one\r\n..two\r\nthree\r\n"[..]);
//! ```

use bytes::Bytes;
use memchr::memchr;

use crate::{mime::RecordEnd, queue::SendQueue};

/// Runs without a line end from this size in bytes on are shared, not copied.
const SHARE_FROM: usize = 4096;

/// Turns text with LF line ends, in any chunking, into what is sent after DATA.
///
/// - LF becomes CRLF. A CR before it is data, as any other byte is: nothing else is changed.
/// - A line that begins with a dot gets a second one.
/// - A line of more than `limit` bytes is broken: `limit` bytes, CRLF, a blank, `limit - 1` bytes, CRLF, a blank
///   and so on. A dot after such a break is not doubled, since a blank
///   comes before it. Bytes are counted, so a character can be split; the
///   extra dot does not count.
/// - A last line without LF gets its CRLF from [`finish`](Self::finish).
#[derive(Debug)]
pub struct BodyEncoder {
    /// `usize::MAX` if lines are not broken.
    limit: usize,
    /// How many more bytes go before the line is to be broken.
    room: usize,
    /// Nothing of the line has come yet.
    at_start: bool,
    folded: bool,
}

impl BodyEncoder {
    /// An encoder at the start of a message.
    ///
    /// `line_length_limit` is the most bytes of a line, not counting CRLF (`smtp_line_length_limit`,
    /// 998 by default); 0 turns breaking off. 1, for which no line would ever come to its end, is taken as 2.
    pub fn new(line_length_limit: usize) -> Self {
        let limit = match line_length_limit {
            0 => usize::MAX,
            limit => limit.max(2),
        };
        Self {
            limit,
            room: limit,
            at_start: true,
            folded: false,
        }
    }

    /// Encodes the next chunk of text and appends the result to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut SendQueue) {
        // One more byte for each line; sixteen bytes are a short line. And the last dot.
        out.reserve(chunk.len() + chunk.len() / 16 + 16);
        let mut rest = chunk.as_ref();
        while let Some((line, after)) = memchr(b'\n', rest).and_then(|at| split_line(rest, at)) {
            if self.at_start && line.len() < self.limit.min(SHARE_FROM) {
                // The common case: a whole line that needs no breaking.
                let tail = out.tail();
                if line.first() == Some(&b'.') {
                    tail.push(b'.');
                }
                tail.extend_from_slice(line);
                tail.extend_from_slice(b"\r\n");
            } else {
                self.part(line, &chunk, out);
                out.write(b"\r\n");
                self.start_line();
            }
            rest = after;
        }
        self.part(rest, &chunk, out);
    }

    /// Encodes text that comes in records, such as those of a
    /// [`MimeReader`](crate::mime::MimeReader). A fragment that ends where the line is
    /// to be broken breaks it, a line does not.
    ///
    /// Between two lines a text can change from chunks to records and back.
    pub fn record(&mut self, text: &[u8], end: RecordEnd, out: &mut SendQueue) {
        if self.at_start && text.first() == Some(&b'.') {
            out.write(b".");
        }
        self.at_start &= text.is_empty();
        let mut rest = text;
        while let Some((now, later)) = rest.split_at_checked(self.room) {
            out.write(now);
            if later.is_empty() && end == RecordEnd::Line {
                rest = later;
                break;
            }
            self.fold(out);
            rest = later;
        }
        out.write(rest);
        self.room -= rest.len().min(self.room);
        if end == RecordEnd::Line {
            out.write(b"\r\n");
            self.start_line();
        }
    }

    /// Ends the text: completes a last line that had no LF.
    pub fn finish(&mut self, out: &mut SendQueue) {
        if self.at_start {
            return;
        }
        if self.room == 0 {
            // Postfix keeps an unended line as a fragment, which breaks the line where it ends.
            self.fold(out);
        }
        out.write(b"\r\n");
        self.start_line();
    }

    /// Whether a line had to be broken so far (Postfix logs `breaking line > 998 bytes with <CR><LF>SPACE`).
    pub fn folded(&self) -> bool {
        self.folded
    }

    /// Some or all of a line of `chunk`, without its end.
    fn part(&mut self, bytes: &[u8], chunk: &Bytes, out: &mut SendQueue) {
        if self.at_start && bytes.first() == Some(&b'.') {
            out.write(b".");
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            self.at_start = false;
            if self.room == 0 {
                self.fold(out);
            }
            let (now, later) = rest.split_at_checked(self.room).unwrap_or((rest, &[][..]));
            if now.len() < SHARE_FROM {
                out.write(now);
            } else {
                out.link(chunk.slice_ref(now));
            }
            self.room -= now.len();
            rest = later;
        }
    }

    fn fold(&mut self, out: &mut SendQueue) {
        self.folded = true;
        out.write(b"\r\n ");
        self.room = self.limit - 1;
    }

    fn start_line(&mut self) {
        self.room = self.limit;
        self.at_start = true;
    }
}

/// The line before the LF at offset `at`, and what comes after the LF.
fn split_line(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(at)?;
    Some((line, rest.get(1..)?))
}
