//! Lines of the server that wait to be read: the bytes of the connection, cut at LF, as much of
//! each line as is looked at. What a line means is not known here.

use alloc::{collections::VecDeque, vec::Vec};
use core::mem::take;

/// The cost of a waiting line besides its bytes, so that empty lines count too.
const LINE_COST: usize = 32;

/// The largest buffer in bytes that is held on to while nothing waits. It has room for what most
/// servers say at a time; sessions at rest are many.
const KEPT_BUFFER: usize = 512;

/// The most bytes and lines of what most servers say at a time.
const USUAL_BYTES: usize = 128;
const USUAL_LINES: usize = 8;

/// The lines that wait, in one buffer.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The kept parts of the lines, one behind the other.
    bytes: Vec<u8>,
    /// The number of bytes of it that were taken.
    start: usize,
    /// The whole lines that were not taken yet.
    lines: VecDeque<Extent>,
    /// The line behind them, which has no end yet.
    partial: Extent,
}

/// The size of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    /// The bytes that are kept: one more than the limit at most, to tell a long line.
    kept: usize,
    /// All its bytes, with the LF.
    size: usize,
}

/// A whole line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Its beginning, without the LF.
    kept: &'a [u8],
    /// The number of all its bytes, with the LF.
    pub(super) size: usize,
}

impl Input {
    /// Makes room for so many bytes of lines, within what is usual.
    pub(super) fn reserve(&mut self, count: usize) {
        if 2 * self.start > self.bytes.len() {
            self.bytes.drain(..take(&mut self.start));
        }
        if self.bytes.capacity() == 0 {
            self.lines.reserve(USUAL_LINES);
            self.bytes.reserve(USUAL_BYTES);
        }
        self.bytes.reserve(count.min(KEPT_BUFFER));
    }

    /// Takes bytes of a line. No more of it is kept than shows that it is longer than `limit`.
    pub(super) fn extend(&mut self, bytes: &[u8], limit: usize) {
        let line = &mut self.partial;
        let room = limit.saturating_add(1).saturating_sub(line.kept);
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.bytes.extend_from_slice(kept);
        line.kept += kept.len();
        line.size = line.size.saturating_add(bytes.len());
    }

    /// Takes the LF behind the bytes that have come.
    pub(super) fn end_line(&mut self) {
        let mut line = take(&mut self.partial);
        line.size = line.size.saturating_add(1);
        self.lines.push_back(line);
    }

    /// The next line, if it is whole.
    pub(super) fn next_line(&mut self) -> Option<Line<'_>> {
        let Extent { kept, size } = self.lines.pop_front()?;
        let start = self.start;
        self.start += kept;
        let kept = self.bytes.get(start..self.start).unwrap_or_default();
        Some(Line { kept, size })
    }

    /// Gives the buffer back, if nothing waits in it.
    pub(super) fn release(&mut self) {
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BUFFER {
                self.bytes = Vec::new();
            }
        }
    }

    /// The number of bytes that are kept, line ends included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start + self.lines.len()
    }

    /// The memory that the whole lines take, about.
    pub(super) fn cost(&self) -> usize {
        let bytes = self.bytes.len() - self.start - self.partial.kept;
        bytes.saturating_add(self.lines.len().saturating_mul(LINE_COST))
    }

    /// The number of bytes that have come of the line that has no end yet.
    pub(super) fn unended(&self) -> usize {
        self.partial.size
    }

    /// Returns whether there is no line, nor a part of one.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.partial.size == 0
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.partial = Extent::default();
        self.start = self.bytes.len();
        self.release();
    }
}

impl<'a> Line<'a> {
    /// The part of the line that is used, and whether it was too long.
    ///
    /// Postfix reads up to `limit` bytes, the LF among them, so a line of `limit` bytes is too long already, unless
    /// the last of them is the CR of the line end. CRs are taken off the end of a line
    /// that is not too long.
    pub(super) fn content(&self, limit: usize) -> (&'a [u8], bool) {
        let kept = self.kept;
        let long = kept.len() > limit || (kept.len() == limit && kept.last() != Some(&b'\r'));
        if long {
            return (kept.get(..limit).unwrap_or_default(), true);
        }
        let end = kept.iter().rposition(|byte| *byte != b'\r');
        let content = kept.get(..end.map_or(0, |at| at + 1));
        (content.unwrap_or_default(), false)
    }
}
