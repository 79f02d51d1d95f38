//! The faults of a queue file, in Postfix's words.

use core::fmt;

use smtp_policy::report::printable;

use super::record::RecordKind;
use crate::attr::Value;

/// The fault for which the text of a message cannot be read from its queue file.
///
/// Postfix stops sending, bounces the remaining recipients with `5.3.0 unreadable mail queue entry`, and
/// gives the file the mode [`CORRUPT_MODE`](super::CORRUPT_MODE) if all of them are done with.
/// [`warnings`](Self::warnings) are what it logs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corruption {
    /// The file ends where a record was due.
    End,
    /// The file ends within the length of a record.
    EndInLength(RecordKind),
    /// The file ends within the data of a record.
    EndInData {
        /// The type of the record.
        kind: RecordKind,
        /// The length that it should have.
        length: u32,
    },
    /// The length of a record has more than five bytes.
    TooManyBits(RecordKind),
    /// The length of a record is negative.
    Length {
        /// The type of the record.
        kind: RecordKind,
        /// The length, in 32 bits.
        length: i32,
    },
    /// A pointer is no offset.
    Pointer(Value),
    /// Too many pointers lead back.
    Loop,
    /// A record that is no part of a text.
    Kind(RecordKind),
}

impl Corruption {
    /// The number that stands for the fault in the last warning: -1 is the end of the file,
    /// -2 no record, any other the type of a record.
    pub fn code(&self) -> i32 {
        match self {
            Self::End => -1,
            Self::Kind(kind) => kind.0.into(),
            _ => -2,
        }
    }

    /// The warnings for the log. `file` is `active/ID`, `id` the queue id.
    pub fn warnings(&self, file: &str, id: &str) -> Vec<String> {
        let first = match self {
            Self::End | Self::Kind(_) => None,
            fault => Some(format!("{file}: {fault}")),
        };
        let code = self.code();
        let last = format!("{id}: bad record type: {code} in message content");
        first.into_iter().chain([last]).collect()
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("unexpected EOF"),
            Self::EndInLength(RecordKind(kind)) => {
                write!(f, "unexpected EOF reading length, record type {kind}")
            }
            Self::EndInData {
                kind: RecordKind(kind),
                length,
            } => write!(
                f,
                "unexpected EOF in data, record type {kind} length {length}"
            ),
            Self::TooManyBits(RecordKind(kind)) => {
                write!(f, "too many length bits, record type {kind}")
            }
            Self::Length {
                kind: RecordKind(kind),
                length,
            } => write!(f, "illegal length {length}, record type {kind}"),
            Self::Pointer(text) => {
                let text = text.to_string();
                let text = printable(text.trim_start());
                write!(f, "malformed pointer record value: {text}")
            }
            Self::Loop => f.write_str("too many reverse jump records"),
            Self::Kind(RecordKind(kind)) => write!(f, "bad record type: {kind} in message content"),
        }
    }
}

impl core::error::Error for Corruption {}
