//! A [`Lookup`] over one socket at a time: which socket is opened when, what goes through it,
//! and what comes out of it. It opens none and waits for nothing: a driver does what
//! [`SocketStep`] says and passes on what it receives.
//!
//! Each server is asked from a socket of its own, so that the port is new and of the system's
//! choice; a port that nobody can guess keeps forged answers out (RFC 5452 section 9.2). Over
//! TCP question and answer have their length before them (RFC 1035 section 4.2.2).

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use smtp_proto::Time;

use crate::{Answer, DnsStep, Failure, Lookup};

/// The protocol below DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// The next thing that a driver does for a [`SocketLookup`].
#[derive(Clone, Debug)]
#[must_use = "the lookup stands still until the driver does what it asks for"]
pub enum SocketStep {
    /// Close the socket there is, if any, and open another one that is connected to `server`
    /// and thus hears nobody else. Then poll again, even while a connection is being made; or
    /// say [`failed`](SocketLookup::failed).
    Open {
        /// The kind of socket.
        transport: Transport,
        /// The name server.
        server: SocketAddr,
    },
    /// Send these bytes, say how many were taken with [`sent`](SocketLookup::sent), and poll
    /// again. Where the socket takes none yet, poll again when it may, at the latest at `until`.
    Send {
        /// A datagram as a whole, or what is left of a question over TCP.
        bytes: Bytes,
        /// The end of the patience with this server.
        until: Time,
    },
    /// Wait for something to [receive](SocketLookup::received), at most to `until`, then poll
    /// again.
    Wait {
        /// The end of the patience with this server.
        until: Time,
    },
    /// The lookup is over, and its socket of no more use.
    Done(Result<Answer, Failure>),
}

/// One query on its way, over one socket at a time.
///
/// ```
/// use std::sync::Arc;
/// use smtp_dns::{Lookup, Query, QueryKind, ResolverConfig, SocketLookup, SocketStep, Transport};
/// use smtp_proto::Time;
///
/// let query = Query::new("example.com", QueryKind::Mx);
/// let config = Arc::new(ResolverConfig::default());
/// let mut lookup = SocketLookup::new(Lookup::new(query, config, 42));
/// let SocketStep::Open { transport, server } = lookup.poll(Time::ZERO) else {
///     panic!("the first step is to open a socket");
/// };
/// assert_eq!((transport, server), (Transport::Udp, "127.0.0.1:53".parse().unwrap()));
/// let SocketStep::Send { bytes, .. } = lookup.poll(Time::ZERO) else {
///     panic!("the second step is to ask");
/// };
/// lookup.sent(bytes.len());
/// assert!(matches!(lookup.poll(Time::ZERO), SocketStep::Wait { .. }));
/// ```
#[derive(Debug)]
pub struct SocketLookup {
    lookup: Lookup,
    socket: Socket,
    /// The rest of the question.
    unsent: Bytes,
}

/// The socket that the driver has.
#[derive(Debug)]
enum Socket {
    None,
    Udp(SocketAddr),
    /// With what has come of the answer and its length.
    Tcp(Vec<u8>),
}

impl SocketLookup {
    /// Carries `lookup`, which has not been polled.
    pub const fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            socket: Socket::None,
            unsent: Bytes::new(),
        }
    }

    /// Returns what to do next. To be called after each step, after everything that was
    /// received, and when a time is over.
    pub fn poll(&mut self, now: Time) -> SocketStep {
        loop {
            let (transport, server) = match self.lookup.poll(now) {
                DnsStep::Datagram { to, bytes } => {
                    self.unsent = bytes;
                    if matches!(self.socket, Socket::Udp(server) if server == to) {
                        continue;
                    }
                    self.socket = Socket::Udp(to);
                    (Transport::Udp, to)
                }
                DnsStep::Stream { to, bytes, .. } => {
                    // A question is never longer: names have 255 bytes at most.
                    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
                    self.unsent = [&length.to_be_bytes(), bytes.as_ref()].concat().into();
                    self.socket = Socket::Tcp(Vec::new());
                    (Transport::Tcp, to)
                }
                DnsStep::Wait { until } if self.unsent.is_empty() => {
                    return SocketStep::Wait { until };
                }
                DnsStep::Wait { until } => {
                    let bytes = self.unsent.clone();
                    return SocketStep::Send { bytes, until };
                }
                DnsStep::Done(result) => return SocketStep::Done(result),
            };
            return SocketStep::Open { transport, server };
        }
    }

    /// Takes notice that the socket has taken so many of the bytes of [`SocketStep::Send`].
    pub fn sent(&mut self, count: usize) {
        self.unsent.advance(count.min(self.unsent.len()));
    }

    /// Takes what has come out of the socket: one datagram, or some bytes of a stream, of which
    /// none mean its end. Anything but the answer to the last question is ignored.
    pub fn received(&mut self, bytes: &[u8]) {
        match &mut self.socket {
            Socket::None => {}
            Socket::Udp(server) => self.lookup.datagram(*server, bytes),
            Socket::Tcp(_) if bytes.is_empty() => self.failed(),
            Socket::Tcp(come) => {
                come.extend_from_slice(bytes);
                if let Some(answer) = whole(come) {
                    self.lookup.stream(Ok(answer));
                }
            }
        }
    }

    /// Takes notice that the socket cannot be opened, written to or read from, or that nothing
    /// listens there: on to the next attempt, with another socket.
    pub fn failed(&mut self) {
        match std::mem::replace(&mut self.socket, Socket::None) {
            Socket::None => {}
            Socket::Udp(_) => self.lookup.datagram_failed(),
            Socket::Tcp(_) => self.lookup.stream(Err(())),
        }
    }
}

/// The message behind its length, when all of it has come. What follows is left out.
fn whole(come: &[u8]) -> Option<&[u8]> {
    let (length, rest) = come.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}
