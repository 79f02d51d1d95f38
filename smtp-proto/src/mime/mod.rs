//! Message text as header fields and body records, and its conversion from 8bit
//! to 7bit. It is not a mail parser: it knows as much of MIME as is needed to
//! find header fields, parts and their encodings, keeps nothing but the field it
//! is in and the boundaries around it, and passes everything on.
//!
//! ```text
//!  chunks ─▶ RecordReader ─▶ records ─▶ MimeReader ─▶ Part::Header, Part::Body
//! ```
//!
//! RFC 2045, 2046; Postfix's `src/global/mime_state.c`, whose view of malformed
//! messages this is.
//!
//! ```
//! use bytes::Bytes;
//! use smtp_proto::mime::{HeaderClass, MimeOptions, MimeReader, Part, RecordReader};
//!
//! let (mut records, mut parts) = (RecordReader::new(), Vec::new());
//! let mut reader = MimeReader::new(MimeOptions { convert: true, ..MimeOptions::default() });
//! records.push(Bytes::from_static(
//!     b"Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe\n",
//! ));
//! while let Some(record) = records.next_record() {
//!     reader.record(record, &mut |part| parts.push(part))?;
//! }
//! reader.finish(&mut |part| parts.push(part))?;
//! let [Part::Header(kind), Part::Header(encoding), Part::Body(_), Part::Body(line)] = &parts[..]
//! else { panic!() };
//! assert_eq!((kind.class, kind.text.as_slice()), (HeaderClass::Primary, &b"Content-Type: text/plain"[..]));
//! assert_eq!(encoding.text, b"Content-Transfer-Encoding: quoted-printable");
//! assert_eq!(line.text, b"Gr=C3=BC=C3=9Fe"[..]);
//! # Ok::<(), smtp_proto::mime::NestingError>(())
//! ```

mod encode;
mod entity;
mod header;
mod scan;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use self::entity::{Boundaries, Domain, Entity, Media};
pub use self::{
    encode::QuotedPrintable,
    header::{HeaderRole, KnownHeader, header_name_len, known_header},
    scan::{RECORD_LIMIT, Record, RecordEnd, RecordReader},
};

/// What a [`MimeReader`] does, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MimeOptions {
    /// Whether the structure of the message is followed. Without it, all that
    /// comes after the first header is body.
    pub structure: bool,
    /// Whether 8-bit text is converted to quoted-printable, and labelled so.
    /// It also makes too deep nesting an error.
    pub convert: bool,
    /// From this many bytes on, no more lines are added to a header field; they are
    /// left out (`header_size_limit`). It can be exceeded by less than one record.
    pub header_limit: usize,
    /// How many bytes of a boundary are kept and compared
    /// (`mime_boundary_length_limit`).
    pub boundary_limit: usize,
    /// How many multiparts can be inside each other beyond the outermost one
    /// (`mime_nesting_limit`).
    pub nesting_limit: usize,
}

impl Default for MimeOptions {
    /// Postfix's limits; the structure is followed and nothing converted.
    fn default() -> Self {
        Self {
            structure: true,
            convert: false,
            header_limit: 102_400,
            boundary_limit: 2048,
            nesting_limit: 100,
        }
    }
}

/// A piece of a message, in the order of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A header field.
    Header(Header),
    /// A record of a body: text, boundaries, the empty line before it.
    Body(Record),
}

/// A header field with all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it is.
    pub class: HeaderClass,
    /// What its name means; `None` also for a field that the conversion has made.
    pub known: Option<&'static KnownHeader>,
    /// The field. Its lines are joined by LF, blanks before the colon are left
    /// out. A line with a NUL ends there.
    pub text: Vec<u8>,
}

/// Which header a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderClass {
    /// That of the message.
    Primary,
    /// That of a part of a multipart.
    Multipart,
    /// That of an attached message.
    Nested,
}

/// Multiparts are nested deeper than [`MimeOptions::nesting_limit`] in a message
/// that is to be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestingError;

impl fmt::Display for NestingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MIME nesting exceeds safety limit")
    }
}

impl core::error::Error for NestingError {}

/// Reads a message record by record and gives its parts to a closure. See the
/// [module](self).
///
/// Every record comes out in the part in which it belongs, with these
/// exceptions: `Name :` becomes `Name:`; a line in the first header that is none
/// of it ends the header, with an empty line put before it; what is too
/// long for a header field is left out; and what the conversion changes.
#[derive(Debug)]
pub struct MimeReader {
    options: MimeOptions,
    block: Block,
    entity: Entity,
    boundaries: Boundaries,
    /// The field that may go on in the next record.
    field: Vec<u8>,
    encoder: QuotedPrintable,
    previous: Option<RecordEnd>,
}

/// What the next record is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Header(HeaderClass),
    Body,
}

/// Whom the parts are given to.
type Emit<'a> = &'a mut dyn FnMut(Part);

impl MimeReader {
    /// A reader at the start of a message.
    pub fn new(options: MimeOptions) -> Self {
        Self {
            options,
            block: Block::Header(HeaderClass::Primary),
            entity: Entity::TEXT,
            boundaries: Boundaries::new(options.boundary_limit, options.nesting_limit),
            field: Vec::new(),
            encoder: QuotedPrintable::new(),
            previous: None,
        }
    }

