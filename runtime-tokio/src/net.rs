//! Sockets: reading and writing without waiting, and waiting until that is possible.

use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use runtime_common::Kind;
use smtp_policy::driver::Interest;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UdpSocket, UnixStream},
};

/// A connection, or a socket for datagrams. Its [`Read`] and [`Write`] do not wait.
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
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn new(socket: socket2::Socket, kind: Kind) -> io::Result<Self> {
        let stream = match kind {
            Kind::Tcp => Stream::Tcp(TcpStream::from_std(socket.into())?),
            Kind::Udp => Stream::Udp(UdpSocket::from_std(socket.into())?),
            Kind::Unix => Stream::Unix(UnixStream::from_std(socket.into())?),
        };
        Ok(Self {
            stream,
            broken: false,
        })
    }

    /// The socket as the system knows it.
    pub(crate) fn system(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Udp(socket) => SockRef::from(socket),
            Stream::Unix(stream) => SockRef::from(stream),
        }
    }

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
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Udp(socket) => socket.poll_recv_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Udp(socket) => socket.poll_send_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
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
            let system = self.system();
            return (&*system).read(scratch);
        }
        let mut buffer = ReadBuf::new(scratch);
        let mut cx = Context::from_waker(Waker::noop());
        // A read that finds less than it could tells tokio that there is no more.
        at_once(match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(&mut cx, &mut buffer),
            Stream::Udp(socket) => socket.poll_recv(&mut cx, &mut buffer),
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
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(&mut cx, pieces),
            // A datagram comes in one piece.
            Stream::Udp(socket) => socket.poll_send(&mut cx, pieces.first().map_or(&[], |p| p)),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(&mut cx, pieces),
        });
        self.broken = matches!(&result, Err(error) if error.kind() != io::ErrorKind::WouldBlock);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
