//! The beginning of a connection: a socket with its options, and connect(2) under way.
//! Nothing here waits.

use std::{io, net::SocketAddr};

use smtp_policy::{
    delivery::{Bind, ConnectError, Endpoint, Target},
    driver::{connect_error, error_text},
};
use socket2::{Domain, SockAddr, Socket, Type};

/// Makes a socket that does not block and is about to be connected: options and source
/// address are set, and the connection is under way. It is made when the socket becomes
/// writable, or has an error.
///
/// # Errors
/// The system refuses the socket, the source address, or the connection at once.
pub fn begin(target: &Target) -> Result<Socket, ConnectError> {
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
    match socket.connect(&address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(failed(error)),
        _ => Ok(socket),
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
