//! Connections: how one is made, and reading and writing without waiting.

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use smol::{
    Async, Timer,
    future::{self, FutureExt},
};
use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    driver::{connect_error, error_text},
};
use socket2::{Domain, SockAddr, Type};

/// An open connection, TCP or UNIX-domain. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: Async<socket2::Socket>,
}

/// Opens a connection as `target` says, within its time limit.
pub(crate) async fn connect(target: Target) -> Result<Socket, ConnectError> {
    let socket = begin(&target)?;
    let failed = |error: io::Error| connect_error(&error);
    let inner = Async::new_nonblocking(socket).map_err(failed)?;
    let made = async {
        inner.writable().await?;
        inner.get_ref().take_error()?.map_or(Ok(()), Err)
    };
    match target.limit {
        Some(limit) => within(limit, made).await.ok_or(ConnectError::TimedOut)?,
        None => made.await,
    }
    .map_err(failed)?;
    Ok(Socket { inner })
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
    let late = async {
        Timer::after(limit).await;
        None
    };
    async { Some(future.await) }.or(late).await
}

impl Socket {
    /// Waits until the socket can be read from or written to, as asked for.
    pub(crate) async fn ready(&self, reading: bool, writing: bool) {
        let _ = match (reading, writing) {
            (true, true) => self.inner.readable().or(self.inner.writable()).await,
            (true, false) => self.inner.readable().await,
            (false, true) => self.inner.writable().await,
            (false, false) => return future::pending().await,
        };
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.inner.get_ref().read(scratch)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.get_ref().write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.get_ref().write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
