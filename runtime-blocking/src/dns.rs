//! DNS questions: a [`Lookup`] over UDP and TCP, or getaddrinfo(3).

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType};
use mio::{
    Interest, Registry,
    net::{TcpStream, UdpSocket},
};
use runtime_common::{Runtime, apart};
use smtp_policy::{
    dns::{Answer, DnsStep, Failure, Family, Lookup, NativeFailure, Query, QueryKind},
    driver::{self, Hub},
};
use smtp_proto::time::Time;

use crate::{
    net::Socket,
    runtime::Desk,
    wait::{Progress, Step, TOKEN, finish},
};

/// The largest datagram that is read whole, in bytes. More than any resolver
/// puts into one.
const DATAGRAM: usize = 8 * 1024;

/// One question on its way.
struct Question {
    lookup: Lookup,
    line: Line,
}

/// Where the answer is to come from.
enum Line {
    /// Nobody was asked, or nobody could be reached.
    None,
    /// A socket for questions to one server. The port is new for each server
    /// that is asked, and of the system's choice.
    Datagram(SocketAddr, UdpSocket),
    /// A question over TCP, given up at the time.
    Stream(Stream, Time),
}

/// Answers one question.
pub(crate) async fn resolve(
    desk: &Desk,
    hub: &Hub<Socket>,
    query: Query,
) -> Result<Answer, Failure> {
    if let QueryKind::Native(family) = query.kind {
        return apart(Err(Failure::TryAgain), move || native(&query.name, family)).await;
    }
    let config = Arc::clone(hub.policy().resolver());
    let question = Question {
        lookup: Lookup::new(query, config, hub.seed()),
        line: Line::None,
    };
    finish(desk, question).await
}

impl Step for Question {
    type Done = Result<Answer, Failure>;

    fn step(mut self, desk: &Desk, registry: &Registry) -> Progress<Self> {
        loop {
            if let Some(until) = self.hear(desk.now()) {
                return Progress::Until(self, until);
            }
            match self.lookup.poll(desk.now()) {
                DnsStep::Datagram { to, bytes } => {
                    if !matches!(&self.line, Line::Datagram(server, _) if *server == to) {
                        let opened = open(to, registry);
                        self.line = opened.map_or(Line::None, |socket| Line::Datagram(to, socket));
                    }
                    let sent = match &self.line {
                        Line::Datagram(_, socket) => socket.send(&bytes).is_ok(),
                        _ => false,
                    };
                    if !sent {
                        self.lookup.datagram_failed();
                    }
                }
                DnsStep::Stream { to, bytes, until } => match Stream::new(to, &bytes, registry) {
                    Ok(stream) => self.line = Line::Stream(stream, until),
                    Err(_) => self.lookup.stream(Err(())),
                },
                DnsStep::Wait { until } => return Progress::Until(self, until),
                DnsStep::Done(result) => return Progress::Done(result),
            }
        }
    }
}

impl Question {
    /// Takes in what has come. Returns until when there is more to wait for
    /// before the lookup can go on.
    fn hear(&mut self, now: Time) -> Option<Time> {
        let mut message = [0; DATAGRAM];
        let failed = match &mut self.line {
            Line::None => return None,
            Line::Datagram(server, socket) => loop {
                match socket.recv(&mut message) {
                    Ok(count) => self
                        .lookup
                        .datagram(*server, message.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                    Err(_) => break true,
                }
            },
            Line::Stream(stream, until) => match stream.step() {
                Ok(None) if now < *until => return Some(*until),
                Ok(Some(answer)) => {
                    self.lookup.stream(Ok(answer));
                    false
                }
                Ok(None) | Err(_) => {
                    self.lookup.stream(Err(()));
                    false
                }
            },
        };
        self.line = Line::None;
        if failed {
            self.lookup.datagram_failed();
        }
        None
    }
}

/// A socket for questions to one server. It is connected, so that the system
/// keeps other senders out and reports a port where nobody listens.
fn open(server: SocketAddr, registry: &Registry) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    registry.register(&mut socket, TOKEN, Interest::READABLE)?;
    Ok(socket)
}

/// One question and its answer over TCP, each with its length before it
/// (RFC 1035 section 4.2.2).
struct Stream {
    stream: TcpStream,
    question: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
}

impl Stream {
    fn new(server: SocketAddr, question: &[u8], registry: &Registry) -> io::Result<Self> {
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(server)?;
        registry.register(&mut stream, TOKEN, Interest::READABLE | Interest::WRITABLE)?;
        let question = [&length.to_be_bytes(), question].concat();
        Ok(Self {
            stream,
            question,
            sent: 0,
            answer: Vec::new(),
        })
    }

    /// Goes on as far as possible without waiting. Returns the answer when it
    /// is there.
    fn step(&mut self) -> io::Result<Option<&[u8]>> {
        while let Some(rest @ [_, ..]) = self.question.get(self.sent..) {
            match self.stream.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if is_early(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let mut scratch = [0; DATAGRAM];
        while self.missing() > 0 {
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.answer.extend(scratch.iter().take(count)),
                Err(error) if is_early(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(self.answer.get(2..))
    }

    /// How many bytes of the answer have not come yet, as far as is known.
    fn missing(&self) -> usize {
        match *self.answer.as_slice() {
            [high, low, ref message @ ..] => {
                usize::from(u16::from_be_bytes([high, low])).saturating_sub(message.len())
            }
            _ => 1,
        }
    }
}

/// Whether an error says that the time has not come: the connection is still
/// being made, or has nothing to give or no room.
fn is_early(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock
    )
}

/// Asks getaddrinfo(3), and waits for it.
fn native(name: &str, family: Family) -> Result<Answer, Failure> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        address: match family {
            Family::Any => 0,
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        },
        ..AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).map_err(native_failure)?;
    let addresses = found.filter_map(|info| Some(info.ok()?.sockaddr.ip()));
    Ok(driver::native_answer(name, addresses))
}

fn native_failure(error: LookupError) -> Failure {
    let kind = match error.kind() {
        LookupErrorKind::Again => NativeFailure::Again,
        LookupErrorKind::NoData => NativeFailure::NoData,
        LookupErrorKind::NoName => NativeFailure::NoName,
        LookupErrorKind::Memory => NativeFailure::Memory,
        LookupErrorKind::System => NativeFailure::System,
        _ => NativeFailure::Other,
    };
    driver::native_failure(kind, &io::Error::from(error))
}
