//! The reader as a whole: what comes out of messages, whatever their shape, and
//! that it does not matter in which pieces they come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use alloc::{format, string::String, vec, vec::Vec};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// What comes out of a message, in words: [`marked`] as text.
fn read(chunks: &[&[u8]], options: MimeOptions) -> Result<Vec<String>, NestingError> {
    Ok(marked(chunks, options)?
        .iter()
        .map(|part| String::from_utf8_lossy(part).into())
        .collect())
}

/// What comes out of a message: header fields with a letter for their class
/// before them, body lines with a blank, fragments with a plus. A fragment may
/// end within a character, so that only bytes can be compared and put together.
fn marked(chunks: &[&[u8]], options: MimeOptions) -> Result<Vec<Vec<u8>>, NestingError> {
    let mut parts = Vec::new();
    let mut records = RecordReader::new();
    let mut reader = MimeReader::new(options);
    for chunk in chunks {
        records.push(Bytes::copy_from_slice(chunk));
        while let Some(record) = records.next_record() {
            reader.record(record, &mut |part| parts.push(part))?;
        }
    }
    if let Some(record) = records.finish() {
        reader.record(record, &mut |part| parts.push(part))?;
    }
    reader.finish(&mut |part| parts.push(part))?;
    Ok(parts.iter().map(show).collect())
}

fn show(part: &Part) -> Vec<u8> {
    let (mark, text) = match part {
        Part::Header(header) => {
            let class = match header.class {
                HeaderClass::Primary => b'P',
                HeaderClass::Multipart => b'M',
                HeaderClass::Nested => b'N',
            };
            (class, header.text.as_slice())
        }
        Part::Body(Record {
            text,
            end: RecordEnd::Line,
        }) => (b' ', text.as_ref()),
        Part::Body(Record {
            text,
            end: RecordEnd::Fragment,
        }) => (b'+', text.as_ref()),
    };
    [&[mark], text].concat()
}

const CONVERT: MimeOptions = MimeOptions {
    structure: true,
    convert: true,
    header_limit: 102_400,
    boundary_limit: 2048,
    nesting_limit: 100,
};
const READ: MimeOptions = MimeOptions {
    convert: false,
    ..CONVERT
};
const HEADER_ONLY: MimeOptions = MimeOptions {
    structure: false,
    ..READ
};

fn assert_reads(options: MimeOptions, message: &str, want: &[&str]) {
    assert_eq!(
        read(&[message.as_bytes()], options).unwrap(),
        want,
        "{message}"
    );
}

#[test]
fn without_anything_to_do_all_lines_come_out_in_their_places() {
    for options in [READ, HEADER_ONLY, CONVERT] {
        assert_reads(
            options,
            "A: b\n\tc\nD : e\n\nx: y\n--z\n",
            &["PA: b\n\tc", "PD: e", " ", " x: y", " --z"],
        );
    }
}

#[test]
fn a_line_that_is_no_header_ends_the_header() {
    assert_reads(
        READ,
        "A: b\nno header\nC: d\n",
        &["PA: b", " ", " no header", " C: d"],
    );
    assert_reads(READ, "no header\n", &[" ", " no header"]);
    // In a part no line is put before it: that would change what was signed.
    assert_reads(
        READ,
        "Content-Type: multipart/x; boundary=b\n\n--b\nA: b\nno header\n--b--\n",
        &[
            "PContent-Type: multipart/x; boundary=b",
            " ",
            " --b",
            "MA: b",
            " no header",
            " --b--",
        ],
    );
}

#[test]
fn messages_that_end_early_come_out_whole() {
    for (message, want) in [
        ("", vec![]),
        ("A: b", vec!["PA: b"]),
        ("A: b\n c", vec!["PA: b\n c"]),
        ("A: b\n\nx", vec!["PA: b", " ", "+x", " "]),
        ("\n", vec![" "]),
    ] {
        assert_reads(READ, message, &want);
    }
    assert_reads(
        CONVERT,
        "Content-Transfer-Encoding: 8bit",
        &["PContent-Transfer-Encoding: quoted-printable"],
    );
    assert_reads(
        CONVERT,
        "Content-Transfer-Encoding: 8bit\n\n\u{e9}",
        &[
            "PContent-Transfer-Encoding: quoted-printable",
            " ",
            " =C3=A9",
        ],
    );
}

#[test]
fn the_class_of_a_header_is_where_it_is() {
    let message = "Content-Type: multipart/mixed; boundary=\"b\"\n\nX: preamble\n--b\n\
                   Content-Type: message/rfc822\n\nA: nested\n\nX: text\n--b\nB: part\n\n--b--\nX: y\n";
    assert_reads(
        READ,
        message,
        &[
            "PContent-Type: multipart/mixed; boundary=\"b\"",
            " ",
            " X: preamble",
            " --b",
            "MContent-Type: message/rfc822",
            " ",
            "NA: nested",
            " ",
            " X: text",
            " --b",
            "MB: part",
            " ",
            " --b--",
            " X: y",
        ],
    );
    assert!(
        read(&[message.as_bytes()], HEADER_ONLY).unwrap()[1..]
            .iter()
            .all(|p| p.starts_with(' '))
    );
}

