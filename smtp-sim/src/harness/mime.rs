//! The reading of messages and their conversion to 7bit.

use arbitrary::Arbitrary;
use bytes::Bytes;
use smtp_proto::mime::{MimeOptions, MimeReader, NestingError, Part, RecordEnd, RecordReader};

use super::{chunks, read};
use crate::quoted;

/// A message grows by three characters and some line ends for each byte, and by one
/// header field for each entity, which takes a boundary of a few bytes.
const GROWTH: usize = 32;

/// A message and how it is read.
#[derive(Arbitrary, Debug)]
struct Case<'a> {
    /// Bits: structure; conversion, which takes structure too.
    what: u8,
    /// 255 is the default.
    limit: u8,
    lengths: [u8; 4],
    message: &'a [u8],
}

/// A message, read whole and in pieces, with and without conversion.
///
/// The cuts change nothing; what is not converted comes out as it went in; leaving
/// the reader where it says that it is not needed any more changes nothing; the
/// output is not much larger than the input; and a text that is declared as 8bit
/// comes out as quoted-printable lines that decode to it.
pub fn mime(input: &[u8]) {
    let Some(case) = read::<Case<'_>>(input) else {
        return;
    };
    let (options, matter) = (case.options(), case.message);
    let (parts, end) = parts(options, &mut std::iter::once(matter));
    let pieces = self::parts(options, &mut chunks(&case.lengths, matter));
    assert_eq!(
        (&parts, end),
        (&pieces.0, pieces.1),
        "the cuts change the message"
    );
    let text = lines(&parts);
    assert!(
        text.len() <= (matter.len() + 2) * GROWTH,
        "the message grows without bound"
    );
    if let Some(short_cut) = short_cut(options, matter) {
        assert_eq!(ended(short_cut), ended(text.clone()), "the short cut");
    }
    if !options.convert && is_plain(matter) {
        check_unchanged(matter, &parts, &text);
    }
    declared_eight_bit(matter);
}

impl Case<'_> {
    fn options(&self) -> MimeOptions {
        let defaults = MimeOptions::default();
        let limit = |most: usize| match self.limit {
            u8::MAX => most,
            few => few.into(),
        };
        MimeOptions {
            structure: self.what & 3 != 0,
            convert: self.what & 2 != 0,
            boundary_limit: limit(defaults.boundary_limit),
            nesting_limit: limit(defaults.nesting_limit),
            ..defaults
        }
    }
}

fn parts(
    options: MimeOptions,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> (Vec<Part>, Result<(), NestingError>) {
    let (mut records, mut reader) = (RecordReader::new(), MimeReader::new(options));
    let (mut parts, mut end) = (Vec::new(), Ok(()));
    for piece in pieces {
        records.push(Bytes::copy_from_slice(piece));
        while let Some(record) = records.next_record()
            && end.is_ok()
        {
            end = reader.record(record, &mut |part| parts.push(part));
        }
    }
    if let Some(record) = records.finish()
        && end.is_ok()
    {
        end = reader.record(record, &mut |part| parts.push(part));
    }
    let end = end.and_then(|()| reader.finish(&mut |part| parts.push(part)));
    (parts, end)
}

/// The text, if the reader is left as soon as it says that it may be.
fn short_cut(options: MimeOptions, matter: &[u8]) -> Option<Vec<u8>> {
    let (mut records, mut reader) = (RecordReader::new(), MimeReader::new(options));
    let mut parts = Vec::new();
    records.push(Bytes::copy_from_slice(matter));
    while !reader.is_transparent() {
        let record = records.next_record()?;
        reader.record(record, &mut |part| parts.push(part)).ok()?;
    }
    let mut text = lines(&parts);
    text.extend_from_slice(&records.into_rest());
    Some(text)
}

/// The parts as text with LF line ends.
fn lines(parts: &[Part]) -> Vec<u8> {
    let mut text = Vec::new();
    for part in parts {
        let (bytes, end) = match part {
            Part::Header(header) => (header.text.as_slice(), RecordEnd::Line),
            Part::Body(record) => (record.text.as_ref(), record.end),
        };
        text.extend_from_slice(bytes);
        text.extend((end == RecordEnd::Line).then_some(b'\n'));
    }
    text
}

/// The text with an end to its last line.
fn ended(mut text: Vec<u8>) -> Vec<u8> {
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    text
}

/// Whether nothing is in the text that the reader changes in a header: NULs, blanks
/// before the colon, and more than a field can hold.
fn is_plain(text: &[u8]) -> bool {
    let before_colon = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b':']);
    text.len() < MimeOptions::default().header_limit
        && !text.contains(&0)
        && !text.windows(2).any(before_colon)
}

/// What was not converted is the same, but for an empty line that ends the first
/// header where the message has none.
fn check_unchanged(matter: &[u8], parts: &[Part], text: &[u8]) {
    let expected = ended(matter.to_vec());
    let header = parts
        .iter()
        .take_while(|part| matches!(part, Part::Header(_)))
        .count();
    let at = lines(parts.get(..header).unwrap_or_default()).len();
    let (head, body) = text.split_at_checked(at).unwrap_or((text, &[]));
    let joined = [head, body.strip_prefix(b"\n").unwrap_or(body)].concat();
    assert!(
        text == expected || joined == expected,
        "a message is changed without conversion"
    );
}

/// A text that says of itself that it is 8bit.
fn declared_eight_bit(matter: &[u8]) {
    let header = b"Content-Transfer-Encoding: 8bit\n\n";
    let message = [header, matter].concat();
    let options = MimeOptions {
        convert: true,
        ..MimeOptions::default()
    };
    let (parts, end) = parts(options, &mut std::iter::once(message.as_slice()));
    assert_eq!(end, Ok(()), "there is nothing to nest");
    let text = lines(&parts);
    let body = text
        .strip_prefix(b"Content-Transfer-Encoding: quoted-printable\n\n")
        .unwrap_or_default();
    let decoded = quoted::decode(body);
    assert_eq!(decoded, Ok(ended(matter.to_vec())), "the text is another");
}
