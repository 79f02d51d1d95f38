//! The reply reader: tables of what Postfix makes of odd replies, and the
//! properties that hold for any bytes in any chunking.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::Arc;

use proptest::prelude::*;
use smtp_proto::{
    FilterFailure, LineFilter, Reply, ReplyError, ReplyLimits, ReplyNote, ReplyReader, ReplyText,
};

type Read = (Vec<Result<Reply, ReplyError>>, Vec<ReplyNote>, usize);

/// Reads all replies from `bytes`, which come in pieces that end at the given places.
fn read_with(mut reader: ReplyReader, bytes: &[u8], cuts: &[usize]) -> Read {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.push(bytes.len());
    cuts.sort_unstable();
    let (mut replies, mut from) = (Vec::new(), 0);
    for to in cuts {
        reader.push(&bytes[from..to]);
        replies.extend(std::iter::from_fn(|| reader.next()));
        from = to;
    }
    (replies, reader.take_notes(), reader.buffered())
}

fn read(bytes: &[u8]) -> (Vec<Reply>, Vec<ReplyNote>) {
    let reader = ReplyReader::new(ReplyLimits::default(), None);
    let (replies, notes, _) = read_with(reader, bytes, &[]);
    (replies.into_iter().map(Result::unwrap).collect(), notes)
}

