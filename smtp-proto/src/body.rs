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

use alloc::vec::Vec;

use bytes::Bytes;
use memchr::memchr;

use crate::{mime::RecordEnd, queue::SendQueue};

/// Runs without a line end from this size in bytes on are shared, not copied.
const SHARE_FROM: usize = 4096;

/// The size in bytes of the piece in which the end of a line is looked for first: most lines of
/// a message end within it.
const WINDOW: usize = 96;

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
        // One more byte for each line; sixteen bytes are a short line. And the last window.
        out.reserve(chunk.len() + chunk.len() / 16 + WINDOW);
        let mut rest = self.short_lines(&chunk, out.tail());
        while let Some((line, after)) = memchr(b'\n', rest).and_then(|at| split_line(rest, at)) {
            self.line(line, &chunk, out);
            rest = self.short_lines(after, out.tail());
        }
        self.part(rest, &chunk, out);
    }

    /// Encodes the usual lines at the start of `text`: whole ones, each within a window and not to be
    /// broken. Returns what comes behind them.
    fn short_lines<'a>(&self, mut text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        if !self.at_start {
            return text;
        }
        let limit = self.limit.min(WINDOW - 1);
        while let Some(window) = text.first_chunk::<WINDOW>()
            && let Some(length) = line_end(window).filter(|length| *length < limit)
        {
            if window.starts_with(b".") {
                out.push(b'.');
            }
            // A copy of fixed size, cut off behind the line, costs less than one of the line's size.
            let end = out.len() + length;
            out.extend_from_slice(window);
            if let Some(line_end) = out.get_mut(end..end + 2) {
                line_end.copy_from_slice(b"\r\n");
            }
            out.truncate(end + 2);
            text = text.get(length + 1..).unwrap_or_default();
        }
        text
    }

    /// Encodes any other line, or the rest of one.
    fn line(&mut self, line: &[u8], chunk: &Bytes, out: &mut SendQueue) {
        if self.at_start && line.len() < self.limit.min(SHARE_FROM) {
            let tail = out.tail();
            if line.first() == Some(&b'.') {
                tail.push(b'.');
            }
            tail.extend_from_slice(line);
            tail.extend_from_slice(b"\r\n");
        } else {
            self.part(line, chunk, out);
            out.write(b"\r\n");
            self.start_line();
        }
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

/// The number of bytes before the first LF.
///
/// Most lines are short, and for them a call of `memchr` costs more than to look at some blocks of 32 bytes, which
/// compilers do with vectors, and then at the words of one of them.
#[inline]
fn line_end(window: &[u8; WINDOW]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let has_lf = |block: &[u8; 32]| block.iter().fold(false, |has, byte| has | (*byte == b'\n'));
    let (blocks, _) = window.as_chunks();
    let number = blocks.iter().position(has_lf)?;
    let (words, _) = blocks.get(number)?.as_chunks();
    words.iter().zip(0..).find_map(|(word, place)| {
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'\n'));
        // The lowest bit is the upper one of the first byte that does not differ.
        let found = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        (found != 0).then(|| 32 * number + 8 * place + found.trailing_zeros() as usize / 8)
    })
}

/// The line before the LF at offset `at`, and what comes after the LF.
fn split_line(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(at)?;
    Some((line, rest.get(1..)?))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_line_is_found_wherever_it_is_and_whatever_stands_around_it() {
        for around in [0, b'a', b'\n' - 1, b'\n' + 1, b'\n' ^ 0x80, 0xff] {
            let mut window = [around; WINDOW];
            assert_eq!(line_end(&window), None, "{around}");
            for at in (0..WINDOW).rev() {
                window[at] = b'\n';
                assert_eq!(line_end(&window), Some(at), "{around}");
                window[at + 1..].fill(around);
                assert_eq!(line_end(&window), Some(at), "{around}");
            }
        }
    }
}
