//! Generated messages: a header of their own, and a body of the same line again and again.
//!
//! Nothing of the body is made for a message. It is cut from one block that all share, so
//! that messages of any size cost neither memory nor time.

use std::{io, sync::LazyLock};

use bytes::Bytes;
use smtp_policy::text::TextSource;

/// A line of the body, which is followed by LF.
const LINE: usize = 78;
/// The same in the block.
const STEP: u64 = LINE as u64 + 1;
/// The same on the wire, where CR LF ends a line.
const WIRE_STEP: u64 = STEP + 1;

/// So many lines in one piece.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| {
    let mut line = vec![b'X'; LINE];
    line.push(b'\n');
    line.repeat(1000).into()
});

/// A line that is longer than the others, of which the last line of a body is the end.
static LAST: LazyLock<Bytes> = LazyLock::new(|| {
    let mut line = vec![b'X'; LINE + 1];
    line.push(b'\n');
    line.into()
});

/// The parts that the headers of all messages of a run share.
#[derive(Debug)]
pub(super) struct Letterhead {
    /// The date, as a header has it.
    pub(super) date: String,
    /// Behind the `@` of message ids.
    pub(super) host: String,
    /// Tells the message ids of this run from those of others.
    pub(super) run: u64,
}

impl Letterhead {
    /// The header of the message with this number, and the empty line behind it.
    fn header(&self, number: u64, from: &str, to: &str) -> Bytes {
        let Self { date, host, run } = self;
        format!(
            "From: <{from}>\nTo: {to}\nDate: {date}\nMessage-ID: <{number}.{run:x}@{host}>\n\
             Subject: Load test, message {number}\n\n"
        )
        .into()
    }

    /// A message of `size` bytes on the wire, or of its header where that is longer. `to` is
    /// the only recipient, if there is only one.
    pub(super) fn message(&self, number: u64, from: &str, to: Option<&str>, size: u64) -> Text {
        let to = to.map_or_else(|| "undisclosed-recipients:;".into(), |to| format!("<{to}>"));
        Text::new(self.header(number, from, &to), size)
    }
}

/// One message as a source of text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    header: Bytes,
    /// The length of the whole lines of the body.
    lines: u64,
    last: Bytes,
    /// The length of all, with CR LF at the end of each line.
    pub(super) wire: u64,
}

impl Text {
    fn new(header: Bytes, size: u64) -> Self {
        let ends = line_ends(&header);
        let top = header.len() as u64 + ends;
        let body = size.saturating_sub(top);
        // A line has two bytes at least, so that one that would be left makes the last longer.
        let (count, rest) = match (body / WIRE_STEP, body % WIRE_STEP) {
            (0, 1) => (0, 0),
            (count, 1) => (count - 1, WIRE_STEP + 1),
            other => other,
        };
        let last = match usize::try_from(rest) {
            Ok(rest @ 2..) => LAST.slice(LAST.len().saturating_sub(rest - 1)..),
            _ => Bytes::new(),
        };
        Self {
            header,
            lines: count * STEP,
            last,
            wire: top + count * WIRE_STEP + rest,
        }
    }
}

fn line_ends(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl TextSource for Text {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        let header = self.header.len() as u64;
        if offset < header {
            return self.header.read(offset, room);
        }
        let at = offset - header;
        if at < self.lines {
            let left = usize::try_from(self.lines - at).unwrap_or(usize::MAX);
            return BLOCK.clone().read(at % STEP, room.min(left));
        }
        self.last.read(at - self.lines, room)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(mut text: Text, room: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let chunk = text.read(all.len() as u64, room).unwrap();
            if chunk.is_empty() {
                return all;
            }
            all.extend(chunk);
        }
    }

    fn message(size: u64) -> Text {
        let head = Letterhead {
            date: "Mon, 30 Nov 2026 14:00:00 +0000".into(),
            host: "here.example".into(),
            run: 0xab,
        };
        head.message(7, "a@x", Some("b@y"), size)
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for_on_the_wire() {
        let header = message(0).wire;
        for size in (header..header + 300).chain([4096, 65_536, 1 << 20]) {
            let text = message(size);
            let wire = text.wire;
            let all = String::from_utf8(read(text, 100_000)).unwrap();
            assert_eq!(wire, all.replace('\n', "\r\n").len() as u64);
            // There is no line of one byte.
            let wanted = if size == header + 1 { header } else { size };
            assert_eq!(wire, wanted);
            assert!(all.ends_with('\n'));
            assert!(all.lines().skip(6).all(|line| line.len() <= LINE + 1));
        }
    }

    #[test]
    fn a_small_size_leaves_the_header() {
        let all = String::from_utf8(read(message(0), 1000)).unwrap();
        assert_eq!(
            all,
            "From: <a@x>\nTo: <b@y>\nDate: Mon, 30 Nov 2026 14:00:00 +0000\n\
             Message-ID: <7.ab@here.example>\nSubject: Load test, message 7\n\n"
        );
    }

    #[test]
    fn the_text_is_the_same_in_pieces_of_any_length() {
        let whole = read(message(300_001), 1 << 20);
        for room in [1, 7, 78, 79, 80, 4096, 65_536] {
            assert!(read(message(300_001), room) == whole, "{room}");
        }
    }
}
