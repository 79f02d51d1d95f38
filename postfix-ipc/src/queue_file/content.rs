//! The text of a message, from the records of its content.

use bytes::{Bytes, BytesMut};

use super::{
    corruption::Corruption,
    record::RecordKind,
    walk::{Walk, WalkStep},
};

/// The text as it comes, piece by piece. A line ends in LF; any CR is data. The last line
/// has no end if its record says that it goes on.
///
/// It asks for bytes and takes them as [`Walk`] does.
#[derive(Clone, Debug)]
pub struct Content {
    walk: Walk,
    state: State,
}

/// A step of [`Content`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ContentStep {
    /// Bytes are needed: [`Content::read`].
    Read {
        /// The offset of the first of them.
        offset: u64,
        /// The number that is of use; fewer will do.
        length: usize,
    },
    /// Text, not empty.
    Text(Bytes),
    /// The end of the text.
    End,
    /// There is no next step. What came before it is of no use.
    Corrupt(Corruption),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A record is due.
    Between,
    /// In a line, and whether it ends with the record.
    Line {
        ends: bool,
        left: u32,
    },
    /// In a record that is no text.
    Skipping,
    Done(ContentStep),
}

/// The end of a line.
const LF: &[u8] = b"\n";

impl Content {
    /// The text that begins with the record at this offset, which the request tells.
    pub fn new(offset: u64) -> Self {
        Self {
            walk: Walk::new(offset),
            state: State::Between,
        }
    }

    /// Takes bytes from where [`ContentStep::Read`] asked for them; none are the end of the
    /// file.
    pub fn read(&mut self, bytes: Bytes) {
        self.walk.read(bytes);
    }

    /// The bytes held.
    pub fn buffered(&self) -> usize {
        self.walk.buffered()
    }

    /// Appends lines that were read as a whole, until there are `room` bytes or it takes a [`poll`](Self::poll).
    pub(super) fn copy_lines(&mut self, to: &mut BytesMut, room: usize) {
        to.reserve(self.buffered().min(room.saturating_sub(to.len())));
        while self.state == State::Between && self.walk.copy_line(to, room.saturating_sub(to.len()))
        {
        }
    }

    /// The next step.
    pub fn poll(&mut self) -> ContentStep {
        loop {
            match &self.state {
                State::Done(step) => return step.clone(),
                State::Line { ends, left: 0 } => {
                    let ends = *ends;
                    self.state = State::Between;
                    if ends {
                        return ContentStep::Text(Bytes::from_static(LF));
                    }
                }
                _ => {}
            }
            match self.walk.poll() {
                WalkStep::Read { offset, length } => return ContentStep::Read { offset, length },
                WalkStep::Record { kind, length, .. } => self.record(kind, length),
                WalkStep::Data(bytes) => {
                    if let State::Line { left, .. } = &mut self.state {
                        let taken = u32::try_from(bytes.len()).unwrap_or(*left);
                        *left = left.saturating_sub(taken);
                        return ContentStep::Text(bytes);
                    }
                }
                WalkStep::Corrupt(fault) => self.state = State::Done(ContentStep::Corrupt(fault)),
            }
        }
    }

    fn record(&mut self, kind: RecordKind, left: u32) {
        self.state = match kind {
            RecordKind::LINE => State::Line { ends: true, left },
            RecordKind::LONG => State::Line { ends: false, left },
            RecordKind::PADDING | RecordKind::POINTER => State::Skipping,
            RecordKind::EXTRACTED => State::Done(ContentStep::End),
            other => State::Done(ContentStep::Corrupt(Corruption::Kind(other))),
        };
    }
}
