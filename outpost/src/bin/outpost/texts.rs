//! Message texts that are read once more: for a digest, and to go out with another header.

use std::io;

use bytes::Bytes;
use outpost::{
    Message, TextSource,
    message::{Scan, Text},
};
use sha2::{Digest, Sha256};

/// The number of bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// A text with another header than the one that it came with.
#[derive(Clone, Debug)]
struct Headed {
    head: Bytes,
    /// The text behind it, from an offset on.
    rest: Text,
    from: u64,
}

impl TextSource for Headed {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        match offset.checked_sub(self.head.len() as u64) {
            Some(behind) => self.rest.read(self.from.saturating_add(behind), room),
            None => self.head.read(offset, room),
        }
    }
}

/// A message with `head` in the place of the first bytes of a text, `from` of them.
///
/// # Errors
/// The text, which is looked at once more, cannot be read.
pub(crate) fn with_head(head: Bytes, rest: Text, from: u64) -> io::Result<Message> {
    let mut text = Headed { head, rest, from };
    let mut scan = Scan::default();
    each_chunk(&mut text, |chunk| scan.push(chunk))?;
    Ok(Message::from_source(scan.finish(), move || text.clone()))
}

/// The SHA-256 digest of a message text, in hexadecimal.
///
/// # Errors
/// The text cannot be read.
pub(crate) fn digest(message: &Message) -> io::Result<String> {
    let mut hash = Sha256::new();
    each_chunk(&mut message.text(), |chunk| hash.update(chunk))?;
    let mut digest = String::with_capacity(64);
    for byte in hash.finalize() {
        digest.push_str(&format!("{byte:02x}"));
    }
    Ok(digest)
}

/// Reads a text to its end.
fn each_chunk(text: &mut impl TextSource, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut offset = 0;
    loop {
        let chunk = text.read(offset, CHUNK)?;
        if chunk.is_empty() {
            return Ok(());
        }
        offset += chunk.len() as u64;
        each(&chunk);
    }
}