#[test]
fn odd_replies_are_read_as_postfix_reads_them() {
    for (bytes, code, status, text, irregular) in [
        (&b"250 Ok\r\n"[..], 250, "2.0.0", "250 Ok", false),
        (b"550\r\n", 550, "5.0.0", "550", false),
        (b"550 \r\n", 550, "5.0.0", "550 ", false),
        (b"550 5.1.1\n", 550, "5.1.1", "550 5.1.1", false),
        (b"250 bare\n", 250, "2.0.0", "250 bare", false),
        (b"250 many\r\r\r\n", 250, "2.0.0", "250 many", false),
        (
            b"250-a\r\n550 5.1.2 b\r\n",
            550,
            "5.1.2",
            "250-a\n550 5.1.2 b",
            false,
        ),
        (
            b"550-5.1.1 a\r\n550 b\r\n",
            550,
            "5.0.0",
            "550-5.1.1 a\n550 b",
            false,
        ),
        (
            b"what\r\n250 2.1.5 Ok\r\n",
            250,
            "2.1.5",
            "what\n250 2.1.5 Ok",
            true,
        ),
        (b"\r\n250 Ok\r\n", 250, "2.0.0", "250 Ok", true),
        (
            b"250_x\r\n25 y\r\n2500 z\r\n250 Ok\r\n",
            250,
            "2.0.0",
            "250_x\n25 y\n2500 z\n250 Ok",
            true,
        ),
        (
            b" 250 Ok\r\n250 Ok\r\n",
            250,
            "2.0.0",
            " 250 Ok\n250 Ok",
            true,
        ),
        (b"000 zero\r\n", 0, "5.5.0", "000 zero", false),
        (b"999 nine\r\n", 999, "5.5.0", "999 nine", false),
        (
            b"250 tab\there\x01\x7f\r\n",
            250,
            "2.0.0",
            "250 tab?here??",
            false,
        ),
        (b"250 cr\rhere\r\n", 250, "2.0.0", "250 cr?here", false),
        (
            "250 gr\u{fc}n \u{20ac}\r\n".as_bytes(),
            250,
            "2.0.0",
            "250 gr\u{fc}n \u{20ac}",
            false,
        ),
        (
            b"250 \xe9\xff\xe2\x82x\r\n",
            250,
            "2.0.0",
            "250 ????x",
            false,
        ),
        (b"250\0 unseen\r\n", 250, "2.0.0", "250", false),
        (b"250-\r\n250 x\r\n", 250, "2.0.0", "250-\n250 x", false),
    ] {
        let (replies, _) = read(bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(replies.len(), 1, "{shown}");
        assert_eq!(replies[0].code(), code, "{shown}");
        assert_eq!(replies[0].status().to_string(), status, "{shown}");
        assert_eq!(replies[0].text(), text, "{shown}");
        assert_eq!(replies[0].is_irregular(), irregular, "{shown}");
    }
}

#[test]
fn a_hyphen_on_the_last_line_waits_for_more() {
    let (replies, _) = read(b"250-2.1.0 Ok\r\n");
    assert!(replies.is_empty());
}

#[test]
fn a_line_is_cut_at_its_limit() {
    let body = |count: usize| "x".repeat(count - 4);
    for (kept, end, cut) in [
        (2047, "\r\n", false),
        (2047, "\n", false),
        (2048, "\n", true),
        (2048, "\r\n", true),
        (2048, "more, and more\r\n", true),
    ] {
        let line = format!("250 {}", body(kept));
        let (replies, notes) = read(format!("{line}{end}354 next\r\n").as_bytes());
        assert_eq!(replies[0].text(), line);
        assert_eq!(replies[1].code(), 354);
        let note = ReplyNote::TooLongLine(line[..30].to_owned());
        assert_eq!(
            notes,
            if cut { vec![note] } else { vec![] },
            "{kept} {end:?}"
        );
    }
}

#[test]
fn a_cut_inside_a_character_leaves_question_marks() {
    let line = format!("250 {}\u{20ac}\r\n", "x".repeat(2042));
    let (replies, _) = read(line.as_bytes());
    assert!(replies[0].text().ends_with("x??"));
    assert_eq!(replies[0].text().len(), 2048);
}

#[test]
fn lines_are_left_out_once_the_text_is_full_but_the_last_still_counts() {
    let mut bytes = Vec::new();
    for _ in 0..3 {
        bytes.extend(format!("250-{}\r\n", "y".repeat(1000)).as_bytes());
    }
    bytes.extend(b"550 5.7.1 no\r\n");
    let (replies, notes) = read(&bytes);
    assert_eq!(replies[0].code(), 550);
    assert_eq!(replies[0].status().to_string(), "5.7.1");
    assert_eq!(replies[0].lines().count(), 3);
    let start = format!("250-{}", "y".repeat(26));
    assert_eq!(notes, [ReplyNote::TooLongText(start)]);
}

#[test]
fn how_much_is_told_of_a_reply_does_not_depend_on_the_cuts() {
    let flood = "\n".repeat(1500) + "220 mx\r\n";
    let told = |pieces: &[&[u8]]| {
        let mut reader = ReplyReader::new(ReplyLimits::default(), None);
        let mut notes = 0;
        for piece in pieces {
            reader.push(piece);
            while reader.next().is_some() {}
            notes += reader.take_notes().len();
        }
        notes
    };
    let (head, tail) = flood.as_bytes().split_at(700);
    assert_eq!(told(&[flood.as_bytes()]), 1000);
    assert_eq!(told(&[head, tail]), 1000);
}

#[test]
fn without_utf8_each_byte_above_127_is_a_question_mark() {
    let reply = "550 5.1.1 Empfänger\tunbekannt\r\n".as_bytes();
    for (text, expected) in [
        (ReplyText::Utf8, "550 5.1.1 Empfänger?unbekannt"),
        (ReplyText::Ascii, "550 5.1.1 Empf??nger?unbekannt"),
    ] {
        let mut reader = ReplyReader::new(ReplyLimits::default(), None).with_text(text);
        reader.push(reply);
        assert_eq!(reader.next().unwrap().unwrap().text(), expected);
    }
}

#[test]
fn garbage_is_told_but_not_at_length() {
    let (_, notes) = read(format!("{}\r\n250 Ok\r\n", "g".repeat(300)).as_bytes());
    assert_eq!(notes, [ReplyNote::Garbage("g".repeat(100))]);
}

#[derive(Debug)]
struct Rules;

impl LineFilter for Rules {
    fn filter(&self, line: &str) -> Result<Option<String>, FilterFailure> {
        match line {
            "550 5.7.1 greylisted" => Ok(Some("450 4.7.1 greylisted".to_owned())),
            "250-SIZE?" => Ok(Some("250 SIZE".to_owned())),
            "250 evil" => Ok(Some("550 a\r\n250 b\u{1b}[2J\0c".to_owned())),
            "550 fail" => Err(FilterFailure),
            _ => Ok(None),
        }
    }
}

fn filtered() -> ReplyReader {
    ReplyReader::new(ReplyLimits::default(), Some(Arc::new(Rules)))
}

#[test]
fn the_filter_sees_printable_lines_before_they_are_parsed() {
    let (replies, notes, _) = read_with(
        filtered(),
        b"550 5.7.1 greylisted\r\n250-SIZE\t\r\n250 x\r\n",
        &[],
    );
    let texts: Vec<_> = replies
        .iter()
        .map(|reply| reply.as_ref().unwrap().text())
        .collect();
    assert_eq!(texts, ["450 4.7.1 greylisted", "250 SIZE", "250 x"]);
    assert_eq!(replies[0].as_ref().unwrap().status().to_string(), "4.7.1");
    assert_eq!(
        notes[0],
        ReplyNote::Replaced {
            old: "550 5.7.1 greylisted".into(),
            new: "450 4.7.1 greylisted".into()
        }
    );
}

#[test]
fn the_filter_cannot_make_lines_of_one() {
    let (replies, ..) = read_with(filtered(), b"250 evil\r\n", &[]);
    let reply = replies[0].as_ref().unwrap();
    assert_eq!((reply.code(), reply.text()), (550, "550 a??250 b?[2J"));
}

#[test]
fn a_filter_failure_ends_its_reply_only() {
    let (replies, ..) = read_with(filtered(), b"550-a\r\n550 fail\r\n250 Ok\r\n", &[]);
    assert_eq!(replies[0], Err(ReplyError::Filter));
    assert_eq!(replies[1].as_ref().unwrap().text(), "250 Ok");
}

fn small() -> ReplyLimits {
    ReplyLimits {
        lines: 3,
        bytes: 100,
        ..ReplyLimits::default()
    }
}

#[test]
fn a_reply_without_end_is_an_error_and_ends_the_stream() {
    for (bytes, error) in [
        (b"250-a\r\n".repeat(4), ReplyError::TooManyLines),
        (b"x".repeat(101), ReplyError::TooManyBytes),
        (
            b"250-0123456789012345678901234567890123456789\r\n".repeat(3),
            ReplyError::TooManyBytes,
        ),
    ] {
        let mut reader = ReplyReader::new(small(), None);
        reader.push(&bytes);
        assert_eq!(reader.next(), Some(Err(error)));
        reader.push(b"250 too late\r\n");
        assert_eq!(reader.next(), None);
        assert!(reader.is_empty());
        reader.clear();
        reader.push(b"250 Ok\r\n");
        assert_eq!(reader.next().unwrap().unwrap().text(), "250 Ok");
    }
}

#[test]
fn what_is_held_stays_small_whatever_comes() {
    let mut reader = ReplyReader::new(ReplyLimits::default(), None);
    for _ in 0..100 {
        reader.push(&[b'x'; 1000]);
        assert!(reader.next().is_none());
        assert!(reader.buffered() <= 2049);
    }
    // Nobody asks for replies: still there is an end.
    let mut reader = ReplyReader::new(small(), None);
    for _ in 0..1000 {
        reader.push(b"250 Ok\r\n");
    }
    assert!(reader.buffered() <= 250);
    let results: Vec<_> = std::iter::from_fn(|| reader.next()).collect();
    assert_eq!(results.last(), Some(&Err(ReplyError::TooManyBytes)));
}

#[test]
fn replies_are_read_one_at_a_time() {
    let mut reader = ReplyReader::new(ReplyLimits::default(), None);
    reader.push(b"220 go\r\n250 injected\r\n25");
    assert_eq!(reader.next().unwrap().unwrap().code(), 220);
    assert_eq!(reader.buffered(), b"250 injected\r\n25".len());
    assert!(!reader.is_empty());
    reader.clear();
    assert!(reader.is_empty());
    assert_eq!(reader.next(), None);
}

#[test]
fn a_begun_reply_is_not_empty() {
    let mut reader = ReplyReader::new(ReplyLimits::default(), None);
    reader.push(b"250-a\r\n");
    assert_eq!(reader.next(), None);
    assert_eq!(reader.buffered(), 0);
    assert!(!reader.is_empty());
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            &b"250 "[..], b"250-", b"550 5.1.1 x", b"354", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\t", b" ", b"-",
            b"1", b"\xc3\xbc", b"\xc3", b"\xff", b"550 fail", b"550 5.7.1 greylisted",
        ]).prop_map(<[u8]>::to_vec),
        1 => (any::<u8>(), 0..60_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (2000..2100_usize).prop_map(|len| vec![b'l'; len]),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn chunking_makes_no_difference(bytes in bytes(), cuts in prop::collection::vec(any::<usize>(), 0..10)) {
        let each: Vec<usize> = (0..bytes.len()).collect();
        let whole = read_with(filtered(), &bytes, &[]);
        prop_assert_eq!(&whole, &read_with(filtered(), &bytes, &cuts));
        prop_assert_eq!(&whole, &read_with(filtered(), &bytes, &each));
    }

    #[test]
    fn chunking_makes_no_difference_to_errors(bytes in bytes(), mut cuts in prop::collection::vec(any::<usize>(), 0..10)) {
        // Little enough at a time for what may wait in a reader with such limits.
        cuts.extend((0..bytes.len()).step_by(64));
        let limits = ReplyLimits { bytes: 5000, ..small() };
        let reader = || ReplyReader::new(limits, None);
        let each: Vec<usize> = (0..bytes.len()).collect();
        let one = read_with(reader(), &bytes, &cuts);
        prop_assert_eq!(&one, &read_with(reader(), &bytes, &each));
    }

    #[test]
    fn any_bytes_give_printable_text(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        for reply in read(&bytes).0 {
            prop_assert!(reply.lines().all(|line| !line.contains(|c: char| c.is_ascii_control())));
            prop_assert!(reply.code() <= 999);
        }
    }
}
