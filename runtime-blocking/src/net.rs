//! Connections: how one is made, and reading and writing without waiting.

use std::{
    future,
    io::{self, IoSlice, Read, Write},
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use mio::{Interest, unix::SourceFd};
use runtime_common::{Runtime, begin};
use smtp_policy::{
    delivery::{ConnectError, Target},
    driver::connect_error,
};
use smtp_proto::time::Time;

use crate::{runtime::Desk, wait::TOKEN};

/// An open connection, TCP or UNIX-domain. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: socket2::Socket,
    /// Where it is registered. It stays so while the connection is kept.
    desk: Mutex<Option<Arc<Desk>>>,
}

/// Opens a connection as `target` says, within its time limit.
pub(crate) async fn connect(desk: &Arc<Desk>, target: &Target) -> Result<Socket, ConnectError> {
    let socket = Socket {
        inner: begin(target)?,
        desk: Mutex::default(),
    };
    let failed = |error: io::Error| connect_error(&error);
    socket.register(desk).map_err(failed)?;
    let until = target.limit.map_or(Time::FAR, |limit| desk.now() + limit);
    future::poll_fn(|_| {
        Poll::Ready(
            match (socket.inner.take_error(), socket.inner.peer_addr()) {
                (Ok(Some(error)) | Err(error), _) => Err(failed(error)),
                (Ok(None), Ok(_)) => Ok(()),
                (Ok(None), Err(_)) if until <= desk.now() => Err(ConnectError::TimedOut),
                (Ok(None), Err(_)) => {
                    desk.look_again(until);
                    return Poll::Pending;
                }
            },
        )
    })
    .await?;
    Ok(socket)
}

impl Socket {
    /// Has whoever waits at `desk` hear of what happens to the socket, and nobody else.
    pub(crate) fn register(&self, desk: &Arc<Desk>) -> io::Result<()> {
        let mut known = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, desk)) {
            return Ok(());
        }
        let fd = self.inner.as_raw_fd();
        if let Some(before) = known.take() {
            before.registry.deregister(&mut SourceFd(&fd))?;
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        desk.registry
            .register(&mut SourceFd(&fd), TOKEN, interest)?;
        *known = Some(Arc::clone(desk));
        Ok(())
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
