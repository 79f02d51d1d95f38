//! Connections: how one is made, and reading and writing without waiting.

use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use runtime_common::begin;
use smtp_policy::{
    delivery::{ConnectError, Endpoint, Target},
    driver::{Interest, connect_error},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time,
};

/// An open connection. Its [`Read`] and [`Write`] do not wait.
#[derive(Debug)]
pub struct Socket {
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
        std::future::poll_fn(|cx| stream.poll_write_ready(cx)).await?;
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

/// What comes of `future`, if it comes within `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    time::timeout(limit, future).await.ok()
}

impl Socket {
    /// Waits until the socket is ready.
    pub(crate) fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        let reads = interest.reads() && self.stream.poll_read_ready(cx).is_ready();
        let writes = interest.writes() && self.stream.poll_write_ready(cx).is_ready();
        match reads || writes {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Stream {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Inet(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Inet(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
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

/// Takes what does not come at once as an error. Nobody is woken later: whoever waits does
/// so with [`Socket::poll_ready`].
fn at_once<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        if self.broken {
            let system = self.stream.system();
            return (&*system).read(scratch);
        }
        let mut buffer = ReadBuf::new(scratch);
        let mut cx = Context::from_waker(Waker::noop());
        // A read that finds less than it could tells tokio that there is no more.
        at_once(match &mut self.stream {
            Stream::Inet(stream) => Pin::new(stream).poll_read(&mut cx, &mut buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(&mut cx, &mut buffer),
        })?;
        Ok(buffer.filled().len())
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        let result = at_once(match &mut self.stream {
            Stream::Inet(stream) => Pin::new(stream).poll_write_vectored(&mut cx, pieces),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(&mut cx, pieces),
        });
        self.broken = matches!(&result, Err(error) if error.kind() != io::ErrorKind::WouldBlock);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
