//! Message text from wherever the user keeps it, with what the envelope says
//! about it.
//!
//! A retry on another host reads the text again from the start, so text from a
//! pipe is spooled: in memory up to [`IN_MEMORY`], beyond that in a temporary
//! file. A big regular file is read where it is.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use bytes::Bytes;
use smtp_policy::{
    line_ends::{LineEnds, StrayCr},
    text::{ReaderSource, TextSource},
};

use crate::size::SizeLimit;

/// The biggest text that is kept in memory, in bytes.
const IN_MEMORY: u64 = 1024 * 1024;
/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// The limits and rules for a message that comes from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Intake {
    /// The fate of a CR that ends no line.
    pub(crate) stray_cr: StrayCr,
    /// The most bytes.
    pub(crate) limit: SizeLimit,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            stray_cr: StrayCr::Replace,
            limit: SizeLimit::mebibytes(256),
        }
    }
}

/// A message: its text, which can be read again and again, and its [`Facts`].
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Where the text is read from.
    pub(crate) text: Text,
    /// What the text is like.
    pub(crate) facts: Facts,
}

/// Text in memory or in a file. Clones share the file.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// In memory.
    Memory(Bytes),
    /// In a file, which may have no name any more.
    File(Arc<Mutex<ReaderSource<File>>>),
}

impl TextSource for Text {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => TextSource::read(bytes, offset, room),
            Self::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .read(offset, room),
        }
    }
}

impl Message {
    /// Takes text that is in memory, byte for byte.
    pub(crate) fn exact(bytes: Vec<u8>) -> Self {
        let mut scan = Scan::default();
        scan.push(&bytes);
        Self {
            facts: scan.finish(),
            text: Text::Memory(bytes.into()),
        }
    }

    /// Opens a message file as a person gives it. CRLF line ends become LF, as
    /// Postfix sendmail(1) does (`sendmail_fix_line_endings = always`); `intake` says
    /// what any other CR becomes. No CR that means a line end is left in the text.
    pub(crate) fn open(path: &Path, intake: Intake) -> anyhow::Result<Self> {
        let cannot = || format!("cannot read the message {}", path.display());
        let mut file = File::open(path).with_context(cannot)?;
        let data = file.metadata().with_context(cannot)?;
        if data.is_file() {
            intake.limit.check(data.len()).with_context(cannot)?;
        }
        if data.is_file()
            && data.len() > IN_MEMORY
            && let Some(facts) = facts_in_place(&mut file).with_context(cannot)?
        {
            return Self::on_file(file, facts).with_context(cannot);
        }
        Self::spool(file, intake).with_context(cannot)
    }

    /// Takes all of a stream, with its line ends read as by [`Message::open`].
    pub(crate) fn spool(mut stream: impl Read, intake: Intake) -> anyhow::Result<Self> {
        let mut scan = Scan::default();
        let mut line_ends = LineEnds::new(intake.stray_cr);
        let mut taken = 0;
        let mut kept = tempfile::spooled_tempfile(IN_MEMORY as usize);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match stream.read(&mut chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let bytes = chunk.get(..read).unwrap_or_default();
            taken += bytes.len() as u64;
            intake.limit.check(taken)?;
            let text = line_ends.push(Bytes::copy_from_slice(bytes))?;
            scan.push(&text);
            kept.write_all(&text)
                .with_context(|| format!("cannot keep it in {}", std::env::temp_dir().display()))?;
            if read == 0 {
                break;
            }
        }
        match kept.into_inner() {
            tempfile::SpooledData::InMemory(cursor) => Ok(Self {
                text: Text::Memory(cursor.into_inner().into()),
                facts: scan.finish(),
            }),
            tempfile::SpooledData::OnDisk(file) => Ok(Self::on_file(file, scan.finish())?),
        }
    }

    fn on_file(file: File, facts: Facts) -> io::Result<Self> {
        Ok(Self {
            text: Text::File(Arc::new(Mutex::new(ReaderSource::new(file)?))),
            facts,
        })
    }
}

/// The facts of a file that can be used as it is, or `None` when it has a CR. The file
/// is left at its start.
fn facts_in_place(file: &mut File) -> io::Result<Option<Facts>> {
    let mut scan = Scan::default();
    let mut chunk = vec![0; CHUNK];
    let mut unchanged = true;
    while unchanged {
        let read = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = chunk.get(..read).unwrap_or_default();
        unchanged = !bytes.contains(&b'\r');
        scan.push(bytes);
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(unchanged.then(|| scan.finish()))
}

/// What the envelope says about a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The length in bytes as it stands.
    pub(crate) length: u64,
    /// The length in bytes when every line ends in CRLF: the value of `SIZE=`.
    pub(crate) size: u64,
    /// Whether a byte above 127 occurs.
    pub(crate) eight_bit: bool,
    /// Whether one occurs in the header.
    pub(crate) header_utf8: bool,
}

