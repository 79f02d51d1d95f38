//! The reader of a stream of lists, a piece at a time.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::{
    error::{Fault, ListError, Part},
    list::{Attributes, List, Stop},
};

/// The most bytes of a value. Postfix has no limit; its own values are addresses, and replies
/// of a server joined to one line.
pub const VALUE_LIMIT: usize = 256 * 1024;
/// The most bytes of a name. The names of Postfix have less than 30.
pub const NAME_LIMIT: usize = 1024;
/// The most bytes of a list, a delivery request or a recipient among them.
pub const LIST_LIMIT: usize = 1024 * 1024;

/// A reader of lists: takes bytes as they come, and gives each list as soon as it is there.
///
/// It holds one unfinished list, which is bounded by [`LIST_LIMIT`], and the bytes that came
/// in one piece with its end. A fault is final: what comes after it is not kept.
#[derive(Clone, Debug)]
pub struct ListReader {
    peer: Arc<str>,
    buffer: BytesMut,
    /// True if bytes have come that can make a difference.
    fresh: bool,
    /// The length of the buffer when it was read last.
    seen: usize,
    /// The part with which the unfinished list goes on, and true if some of it is there.
    awaited: (Part, bool),
    failed: Option<Fault>,
}

impl ListReader {
    /// A reader of what `peer` says; the name is for warnings.
    pub fn new(peer: impl Into<Arc<str>>) -> Self {
        Self {
            peer: peer.into(),
            buffer: BytesMut::new(),
            fresh: false,
            seen: 0,
            awaited: (Part::Name, false),
            failed: None,
        }
    }

    /// Takes bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
            // Names and values end in NUL: without one there is nothing new to read, but
            // something may have become too long.
            let held = self.buffer.len();
            self.fresh |= bytes.contains(&0) || held > 2 * self.seen || held > LIST_LIMIT;
            self.awaited.1 |= !bytes.is_empty();
        }
    }

    /// The next list; `None` until all of it is there.
    ///
    /// # Errors
    /// It is not a `T`. A wrong name is found as soon as it is there.
    pub fn next_list<T: List>(&mut self) -> Result<Option<T>, ListError> {
        if let Some(fault) = &self.failed {
            return Err(self.error(fault.clone()));
        }
        if !self.fresh {
            return Ok(None);
        }
        self.seen = self.buffer.len();
        let mut attributes = Attributes::new(&self.buffer);
        let list = T::read(&mut attributes).and_then(|list| attributes.end().map(|()| list));
        // All that is there belongs to a list that goes on.
        let rest = match list {
            Err(Stop::Wait { .. }) => 0,
            _ => attributes.rest().len(),
        };
        let used = self.buffer.len() - rest;
        match list {
            Ok(_) | Err(Stop::Wait { .. }) if used > LIST_LIMIT => {
                let (part, limit) = (Part::List, LIST_LIMIT);
                Err(self.fail(Fault::TooLong { part, limit }))
            }
            Ok(list) => {
                self.buffer.advance(used);
                self.seen = 0;
                self.fresh = !self.buffer.is_empty();
                self.awaited = (Part::Name, self.fresh);
                Ok(Some(list))
            }
            Err(Stop::Wait { part, begun }) => {
                self.fresh = false;
                self.awaited = (part, begun);
                Ok(None)
            }
            Err(Stop::Fault(fault)) => Err(self.fail(fault)),
        }
    }

    /// The fault of a stream that has ended; `None` between two lists, where it may end.
    pub fn ended(&self) -> Option<ListError> {
        let fault = match (self.awaited, &self.failed) {
            (_, Some(fault)) => fault.clone(),
            _ if self.buffer.is_empty() => return None,
            ((part, true), None) => Fault::Cut(part),
            ((part, false), None) => Fault::End(part),
        };
        Some(self.error(fault))
    }

    /// The fault of a stream that has ended where another list was due.
    pub fn cut_off(&self) -> ListError {
        let between = || self.error(Fault::End(Part::Name));
        self.ended().unwrap_or_else(between)
    }

    /// The fault of a stream that nothing came from within the time limit.
    pub fn timed_out(&self) -> ListError {
        self.error(Fault::Timeout(self.awaited.0))
    }

    /// The bytes held.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn fail(&mut self, fault: Fault) -> ListError {
        self.buffer = BytesMut::new();
        self.failed = Some(fault.clone());
        self.error(fault)
    }

    fn error(&self, fault: Fault) -> ListError {
        let peer = Arc::clone(&self.peer);
        ListError { peer, fault }
    }
}
