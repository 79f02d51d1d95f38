//! The header of a message that is submitted with `-t`: its recipients, and the text without what is for the sender alone
//! (RFC 5322 section 3.6.3; sendmail(1) and cleanup(8) of Postfix).

use std::io;

use anyhow::{Context, bail};
use bytes::Bytes;
use outpost::{
    Address, Message, TextSource, address,
    message::{Scan, Text},
};

/// The most bytes of a header.
const LIMIT: usize = 1024 * 1024;
/// The number of bytes of a text that are read at a time.
const CHUNK: usize = 64 * 1024;
/// Fields with recipients.
const RECIPIENTS: [&str; 3] = ["to", "cc", "bcc"];
const RESENT: [&str; 3] = ["resent-to", "resent-cc", "resent-bcc"];
/// Fields that no message takes along.
const DROPPED: [&str; 2] = ["bcc", "resent-bcc"];

/// A message with the recipients that its header named.
pub(crate) struct Extracted {
    pub(crate) message: Message,
    pub(crate) recipients: Vec<Address>,
}

/// Takes the recipients out of a header.
///
/// # Errors
/// A field has something in it that is no address; the header has no end; the text cannot be read.
pub(crate) fn extract(message: Message) -> anyhow::Result<Extracted> {
    let head = read(&mut message.text())?;
    let fields = fields(&head);
    let is_resent = fields
        .iter()
        .any(|field| RESENT.contains(&field.name.as_str()));
    let names = if is_resent { RESENT } else { RECIPIENTS };
    let mut recipients = Vec::new();
    for field in fields
        .iter()
        .filter(|field| names.contains(&field.name.as_str()))
    {
        let value = std::str::from_utf8(field.value).with_context(|| field.name.clone())?;
        let found = address::parse_list(value).with_context(|| field.name.clone())?;
        recipients.extend(found);
    }
    let mut kept = Vec::with_capacity(head.len());
    for field in fields
        .iter()
        .filter(|field| !DROPPED.contains(&field.name.as_str()))
    {
        kept.extend_from_slice(field.bytes);
    }
    let message = match kept.len() == head.len() {
        true => message,
        false => with_head(kept.into(), message.text(), head.len() as u64)
            .context("cannot read the message again")?,
    };
    Ok(Extracted {
        message,
        recipients,
    })
}

/// A field with its continuation lines.
struct Field<'a> {
    /// In lower case.
    name: String,
    /// All of it.
    bytes: &'a [u8],
    /// The bytes behind the colon.
    value: &'a [u8],
}

/// The bytes of a header, whose lines end in LF: all up to an empty line, or up to one that is no field.
fn read(text: &mut Text) -> anyhow::Result<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let chunk = text.read(bytes.len() as u64, CHUNK)?;
        bytes.extend_from_slice(&chunk);
        let length: usize = fields(&bytes).iter().map(|field| field.bytes.len()).sum();
        // Behind the last field there is a line that ends the header, and it is whole.
        let behind = bytes.get(length..).unwrap_or_default();
        if chunk.is_empty() || behind.contains(&b'\n') {
            bytes.truncate(length);
            return Ok(bytes);
        }
        if bytes.len() > LIMIT {
            bail!("the header is longer than {LIMIT} bytes");
        }
    }
}

fn fields(bytes: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while let Some(length) = field_length(rest) {
        let (field, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let Some(colon) = field.iter().position(|byte| *byte == b':') else {
            break;
        };
        let (name, value) = field.split_at_checked(colon).unwrap_or_default();
        let is_name = |name: &[u8]| name.iter().all(|byte| matches!(byte, b'!'..=b'~'));
        let name = name.trim_ascii_end();
        if name.is_empty() || !is_name(name) {
            break;
        }
        fields.push(Field {
            name: String::from_utf8_lossy(name).to_lowercase(),
            bytes: field,
            value: value.get(1..).unwrap_or_default(),
        });
        rest = behind;
    }
    fields
}

/// The length of the first line, and of those that continue it; none where there is no line.
fn field_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if length > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            break;
        }
        length += line.len();
    }
    (length > 0).then_some(length)
}

/// A text with another header than the one that it came with.
#[derive(Clone, Debug)]
struct Headed {
    head: Bytes,
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

fn with_head(head: Bytes, rest: Text, from: u64) -> io::Result<Message> {
    let mut text = Headed { head, rest, from };
    let mut scan = Scan::default();
    let mut offset = 0;
    loop {
        let chunk = text.read(offset, CHUNK)?;
        if chunk.is_empty() {
            break;
        }
        offset += chunk.len() as u64;
        scan.push(&chunk);
    }
    Ok(Message::from_source(scan.finish(), move || text.clone()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn extracted(text: &str) -> anyhow::Result<(String, Vec<String>)> {
        let found = extract(Message::exact(text.as_bytes().to_vec()))?;
        let mut source = found.message.text();
        let mut all = Vec::new();
        loop {
            let chunk = source.read(all.len() as u64, 7)?;
            if chunk.is_empty() {
                break;
            }
            all.extend_from_slice(&chunk);
        }
        let to = found.recipients.iter().map(|one| one.as_str().to_owned());
        Ok((String::from_utf8(all)?, to.collect()))
    }

    #[test]
    fn recipients_are_found_and_bcc_goes() {
        let text = "To: Ann <a@x>,\n b@y\nBcc: c@z\nCc: d@w\nSubject: hi\n\nTo: e@v\n";
        let (left, to) = extracted(text).unwrap();
        assert_eq!(left, text.replace("Bcc: c@z\n", ""));
        assert_eq!(to, ["a@x", "b@y", "c@z", "d@w"]);
        let (_, to) = extracted("To: a@x\nResent-To: b@y\n\n").unwrap();
        assert_eq!(to, ["b@y"]);
        assert_eq!(extracted("no header\nTo: a@x\n").unwrap().1, [""; 0]);
        assert_eq!(extracted("").unwrap().1, [""; 0]);
        assert_eq!(extracted("To: a@x").unwrap().1, ["a@x"]);
        let why = extracted("To: John Doe\n\n").err().unwrap();
        assert!(
            format!("{why:#}").starts_with("to: 'John Doe': "),
            "{why:#}"
        );
    }

    #[test]
    fn a_header_is_found_in_pieces_and_has_a_limit() {
        let long = format!("A: {}\nBcc: a@x\n\nbody\n", "y".repeat(3 * CHUNK));
        let (left, to) = extracted(&long).unwrap();
        assert_eq!(left, long.replace("Bcc: a@x\n", ""));
        assert_eq!(to, ["a@x"]);
        assert!(extracted(&"A: b\n".repeat(LIMIT / 4)).is_err());
    }
}
