//! Connections, and sockets for questions: connect(2) with its options, and how they are read
//! from and written to.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    task::{Context, Poll},
};

use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    dns::Transport,
    driver::{Interest, connect_error, error_text},
};
use smtp_proto::time::Time;
use socket2::{Domain, SockAddr, Socket as System, Type};

use crate::{
    alarm::Alarm,
    runtime::{Clocked, Runtime},
};

/// A connection, or a socket for datagrams. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub struct Socket<R: Runtime> {
    watched: R::Watched,
    kind: Type,
}

impl<R: Runtime> Socket<R> {
    /// Opens a connection as `target` says, within its time limit.
    pub(crate) async fn connect(clock: &Clocked<R>, target: Target) -> Result<Self, ConnectError> {
        let failed = |error: io::Error| connect_error(&error);
        let socket = Self::new(begin(&target)?, Type::STREAM).map_err(failed)?;
        let limit = target.limit;
        let until = limit.map_or(Time::FAR, |limit| clock.time() + limit);
        let mut alarm = Alarm::new();
        poll_fn(|cx| {
            let system = R::system(&socket.watched);
            // A connection that has failed has no other end either.
            if system.peer_addr().is_ok() {
                return Poll::Ready(Ok(()));
            }
            let now = clock.time();
            match system.take_error() {
                Ok(Some(error)) | Err(error) => return Poll::Ready(Err(failed(error))),
                Ok(None) if until <= now => return Poll::Ready(Err(ConnectError::TimedOut)),
                Ok(None) => {}
            }
            if socket.is_ready(Interest::Write, cx) || alarm.poll(clock, now, until, cx).is_ready()
            {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await?;
        Ok(socket)
    }

    /// Opens a socket for questions to a name server. It is connected or about to be, so that
    /// the system keeps other senders out and reports a port where nobody listens. Its own
    /// port is of the system's choice.
    pub(crate) fn question(transport: Transport, server: SocketAddr) -> io::Result<Self> {
        let kind = match transport {
            Transport::Udp => Type::DGRAM,
            Transport::Tcp => Type::STREAM,
        };
        let socket = unblocking(Domain::for_address(server), kind)?;
        start(&socket, &server.into())?;
        Self::new(socket, kind)
    }

    fn new(system: System, kind: Type) -> io::Result<Self> {
        let watched = R::watch(system)?;
        Ok(Self { watched, kind })
    }

    /// Returns whether the socket is ready, and otherwise wakes the task when it is. It may say
    /// so too early, and may wake it without being ready.
    pub(crate) fn is_ready(&self, interest: Interest, cx: &mut Context<'_>) -> bool {
        R::is_ready(&self.watched, interest, cx)
    }

    /// The bytes behind which there may be more, if `asked` bytes were asked for. Behind a
    /// datagram there always may, however short it is.
    fn enough(&self, asked: usize) -> usize {
        if self.kind == Type::DGRAM { 0 } else { asked }
    }
}

impl<R: Runtime> Read for Socket<R> {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let enough = self.enough(scratch.len());
        let read = |mut system: &System| system.read(scratch);
        R::attempt(&mut self.watched, Interest::Read, enough, read)
    }
}

impl<R: Runtime> Write for Socket<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let enough = self.enough(pieces.iter().map(|piece| piece.len()).sum());
        let write = |mut system: &System| system.write_vectored(pieces);
        R::attempt(&mut self.watched, Interest::Write, enough, write)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a socket that does not block and is about to be connected: options and source
/// address are set, and the connection is under way.
fn begin(target: &Target) -> Result<System, ConnectError> {
    let failed = |error: io::Error| connect_error(&error);
    let (domain, address) = match &target.endpoint {
        Endpoint::Inet(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        #[cfg(unix)]
        Endpoint::Unix(path) => (
            Domain::UNIX,
            SockAddr::unix(path).map_err(|_| ConnectError::PathTooLong)?,
        ),
        #[cfg(not(unix))]
        Endpoint::Unix(_) => {
            let reason = "Unix-domain sockets are not available on this system";
            return Err(ConnectError::Other(reason.to_owned()));
        }
    };
    let socket = unblocking(domain, Type::STREAM).map_err(failed)?;
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
    start(&socket, &address).map_err(failed)?;
    Ok(socket)
}

/// A socket that does not block, in one system call where the system has it.
#[cfg(target_os = "linux")]
fn unblocking(domain: Domain, kind: Type) -> io::Result<System> {
    System::new(domain, kind.nonblocking(), None)
}

#[cfg(not(target_os = "linux"))]
fn unblocking(domain: Domain, kind: Type) -> io::Result<System> {
    let socket = System::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn start(socket: &System, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Returns whether connect(2) goes on by itself. It does not where a Unix-domain socket has no room
/// (`EAGAIN`).
#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Returns whether connect goes on by itself, as Winsock says it.
#[cfg(not(unix))]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Binds to a source address (`smtp_bind_address`). Unless that is enforced,
/// the system's choice will do as well.
fn bind(socket: &System, source: &Bind) -> Result<(), ConnectError> {
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
