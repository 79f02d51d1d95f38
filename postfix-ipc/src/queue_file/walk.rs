//! A way through the records of a queue file that follows its pointers.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{
    corruption::Corruption,
    record::{Header, NoHeader, RecordKind},
};
use crate::attr::Value;

/// The bytes that are asked for at once.
pub const READ_SIZE: usize = 16 * 1024;
/// The most pointers that lead back, or where the last one led (`REVERSE_JUMP_LIMIT`).
const REVERSE_JUMPS: u32 = 10_000;
/// The most bytes of a pointer. Postfix writes 15, and takes as many as there are.
const POINTER_LIMIT: u32 = 100;

/// A way through a file, from record to record.
///
/// Ask [`poll`](Self::poll) for the next step. It asks for bytes at an offset, which
/// [`read`](Self::read) takes, and tells records and their data as they come. It holds at
/// most what it was given by the last `read`, and the beginning of a header or a pointer.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The offset of the first byte of `chunk`.
    at: u64,
    chunk: Bytes,
    place: Place,
    /// The offset to which the last pointer led.
    jumped: u64,
    reverse_jumps: u32,
}

/// A step of a [`Walk`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum WalkStep {
    /// Bytes are needed: [`Walk::read`].
    Read {
        /// The offset of the first of them.
        offset: u64,
        /// The number that is of use; fewer will do.
        length: usize,
    },
    /// A record begins.
    Record {
        /// The offset of its type.
        offset: u64,
        /// Its type.
        kind: RecordKind,
        /// The bytes of its data.
        length: u32,
    },
    /// Data of the record, not empty; all pieces together are its length. Those of a pointer
    /// come in one piece.
    Data(Bytes),
    /// There is no next step.
    Corrupt(Corruption),
}

/// The place of a walk: what it reads next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Data(Header, u32),
    Pointer(u32),
    Corrupt(Corruption),
}

impl Walk {
    /// A walk that begins with the record at this offset.
    pub fn new(offset: u64) -> Self {
        Self {
            at: offset,
            chunk: Bytes::new(),
            place: Place::Header,
            jumped: 0,
            reverse_jumps: 0,
        }
    }

    /// The next step. The walk goes on behind the end record: whoever walks stops there.
    pub fn poll(&mut self) -> WalkStep {
        match &self.place {
            Place::Header => self.header(),
            Place::Data(_, 0) => {
                self.place = Place::Header;
                self.header()
            }
            Place::Data(header, left) => self.data(*header, *left),
            Place::Pointer(length) => self.pointer(*length),
            Place::Corrupt(fault) => WalkStep::Corrupt(fault.clone()),
        }
    }

