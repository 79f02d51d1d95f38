//! The submission of a message that is made here, such as a notice to the postmaster, to
//! cleanup(8) (`src/global/post_mail.c`).

use super::CleanupFlags;
use crate::{
    attr::{List, Value},
    queue_file::{LINE_LIMIT, Record, RecordKind},
    request::Stamp,
};

/// A message with one recipient, for cleanup(8).
///
/// ```
/// use postfix_ipc::{attr::Value, report::{CleanupFlags, Submission}, request::Stamp};
///
/// let submission = Submission {
///     flags: CleanupFlags { bits: 32 },
///     arrival: Stamp { seconds: 1_795_922_256, micros: 895_358 },
///     sender: Value::new("double-bounce@mx.example")?,
///     recipient: Value::new("postmaster")?,
/// };
/// let bytes = submission.encode("Subject: errors\n\nThere were some.\n");
/// assert!(bytes.starts_with(b"flags\x0032\0\0T\x111795922256 895358"));
/// assert!(bytes.ends_with(b"N\0N\x10There were some.X\0E\0"));
/// # Ok::<(), postfix_ipc::attr::Nul>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The wishes to cleanup(8).
    pub flags: CleanupFlags,
    /// The present time.
    pub arrival: Stamp,
    /// The envelope sender.
    pub sender: Value,
    /// The recipient.
    pub recipient: Value,
}

impl Submission {
    /// Everything that goes to cleanup(8) after its announcement. The lines of `message`
    /// end in LF, and begin with the Received field, which wants the queue id.
    pub fn encode(&self, message: &str) -> Vec<u8> {
        let mut bytes = self.flags.encode();
        let Stamp { seconds, micros } = self.arrival;
        let mut put = |kind, data: &[u8]| Record::write(kind, data, &mut bytes);
        put(RecordKind::TIME, format!("{seconds} {micros}").as_bytes());
        put(RecordKind::ATTRIBUTE, b"log_message_origin=local");
        put(RecordKind::ATTRIBUTE, b"trace_flags=0");
        put(RecordKind::SENDER, self.sender.as_bytes());
        put(RecordKind::RECIPIENT, self.recipient.as_bytes());
        put(RecordKind::MESSAGE, b"");
        for line in message.lines() {
            let mut rest = line.as_bytes();
            while let Some((piece, more)) = rest.split_at_checked(LINE_LIMIT) {
                put(RecordKind::LONG, piece);
                rest = more;
            }
            put(RecordKind::LINE, rest);
        }
        put(RecordKind::EXTRACTED, b"");
        put(RecordKind::END, b"");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_out_in_pieces() {
        let submission = Submission {
            flags: CleanupFlags { bits: 32 },
            arrival: Stamp::NONE,
            sender: Value::EMPTY,
            recipient: Value::EMPTY,
        };
        let lengths = |length: usize| {
            let bytes = submission.encode(&"x".repeat(length));
            let mut rest = bytes.strip_prefix(b"flags\x0032\0\0").unwrap();
            let mut lengths = Vec::new();
            while let Some((record, used)) = Record::read(rest) {
                if matches!(record.kind, RecordKind::LONG | RecordKind::LINE) {
                    lengths.push(record.data.len());
                }
                rest = &rest[used..];
            }
            lengths
        };
        assert_eq!(lengths(5000), [2048, 2048, 904]);
        assert_eq!(lengths(2048), [2048, 0]);
        assert_eq!(lengths(2047), [2047]);
    }
}
