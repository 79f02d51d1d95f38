//! Sources of message text.
//!
//! The engine asks for text by offset, because a retry on the next host begins
//! at zero again. A source answers from memory or from something that can seek.
//! A driver reads it in its loop: a source that has to wait, for a network or a disk,
//! does not do so in [`read`](TextSource::read), but implements
//! [`poll_read`](TextSource::poll_read).
//!
//! ```
//! use bytes::Bytes;
//! use smtp_policy::text::TextSource;
//!
//! let mut text = Bytes::from_static(b"Subject: hello\n\nworld\n");
//! assert_eq!(text.read(0, 7)?, "Subject");
//! assert!(text.read(22, 7)?.is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A source that another thread fills:
//!
//! ```
//! use std::{io, sync::{Arc, Mutex}, task::{Context, Poll, Waker}};
//! use bytes::Bytes;
//! use smtp_policy::text::{TextSource, must_be_polled};
//!
//! #[derive(Clone, Default)]
//! struct Later(Arc<Mutex<(Option<Bytes>, Option<Waker>)>>);
//!
//! impl Later {
//!     fn fill(&self, text: Bytes) {
//!         let mut shared = self.0.lock().unwrap();
//!         shared.0 = Some(text);
//!         if let Some(waker) = shared.1.take() {
//!             waker.wake();
//!         }
//!     }
//! }
//!
//! impl TextSource for Later {
//!     fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
//!         Err(must_be_polled())
//!     }
//!
//!     fn poll_read(&mut self, cx: &mut Context<'_>, offset: u64, room: usize) -> Poll<io::Result<Bytes>> {
//!         let mut shared = self.0.lock().unwrap();
//!         match &mut shared.0 {
//!             Some(text) => Poll::Ready(text.read(offset, room)),
//!             None => {
//!                 shared.1 = Some(cx.waker().clone());
//!                 Poll::Pending
//!             }
//!         }
//!     }
//! }
//!
//! let mut later = Later::default();
//! let mut cx = Context::from_waker(Waker::noop());
//! assert!(later.poll_read(&mut cx, 0, 5).is_pending());
//! later.fill("Subject: hello\n".into());
//! assert!(matches!(later.poll_read(&mut cx, 0, 7), Poll::Ready(Ok(chunk)) if chunk == "Subject"));
//! ```

use std::{
    io::{self, Read, Seek, SeekFrom},
    task::{Context, Poll},
};

use bytes::Bytes;

/// Message text that can be read again from any offset. Lines end in LF, or in CR LF;
/// [`Request::stray_cr`](crate::request::Request::stray_cr) says what any other CR is.
pub trait TextSource: Send {
    /// At most `room` bytes from `offset` on; an empty chunk is the end of the
    /// text. The same offset gives the same bytes each time.
    ///
    /// # Errors
    /// Whatever keeps the text from being read; the delivery to this host is
    /// then given up and its recipients are deferred. With the kind
    /// [`InvalidData`](io::ErrorKind::InvalidData) they are bounced: what is damaged will not get better.
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes>;

    /// The same for a source that may have to wait: where nothing is there yet it is
    /// [`Poll::Pending`], and `cx` is woken as soon as it is worth asking again. By default the answer
    /// is that of [`read`](Self::read), at once.
    ///
    /// It is asked for the same offset until it is there, or for another one when a delivery has
    /// begun again elsewhere. Meanwhile the server is listened to. It may be asked without having woken
    /// anybody. A source that gives nothing for as long as a server may take for a piece
    /// (`smtp_data_xfer_timeout`, 3 minutes) is given up, and the message is deferred.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        let _ = cx;
        Poll::Ready(self.read(offset, room))
    }
}

/// The answer of [`TextSource::read`] where a source has to wait: whoever drives a delivery is to
/// ask [`TextSource::poll_read`], as [`Job`](crate::driver::Job) does.
pub fn must_be_polled() -> io::Error {
    let why = "this source may have to wait, and was read as if it did not";
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// A source that is lent to one delivery after another.
impl<T: TextSource + ?Sized> TextSource for &mut T {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        (**self).read(offset, room)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        (**self).poll_read(cx, offset, room)
    }
}

/// A source of any kind.
impl<T: TextSource + ?Sized> TextSource for Box<T> {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        (**self).read(offset, room)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        (**self).poll_read(cx, offset, room)
    }
}

impl TextSource for Bytes {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).map_or(self.len(), |at| at.min(self.len()));
        let end = start.saturating_add(room).min(self.len());
        Ok(self.slice(start..end))
    }
}

/// Text from anything that reads and seeks, such as an open file.
///
/// A file that becomes shorter while it is read gives an error, not a shorter
/// message: the length is taken once, when the source is made.
#[derive(Debug)]
pub struct ReaderSource<R> {
    reader: R,
    at: u64,
    length: u64,
}

impl<R: Read + Seek> ReaderSource<R> {
    /// Takes the length of the text from the end of `reader`.
    ///
    /// # Errors
    /// The reader cannot seek.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Ok(Self {
            reader,
            at: 0,
            length,
        })
    }

    /// The length of the text in bytes when the source was made.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl<R: Read + Seek + Send> TextSource for ReaderSource<R> {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        let left = self.length.saturating_sub(offset);
        let want = usize::try_from(left).map_or(room, |left| left.min(room));
        if self.at != offset {
            self.reader.seek(SeekFrom::Start(offset))?;
            self.at = offset;
        }
        let mut chunk = vec![0; want];
        self.reader
            .read_exact(&mut chunk)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!(
                        "the message became shorter than its {} bytes while it was read",
                        self.length
                    ),
                ),
                _ => error,
            })?;
        self.at += want as u64;
        Ok(chunk.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_reader_gives_the_same_bytes_for_the_same_offset() {
        let mut source = ReaderSource::new(Cursor::new(b"one\ntwo\n".to_vec())).unwrap();
        assert_eq!(source.read(0, 5).unwrap(), "one\nt");
        assert_eq!(source.read(5, 5).unwrap(), "wo\n");
        assert_eq!(source.read(8, 5).unwrap(), "");
        assert_eq!(source.read(4, 3).unwrap(), "two");
    }

    #[test]
    fn a_text_that_shrinks_is_an_error_and_not_a_shorter_message() {
        let mut source = ReaderSource::new(Cursor::new(b"one\ntwo\n".to_vec())).unwrap();
        source.reader.get_mut().truncate(4);
        let error = source.read(0, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("shorter than its 8 bytes"));
    }

    /// A source that is never ready.
    struct Silent;

    impl TextSource for Silent {
        fn read(&mut self, _: u64, _: usize) -> io::Result<Bytes> {
            Err(must_be_polled())
        }

        fn poll_read(&mut self, _: &mut Context<'_>, _: u64, _: usize) -> Poll<io::Result<Bytes>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_source_that_does_not_wait_is_ready_when_it_is_polled() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut source = Bytes::from_static(b"text");
        let polled = source.poll_read(&mut cx, 1, 2);
        assert!(matches!(polled, Poll::Ready(Ok(chunk)) if chunk == "ex"));
    }

    #[test]
    fn a_source_that_is_lent_or_boxed_waits_as_it_does_itself() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut boxed: Box<dyn TextSource> = Box::new(Silent);
        assert!(boxed.poll_read(&mut cx, 0, 1).is_pending());
        let mut lent = &mut Silent;
        assert!(TextSource::poll_read(&mut lent, &mut cx, 0, 1).is_pending());
        let error = boxed.read(0, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
