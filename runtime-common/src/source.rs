//! Message text from a reader that waits without a thread and can seek. The traits of such
//! readers are each runtime's own.

use std::{
    io::{self, SeekFrom},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use smtp_policy::text::{TextSource, must_be_polled};

/// A reader that is polled, whatever the trait that it comes with.
pub trait PollReader: Send {
    /// Goes to a position and tells it, in bytes from the beginning. Asked again with the same
    /// `to` until it is there.
    ///
    /// # Errors
    /// Those of the reader.
    fn poll_seek(&mut self, cx: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>>;

    /// Reads into `chunk`, which is not empty. Nothing is the end.
    ///
    /// # Errors
    /// Those of the reader.
    fn poll_read(&mut self, cx: &mut Context<'_>, chunk: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// Text from a [`PollReader`]. Its length is taken once, before the first piece: a file that
/// becomes shorter while it is read gives an error, not a shorter message.
#[derive(Debug)]
pub struct PolledSource<R> {
    reader: R,
    /// The position of the reader; none: unknown.
    at: Option<u64>,
    length: Option<u64>,
    /// A seek is under way.
    seeking: Option<SeekFrom>,
    buffer: BytesMut,
}

impl<R: PollReader> PolledSource<R> {
    /// The text from the beginning of `reader` to its end.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            at: None,
            length: None,
            seeking: None,
            buffer: BytesMut::new(),
        }
    }

    /// Goes where a piece begins, and finds out how long the text is; returns that.
    fn poll_place(&mut self, cx: &mut Context<'_>, offset: u64) -> Poll<io::Result<u64>> {
        loop {
            let to = match (self.seeking, self.length) {
                (Some(to), _) => to,
                (None, None) => SeekFrom::End(0),
                (None, Some(length)) if offset >= length || self.at == Some(offset) => {
                    return Poll::Ready(Ok(length));
                }
                (None, Some(_)) => SeekFrom::Start(offset),
            };
            self.seeking = Some(to);
            self.at = None;
            let reached = ready!(self.reader.poll_seek(cx, to));
            self.seeking = None;
            let reached = reached?;
            match to {
                SeekFrom::End(_) => self.length = Some(reached),
                // A reader that goes elsewhere would mix up the message.
                SeekFrom::Start(asked) if asked != reached => {
                    let why = format!("the message went to byte {reached} instead of {asked}");
                    return Poll::Ready(Err(io::Error::other(why)));
                }
                _ => {}
            }
            self.at = Some(reached);
        }
    }
}

impl<R: PollReader> TextSource for PolledSource<R> {
    fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(must_be_polled())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        let length = ready!(self.poll_place(cx, offset))?;
        let left = length.saturating_sub(offset);
        let want = usize::try_from(left).map_or(room, |left| left.min(room));
        if want == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        self.buffer.resize(want, 0);
        let read = ready!(self.reader.poll_read(cx, &mut self.buffer));
        self.at = None;
        let count = read?;
        if count == 0 {
            let why =
                format!("the message became shorter than its {length} bytes while it was read");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
        }
        self.at = Some(offset.saturating_add(count as u64));
        let count = count.min(self.buffer.len());
        Poll::Ready(Ok(self.buffer.split_to(count).freeze()))
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
mod tests {
    use super::*;
    use std::{
        io::{Cursor, Read, Seek},
        task::Waker,
    };

    /// A reader that has to be asked twice for everything.
    struct Hesitant {
        inner: Cursor<Vec<u8>>,
        asked: bool,
        /// The most that it reads at a time.
        most: usize,
        seeks: usize,
    }

    impl Hesitant {
        fn hesitates(&mut self) -> bool {
            self.asked = !self.asked;
            self.asked
        }
    }

    impl PollReader for Hesitant {
        fn poll_seek(&mut self, _: &mut Context<'_>, to: SeekFrom) -> Poll<io::Result<u64>> {
            if self.hesitates() {
                return Poll::Pending;
            }
            self.seeks += 1;
            Poll::Ready(self.inner.seek(to))
        }

        fn poll_read(&mut self, _: &mut Context<'_>, chunk: &mut [u8]) -> Poll<io::Result<usize>> {
            if self.hesitates() {
                return Poll::Pending;
            }
            let most = chunk.len().min(self.most);
            Poll::Ready(self.inner.read(&mut chunk[..most]))
        }
    }

    fn source(text: &str) -> PolledSource<Hesitant> {
        PolledSource::new(Hesitant {
            inner: Cursor::new(text.into()),
            asked: false,
            most: 3,
            seeks: 0,
        })
    }

    fn poll(
        source: &mut PolledSource<Hesitant>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        source.poll_read(&mut Context::from_waker(Waker::noop()), offset, room)
    }

    fn read(source: &mut PolledSource<Hesitant>, offset: u64, room: usize) -> io::Result<Bytes> {
        for _ in 0..10 {
            if let Poll::Ready(read) = poll(source, offset, room) {
                return read;
            }
        }
        panic!("it is never there")
    }

    #[test]
    fn pieces_in_order_need_no_seeking() {
        let mut source = source("0123456789");
        let mut text = Vec::new();
        loop {
            let chunk = read(&mut source, text.len() as u64, 100).unwrap();
            if chunk.is_empty() {
                break;
            }
            assert!(chunk.len() <= 3);
            text.extend(chunk);
        }
        assert_eq!(text, b"0123456789");
        // To the end and back to the beginning.
        assert_eq!(source.reader.seeks, 2);
    }

    #[test]
    fn another_offset_counts_whatever_was_under_way() {
        let mut source = source("0123456789");
        assert!(poll(&mut source, 0, 2).is_pending());
        assert_eq!(read(&mut source, 5, 2).unwrap(), "56");
        assert!(poll(&mut source, 7, 2).is_pending());
        assert_eq!(read(&mut source, 0, 2).unwrap(), "01");
        assert!(poll(&mut source, 4, 1).is_pending());
        assert_eq!(read(&mut source, 2, 1).unwrap(), "2");
        assert_eq!(read(&mut source, 12, 1).unwrap(), "");
    }

    #[test]
    fn a_text_that_shrinks_is_an_error_and_not_a_shorter_message() {
        let mut source = source("0123456789");
        assert_eq!(read(&mut source, 0, 3).unwrap(), "012");
        source.reader.inner.get_mut().truncate(3);
        let error = read(&mut source, 3, 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("shorter than its 10 bytes"));
    }

    #[test]
    fn whoever_does_not_wait_is_told_so() {
        assert!(source("x").read(0, 1).is_err());
    }
}
