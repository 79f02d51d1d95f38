//! The text of a queue file for the delivery engine, which asks by offset.

use std::io;

use bytes::{Bytes, BytesMut};
use smtp_policy::text::TextSource;

use super::content::{Content, ContentStep};

/// The text of a message, from a function that reads the file at an offset: as many bytes as it
/// is asked for, or fewer, and none at the end.
///
/// A corrupt file is an error of the kind [`InvalidData`](io::ErrorKind::InvalidData) with the
/// [`Corruption`](super::Corruption) inside.
#[derive(Clone, Debug)]
pub struct ContentText<R> {
    read: R,
    /// The offset in the file of the first record of the text.
    begin: u64,
    content: Content,
    /// The offset in the text of the first byte of `rest`.
    at: u64,
    /// Text that was read and not asked for yet.
    rest: Bytes,
}

impl<R: FnMut(u64, usize) -> io::Result<Bytes>> ContentText<R> {
    /// The text that begins with the record at `offset`, which the request tells.
    pub fn new(read: R, offset: u64) -> Self {
        Self {
            read,
            begin: offset,
            content: Content::new(offset),
            at: 0,
            rest: Bytes::new(),
        }
    }

    /// The next piece of text; none at the end.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(core::mem::take(&mut self.rest)));
        }
        loop {
            match self.content.poll() {
                ContentStep::Read { offset, length } => {
                    let bytes = (self.read)(offset, length)?;
                    self.content.read(bytes);
                }
                ContentStep::Text(bytes) => return Ok(Some(bytes)),
                ContentStep::End => return Ok(None),
                ContentStep::Corrupt(fault) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
                }
            }
        }
    }

    /// Takes up to `count` bytes off a piece, and keeps what is left of it.
    fn take(&mut self, mut piece: Bytes, count: usize) -> Bytes {
        let taken = piece.split_to(count.min(piece.len()));
        self.rest = piece;
        self.pass(taken.len());
        taken
    }

    fn pass(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(count);
    }

    /// Goes to an offset in the text, from the beginning if it lies behind; false if the text
    /// ends before it.
    fn seek(&mut self, offset: u64) -> io::Result<bool> {
        if offset < self.at {
            self.content = Content::new(self.begin);
            self.at = 0;
            self.rest = Bytes::new();
        }
        while self.at < offset {
            let Some(piece) = self.piece()? else {
                return Ok(false);
            };
            let skip = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
            self.take(piece, skip);
        }
        Ok(true)
    }
}

impl<R: FnMut(u64, usize) -> io::Result<Bytes> + Send> TextSource for ContentText<R> {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        if !self.seek(offset)? {
            return Ok(Bytes::new());
        }
        let mut text = BytesMut::new();
        while text.len() < room {
            if self.rest.is_empty() {
                let there = text.len();
                self.content.copy_lines(&mut text, room);
                self.pass(text.len() - there);
            }
            if text.len() >= room {
                break;
            }
            let Some(piece) = self.piece()? else {
                break;
            };
            let taken = self.take(piece, room - text.len());
            text.extend_from_slice(&taken);
        }
        Ok(text.freeze())
    }
}
