//! Sockets that carry a [`SocketLookup`]: they are read and written here, and opened and waited
//! for by their runtime. A socket is whatever reads and writes without blocking.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

use smtp_proto::Time;

use crate::{Answer, Failure, Lookup, SocketLookup, SocketStep, Transport};

/// The longest datagram that is read whole, in bytes: more than any resolver puts into one.
const DATAGRAM: usize = 8 * 1024;

/// The number of steps after which others get way, though there may be more to do: a flood of
/// datagrams holds up nobody else, and is left behind in time.
const STEPS: u32 = 64;

/// The progress of a lookup.
#[derive(Debug)]
pub enum Progress {
    /// It goes on when the [socket](Carrier::socket) can be read from, or written to while it
    /// [is sending](Carrier::is_sending), and in any case at this time.
    Until(Time),
    /// It is over.
    Done(Result<Answer, Failure>),
}

/// A lookup with its socket. The documentation of the [crate] has an example.
#[derive(Debug)]
pub struct Carrier<S> {
    lookup: SocketLookup,
    socket: Option<S>,
    sending: bool,
}

impl<S: Read + Write> Carrier<S> {
    /// Carries `lookup`, which has not been polled.
    pub const fn new(lookup: Lookup) -> Self {
        Self {
            lookup: SocketLookup::new(lookup),
            socket: None,
            sending: false,
        }
    }

    /// The open socket, if there is one.
    pub const fn socket(&self) -> Option<&S> {
        self.socket.as_ref()
    }

    /// Returns whether the socket has something to take before anything can come out of it.
    pub const fn is_sending(&self) -> bool {
        self.sending
    }

    /// Goes on as far as possible without waiting. `open` makes sockets that are connected, or
    /// are being connected; a read of a datagram returns it as a whole.
    pub fn step(
        &mut self,
        now: Time,
        mut open: impl FnMut(Transport, SocketAddr) -> io::Result<S>,
    ) -> Progress {
        let mut scratch = [0; DATAGRAM];
        for _ in 0..STEPS {
            let step = self.lookup.poll(now);
            self.sending = matches!(step, SocketStep::Send { .. });
            let (moved, until) = match step {
                SocketStep::Open { transport, server } => {
                    // The one before is closed first.
                    self.socket = None;
                    match open(transport, server) {
                        Ok(socket) => self.socket = Some(socket),
                        Err(_) => self.lookup.failed(),
                    }
                    continue;
                }
                SocketStep::Send { bytes, until } => {
                    let sent = self.through(|socket| match socket.write(&bytes) {
                        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                        sent => sent,
                    });
                    (sent.map(|count| self.lookup.sent(count)), until)
                }
                SocketStep::Wait { until } => {
                    let read = self.through(|socket| socket.read(&mut scratch));
                    let bytes = read.map(|count| scratch.get(..count).unwrap_or_default());
                    (bytes.map(|bytes| self.lookup.received(bytes)), until)
                }
                SocketStep::Done(result) => return Progress::Done(result),
            };
            match moved {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_early(&error) => return Progress::Until(until),
                Err(_) => self.lookup.failed(),
            }
        }
        Progress::Until(now)
    }

    fn through<T>(&mut self, act: impl FnMut(&mut S) -> io::Result<T>) -> io::Result<T> {
        let socket = self.socket.as_mut();
        socket.map_or(Err(io::ErrorKind::NotConnected.into()), act)
    }
}

/// Returns whether an error says that the time has not come: the connection is still being made,
/// or has nothing to give, or no room.
fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock
    )
}