/// Where in the header the scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    #[default]
    LineStart,
    /// In what may be a header name.
    Name,
    /// After the colon, or in a continued line.
    Value,
    /// Past the header.
    Body,
}

/// Looks at a text as it passes by, in any chunks.
#[derive(Debug, Default)]
struct Scan {
    facts: Facts,
    place: Place,
    open_line: bool,
}

impl Scan {
    fn push(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.open_line = *last != b'\n';
        let line_ends = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.facts.length += bytes.len() as u64;
        self.facts.size += (bytes.len() + line_ends) as u64;
        self.facts.eight_bit |= !bytes.is_ascii();
        for byte in bytes {
            if self.place == Place::Body {
                break;
            }
            self.header_byte(*byte);
        }
    }

    /// A line that neither begins with white space nor has a name before a
    /// colon ends the header, as in Postfix (`src/global/is_header.c`).
    fn header_byte(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (Place::LineStart, b'\n') => Place::Body,
            (Place::LineStart, b' ' | b'\t') => Place::Value,
            (Place::LineStart | Place::Name, b':') => Place::Value,
            (Place::LineStart | Place::Name, b'!'..=b'~' | b' ' | b'\t') => Place::Name,
            (Place::LineStart | Place::Name, _) => Place::Body,
            (Place::Value, b'\n') => Place::LineStart,
            (place, _) => place,
        };
        self.facts.header_utf8 |= self.place == Place::Value && !byte.is_ascii();
    }

    fn finish(mut self) -> Facts {
        if self.open_line {
            self.facts.size += 2;
        }
        self.facts
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives its bytes one by one.
    struct Drop<'a>(&'a [u8]);

    impl Read for Drop<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            *into.first_mut().unwrap() = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn all(mut text: Text) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let chunk = text.read(out.len() as u64, 1000).unwrap();
            if chunk.is_empty() {
                return out;
            }
            out.extend_from_slice(&chunk);
        }
    }

    #[test]
    fn facts_say_what_the_envelope_needs() {
        let cases: &[(&str, u64, bool, bool)] = &[
            ("", 0, false, false),
            ("Subject: hello\n\nworld\n", 25, false, false),
            ("Subject: hello\n\nworld", 25, false, false),
            ("Subject: gr\u{fc}n\n\nworld\n", 25, true, true),
            ("Subject: a\n gr\u{fc}n\n\nx\n", 25, true, true),
            ("Subject: hello\n\ngr\u{fc}n\n", 25, true, false),
            ("no header gr\u{fc}n\n", 17, true, false),
            ("A: b\nno header gr\u{fc}n: x\n", 26, true, false),
        ];
        for (text, size, eight_bit, header_utf8) in cases {
            let facts = Message::exact(text.as_bytes().to_vec()).facts;
            let length = text.len() as u64;
            assert_eq!(
                facts,
                Facts {
                    length,
                    size: *size,
                    eight_bit: *eight_bit,
                    header_utf8: *header_utf8
                },
                "{text:?}"
            );
            let dropwise = Message::spool(Drop(text.as_bytes()), Intake::default()).unwrap();
            assert_eq!(dropwise.facts, facts, "{text:?} byte by byte");
        }
    }

    #[test]
    fn crlf_becomes_lf_and_a_stray_carriage_return_what_is_wanted() {
        let text = b"A: b\r\n\r\nx\ry\r\r\nz\r";
        let read = |stray_cr| {
            let intake = Intake {
                stray_cr,
                ..Intake::default()
            };
            Message::spool(Drop(text), intake)
        };
        let replaced = read(StrayCr::Replace).unwrap();
        assert_eq!(all(replaced.text), b"A: b\n\nx y \nz ");
        let passed = read(StrayCr::Pass).unwrap();
        assert_eq!(all(passed.text), b"A: b\n\nx\ry\r\nz\r");
        assert_eq!(replaced.facts, passed.facts, "as long, and of one SIZE");
        let error = read(StrayCr::Refuse).unwrap_err().to_string();
        assert!(error.starts_with("line 3 of the message has"), "{error}");
    }

    #[test]
    fn text_from_a_request_stays_as_it_is() {
        let message = Message::exact(b"A: b\r\n".to_vec());
        assert_eq!(all(message.text), b"A: b\r\n");
    }

    #[test]
    fn a_big_text_goes_to_a_file_and_is_the_same_again() {
        let big = b"0123456789abcdef\n".repeat(100_000);
        let message = Message::spool(big.as_slice(), Intake::default()).unwrap();
        assert!(matches!(message.text, Text::File(_)));
        assert_eq!(all(message.text.clone()), big);
        assert_eq!(all(message.text), big, "a second time");
        assert_eq!(message.facts.size, big.len() as u64 + 100_000);
    }
}