    /// Takes bytes from where [`WalkStep::Read`] asked for them; none are the end of the file.
    pub fn read(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            self.place = Place::Corrupt(self.end_of_file());
        } else if self.chunk.is_empty() {
            self.chunk = bytes;
        } else {
            // The beginning of a header or a pointer.
            self.chunk = [&self.chunk[..], &bytes].concat().into();
        }
    }

    /// The bytes held.
    pub fn buffered(&self) -> usize {
        self.chunk.len()
    }

    /// Copies the line of text that is next, with its end, if all of it was read and there is room for it; false otherwise.
    /// Nothing is told of it by [`poll`](Self::poll) then.
    pub(super) fn copy_line(&mut self, to: &mut BytesMut, room: usize) -> bool {
        if !matches!(self.place, Place::Header | Place::Data(_, 0)) {
            return false;
        }
        let Ok(Header { kind, size, length }) = Header::read(&self.chunk) else {
            return false;
        };
        let data = usize::try_from(length).ok();
        let end = data.and_then(|length| size.checked_add(length));
        let Some(line) = end.and_then(|end| self.chunk.get(size..end)) else {
            return false;
        };
        if kind != RecordKind::LINE || line.len() >= room {
            return false;
        }
        to.put_slice(line);
        to.put_u8(b'\n');
        let taken = size + line.len();
        self.chunk.advance(taken);
        self.at = self.at.saturating_add(wide(taken));
        self.place = Place::Header;
        true
    }

    fn header(&mut self) -> WalkStep {
        let header = match Header::read(&self.chunk) {
            Ok(header) => header,
            Err(NoHeader::Incomplete) => return self.more(READ_SIZE),
            Err(NoHeader::TooManyBits(kind)) => return self.corrupt(Corruption::TooManyBits(kind)),
            Err(NoHeader::Negative(kind, length)) => {
                return self.corrupt(Corruption::Length { kind, length });
            }
        };
        let Header { kind, size, length } = header;
        let offset = self.at;
        // A header is no longer than what it was read from.
        self.chunk.advance(size.min(self.chunk.len()));
        self.at = self.at.saturating_add(wide(size));
        self.place = match kind {
            RecordKind::POINTER => Place::Pointer(length),
            _ => Place::Data(header, length),
        };
        WalkStep::Record {
            offset,
            kind,
            length,
        }
    }

    fn data(&mut self, header: Header, left: u32) -> WalkStep {
        let want = usize::try_from(left).unwrap_or(usize::MAX);
        if self.chunk.is_empty() {
            return self.more(want.saturating_add(Header::LIMIT).clamp(1024, READ_SIZE));
        }
        let piece = self.take(want.min(self.chunk.len()));
        let taken = u32::try_from(piece.len()).unwrap_or(left);
        self.place = Place::Data(header, left.saturating_sub(taken));
        WalkStep::Data(piece)
    }

    fn pointer(&mut self, length: u32) -> WalkStep {
        let want = usize::try_from(length.min(POINTER_LIMIT)).unwrap_or(usize::MAX);
        if self.chunk.len() < want {
            return self.more(READ_SIZE);
        }
        let text = self.take(want);
        let Some(offset) = offset(&text).filter(|_| length <= POINTER_LIMIT) else {
            let masked = String::from_utf8_lossy(&text);
            return self.corrupt(Corruption::Pointer(Value::masked(&masked)));
        };
        self.place = Place::Header;
        if offset != 0 {
            if offset <= self.jumped {
                self.reverse_jumps += 1;
            }
            if self.reverse_jumps > REVERSE_JUMPS {
                return self.corrupt(Corruption::Loop);
            }
            self.jumped = offset;
            self.seek(offset);
        }
        match text.is_empty() {
            true => self.poll(),
            false => WalkStep::Data(text),
        }
    }

    fn more(&self, length: usize) -> WalkStep {
        WalkStep::Read {
            offset: self.at.saturating_add(wide(self.chunk.len())),
            length,
        }
    }

    fn corrupt(&mut self, fault: Corruption) -> WalkStep {
        self.place = Place::Corrupt(fault.clone());
        WalkStep::Corrupt(fault)
    }

    fn end_of_file(&self) -> Corruption {
        match (&self.place, self.chunk.first()) {
            (Place::Header, None) => Corruption::End,
            (Place::Header, Some(&kind)) => Corruption::EndInLength(RecordKind(kind)),
            (Place::Data(Header { kind, length, .. }, _), _) => Corruption::EndInData {
                kind: *kind,
                length: *length,
            },
            (Place::Pointer(length), _) => Corruption::EndInData {
                kind: RecordKind::POINTER,
                length: *length,
            },
            (Place::Corrupt(fault), _) => fault.clone(),
        }
    }

    /// The next bytes, of those that are there.
    fn take(&mut self, count: usize) -> Bytes {
        let taken = self.chunk.split_to(count.min(self.chunk.len()));
        self.at = self.at.saturating_add(wide(taken.len()));
        taken
    }

    /// Goes on at another offset, with the bytes that are there, if it is among them.
    fn seek(&mut self, offset: u64) {
        let forward = offset.checked_sub(self.at);
        match forward.and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count < self.chunk.len() => self.chunk.advance(count),
            _ => self.chunk = Bytes::new(),
        }
        self.at = offset;
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The offset that a pointer holds: decimal digits behind blanks. No digits are zero, as in Postfix.
fn offset(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii_start();
    let digit = |sum: i64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    let offset = digits.iter().try_fold(0, digit)?;
    u64::try_from(offset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_decimal() {
        for (text, value) in [
            ("              0", Some(0)),
            ("            662", Some(662)),
            ("662", Some(662)),
            ("", Some(0)),
            ("   ", Some(0)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("-1", None),
            ("66 2", None),
            ("662 ", None),
            ("0x10", None),
        ] {
            assert_eq!(offset(text.as_bytes()), value, "{text:?}");
        }
    }
}
