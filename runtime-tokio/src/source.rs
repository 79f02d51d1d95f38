//! Message text from tokio's readers.

use std::{
    io::{self, SeekFrom},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use runtime_common::{PollReader, PolledSource};
use smtp_policy::text::TextSource;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

/// Message text from anything of tokio's that reads and seeks, such as an open file. No thread
/// waits for it here.
///
/// The length is taken once, before the first piece: a file that becomes shorter while it is read
/// gives an error, not a shorter message.
///
/// ```
/// use std::{io::Cursor, task::{Context, Waker}};
/// use runtime_tokio::AsyncReaderSource;
/// use smtp_policy::text::TextSource;
///
/// // Or `tokio::fs::File::open("message.eml").await?`.
/// let reader = Cursor::new(b"Subject: hello\n\nworld\n");
/// let mut text = AsyncReaderSource::new(reader);
/// let piece = text.poll_read(&mut Context::from_waker(Waker::noop()), 9, 5);
/// assert!(matches!(piece, std::task::Poll::Ready(Ok(piece)) if piece == "hello"));
/// ```
#[derive(Debug)]
pub struct AsyncReaderSource<R>(PolledSource<Reader<R>>);

/// A reader, and whether it was told where to go.
#[derive(Debug)]
struct Reader<R> {
    reader: R,
    seeks: bool,
}

impl<R: AsyncRead + AsyncSeek + Unpin + Send> AsyncReaderSource<R> {
    /// The text from the beginning of `reader` to its end, wherever it stands now.
    pub fn new(reader: R) -> Self {
        let seeks = false;
        Self(PolledSource::new(Reader { reader, seeks }))
    }
}

impl<R: AsyncRead + AsyncSeek + Unpin + Send> PollReader for Reader<R> {
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
        let mut reader = Pin::new(&mut self.reader);
        if !self.seeks {
            // Whatever is under way comes to its end first.
            ready!(reader.as_mut().poll_complete(cx))?;
            reader.as_mut().start_seek(to)?;
            self.seeks = true;
        }
        let reached = ready!(reader.poll_complete(cx));
        self.seeks = false;
        Poll::Ready(reached)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut chunk = ReadBuf::new(chunk);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut chunk))?;
        Poll::Ready(Ok(chunk.filled().len()))
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
