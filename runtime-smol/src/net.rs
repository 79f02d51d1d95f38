//! Connections: how one is made, and reading and writing without waiting.

use std::{
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll},
    time::Duration,
};

use runtime_common::begin;
use smol::{Async, Timer, future::FutureExt};
use smtp_policy::{
    delivery::{ConnectError, Target},
    driver::{Interest, connect_error},
};

/// An open connection, TCP or UNIX-domain. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub struct Socket {
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

/// What comes of `future`, if it comes within `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(limit).await;
        None
    };
    async { Some(future.await) }.or(late).await
}

impl Socket {
    /// Waits until the socket is ready.
    pub(crate) fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        let reads = interest.reads() && self.inner.poll_readable(cx).is_ready();
        let writes = interest.writes() && self.inner.poll_writable(cx).is_ready();
        match reads || writes {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
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
