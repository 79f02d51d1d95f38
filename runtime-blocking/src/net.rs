//! Sockets: reading and writing without waiting, and who hears of what happens to them.

use std::{
    io::{self, IoSlice, Read, Write},
    os::fd::AsRawFd,
    sync::{Arc, Mutex, PoisonError},
};

use mio::{Interest, unix::SourceFd};
use socket2::SockRef;

use crate::{runtime::Desk, wait::TOKEN};

/// A connection, or a socket for datagrams. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: socket2::Socket,
    /// The poll that it is registered with. It stays so while the connection is kept.
    desk: Mutex<Option<Arc<Desk>>>,
}

impl Socket {
    pub(crate) fn new(inner: socket2::Socket) -> Self {
        let desk = Mutex::default();
        Self { inner, desk }
    }

    /// The socket as the system knows it.
    pub(crate) fn system(&self) -> SockRef<'_> {
        SockRef::from(&self.inner)
    }

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
