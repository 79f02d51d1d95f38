//! Sockets as tokio watches them.

use std::io;

use smtp_policy::driver::Interest;
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

/// A socket that tokio watches.
///
/// Whatever its kind, tokio holds it as a TCP connection, of which nothing but readiness
/// matters here: its way to watch any descriptor is not safe.
#[derive(Debug)]
pub struct Watched {
    pub(crate) inner: TcpStream,
    /// A write has failed. What tokio knows about readiness may then be older
    /// than what the system holds.
    broken: bool,
}

impl Watched {
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        let inner = TcpStream::from_std(socket.into())?;
        let broken = false;
        Ok(Self { inner, broken })
    }

    /// Transfers bytes if tokio takes the socket for ready, and tells tokio when it is no longer.
    pub(crate) fn attempt(
        &mut self,
        on: Interest,
        enough: usize,
        transfer: impl FnOnce(&Socket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let system = SockRef::from(&self.inner);
        if self.broken {
            return transfer(&system);
        }
        let interest = match on.writes() {
            true => tokio::io::Interest::WRITABLE,
            false => tokio::io::Interest::READABLE,
        };
        let mut last = None;
        let result = self.inner.try_io(interest, || match transfer(&system) {
            // Tokio takes this for the end of what there is.
            Ok(count) if count < enough => {
                last = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => result,
        });
        let result = last.map_or(result, Ok);
        let failed = |error: &io::Error| error.kind() != io::ErrorKind::WouldBlock;
        self.broken = on.writes() && result.as_ref().is_err_and(failed);
        result
    }
}
