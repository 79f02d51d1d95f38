//! Connections: how one is made, and reading and writing without waiting.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    os::fd::AsRawFd,
};

use mio::{Interest, Registry, Token, unix::SourceFd};
use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    driver::{connect_error, error_text},
};
use smtp_proto::time::Time;
use socket2::{Domain, SockAddr, Type};

use crate::{
    client::Inner,
    wait::{Progress, Step},
};

/// An open connection, TCP or UNIX-domain. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: socket2::Socket,
}

/// A connection that is being made.
pub(crate) struct Connecting {
    state: Result<Socket, ConnectError>,
    until: Time,
}

/// Opens a connection as `target` says, within its time limit.
pub(crate) fn connect(target: &Target, now: Time, registry: &Registry, token: Token) -> Connecting {
    let state = begin(target).and_then(|inner| {
        let socket = Socket { inner };
        socket
            .register(registry, token)
            .map_err(|error| connect_error(&error))?;
        Ok(socket)
    });
    Connecting {
        state,
        until: target.limit.map_or(Time::FAR, |limit| now + limit),
    }
}

impl Step for Connecting {
    type Done = Result<Socket, ConnectError>;

    fn step(mut self, client: &Inner, _: &Registry) -> Progress<Self> {
        let failed = match &self.state {
            Err(_) => None,
            Ok(socket) => match (socket.inner.take_error(), socket.inner.peer_addr()) {
                (Ok(Some(error)) | Err(error), _) => Some(connect_error(&error)),
                (Ok(None), Ok(_)) => None,
                (Ok(None), Err(_)) if client.now() < self.until => {
                    let until = self.until;
                    return Progress::Until(self, until);
                }
                (Ok(None), Err(_)) => Some(ConnectError::TimedOut),
            },
        };
        if let Some(error) = failed {
            self.state = Err(error);
        }
        Progress::Done(self.state)
    }
}

/// Makes a socket that is about to be connected: options and source address are
/// set, and the connection is under way.
fn begin(target: &Target) -> Result<socket2::Socket, ConnectError> {
    let failed = |error: io::Error| connect_error(&error);
    let (domain, address) = match &target.endpoint {
        Endpoint::Inet(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Endpoint::Unix(path) => (
            Domain::UNIX,
            SockAddr::unix(path).map_err(|_| ConnectError::PathTooLong)?,
        ),
    };
    let socket = socket2::Socket::new(domain, Type::STREAM, None).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    if domain != Domain::UNIX {
        // Commands are small and go out in one piece: nothing is won by waiting.
        socket.set_tcp_nodelay(true).map_err(failed)?;
    }
    if target.window > 0 {
        let size = usize::try_from(target.window).unwrap_or(usize::MAX);
        for result in [
            socket.set_send_buffer_size(size),
            socket.set_recv_buffer_size(size),
        ] {
            if let Err(error) = result {
                tracing::warn!(target: "outpost", "socket buffer size {size}: {}", error_text(&error));
            }
        }
    }
    if let Some(source) = &target.bind {
        bind(&socket, source)?;
    }
    match socket.connect(&address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(failed(error)),
        _ => Ok(socket),
    }
}

/// Binds to a source address (`smtp_bind_address`). Unless that is enforced,
/// the system's choice will do as well.
fn bind(socket: &socket2::Socket, source: &Bind) -> Result<(), ConnectError> {
    let Err(error) = socket.bind(&SocketAddr::new(source.address, 0).into()) else {
        return Ok(());
    };
    let text = error_text(&error);
    tracing::warn!(target: "outpost", "smtp_connect_addr: bind {}: {text}", source.address);
    match source.enforce {
        true => Err(ConnectError::Bind(text)),
        false => Ok(()),
    }
}

impl Socket {
    /// Has a [`mio::Poll`] report what happens to the socket.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&self.inner.as_raw_fd()), token, interest)
    }

    /// Ends that.
    pub(crate) fn deregister(&self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.inner.as_raw_fd()))
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.inner.read(scratch)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
