//! Connections, and sockets for questions: their options, and connect(2).

use std::{future::poll_fn, io, net::SocketAddr, sync::Arc, task::Poll};

use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    dns::Transport,
    driver::{Interest, connect_error, error_text},
};
use smtp_proto::time::Time;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{alarm::Alarm, drive::Runtime};

/// The kind of a socket that a runtime makes its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP connection.
    Tcp,
    /// Datagrams.
    Udp,
    /// A UNIX-domain connection.
    Unix,
}

impl From<Transport> for Kind {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
        }
    }
}

/// Opens a connection as `target` says, within its time limit.
pub(crate) async fn connect<R: Runtime>(
    runtime: Arc<R>,
    target: Target,
) -> Result<R::Socket, ConnectError> {
    let kind = match target.endpoint {
        Endpoint::Inet(_) => Kind::Tcp,
        Endpoint::Unix(_) => Kind::Unix,
    };
    let failed = |error: io::Error| connect_error(&error);
    let socket = runtime.adopt(begin(&target)?, kind).map_err(failed)?;
    let limit = target.limit;
    let until = limit.map_or(Time::FAR, |limit| runtime.now() + limit);
    let mut alarm = Alarm::new();
    poll_fn(|cx| {
        let system = R::system(&socket);
        match (system.take_error(), system.peer_addr()) {
            (Ok(Some(error)) | Err(error), _) => return Poll::Ready(Err(failed(error))),
            (Ok(None), Ok(_)) => return Poll::Ready(Ok(())),
            (Ok(None), Err(_)) if until <= runtime.now() => {
                return Poll::Ready(Err(ConnectError::TimedOut));
            }
            (Ok(None), Err(_)) => {}
        }
        let ready = runtime.poll_ready(&socket, Interest::Write, cx);
        if ready.is_ready() || alarm.poll(&runtime, until, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await?;
    Ok(socket)
}

/// Makes a socket that does not block and is about to be connected: options and source
/// address are set, and the connection is under way.
fn begin(target: &Target) -> Result<Socket, ConnectError> {
    let failed = |error: io::Error| connect_error(&error);
    let (domain, address) = match &target.endpoint {
        Endpoint::Inet(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Endpoint::Unix(path) => (
            Domain::UNIX,
            SockAddr::unix(path).map_err(|_| ConnectError::PathTooLong)?,
        ),
    };
    let socket = Socket::new(domain, Type::STREAM, None).map_err(failed)?;
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
    start(&socket, &address).map_err(failed)?;
    Ok(socket)
}

/// Makes a socket that does not block, for questions to a name server. It is connected or
/// about to be, so that the system keeps other senders out and reports a port where nobody
/// listens. Its own port is of the system's choice.
pub(crate) fn begin_question(transport: Transport, server: SocketAddr) -> io::Result<Socket> {
    let kind = match transport {
        Transport::Udp => Type::DGRAM,
        Transport::Tcp => Type::STREAM,
    };
    let socket = Socket::new(Domain::for_address(server), kind, None)?;
    socket.set_nonblocking(true)?;
    start(&socket, &server.into())?;
    Ok(socket)
}

fn start(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(()),
    }
}

/// Binds to a source address (`smtp_bind_address`). Unless that is enforced,
/// the system's choice will do as well.
fn bind(socket: &Socket, source: &Bind) -> Result<(), ConnectError> {
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