#[test]
fn parts_of_a_digest_are_messages() {
    let message = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: nested\n\n--b\n\
                   Content-Type: application/x\n\nB: nested\n--b\nContent-Type: text/plain\n\nC: no\n";
    let parts = read(&[message.as_bytes()], READ).unwrap();
    assert!(parts.contains(&"NA: nested".into()));
    assert!(parts.contains(&"NB: nested".into()));
    assert!(parts.contains(&" C: no".into()));
}

#[test]
fn each_entity_is_converted_as_its_type_demands() {
    // (type, encoding, new encoding, whether the text is encoded)
    for (kind, encoding, label, encoded) in [
        ("text/plain", "8bit", Some("quoted-printable"), true),
        ("text/plain", "binary", Some("quoted-printable"), true),
        (
            "application/x",
            "(a) 8BIT (b)",
            Some("quoted-printable"),
            true,
        ),
        ("text/plain", "7bit", None, false),
        ("text/plain", "base64", None, false),
        ("text/plain", "Quoted-Printable", None, false),
        ("text/plain", "x-other", None, false),
        ("text/plain", "\"8bit\"", None, false),
        ("message/global", "8bit", Some("quoted-printable"), true),
        ("message/partial", "8bit", Some("7bit"), true),
        ("message/rfc822", "8bit", Some("7bit"), false),
        ("multipart/mixed; boundary=b", "8bit", Some("7bit"), false),
        ("multipart/mixed", "8bit", Some("7bit"), false),
    ] {
        for swap in [false, true] {
            let mut fields = [
                format!("Content-Type: {kind}\n"),
                format!("Content-Transfer-Encoding: {encoding}\n"),
            ];
            if swap {
                fields.reverse();
            }
            let message = format!("{}\n\u{e9}\n", fields.concat());
            let parts = read(&[message.as_bytes()], CONVERT).unwrap();
            let labels: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.strip_prefix("PContent-Transfer-Encoding: "))
                .collect();
            assert_eq!(labels, [label.unwrap_or(encoding)], "{kind} {encoding}");
            let text = if encoded { " =C3=A9" } else { " \u{e9}" };
            assert_eq!(parts.last().unwrap(), text, "{kind} {encoding}");
        }
    }
}

#[test]
fn what_is_not_labelled_is_not_converted() {
    assert_reads(CONVERT, "A: b\n\n\u{e9}\n", &["PA: b", " ", " \u{e9}"]);
}

#[test]
fn a_boundary_ends_the_multiparts_inside() {
    let message = "Content-Type: multipart/a; boundary=a\n\n--a\nContent-Type: multipart/b; boundary=b\n\n\
                   --b\n\n--a junk\nA: b\n\n--b\nX: y\n--a--\n--a\n";
    let parts = read(&[message.as_bytes()], READ).unwrap();
    assert_eq!(
        parts[7..],
        [" --a junk", "MA: b", " ", " --b", " X: y", " --a--", " --a"]
    );
}

#[test]
fn a_boundary_is_looked_for_at_the_start_of_a_line_only() {
    let long = "x".repeat(RECORD_LIMIT);
    let message = format!("Content-Type: multipart/a; boundary=a\n\n{long}--a\nX: y\n");
    assert_reads(
        READ,
        &message,
        &[
            "PContent-Type: multipart/a; boundary=a",
            " ",
            &format!("+{long}"),
            " --a",
            " X: y",
        ],
    );
}

#[test]
fn a_long_boundary_is_compared_as_far_as_it_is_kept() {
    let long = "b".repeat(10_000);
    let kept = MimeOptions {
        boundary_limit: 10,
        ..READ
    };
    let message = format!("Content-Type: multipart/a; boundary={long}\n\n--bbbbbbbbbb?\nA: b\n");
    assert_eq!(
        read(&[message.as_bytes()], kept).unwrap().last().unwrap(),
        "MA: b"
    );
    assert_eq!(
        read(&[message.as_bytes()], READ).unwrap().last().unwrap(),
        " A: b"
    );
}

#[test]
fn a_header_without_end_is_cut() {
    let limit = MimeOptions {
        header_limit: 1000,
        ..READ
    };
    let mut message = String::from("A: b\n");
    for _ in 0..100 {
        message.push_str(&format!(" {}\n", "x".repeat(2000)));
    }
    message.push_str("C: d\n");
    let parts = read(&[message.as_bytes()], limit).unwrap();
    assert_eq!(parts.len(), 2);
    assert!(parts[0].len() < 1000 + RECORD_LIMIT + 10);
    assert_eq!(parts[1], "PC: d");
    let line = format!("A: {}", "y".repeat(1_000_000));
    assert!(read(&[line.as_bytes()], limit).unwrap()[0].len() < 1000 + RECORD_LIMIT + 10);
}