    /// Reads the next record.
    ///
    /// # Errors
    /// Too deep nesting, if the message is to be converted. There is no way on.
    pub fn record(&mut self, record: Record, emit: Emit<'_>) -> Result<(), NestingError> {
        if let Block::Header(class) = self.block {
            if self.continues_field(&record) {
                self.extend_field(&record);
                self.previous = Some(record.end);
                return Ok(());
            }
            self.end_field(class, emit)?;
            if let Some(len) = header_name_len(&record.text) {
                self.begin_field(&record.text, len);
                self.previous = Some(record.end);
                return Ok(());
            }
            self.end_header(class, record.text.is_empty(), emit);
        }
        self.previous = Some(self.body(record, emit));
        Ok(())
    }

    /// Ends the message: brings out what was waiting for more.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn finish(&mut self, emit: Emit<'_>) -> Result<(), NestingError> {
        if self.previous == Some(RecordEnd::Fragment) {
            let end = Record {
                text: Bytes::new(),
                end: RecordEnd::Line,
            };
            self.record(end, emit)?;
        }
        if let Block::Header(class) = self.block {
            self.end_field(class, emit)?;
            self.announce_encoding(class, emit);
            self.block = Block::Body;
        }
        Ok(())
    }

    /// Whether all that follows is passed on as it is, so that it needs no
    /// reading. It is said at the start of a line only, and holds for good.
    pub fn is_transparent(&self) -> bool {
        self.block == Block::Body
            && self.boundaries.is_empty()
            && self.previous == Some(RecordEnd::Line)
            && !self.converts()
    }

    /// Whether the entity that the reader is in has to be converted.
    fn converts(&self) -> bool {
        self.options.convert && self.entity.domain != Domain::SevenBit
    }

    fn continues_field(&self, record: &Record) -> bool {
        let folded = matches!(record.text.first(), Some(b' ' | b'\t'));
        !self.field.is_empty() && (self.previous == Some(RecordEnd::Fragment) || folded)
    }

    fn begin_field(&mut self, text: &[u8], name_len: usize) {
        let (name, rest) = text.split_at_checked(name_len).unwrap_or((text, &[]));
        let value = memchr::memchr(b':', rest)
            .and_then(|at| rest.get(at..))
            .unwrap_or_default();
        self.field.extend_from_slice(name);
        self.field.extend_from_slice(until_nul(value));
    }

    fn extend_field(&mut self, record: &Record) {
        if self.field.len() < self.options.header_limit {
            if self.previous != Some(RecordEnd::Fragment) {
                self.field.push(b'\n');
            }
            self.field.extend_from_slice(until_nul(&record.text));
        }
    }

    /// The field is complete: learns from it, and passes it on, except for an
    /// encoding that the conversion will change.
    fn end_field(&mut self, class: HeaderClass, emit: Emit<'_>) -> Result<(), NestingError> {
        if self.field.is_empty() {
            return Ok(());
        }
        let text = core::mem::take(&mut self.field);
        let known = known_header(&text);
        let name = known.map_or("", |known| known.name);
        // The name, the colon.
        let value = text.get(name.len() + 1..).unwrap_or_default();
        let is_encoding = name == header::CONTENT_TRANSFER_ENCODING;
        if self.options.structure && name == header::CONTENT_TYPE {
            let fits = self.entity.read_type(value, &mut self.boundaries);
            if !fits && self.options.convert {
                return Err(NestingError);
            }
        } else if self.options.structure && is_encoding {
            self.entity.read_encoding(value);
        }
        if !(is_encoding && self.converts()) {
            emit(Part::Header(Header { class, known, text }));
        }
        self.previous = None;
        Ok(())
    }

    /// Says how an entity is encoded that the conversion changes.
    fn announce_encoding(&self, class: HeaderClass, emit: Emit<'_>) {
        if !self.converts() {
            return;
        }
        let text = match self.entity.media {
            Media::Multipart | Media::Message | Media::Rfc822 => {
                &b"Content-Transfer-Encoding: 7bit"[..]
            }
            Media::Leaf | Media::Global => b"Content-Transfer-Encoding: quoted-printable",
        };
        emit(Part::Header(Header {
            class,
            known: None,
            text: text.to_vec(),
        }));
    }

    /// The header is over: finds out what follows it.
    fn end_header(&mut self, class: HeaderClass, separated: bool, emit: Emit<'_>) {
        self.announce_encoding(class, emit);
        self.block = Block::Body;
        if separated {
            match self.entity.media {
                Media::Global if self.converts() => {}
                Media::Rfc822 | Media::Global => {
                    self.block = Block::Header(HeaderClass::Nested);
                    self.entity = Entity::TEXT;
                }
                // The preamble.
                Media::Multipart => self.entity = Entity::TEXT,
                Media::Message | Media::Leaf => {}
            }
        } else if class == HeaderClass::Primary {
            emit(Part::Body(Record {
                text: Bytes::new(),
                end: RecordEnd::Line,
            }));
        }
    }

    /// A record of a body: looks for a boundary, and passes it on.
    fn body(&mut self, record: Record, emit: Emit<'_>) -> RecordEnd {
        let end = record.end;
        if self.previous != Some(RecordEnd::Fragment)
            && let Some(found) = self.boundaries.find(&record.text)
        {
            self.block = match found {
                Some(_) => Block::Header(HeaderClass::Multipart),
                // The epilogue.
                None => Block::Body,
            };
            self.entity = found.unwrap_or(Entity::TEXT);
        }
        if self.converts() {
            let line = |text: Vec<u8>| Record {
                text: text.into(),
                end: RecordEnd::Line,
            };
            self.encoder
                .record(&record.text, end, &mut |text| emit(Part::Body(line(text))));
        } else {
            emit(Part::Body(record));
        }
        end
    }
}

/// Text of a header field ends at a NUL.
fn until_nul(text: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}
