//! Messages: a text from wherever it is kept, and the [`Facts`] that its envelope has to tell.
//!
//! A message is not composed here: its bytes go out as they came, but for line ends. It is looked at
//! once, when it is made, so that nobody has to know its size or what kinds of bytes are in it. A
//! retry at another server reads the text again from its start.
//!
//! ```
//! use outpost::Message;
//!
//! let message = Message::from("Subject: gr\u{fc}\u{df}e\r\n\r\nHello.\r\n");
//! assert_eq!(message.facts().size, 28);
//! assert!(message.facts().header_utf8);
//! ```
//!
//! | kept | made with |
//! |---|---|
//! | in memory | `Message::from` a string or bytes |
//! | in a file | [`Message::open`]; a big file is read where it is |
//! | in a stream | [`Message::read`], on tokio `Message::read_async` |
//! | somewhere else | [`Message::from_source`] |

mod facts;
mod text;

use std::{
    env, error, fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use smtp_policy::{
    line_ends::{LineEnds, StrayCr},
    text::TextSource,
};

pub use self::{
    facts::{Facts, Scan},
    text::Text,
};
use crate::{SizeLimit, spool::Spool};

/// The size in bytes from which a file is read where it is.
const IN_PLACE: u64 = 1024 * 1024;
/// The number of bytes that are read at a time.
const CHUNK: usize = 64 * 1024;

/// The limits and rules for a message that comes from outside.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Intake {
    /// The fate of a CR that ends no line. By default a blank takes its place, as in Postfix
    /// (`cleanup_replace_stray_cr_lf`).
    pub stray_cr: StrayCr,
    /// The most bytes; 256 MiB by default.
    pub limit: SizeLimit,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            stray_cr: StrayCr::Replace,
            limit: SizeLimit::mebibytes(256),
        }
    }
}

/// A message: its text, which can be read again and again, and its [`Facts`]. Clones share the text.
#[derive(Clone, Debug)]
pub struct Message {
    text: Text,
    facts: Facts,
}

impl Message {
    /// Opens a message file. CRLF line ends become LF, a CR that ends no line becomes a blank.
    ///
    /// # Errors
    /// The file cannot be read, or has more than 256 MiB.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MessageError> {
        Self::open_with(path, Intake::default())
    }

    /// The same with other limits and rules.
    ///
    /// # Errors
    /// The file cannot be read, or is not as `intake` wants it.
    pub fn open_with(path: impl AsRef<Path>, intake: Intake) -> Result<Self, MessageError> {
        let path = path.as_ref();
        Self::open_file(path, intake).map_err(|error| error.with_origin(path.display()))
    }

    /// Reads a message to its end. Line ends are read as by [`open`](Self::open). Text beyond
    /// 1 MiB is kept in a temporary file where the feature `spool` is on.
    ///
    /// # Errors
    /// Reading fails, or there are more than 256 MiB.
    pub fn read(reader: impl Read) -> Result<Self, MessageError> {
        Self::read_with(reader, Intake::default())
    }

    /// The same with other limits and rules.
    ///
    /// # Errors
    /// Reading fails, or the text is not as `intake` wants it.
    pub fn read_with(reader: impl Read, intake: Intake) -> Result<Self, MessageError> {
        let mut intaken = Intaken::new(intake);
        for_each_chunk(reader, |chunk| intaken.push(chunk).map(|()| true))?;
        intaken.finish()
    }

    /// Reads a message to its end from a reader of tokio's, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// Reading fails, or there are more than 256 MiB.
    #[cfg(feature = "tokio")]
    pub async fn read_async(
        mut reader: impl tokio::io::AsyncRead + Unpin,
    ) -> Result<Self, MessageError> {
        use std::{future::poll_fn, pin::Pin};

        let mut intaken = Intaken::new(Intake::default());
        let mut chunk = vec![0; CHUNK];
        loop {
            let mut room = tokio::io::ReadBuf::new(&mut chunk);
            poll_fn(|cx| Pin::new(&mut reader).poll_read(cx, &mut room)).await?;
            match room.filled() {
                [] => return intaken.finish(),
                read => intaken.push(read)?,
            }
        }
    }

    /// Takes text byte for byte. Its lines end in LF, and every CR is data.
    pub fn exact(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        Self {
            facts: Facts::of(&text),
            text: Text::memory(text),
        }
    }

    /// A message of which only the [`Facts`] are known here; `make` makes a source of its text for each
    /// delivery, whose lines end in LF. [`Scan`] finds the facts out. The source may be one that is
    /// [awaited](TextSource::poll_read).
    pub fn from_source<S: TextSource + 'static>(
        facts: Facts,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        let text = Text::made(Arc::new(move || Box::new(make())));
        Self { text, facts }
    }

    /// The facts about the text.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The text, to be read from its start.
    pub fn text(&self) -> Text {
        self.text.clone()
    }

    /// The text and the facts.
    pub fn into_parts(self) -> (Text, Facts) {
        (self.text, self.facts)
    }

    fn open_file(path: &Path, intake: Intake) -> Result<Self, MessageError> {
        let mut file = File::open(path)?;
        let data = file.metadata()?;
        if data.is_file() {
            intake.limit.check(data.len())?;
        }
        if data.is_file()
            && data.len() > IN_PLACE
            && let Some(facts) = facts_in_place(&mut file)?
        {
            let text = Text::file(file)?;
            return Ok(Self { text, facts });
        }
        Self::read_with(file, intake)
    }

    /// Takes text in memory whose lines end in LF or CR LF.
    fn normal(text: Bytes) -> Self {
        if !text.contains(&b'\r') {
            return Self::exact(text);
        }
        let mut line_ends = LineEnds::new(StrayCr::Replace);
        let mut normal = Vec::with_capacity(text.len());
        for piece in [text, Bytes::new()] {
            // A stray CR is replaced, so that there is no error.
            normal.extend_from_slice(&line_ends.push(piece).unwrap_or_default());
        }
        Self::exact(normal)
    }
}

