//! The client's end of a connection: a socket that does not block. What is read and
//! written through it stands in the log of the world, which takes it on its way when the
//! client has had its say.

use std::{
    io::{self, IoSlice, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use smtp_policy::{delivery::Note, driver::Interest, report::Outcome, request::RcptIndex};

use crate::dice::Dice;

/// The sizes of pieces where dice are thrown.
const PIECES: [usize; 7] = [2, 3, 17, 100, 1460, 8192, 65_536];
/// After how many bytes a connection is no longer cut into the smallest pieces.
const FINE: u64 = 4 * 1024;
/// The smallest size of pieces after that.
const COARSE: usize = 500;

/// The happenings while a delivery was polled, in their order.
#[derive(Debug)]
pub(super) enum Happening {
    /// Bytes were read from a connection.
    Heard(usize, Bytes),
    /// Bytes were written to a connection, and how many waited for that.
    Said(usize, Vec<u8>, usize),
    /// A read or write has found the end of a connection.
    Told(usize),
    /// The client has closed a connection.
    Closed(usize),
    /// A recipient was settled.
    Settled(RcptIndex, Box<Outcome>),
    /// There was something for the log.
    Noted(Box<Note>),
}

/// The happenings that were not looked at yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Happening>>>);

impl Log {
    pub(super) fn add(&self, happening: Happening) {
        lock(&self.0).push(happening);
    }

    /// Takes everything out, into a list that is empty.
    pub(super) fn swap(&self, list: &mut Vec<Happening>) {
        std::mem::swap(&mut *lock(&self.0), list);
    }
}

/// The client's end of a connection, as both sides of it see it.
#[derive(Clone, Debug)]
pub(super) struct Near(Arc<Mutex<End>>);

/// The state of a client's end.
#[derive(Debug)]
pub(super) struct End {
    /// Arrived, and not read yet.
    pub(super) ready: BytesMut,
    /// The number of bytes that can be written.
    pub(super) room: usize,
    /// Nothing more will arrive.
    pub(super) over: bool,
    /// Nothing can be written.
    pub(super) gone: bool,
    /// The client knows of that.
    pub(super) told: bool,
    /// The number of bytes in the direction in which more went.
    pub(super) carried: u64,
    /// The most bytes that move at a time; zero throws dice.
    size: usize,
    pub(super) chance: Dice,
}

impl Near {
    /// An end with nothing to read and no room, whose bytes move in pieces of `size`; zero
    /// throws dice, as `seed` has it.
    pub(super) fn new(size: usize, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(End {
            ready: BytesMut::new(),
            room: 0,
            over: false,
            gone: false,
            told: false,
            carried: 0,
            size,
            chance: Dice::new(seed),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, End> {
        lock(&self.0)
    }

    /// Returns whether a client that waits for `interest` has something to do.
    pub(super) fn is_ready(&self, interest: Interest) -> bool {
        let end = self.lock();
        let reads = !end.ready.is_empty() || (end.over && !end.told);
        let writes = end.room > 0 || end.gone;
        interest.reads() && reads || interest.writes() && writes
    }
}

impl End {
    /// The most bytes that move next, after so many.
    pub(super) fn piece(&mut self, carried: u64) -> usize {
        let piece = match self.size {
            0 => self.chance.one_of(1, &PIECES),
            piece => piece,
        };
        // Where cuts matter, enough have been made by then; the rest is for speed.
        match carried > FINE {
            true => piece.max(COARSE),
            false => piece,
        }
    }
}

/// A connection as a delivery holds it.
#[derive(Debug)]
pub(super) struct Socket {
    /// The number of the connection.
    pub(super) number: usize,
    near: Near,
    log: Log,
}

impl Socket {
    pub(super) const fn new(number: usize, near: Near, log: Log) -> Self {
        Self { number, near, log }
    }

    /// Returns whether a delivery that waits for `interest` has something to do.
    pub(super) fn is_ready(&self, interest: Interest) -> bool {
        self.near.is_ready(interest)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.log.add(Happening::Closed(self.number));
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut end = self.near.lock();
        if !end.ready.is_empty() {
            let carried = end.carried;
            let most = end.piece(carried).min(end.ready.len()).min(scratch.len());
            let bytes = end.ready.split_to(most).freeze();
            let count = bytes.as_ref().read(scratch)?;
            self.log.add(Happening::Heard(self.number, bytes));
            return Ok(count);
        }
        if !end.over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        end.told = true;
        self.log.add(Happening::Told(self.number));
        Ok(0)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut end = self.near.lock();
        if end.gone {
            end.told = true;
            self.log.add(Happening::Told(self.number));
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let queued: usize = pieces.iter().map(|piece| piece.len()).sum();
        let carried = end.carried;
        let count = end.piece(carried).min(end.room).min(queued);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        end.room -= count;
        end.carried += count as u64;
        let mut bytes = Vec::with_capacity(count);
        for piece in pieces {
            let left = count - bytes.len();
            bytes.extend_from_slice(piece.get(..left).unwrap_or(piece));
        }
        self.log.add(Happening::Said(self.number, bytes, queued));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
