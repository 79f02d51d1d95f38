//! Bytes that wait to be written to the connection: a rope of shared chunks
//! with a tail for small writes. It is not a socket buffer; the driver writes
//! [`chunk`](Buf::chunk) and reports with [`advance`](Buf::advance) how much
//! was taken.

use alloc::collections::VecDeque;
use core::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// Chunks below this size in bytes are copied, larger ones are shared.
///
/// A shared chunk costs an entry in the rope and, in a vectored write, a slot; below some hundred
/// bytes copying is cheaper and keeps a pipelined command group in one piece.
const SHARE_FROM: usize = 512;

/// The output of a connection, in the order in which it is to be sent.
///
/// It implements [`Buf`], so any writer of the `bytes` world can drain it. Only `advance`
/// consumes; with the crate feature `std` there is `chunks_vectored` for vectored writes.
#[derive(Default)]
pub struct SendQueue {
    chunks: VecDeque<Bytes>,
    /// Small writes after the last chunk.
    tail: BytesMut,
    /// Bytes in `chunks` and `tail`.
    len: usize,
    sent: u64,
}

impl SendQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends `chunk`; from 512 bytes on without copying it.
    pub fn link(&mut self, chunk: Bytes) {
        if chunk.len() < SHARE_FROM {
            return self.write(&chunk);
        }
        self.len += chunk.len();
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.chunks.push_back(tail);
        }
        self.chunks.push_back(chunk);
    }

    /// Throws away everything that is waiting. What was dropped does not count as sent.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.tail.clear();
        self.len = 0;
    }

    /// The number of bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
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
            .field("len", &self.len)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Buf for SendQueue {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        match self.chunks.front() {
            Some(chunk) => chunk,
            None => &self.tail,
        }
    }

    /// Takes `count` bytes off the front. More than there are empties the queue; it never panics.
    fn advance(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.sent = self.sent.saturating_add(count as u64);
        let mut left = count;
        while let Some(chunk) = self.chunks.front_mut() {
            if left < chunk.len() {
                chunk.advance(left);
                return;
            }
            left -= chunk.len();
            self.chunks.pop_front();
        }
        if left >= self.tail.len() {
            // Keeps the buffer, which an `advance` to its end would not.
            self.tail.clear();
        } else {
            self.tail.advance(left);
        }
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let tail = Some(&*self.tail).filter(|tail| !tail.is_empty());
        let waiting = self.chunks.iter().map(|chunk| &**chunk).chain(tail);
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(waiting) {
            *slot = std::io::IoSlice::new(bytes);
            count += 1;
        }
        count
    }
}
