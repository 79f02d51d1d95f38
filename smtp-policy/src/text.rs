//! Where message text comes from.
//!
//! The engine asks for text by offset, because a retry on the next host begins
//! at zero again. A source answers from memory or from something that can seek;
//! it is expected to be quick, since a driver reads it in its loop.
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

use std::io::{self, Read, Seek, SeekFrom};

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
}

/// A source that is lent to one delivery after another.
impl<T: TextSource + ?Sized> TextSource for &mut T {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        (**self).read(offset, room)
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
}
