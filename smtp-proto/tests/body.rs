//! The body encoder against a plain model of Postfix's rule, against what
//! Postfix sent, and against a receiver that undoes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bytes::{Buf, Bytes};
use proptest::prelude::*;
use smtp_proto::{BodyEncoder, SendQueue};

/// Encodes `text` cut at the given places.
fn encode(text: &[u8], limit: usize, cuts: &[usize]) -> (Vec<u8>, bool) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.push(text.len());
    cuts.sort_unstable();
    let (mut encoder, mut out) = (BodyEncoder::new(limit), SendQueue::new());
    let mut from = 0;
    for to in cuts {
        encoder.push(Bytes::copy_from_slice(&text[from..to]), &mut out);
        from = to;
    }
    encoder.finish(&mut out);
    (out.copy_to_bytes(out.len()).to_vec(), encoder.folded())
}

/// Postfix's rule (behaviour of `smtp_text_out`) over whole records: lines of up to 2048 bytes,
/// or fragments of 2048 bytes and a rest.
fn model(text: &[u8], limit: usize) -> Vec<u8> {
    let (mut out, mut room) = (Vec::new(), limit as isize);
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let unended = lines.pop().unwrap_or_default();
    let mut record = |mut data: &[u8], fragment: bool| {
        loop {
            if room == limit as isize && data.first() == Some(&b'.') {
                out.push(b'.');
            }
            if limit == 0 || (data.len() as isize) < room {
                out.extend_from_slice(data);
                room -= data.len() as isize;
                if !fragment {
                    out.extend_from_slice(b"\r\n");
                    room = limit as isize;
                }
                return;
            }
            let (now, later) = data.split_at(room as usize);
            out.extend_from_slice(now);
            out.extend_from_slice(b"\r\n");
            room = limit as isize;
            if !later.is_empty() || fragment {
                out.push(b' ');
                room -= 1;
            }
            data = later;
            if data.is_empty() {
                return;
            }
        }
    };
    for line in lines {
        let mut line = line;
        while line.len() > 2048 {
            record(&line[..2048], true);
            line = &line[2048..];
        }
        record(line, false);
    }
    if !unended.is_empty() {
        unended.chunks(2048).for_each(|part| record(part, true));
        record(b"", false);
    }
    out
}

/// What a receiver makes of the wire form: the lines, dots taken off.
fn decode(wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = wire;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
        let (line, after) = rest.split_at(end);
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        rest = after;
    }
    text
}

/// LF to CRLF, and CRLF at the end of an unended line.
fn crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Text with all that matters: dots, line ends, CRs, NULs, 8-bit bytes, long runs.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![&b"."[..], b"\n", b"a", b"\r", b"\0", b"\xff", b"\r\n", b"\n.\n", b"\n.\r\n"])
            .prop_map(<[u8]>::to_vec),
        2 => (any::<u8>(), 0..40_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (prop::sample::select(vec![b'x', b'.']), 900..1100_usize).prop_map(|(byte, len)| vec![byte; len]),
        1 => (1..4_usize, 0..3_usize).prop_map(|(records, more)| vec![b'y'; records * 2048 + more]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn limit() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![0, 2, 3, 5, 20, 512, 998, 1024, 2048, 4096, 5000])
}

