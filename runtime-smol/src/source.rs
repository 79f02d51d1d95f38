//! Message text from readers with the traits of `futures-io`, which are smol's.

use std::{
    io::{self, SeekFrom},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use runtime_common::{PollReader, PolledSource};
use smol::io::{AsyncRead, AsyncSeek};
use smtp_policy::text::TextSource;

/// Message text from anything that reads and seeks by the traits of `futures-io`, such as an open
/// file of `smol::fs`.
///
/// The length is taken once, before the first piece: a file that becomes shorter while it is read
/// gives an error, not a shorter message.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use runtime_smol::AsyncReaderSource;
/// use smtp_policy::text::TextSource;
///
/// // Or `smol::fs::File::open("message.eml").await?`.
/// let reader = smol::io::Cursor::new(b"Subject: hello\n\nworld\n");
/// let mut text = AsyncReaderSource::new(reader);
/// let piece = text.poll_read(&mut Context::from_waker(Waker::noop()), 9, 5);
/// assert!(matches!(piece, Poll::Ready(Ok(piece)) if piece == "hello"));
/// ```
#[derive(Debug)]
pub struct AsyncReaderSource<R>(PolledSource<Reader<R>>);

#[derive(Debug)]
struct Reader<R>(R);

impl<R: AsyncRead + AsyncSeek + Unpin + Send> AsyncReaderSource<R> {
    /// The text from the beginning of `reader` to its end, wherever it stands now.
    pub fn new(reader: R) -> Self {
        Self(PolledSource::new(Reader(reader)))
    }
}

impl<R: AsyncRead + AsyncSeek + Unpin + Send> PollReader for Reader<R> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.0).poll_seek(cx, to)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, chunk)
    }
}

impl<R: AsyncRead + AsyncSeek + Unpin + Send> TextSource for AsyncReaderSource<R> {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        self.0.read(offset, room)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        self.0.poll_read(cx, offset, room)
    }
}
