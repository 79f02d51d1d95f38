//! Sockets: reading and writing without waiting, and waiting until that is possible.

use std::{
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll},
};

use smol::Async;
use smtp_policy::driver::Interest;

/// A connection, or a socket for datagrams. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub struct Socket(pub(crate) Async<socket2::Socket>);

impl Socket {
    /// Waits until the socket is ready.
    pub(crate) fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        let reads = interest.reads() && self.0.poll_readable(cx).is_ready();
        let writes = interest.writes() && self.0.poll_writable(cx).is_ready();
        match reads || writes {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(scratch)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_ref().write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_ref().write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
