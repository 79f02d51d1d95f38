//! The header of a message: fields that the command line replaces or adds, those that are
//! for the sender alone, and the addresses in it.
//!
//! It is split into fields as Postfix does (`src/global/is_header.c`): the first line that
//! neither has a name before a colon nor begins with white space ends it.

pub(crate) mod addresses;
pub(crate) mod field;

use anyhow::{Context, bail};
use bytes::Bytes;
use outpost::{Message, TextSource, message::Text};

use self::field::Field;
use crate::texts::with_head;

/// The most bytes of a header that is looked into.
const LIMIT: usize = 1024 * 1024;
/// The number of bytes of a text read at a time.
const CHUNK: usize = 64 * 1024;

/// The fields of a header as they stand, each with its line ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    fields: Vec<Bytes>,
    /// The length in bytes.
    length: u64,
    /// True if an empty line follows, or nothing at all.
    ends_well: bool,
}

impl Header {
    /// Reads the header of a text whose lines end in LF.
    ///
    /// # Errors
    /// The text cannot be read, or its header is longer than 1 MiB.
    pub(crate) fn read(text: &mut Text) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        loop {
            let chunk = text.read(bytes.len() as u64, CHUNK)?;
            let is_last = chunk.is_empty();
            bytes.extend_from_slice(&chunk);
            if let Some(header) = Self::parse(&bytes, is_last) {
                return Ok(header);
            }
            if bytes.len() > LIMIT {
                bail!("its header is longer than 1 MiB");
            }
        }
    }

    /// The header, unless it goes on behind these bytes.
    fn parse(bytes: &[u8], is_whole: bool) -> Option<Self> {
        let mut fields: Vec<Vec<u8>> = Vec::new();
        let mut length = 0;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').peekable();
        let ends_well = loop {
            let Some(line) = lines.next() else {
                break is_whole.then_some(true);
            };
            if !is_whole && (!line.ends_with(b"\n") || lines.peek().is_none()) {
                break None;
            }
            match (line, fields.last_mut()) {
                (b"\n", _) => break Some(true),
                ([b' ' | b'\t', ..], Some(field)) => field.extend_from_slice(line),
                _ if name(line).is_some() => fields.push(line.to_vec()),
                _ => break Some(false),
            }
            length += line.len() as u64;
        }?;
        Some(Self {
            fields: fields.into_iter().map(Bytes::from).collect(),
            length,
            ends_well,
        })
    }

    /// The bytes of the header, without the empty line behind it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.fields {
            bytes.extend_from_slice(field);
            if !field.ends_with(b"\n") {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    /// The values of the fields of this name, unfolded.
    pub(crate) fn values(&self, wanted: &str) -> impl Iterator<Item = String> {
        let fields = self.fields.iter().filter(move |field| is(field, wanted));
        fields.map(|field| {
            let colon = field.iter().position(|byte| *byte == b':');
            let value = colon.and_then(|colon| field.get(colon + 1..));
            let value = String::from_utf8_lossy(value.unwrap_or_default());
            value.replace('\n', "").trim().to_owned()
        })
    }

    /// Takes the fields of this name out. Returns whether there was one.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|field| !is(field, name));
        self.fields.len() < before
    }

    /// Puts these fields in the place of all that have their names.
    pub(crate) fn replace(&mut self, new: &[Field]) {
        let mut done: Vec<&str> = Vec::new();
        for field in new {
            let name = field.name();
            if done.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            done.push(name);
            let same = new
                .iter()
                .filter(|other| other.name().eq_ignore_ascii_case(name));
            let lines: Vec<Bytes> = same.map(Field::lines).collect();
            let place = self.fields.iter().position(|old| is(old, name));
            self.remove(name);
            let place = place.unwrap_or(self.fields.len()).min(self.fields.len());
            self.fields.splice(place..place, lines);
        }
    }

    /// Adds fields at the end.
    pub(crate) fn add(&mut self, new: &[Field]) {
        self.fields.extend(new.iter().map(Field::lines));
    }
}

