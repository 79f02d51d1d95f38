//! The changes that an agent makes to a queue file.

use core::fmt;

/// The mode of a file that the queue manager moves into the corrupt queue
/// (`MAIL_QUEUE_STAT_CORRUPT`).
pub const CORRUPT_MODE: u32 = 0o400;

/// The byte to write, with one pwrite(2), once a recipient is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The offset of the recipient's record.
    pub offset: u64,
}

/// An offset of a recipient's record that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOffset(i64);

impl Mark {
    /// The type of a record whose recipient is done with (`REC_TYPE_DONE`).
    pub const BYTE: u8 = b'D';

    /// The mark of a record at this offset; `None` for -1, which is no record.
    ///
    /// # Errors
    /// Another offset that is not above zero.
    pub fn at(offset: i64) -> Result<Option<Self>, BadOffset> {
        match u64::try_from(offset) {
            Ok(offset @ 1..) => Ok(Some(Self { offset })),
            _ if offset == -1 => Ok(None),
            _ => Err(BadOffset(offset)),
        }
    }
}

impl fmt::Display for BadOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recipient at offset {} of the queue file", self.0)
    }
}

impl core::error::Error for BadOffset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_offset_of_a_record_is_marked() {
        assert_eq!(Mark::at(248), Ok(Some(Mark { offset: 248 })));
        assert_eq!(Mark::at(-1), Ok(None));
        for offset in [0, -2, i64::MIN] {
            assert_eq!(Mark::at(offset), Err(BadOffset(offset)));
        }
    }
}
