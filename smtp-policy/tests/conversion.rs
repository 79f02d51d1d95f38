//! Messages that were converted to 7bit, read by a MIME parser that is not ours:
//! they have the same parts with the same content as before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bytes::Bytes;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;
use smtp_proto::mime::{MimeOptions, MimeReader, Part, RecordEnd, RecordReader};

/// A message or a part of one.
#[derive(Clone, Debug)]
enum Entity {
    /// Type, encoding, text.
    Leaf(&'static str, &'static str, String),
    /// Subtype, parts.
    Multipart(&'static str, Vec<Entity>),
    /// An attached message.
    Message(Box<Entity>),
}

impl Entity {
    /// The lines of the entity. `level` makes boundaries different.
    fn write(&self, level: usize, out: &mut String) {
        match self {
            Self::Leaf(kind, encoding, text) => {
                out.push_str(&format!(
                    "Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{text}"
                ));
            }
            Self::Multipart(subtype, parts) => {
                let boundary = format!("=_b{level}_=");
                out.push_str(&format!(
                    "Content-Transfer-Encoding: 8bit\nContent-Type: multipart/{subtype};\n\t\
                     boundary=\"{boundary}\"\n\nPr\u{e4}ambel\n"
                ));
                for (number, part) in parts.iter().enumerate() {
                    out.push_str(&format!("\n--{boundary}\n"));
                    part.write(level * 10 + number + 1, out);
                }
                out.push_str(&format!("\n--{boundary}--\n"));
            }
            Self::Message(inner) => {
                out.push_str("Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n");
                out.push_str("Subject: inner\nMIME-Version: 1.0\n");
                inner.write(level * 10, out);
            }
        }
    }
}

fn leaf() -> impl Strategy<Value = Entity> {
    let eight_bit = (
        prop::sample::select(vec![
            "text/plain; charset=utf-8",
            "text/html; charset=\"utf-8\"",
            "application/octet-stream",
        ]),
        prop::sample::select(vec!["8bit", "binary", "8BIT"]),
        "([ -~\t\u{a0}-\u{2ff}=.]{0,120}\n){0,6}",
    )
        .prop_map(|(kind, encoding, text)| Entity::Leaf(kind, encoding, text));
    let encoded = prop::sample::select(vec![
        ("base64", "R3LDvMOfZQ==\n"),
        ("quoted-printable", "Gr=C3=BC=C3=9Fe=\n, soft\n"),
        ("7bit", "plain = text\n"),
    ])
    .prop_map(|(encoding, text)| {
        Entity::Leaf("text/plain; charset=utf-8", encoding, text.to_owned())
    });
    prop_oneof![3 => eight_bit, 1 => encoded]
}

fn entity() -> impl Strategy<Value = Entity> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let subtypes = prop::sample::select(vec!["mixed", "alternative", "related"]);
        prop_oneof![
            (subtypes, prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(subtype, parts)| Entity::Multipart(subtype, parts)),
            // The parser cannot read a message that is nothing but another message.
            inner.prop_map(|inner| match inner {
                Entity::Message(_) => Entity::Multipart("mixed", vec![inner]),
                inner => Entity::Message(Box::new(inner)),
            }),
        ]
    })
}

fn converted(message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut emit = |part: Part| {
        let (text, end) = match part {
            Part::Header(header) => (Bytes::from(header.text), RecordEnd::Line),
            Part::Body(record) => (record.text, record.end),
        };
        out.extend_from_slice(&text);
        out.extend((end == RecordEnd::Line).then_some(b'\n'));
    };
    let options = MimeOptions {
        convert: true,
        ..MimeOptions::default()
    };
    let (mut records, mut reader) = (RecordReader::new(), MimeReader::new(options));
    records.push(Bytes::copy_from_slice(message.as_bytes()));
    while let Some(record) = records.next_record() {
        reader.record(record, &mut emit).unwrap();
    }
    if let Some(record) = records.finish() {
        reader.record(record, &mut emit).unwrap();
    }
    reader.finish(&mut emit).unwrap();
    out
}

/// The types and the content of all parts, attached messages included.
fn parts(message: &Message<'_>) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for part in &message.parts {
        let kind = part.content_type().map_or("none".into(), |kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
        });
        match &part.body {
            PartType::Message(inner) => {
                all.push((kind, Vec::new()));
                all.extend(parts(inner));
            }
            PartType::Multipart(children) => {
                all.push((kind, children.len().to_string().into_bytes()));
            }
            _ => all.push((kind, part.contents().to_vec())),
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_converted_message_says_the_same(entity in entity()) {
        let mut message = String::from("Subject: outer\nMIME-Version: 1.0\n");
        entity.write(1, &mut message);
        let converted = converted(&message);
        let read = |bytes: &[u8]| MessageParser::new().parse(bytes).map(|message| parts(&message));
        let (before, after) = (read(message.as_bytes()), read(&converted));
        prop_assert!(before.is_some());
        prop_assert_eq!(before, after, "{}", String::from_utf8_lossy(&converted));
        for line in converted.split(|byte| *byte == b'\n') {
            // The text before the first part is in no encoding, and nobody's to read.
            let preamble = line == "Pr\u{e4}ambel".as_bytes();
            prop_assert!(line.is_ascii() || preamble);
        }
    }
}