/// Puts another header in the place of that of a message, which `old` is.
pub(crate) fn exchange(message: Message, old: &Header, new: &Header) -> anyhow::Result<Message> {
    let mut head = new.bytes();
    let is_followed = message.facts().length > old.length;
    if !old.ends_well && is_followed && !head.is_empty() {
        head.push(b'\n');
    }
    with_head(head.into(), message.text(), old.length).context("cannot read the message again")
}

fn is(field: &[u8], wanted: &str) -> bool {
    name(field).is_some_and(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The name of a field, from the first of its lines.
fn name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is_name = name.iter().all(|byte| matches!(byte, b'!'..=b'~'));
    (is_name && !name.is_empty()).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl Fn(&mut Header)) -> String {
        let message = Message::exact(text.as_bytes().to_vec());
        let old = Header::read(&mut message.text()).unwrap();
        let mut new = old.clone();
        edit(&mut new);
        let message = exchange(message, &old, &new).unwrap();
        let mut text = message.text();
        // In small pieces, from the beginning to the end.
        let mut out = Vec::new();
        loop {
            let chunk = text.read(out.len() as u64, 3).unwrap();
            if chunk.is_empty() {
                break;
            }
            out.extend_from_slice(&chunk);
        }
        assert_eq!(message.facts().length, out.len() as u64);
        assert_eq!(message.facts(), Message::exact(out.clone()).facts());
        String::from_utf8(out).unwrap()
    }

    fn fields(texts: &[&str]) -> Vec<Field> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn fields_are_replaced_where_they_were_and_others_stay() {
        let text = "A: 1\nSubject: x\n y\nB: 2\nsubject: z\n\nbody\n";
        for (new, expected) in [
            (&["Subject: new"][..], "A: 1\nSubject: new\nB: 2\n\nbody\n"),
            (
                &["SUBJECT: new", "subject: two"],
                "A: 1\nSUBJECT: new\nsubject: two\nB: 2\n\nbody\n",
            ),
            (
                &["C: 3"],
                "A: 1\nSubject: x\n y\nB: 2\nsubject: z\nC: 3\n\nbody\n",
            ),
        ] {
            let new = fields(new);
            assert_eq!(edited(text, |header| header.replace(&new)), expected);
        }
        let added = edited(text, |header| header.add(&fields(&["A: 4", "Ü: 5"][..1])));
        assert_eq!(
            added,
            "A: 1\nSubject: x\n y\nB: 2\nsubject: z\nA: 4\n\nbody\n"
        );
    }

    #[test]
    fn a_message_without_a_header_gets_one_and_an_empty_line() {
        let new = fields(&["A: b"]);
        for (text, expected) in [
            ("", "A: b\n"),
            ("\nbody\n", "A: b\n\nbody\n"),
            ("no header\n", "A: b\n\nno header\n"),
            ("C: d", "C: d\nA: b\n"),
            ("C: d\nno header\n", "C: d\nA: b\n\nno header\n"),
            ("From x y\nC: d\n", "A: b\n\nFrom x y\nC: d\n"),
        ] {
            assert_eq!(
                edited(text, |header| header.replace(&new)),
                expected,
                "{text:?}"
            );
        }
        assert_eq!(edited("C: d\nno header\n", |_| ()), "C: d\n\nno header\n");
    }

    #[test]
    fn a_header_is_found_in_pieces_and_has_a_limit() {
        let big = format!("A: {}\nBcc: x\n\nbody", "y".repeat(3 * CHUNK));
        let out = edited(&big, |header| assert!(header.remove("bcc")));
        assert_eq!(out.len(), big.len() - "Bcc: x\n".len());
        let endless = Message::exact(b"A: b\n".repeat(LIMIT / 4));
        assert!(Header::read(&mut endless.text()).is_err());
    }
}