proptest! {
    #[test]
    fn the_encoder_does_what_the_model_does(text in text(), limit in limit(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let (wire, folded) = encode(&text, limit, &cuts);
        prop_assert_eq!(&wire, &model(&text, limit));
        prop_assert!(!folded || limit > 0);
    }

    #[test]
    fn a_receiver_gets_the_text_back(text in text()) {
        // A bare CR before a made-up LF cannot be told from a line end; Postfix sends it so.
        let text: Vec<u8> = text.into_iter().filter(|byte| *byte != b'\r').collect();
        let (wire, folded) = encode(&text, 0, &[]);
        prop_assert_eq!(decode(&wire), crlf(&text));
        prop_assert!(!folded);
    }

    #[test]
    fn nothing_inside_ends_the_text(text in text(), limit in limit()) {
        let mut wire = b"\r\n".to_vec();
        wire.extend(encode(&text, limit, &[]).0);
        prop_assert!(!wire.windows(5).any(|five| five == b"\r\n.\r\n"));
    }

    #[test]
    fn no_line_is_longer_than_the_limit(text in text(), limit in 2..1200_usize) {
        let text: Vec<u8> = text.into_iter().filter(|byte| *byte != b'\r').collect();
        for line in encode(&text, limit, &[]).0.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let stuffing = usize::from(line.first() == Some(&b'.'));
            prop_assert!(line.len() <= limit + stuffing);
        }
    }

    #[test]
    fn chunking_makes_no_difference(text in text(), limit in limit()) {
        let each: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(encode(&text, limit, &[]), encode(&text, limit, &each));
    }
}

#[test]
fn what_postfix_sent_is_what_we_send() {
    let x = |count| "x".repeat(count);
    for (limit, text, wire) in [
        (998, String::new(), String::new()),
        (998, "\n".into(), "\r\n".into()),
        (998, "a".into(), "a\r\n".into()),
        (
            998,
            ".\n..\n.x\nx.\n. \n".into(),
            "..\r\n...\r\n..x\r\nx.\r\n.. \r\n".into(),
        ),
        (
            998,
            "one\r\n.\r\nend\n".into(),
            "one\r\r\n..\r\r\nend\r\n".into(),
        ),
        (
            998,
            "one\rtwo\na\0b\n".into(),
            "one\rtwo\r\na\0b\r\n".into(),
        ),
        (998, x(998) + "\n", x(998) + "\r\n"),
        (998, x(999) + "\n", x(998) + "\r\n x\r\n"),
        (998, x(1500) + "\n", x(998) + "\r\n " + &x(502) + "\r\n"),
        (998, x(998), x(998) + "\r\n \r\n"),
        (
            998,
            x(998) + "." + &x(997) + "\n",
            x(998) + "\r\n ." + &x(996) + "\r\n x\r\n",
        ),
        (
            998,
            ".".to_owned() + &x(998) + "\n",
            "..".to_owned() + &x(997) + "\r\n x\r\n",
        ),
        (
            30,
            x(29) + "\n" + &x(30) + "\n" + &x(31) + "\n",
            x(29) + "\r\n" + &x(30) + "\r\n" + &x(30) + "\r\n x\r\n",
        ),
        (30, x(60) + "\n", x(30) + "\r\n " + &x(29) + "\r\n x\r\n"),
        (0, x(5000) + "\nend\n", x(5000) + "\r\nend\r\n"),
        // Queue records that end where the line is broken.
        (2048, x(2048) + "\n", x(2048) + "\r\n"),
        (2048, x(4095) + "\n", x(2048) + "\r\n " + &x(2047) + "\r\n"),
        (2048, x(2048), x(2048) + "\r\n \r\n"),
        (2048, x(2047) + "\n", x(2047) + "\r\n"),
    ] {
        for cuts in [vec![], (0..text.len()).collect::<Vec<_>>()] {
            let (got, folded) = encode(text.as_bytes(), limit, &cuts);
            assert_eq!(String::from_utf8(got).unwrap(), wire, "limit {limit}");
            assert_eq!(folded, wire.contains("\r\n "), "limit {limit}");
        }
    }
}

#[test]
fn a_long_run_is_shared_with_the_chunk() {
    let chunk = Bytes::from(vec![b'x'; 100_000]);
    let (mut encoder, mut out) = (BodyEncoder::new(0), SendQueue::new());
    encoder.push(chunk.clone(), &mut out);
    assert_eq!(out.chunk().as_ptr(), chunk.as_ptr());
}

#[test]
fn an_empty_chunk_changes_nothing() {
    let (mut encoder, mut out) = (BodyEncoder::new(998), SendQueue::new());
    encoder.push(Bytes::new(), &mut out);
    encoder.finish(&mut out);
    assert!(out.is_empty());
}
