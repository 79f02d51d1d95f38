//! Connections: how one is made, and reading and writing without waiting.

use std::{
    future,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    driver::{connect_error, error_text},
};
use socket2::{Domain, SockAddr, SockRef, Type};
use tokio::{
    io::{Interest, Ready},
    net::{TcpStream, UnixStream},
    time,
};

/// An open connection. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    /// A write has failed. What tokio knows about readiness may then be older
    /// than what the system holds.
    broken: bool,
}

/// A socket as tokio knows it.
#[derive(Debug)]
enum Stream {
    Inet(TcpStream),
    Unix(UnixStream),
}

/// Opens a connection as `target` says, within its time limit.
pub(crate) async fn connect(target: Target) -> Result<Socket, ConnectError> {
    let socket = begin(&target)?;
    let failed = |error: io::Error| connect_error(&error);
    let stream = match target.endpoint {
        Endpoint::Inet(_) => TcpStream::from_std(socket.into()).map(Stream::Inet),
        Endpoint::Unix(_) => UnixStream::from_std(socket.into()).map(Stream::Unix),
    }
    .map_err(failed)?;
    let made = async {
        stream.ready(Interest::WRITABLE).await?;
        stream.system().take_error()?.map_or(Ok(()), Err)
    };
    match target.limit {
        Some(limit) => within(limit, made).await.ok_or(ConnectError::TimedOut)?,
        None => made.await,
    }
    .map_err(failed)?;
    Ok(Socket {
        stream,
        broken: false,
    })
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

/// What comes of `future`, if it comes within `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    time::timeout(limit, future).await.ok()
}

impl Socket {
    /// Waits until the socket can be read from or written to, as asked for.
    pub(crate) async fn ready(&self, reading: bool, writing: bool) {
        let interest = match (reading, writing) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return future::pending().await,
        };
        let _ = self.stream.ready(interest).await;
    }
}

impl Stream {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Inet(stream) => stream.ready(interest).await,
            Self::Unix(stream) => stream.ready(interest).await,
        }
    }

    /// Does something to the socket if tokio takes it for ready.
    fn try_io<T>(
        &self,
        interest: Interest,
        action: impl FnOnce(&socket2::Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        let action = || action(&self.system());
        match self {
            Self::Inet(stream) => stream.try_io(interest, action),
            Self::Unix(stream) => stream.try_io(interest, action),
        }
    }

    /// The socket as the system knows it.
    fn system(&self) -> SockRef<'_> {
        match self {
            Self::Inet(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let mut read = |mut socket: &socket2::Socket| socket.read(scratch);
        match self.broken {
            true => read(&self.stream.system()),
            false => self.stream.try_io(Interest::READABLE, read),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = |mut socket: &socket2::Socket| socket.write_vectored(pieces);
        let result = self.stream.try_io(Interest::WRITABLE, write);
        self.broken = matches!(&result, Err(error) if error.kind() != io::ErrorKind::WouldBlock);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