#[test]
fn a_nul_ends_the_line_of_a_header() {
    assert_reads(
        READ,
        "A: b\0c\n d\0e\n\0: x\n",
        &["PA: b\n d", " ", " \0: x"],
    );
}

/// A multipart in a multipart, and so on.
fn nested(depth: usize) -> String {
    let mut message = String::new();
    for level in 0..depth {
        message.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{level}-\n\n--b{level}-\n"
        ));
    }
    message + "Content-Transfer-Encoding: 8bit\n\n\u{e9}\n"
}

#[test]
fn a_thousand_levels_are_an_error_only_if_they_must_be_converted() {
    let fits = |depth: usize, options| read(&[nested(depth).as_bytes()], options);
    assert_eq!(fits(102, CONVERT).unwrap().last().unwrap(), " =C3=A9");
    assert_eq!(fits(103, CONVERT), Err(NestingError));
    assert_eq!(fits(1000, CONVERT), Err(NestingError));
    assert_eq!(fits(1000, READ).unwrap().last().unwrap(), " \u{e9}");
    let none = MimeOptions {
        nesting_limit: 0,
        ..CONVERT
    };
    assert_eq!(fits(2, none).unwrap().last().unwrap(), " =C3=A9");
    assert_eq!(fits(3, none), Err(NestingError));
}

#[test]
fn many_boundaries_in_one_field_are_nesting_too() {
    let message = format!(
        "Content-Type: multipart/a{}\n\n",
        "; boundary=b".repeat(1000)
    );
    assert_eq!(read(&[message.as_bytes()], CONVERT), Err(NestingError));
    assert_eq!(read(&[message.as_bytes()], READ).unwrap().len(), 2);
}

#[test]
fn a_reader_with_nothing_to_look_for_says_so() {
    let transparent = |options, message: &str| {
        let mut records = RecordReader::new();
        let mut reader = MimeReader::new(options);
        records.push(Bytes::copy_from_slice(message.as_bytes()));
        while let Some(record) = records.next_record() {
            reader.record(record, &mut |_| {}).unwrap();
        }
        reader.is_transparent()
    };
    let multipart = "Content-Type: multipart/a; boundary=b\n\n";
    let eight_bit = "Content-Transfer-Encoding: 8bit\n\n";
    for (options, message, want) in [
        (READ, "A: b\n", false),
        (READ, "A: b\n\n", true),
        (READ, "no header\n", true),
        (READ, multipart, false),
        (HEADER_ONLY, multipart, true),
        (READ, &format!("{multipart}--b--\n"), true),
        (READ, eight_bit, true),
        (CONVERT, eight_bit, false),
        (READ, &format!("\n{}", "x".repeat(RECORD_LIMIT + 1)), false),
    ] {
        assert_eq!(transparent(options, message), want, "{message}");
    }
}

/// Lines that messages are made of, whether they make sense or not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b\n".into()),
        Just("Content-Type: message/rfc822\n".into()),
        Just("Content-Type: text/plain\n".into()),
        Just("Content-Transfer-Encoding: 8bit\n".into()),
        Just("--b\n".into()),
        Just("--b--\n".into()),
        Just("\n".into()),
        Just("A : b\n".into()),
        "[ \t]x{0,3}\n",
        "[\u{e9}=. ]{0,90}\n",
        "x{2040,2060}",
    ]
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        lines in proptest::collection::vec(line(), 0..12),
        cuts in proptest::collection::vec(0_usize..9000, 0..6),
        convert: bool,
    ) {
        let message = lines.concat();
        let message = message.as_bytes();
        let options = MimeOptions { convert, ..READ };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.sort_unstable();
        let mut chunks = vec![];
        let mut from = 0;
        for cut in cuts {
            chunks.push(&message[from..cut]);
            from = cut;
        }
        chunks.push(&message[from..]);
        let bytes: Vec<&[u8]> = message.chunks(1).collect();
        let whole = marked(&[message], options);
        prop_assert_eq!(&marked(&chunks, options), &whole);
        prop_assert_eq!(&marked(&bytes, options), &whole);
    }

    #[test]
    fn reading_twice_changes_nothing_more(lines in proptest::collection::vec(line(), 0..12)) {
        let once = marked(&[lines.concat().as_bytes()], READ).unwrap();
        let text = |parts: &[Vec<u8>]| {
            let mut text = Vec::new();
            for part in parts {
                text.extend(&part[1..]);
                text.extend((part[0] != b'+').then_some(b'\n'));
            }
            text
        };
        let twice = marked(&[&text(&once)], READ).unwrap();
        prop_assert_eq!(text(&twice), text(&once));
    }
}