/// Text in memory, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
impl From<Bytes> for Message {
    fn from(text: Bytes) -> Self {
        Self::normal(text)
    }
}

/// Text in memory, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
impl From<Vec<u8>> for Message {
    fn from(text: Vec<u8>) -> Self {
        Self::normal(text.into())
    }
}

/// Text in memory, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::normal(text.into())
    }
}

/// A copy of the text, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::normal(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// A copy of the text, whose lines end in LF or CR LF; a CR that ends no line becomes a blank.
impl From<&[u8]> for Message {
    fn from(text: &[u8]) -> Self {
        Self::normal(Bytes::copy_from_slice(text))
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

/// A message that is being read.
#[derive(Debug)]
pub(crate) struct Intaken {
    intake: Intake,
    scan: Scan,
    line_ends: LineEnds,
    taken: u64,
    kept: Spool,
}

impl Intaken {
    /// The start of a message.
    pub(crate) fn new(intake: Intake) -> Self {
        Self {
            intake,
            scan: Scan::default(),
            line_ends: LineEnds::new(intake.stray_cr),
            taken: 0,
            kept: Spool::default(),
        }
    }

    /// Takes the next bytes; none is the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), MessageError> {
        self.taken += bytes.len() as u64;
        self.intake.limit.check(self.taken)?;
        let text = self.line_ends.push(Bytes::copy_from_slice(bytes));
        let text = text.map_err(|stray| io::Error::new(io::ErrorKind::InvalidData, stray))?;
        self.scan.push(&text);
        self.kept.write(&text).map_err(MessageError::spooling)
    }

    /// The message that was taken.
    pub(crate) fn finish(mut self) -> Result<Message, MessageError> {
        self.push(&[])?;
        Ok(Message {
            text: self.kept.into_text().map_err(MessageError::spooling)?,
            facts: self.scan.finish(),
        })
    }
}

/// The facts of a file that can be used as it is, or `None` when it has a CR. The file
/// is left at its start.
fn facts_in_place(file: &mut File) -> Result<Option<Facts>, MessageError> {
    let mut scan = Scan::default();
    let mut unchanged = true;
    for_each_chunk(&mut *file, |chunk| {
        unchanged = !chunk.contains(&b'\r');
        scan.push(chunk);
        Ok(unchanged)
    })?;
    file.seek(SeekFrom::Start(0))?;
    Ok(unchanged.then(|| scan.finish()))
}

/// Reads to the end, or until `take` wants no more.
fn for_each_chunk(
    mut reader: impl Read,
    mut take: impl FnMut(&[u8]) -> Result<bool, MessageError>,
) -> Result<(), MessageError> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                if !take(chunk.get(..read).unwrap_or_default())? {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A message that cannot be read. Its [source](error::Error::source) is the reason.
#[derive(Debug)]
pub struct MessageError {
    /// The file, or another place that the message comes from.
    origin: Option<String>,
    /// The place of what was read already refuses more.
    spooling: bool,
    cause: io::Error,
}

impl MessageError {
    /// Names the origin of the message: what follows "cannot read the message".
    #[must_use]
    pub fn with_origin(mut self, origin: impl fmt::Display) -> Self {
        self.origin = Some(origin.to_string());
        self
    }

    fn spooling(cause: io::Error) -> Self {
        Self {
            spooling: true,
            ..cause.into()
        }
    }
}

impl From<io::Error> for MessageError {
    fn from(cause: io::Error) -> Self {
        Self {
            origin: None,
            spooling: false,
            cause,
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read the message")?;
        if let Some(origin) = &self.origin {
            write!(f, " {origin}")?;
        }
        match self.spooling {
            true => write!(f, ": cannot keep it in {}", env::temp_dir().display()),
            false => Ok(()),
        }
    }
}

impl error::Error for MessageError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::error::Error;

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
            let facts = Facts::of(text.as_bytes());
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
            let dropwise = Message::read_with(Drop(text.as_bytes()), Intake::default()).unwrap();
            assert_eq!(*dropwise.facts(), facts, "{text:?} byte by byte");
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
            Message::read_with(Drop(text), intake)
        };
        let replaced = read(StrayCr::Replace).unwrap();
        assert_eq!(all(replaced.text()), b"A: b\n\nx y \nz ");
        let passed = read(StrayCr::Pass).unwrap();
        assert_eq!(all(passed.text()), b"A: b\n\nx\ry\r\nz\r");
        assert_eq!(replaced.facts(), passed.facts(), "as long, and of one SIZE");
        let error = read(StrayCr::Refuse).unwrap_err();
        let error = error.source().unwrap().to_string();
        assert!(error.starts_with("line 3 of the message has"), "{error}");
    }

    #[test]
    fn text_from_a_request_stays_as_it_is() {
        let message = Message::exact(&b"A: b\r\n"[..]);
        assert_eq!(all(message.text()), b"A: b\r\n");
    }

    #[test]
    fn a_big_text_goes_to_a_file_and_is_the_same_again() {
        let big = b"0123456789abcdef\n".repeat(100_000);
        let message = Message::read_with(big.as_slice(), Intake::default()).unwrap();
        assert!(!message.text().is_in_memory());
        assert_eq!(all(message.text()), big);
        assert_eq!(all(message.text()), big, "a second time");
        assert_eq!(message.facts().size, big.len() as u64 + 100_000);
    }
}
