//! Facts about a message text that its envelope has to tell: its size on the wire, and what kinds
//! of bytes are in it.

use smtp_policy::request::{Encoding, Request};

/// Facts about a text that its envelope states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The length in bytes as it stands.
    pub length: u64,
    /// The length in bytes when every line ends in CRLF: the value of `SIZE=`.
    pub size: u64,
    /// True if a byte above 127 occurs.
    pub eight_bit: bool,
    /// True if one occurs in the header.
    pub header_utf8: bool,
}

impl Facts {
    /// The facts of a text in memory whose lines end in LF.
    pub fn of(text: &[u8]) -> Self {
        let mut scan = Scan::default();
        scan.push(text);
        scan.finish()
    }

    /// The value of `BODY=` for this text.
    pub const fn encoding(&self) -> Encoding {
        match self.eight_bit {
            true => Encoding::EightBit,
            false => Encoding::SevenBit,
        }
    }

    /// Tells a request what it has to know about the text. A size that it has already stays.
    pub fn describe(&self, request: &mut Request) {
        request.size = request.size.or(Some(self.size));
        request.encoding = self.encoding();
        request.header_utf8 = self.header_utf8;
    }
}

/// The place of the scan in the header.
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

/// Looks at a text as it passes by, in any pieces. Lines end in LF.
///
/// ```
/// use outpost::message::Scan;
///
/// let mut scan = Scan::default();
/// scan.push(b"Subject: hello\n\nwor");
/// scan.push(b"ld\n");
/// assert_eq!(scan.finish().size, 25);
/// ```
#[derive(Debug, Default)]
pub struct Scan {
    facts: Facts,
    place: Place,
    open_line: bool,
}

impl Scan {
    /// Looks at the next piece; none of its lines needs to be whole.
    pub fn push(&mut self, bytes: &[u8]) {
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

    /// The facts of all that was looked at.
    pub fn finish(mut self) -> Facts {
        if self.open_line {
            self.facts.size += 2;
        }
        self.facts
    }
}
