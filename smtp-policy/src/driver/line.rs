//! An open connection as a driver holds it: bytes move between a socket that does not
//! block and the engine. It never waits.

use std::io::{self, IoSlice, Read, Write};

use bytes::Buf;
use smtp_proto::{queue::SendQueue, session::Step, time::Time};

use crate::{channel::Channel, delivery::Delivery};

/// The most that is read from a connection at a time, in bytes: most replies are shorter, and all of it is
/// cleared before each read.
const READ_SIZE: usize = 1024;
/// The number of pieces of output that go into one write.
const WRITE_PIECES: usize = 64;
/// The number of reads that are made of a connection that can no longer be written to.
const LAST_READS: usize = 64;
/// The number of steps a farewell may take.
const LAST_STEPS: usize = 256;

/// The inner end of a connection.
trait Speaker {
    fn output(&mut self) -> Option<&mut SendQueue>;
    fn receive(&mut self, bytes: &[u8]);
    fn disconnected(&mut self);
    fn write_failed(&mut self);
}

impl Speaker for Delivery {
    fn output(&mut self) -> Option<&mut SendQueue> {
        self.output()
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive(bytes);
    }

    fn disconnected(&mut self) {
        self.disconnected();
    }

    fn write_failed(&mut self) {
        self.write_failed();
    }
}

impl Speaker for Channel {
    fn output(&mut self) -> Option<&mut SendQueue> {
        Some(self.output())
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.receive(bytes);
    }

    fn disconnected(&mut self) {
        self.disconnected();
    }

    fn write_failed(&mut self) {
        self.write_failed();
    }
}

/// An open connection as a driver holds it: a socket that does not block, and what is
/// known of it.
#[derive(Debug)]
pub struct Line<S> {
    socket: S,
    ended: bool,
    ear: Ear,
}

/// The reason to read from a connection, or not to: a read that finds nothing costs as
/// much as one that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ear {
    /// There may be something to read.
    Open,
    /// All that had come was read, and nothing was written since. The next commands go
    /// out before another look.
    Idle,
    /// The same, and something was written since. Before more is written, an early reply
    /// is looked for.
    Spoke,
}

impl<S> Line<S> {
    /// A connection from which more can come.
    pub const fn new(socket: S) -> Self {
        Self {
            socket,
            ended: false,
            ear: Ear::Open,
        }
    }

    /// The socket.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// The socket, for the connection cache.
    pub fn into_socket(self) -> S {
        self.socket
    }

    /// Returns whether nothing more will come, so that there is no sense in waiting for
    /// it. The server may still take what is written.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Says that something may have come since the last exchange. To be called after each
    /// wait.
    pub const fn waited(&mut self) {
        self.ear = Ear::Open;
    }
}

impl<S: Read + Write> Line<S> {
    /// Moves bytes between a delivery and its open connection: with `sending` one write of
    /// as many pieces as fit, and before it one read if anything may have come.
    ///
    /// Returns whether anything moved or ended; when not, it is time to wait
    /// until the socket is readable, or writable when `sending`. A connection
    /// that breaks under the write is first read to its end, since the server
    /// may have said why ([`Delivery::write_failed`]).
    pub fn exchange(&mut self, job: &mut Delivery, sending: bool) -> bool {
        self.pass_on(job, sending)
    }

    fn pass_on(&mut self, job: &mut impl Speaker, sending: bool) -> bool {
        let reads = match self.ear {
            Ear::Open => true,
            Ear::Spoke => sending,
            Ear::Idle => false,
        };
        let heard = reads && self.receive(job);
        let sent = sending && self.send(job);
        if sent && self.ear == Ear::Idle {
            self.ear = Ear::Spoke;
        }
        heard || sent
    }

    fn receive(&mut self, job: &mut impl Speaker) -> bool {
        if self.ended {
            return false;
        }
        let mut scratch = [0; READ_SIZE];
        match self.socket.read(&mut scratch) {
            Ok(count @ 1..) => {
                // What is shorter than it could be was all there is.
                self.ear = if count < READ_SIZE {
                    Ear::Idle
                } else {
                    Ear::Open
                };
                job.receive(scratch.get(..count).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ear = Ear::Idle;
                return false;
            }
            Ok(0) | Err(_) => {
                self.ended = true;
                job.disconnected();
            }
        }
        true
    }

    fn send(&mut self, job: &mut impl Speaker) -> bool {
        let Some(output) = job.output() else {
            return false;
        };
        if !output.has_remaining() {
            return false;
        }
        let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
        let count = output.chunks_vectored(&mut pieces);
        match self
            .socket
            .write_vectored(pieces.get(..count).unwrap_or_default())
        {
            Ok(count @ 1..) => output.advance(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Ok(0) | Err(_) => {
                let mut reads = 0..LAST_READS;
                while reads.next().is_some() && self.receive(job) {}
                self.ended = true;
                job.write_failed();
            }
        }
        true
    }
}

/// Says QUIT on a connection that was kept, as far as that goes without waiting, and
/// closes it. The reply is not waited for (`smtp_skip_quit_response`): nothing depends on
/// it any more.
pub(super) fn say_quit<S: Read + Write>(socket: S, mut channel: Box<Channel>, now: Time) {
    let mut line = Line::new(socket);
    channel.leave();
    for _ in 0..LAST_STEPS {
        let goes_on = match channel.poll(now) {
            Step::Send { .. } => line.pass_on(&mut *channel, true),
            Step::Event(_) => true,
            Step::Wait { .. } | Step::Need(_) | Step::Closed(_) => false,
        };
        if !goes_on {
            break;
        }
    }
}
