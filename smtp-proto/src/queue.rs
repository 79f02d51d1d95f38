//! Bytes that wait to be written to the connection: a rope of shared chunks
//! with a tail for what is copied. It is not a socket buffer; the driver writes
//! [`chunk`](Buf::chunk) and reports with [`advance`](Buf::advance) how much
//! was taken.

use alloc::{collections::VecDeque, vec::Vec};
use core::{fmt, mem::take};

use bytes::{Buf, Bytes};

/// Chunks below this size in bytes are copied, larger ones are shared.
///
/// A shared chunk costs an entry in the rope and, in a vectored write, a slot; below some hundred
/// bytes copying is cheaper and keeps a pipelined command group in one piece.
const SHARE_FROM: usize = 512;

/// The largest buffer in bytes that an empty queue holds on to. It has room for the commands of
/// most messages; sessions at rest are many.
const KEPT_BUFFER: usize = 512;

/// The buffer in bytes that the first copy makes: room for a group of commands.
const FIRST_BUFFER: usize = 192;

/// The output of a connection, in the order in which it is to be sent.
///
/// It implements [`Buf`], so any writer of the `bytes` world can drain it. Only `advance`
/// consumes; with the crate feature `std` there is `chunks_vectored` for vectored writes.
#[derive(Default)]
pub struct SendQueue {
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    linked: usize,
    /// The bytes that were copied after the last chunk.
    tail: Vec<u8>,
    /// The number of bytes of the tail that were sent already.
    start: usize,
    sent: u64,
}

impl SendQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) {
        self.prepare(bytes.len());
        self.tail.extend_from_slice(bytes);
    }

    /// Appends what `encode` does; nothing if it returns `None`. Returns that, and what was appended.
    pub(crate) fn write_with<T>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> (Option<T>, &[u8]) {
        self.prepare(FIRST_BUFFER);
        let start = self.tail.len();
        let made = encode(&mut self.tail);
        if made.is_none() {
            self.tail.truncate(start);
        }
        (made, self.tail.get(start..).unwrap_or_default())
    }

    /// Looks for room for so many bytes, before the buffer grows by itself.
    fn prepare(&mut self, count: usize) {
        if self.tail.capacity() == 0 {
            self.tail.reserve(FIRST_BUFFER);
        } else if self.start > 0 && count > self.room() {
            self.compact();
        }
    }

    /// Appends `chunk`; from 512 bytes on without copying it.
    pub fn link(&mut self, chunk: Bytes) {
        if chunk.len() < SHARE_FROM {
            return self.write(&chunk);
        }
        if !self.waiting().is_empty() {
            self.cut();
        }
        self.push(chunk);
    }

    /// The tail itself, to copy to its end.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Makes room for so many bytes of [`write`](Self::write), which then stay in one piece.
    pub(crate) fn reserve(&mut self, count: usize) {
        if count > self.room() {
            self.compact();
            self.tail.reserve(count);
        }
    }

    /// The number of bytes that can be copied to the end of the tail without moving it.
    fn room(&self) -> usize {
        self.tail.capacity() - self.tail.len()
    }

    /// Takes what was sent off the tail: by moving the rest over it, or by making a chunk of a
    /// rest that is not short.
    fn compact(&mut self) {
        if self.waiting().len() < SHARE_FROM {
            self.tail.drain(..take(&mut self.start));
        } else {
            self.cut();
        }
    }

    /// Makes a chunk of the tail.
    fn cut(&mut self) {
        let mut chunk = Bytes::from(take(&mut self.tail));
        chunk.advance(take(&mut self.start));
        self.push(chunk);
    }

    fn push(&mut self, chunk: Bytes) {
        self.linked += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// The part of the tail that is to be sent.
    fn waiting(&self) -> &[u8] {
        self.tail.get(self.start..).unwrap_or_default()
    }

    fn empty_tail(&mut self) {
        self.start = 0;
        self.tail.clear();
        if self.tail.capacity() > KEPT_BUFFER {
            self.tail = Vec::new();
        }
    }

    /// Throws away everything that is waiting. What was dropped does not count as sent.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.linked = 0;
        self.empty_tail();
    }

    /// The number of bytes that wait.
    pub fn len(&self) -> usize {
        self.linked + self.waiting().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of bytes that `advance` has ever acknowledged.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

impl fmt::Debug for SendQueue {
    /// How much there is, not what: a password may be among it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue")
            .field("len", &self.len())
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Buf for SendQueue {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => chunk,
            None => self.waiting(),
        }
    }

    /// Takes `count` bytes off the front. More than there are empties the queue; it never panics.
    fn advance(&mut self, count: usize) {
        let count = count.min(self.len());
        self.sent = self.sent.saturating_add(count as u64);
        let mut left = count;
        while let Some(chunk) = self.chunks.front_mut() {
            if left < chunk.len() {
                self.linked -= left;
                chunk.advance(left);
                return;
            }
            left -= chunk.len();
            self.linked -= chunk.len();
            self.chunks.pop_front();
        }
        self.start += left;
        if self.start >= self.tail.len() {
            self.empty_tail();
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let tail = Some(self.waiting()).filter(|tail| !tail.is_empty());
        let waiting = self.chunks.iter().map(|chunk| &**chunk).chain(tail);
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(waiting) {
            *slot = std::io::IoSlice::new(bytes);
            count += 1;
        }
        count
    }
}
