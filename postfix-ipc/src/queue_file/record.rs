//! Records: a type, a length of seven bits a byte, and data.

use core::fmt;

use bytes::Bytes;

/// The bytes of a line of text that go into one record (`line_length_limit`).
pub const LINE_LIMIT: usize = 2048;

/// The type of a record: a letter (`REC_TYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// The sizes of the message.
    pub const SIZE: Self = Self(b'C');
    /// The time of arrival.
    pub const TIME: Self = Self(b'T');
    /// A named attribute.
    pub const ATTRIBUTE: Self = Self(b'A');
    /// The sender.
    pub const SENDER: Self = Self(b'S');
    /// A recipient.
    pub const RECIPIENT: Self = Self(b'R');
    /// A recipient that is done with.
    pub const DONE: Self = Self(b'D');
    /// The end of the envelope: text follows.
    pub const MESSAGE: Self = Self(b'M');
    /// A line of text, or its end.
    pub const LINE: Self = Self(b'N');
    /// A piece of a line that goes on.
    pub const LONG: Self = Self(b'L');
    /// The place of something that mail filters have removed.
    pub const PADDING: Self = Self(b'w');
    /// A pointer to where the file goes on.
    pub const POINTER: Self = Self(b'p');
    /// The end of the text.
    pub const EXTRACTED: Self = Self(b'X');
    /// The end of the file.
    pub const END: Self = Self(b'E');
}

/// The letter.
impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        char::from(self.0).escape_default().fmt(f)
    }
}

/// The bytes before the data of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: RecordKind,
    /// The bytes of the header itself.
    pub(super) size: usize,
    /// The bytes of data.
    pub(super) length: u32,
}

/// The reason for which bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The beginning of one.
    Incomplete,
    /// One whose length has too many bytes.
    TooManyBits(RecordKind),
    /// One whose length is negative, in the 32 bits that it has.
    Negative(RecordKind, i32),
}

impl Header {
    /// The most bytes of a header.
    pub(super) const LIMIT: usize = 6;

    /// The header at the beginning of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoHeader> {
        let (&kind, rest) = bytes.split_first().ok_or(NoHeader::Incomplete)?;
        let kind = RecordKind(kind);
        let mut length = 0_u32;
        for (index, byte) in rest.iter().take(Self::LIMIT - 1).enumerate() {
            // The fifth byte has bits that are lost, as in Postfix.
            length |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return match i32::try_from(length) {
                    Ok(_) => Ok(Self {
                        kind,
                        size: index + 2,
                        length,
                    }),
                    Err(_) => Err(NoHeader::Negative(kind, length.cast_signed())),
                };
            }
        }
        match bytes.len() < Self::LIMIT {
            true => Err(NoHeader::Incomplete),
            false => Err(NoHeader::TooManyBits(kind)),
        }
    }
}

/// A whole record.
///
/// ```
/// use postfix_ipc::queue_file::{Record, RecordKind};
///
/// let mut bytes = Vec::new();
/// Record::write(RecordKind::LINE, b"Hello, world.", &mut bytes);
/// assert_eq!(bytes, b"N\x0dHello, world.");
/// let (record, used) = Record::read(&bytes).unwrap();
/// assert_eq!((record.kind, &record.data[..], used), (RecordKind::LINE, &b"Hello, world."[..], 15));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The type.
    pub kind: RecordKind,
    /// The data.
    pub data: Bytes,
}

impl Record {
    /// Appends a record to `bytes`.
    pub fn write(kind: RecordKind, data: &[u8], bytes: &mut Vec<u8>) {
        bytes.push(kind.0);
        let mut rest = data.len();
        while rest > 0x7f {
            // Seven bits and the sign that there are more.
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(data);
    }

    /// The record at the beginning of `bytes`, and how many they are; `None` if there is no
    /// whole one.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let header = Header::read(bytes).ok()?;
        let end = header
            .size
            .checked_add(usize::try_from(header.length).ok()?)?;
        let data = Bytes::copy_from_slice(bytes.get(header.size..end)?);
        let kind = header.kind;
        Some((Self { kind, data }, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_seven_bits_a_byte() {
        let length = |bytes: &[u8]| Header::read(bytes).map(|header| (header.size, header.length));
        let kind = RecordKind::LINE;
        for (bytes, result) in [
            (&b"N\0"[..], Ok((2, 0))),
            (b"N\x7f", Ok((2, 127))),
            (b"N\x80\x01", Ok((3, 128))),
            (b"N\x80\x10", Ok((3, 2048))),
            (b"N\xff\xff\xff\xff\x07", Ok((6, 0x7fff_ffff))),
            // More bytes than needed.
            (b"N\x85\x80\0", Ok((4, 5))),
            (b"N\xff\xff\xff\xff\x0f", Err(NoHeader::Negative(kind, -1))),
            (
                b"N\x80\x80\x80\x80\x08",
                Err(NoHeader::Negative(kind, i32::MIN)),
            ),
            // Bits above the 32.
            (b"N\x05\0", Ok((2, 5))),
            (b"N\x85\x80\x80\x80\x70", Ok((6, 5))),
            (b"N\x80\x80\x80\x80\x80", Err(NoHeader::TooManyBits(kind))),
            (b"N\x80\x80\x80\x80\x80\0", Err(NoHeader::TooManyBits(kind))),
            (b"", Err(NoHeader::Incomplete)),
            (b"N", Err(NoHeader::Incomplete)),
            (b"N\x80\x80\x80\x80", Err(NoHeader::Incomplete)),
        ] {
            assert_eq!(length(bytes), result, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for len in [0, 1, 127, 128, 129, 2048, 16_383, 16_384, 100_000] {
            let data = vec![b'x'; len];
            let mut bytes = Vec::new();
            Record::write(RecordKind::LONG, &data, &mut bytes);
            bytes.push(b'E');
            let (record, used) = Record::read(&bytes).unwrap();
            assert_eq!((record.kind, record.data.len()), (RecordKind::LONG, len));
            assert_eq!(used, bytes.len() - 1);
        }
    }
}
