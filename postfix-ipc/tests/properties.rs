//! Properties that hold for any values and any bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use core::fmt::Debug;

use bytes::Bytes;
use postfix_ipc::{
    attr::{Data, LIST_LIMIT, List, ListReader, Value},
    proxymap,
    queue_file::{Content, ContentStep, ContentText, Mark, Record, RecordKind},
    report::{
        CleanupFlags, CleanupReply, FlushAdd, RewriteReply, RewriteRequest, StatusRecord,
        StatusReply, Verified, VerifyUpdate,
    },
    request::{
        ClientAttributes, DeliveryRequest, Dsn, FinalReply, MessageStats, NotifyFlags, Recipient,
        RequestFlags, RequestHead, RequestReader, SaslAttributes, SendFlags, SendOptions, Stamp,
    },
    scache,
    status::{Availability, Generation, StatusMessage},
    tlsmgr,
};
use proptest::{collection::vec, prelude::*, sample::select};
use smtp_policy::text::TextSource;

fn value() -> impl Strategy<Value = Value> {
    let bytes = prop_oneof![
        3 => "[ -~]{0,20}".prop_map(String::into_bytes),
        1 => vec(1..=u8::MAX, 0..20),
    ];
    bytes.prop_map(|bytes| Value::new(bytes).unwrap())
}

fn data() -> impl Strategy<Value = Data> {
    vec(any::<u8>(), 0..50).prop_map(|bytes| Data(bytes.into()))
}

fn recipient() -> impl Strategy<Value = Recipient> {
    (value(), value(), any::<i64>(), value(), any::<u32>()).prop_map(
        |(original, address, offset, dsn_original, notify)| Recipient {
            original,
            address,
            offset,
            dsn_original,
            notify: NotifyFlags(notify),
        },
    )
}

fn dsn() -> impl Strategy<Value = Dsn> {
    vec(value(), 7).prop_map(|values| {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap();
        Dsn {
            status: next(),
            diagnostic_type: next(),
            diagnostic: next(),
            mta_type: next(),
            mta_name: next(),
            action: next(),
            reason: next(),
        }
    })
}

fn head() -> impl Strategy<Value = RequestHead> {
    let numbers = (
        any::<u32>(),
        any::<i64>(),
        any::<i64>(),
        any::<u32>(),
        any::<i32>(),
    );
    (
        vec(value(), 16),
        numbers,
        vec(any::<i64>(), 10),
        any::<i32>(),
    )
        .prop_map(
            |(values, (flags, offset, size, bits, ret_flags), times, reuse_count)| {
                let mut values = values.into_iter();
                let mut next = || values.next().unwrap();
                let mut stamps = times.chunks(2).map(|pair| Stamp {
                    seconds: pair[0],
                    micros: pair[1],
                });
                let mut stats = MessageStats::default();
                for stamp in [
                    &mut stats.incoming_arrival,
                    &mut stats.active_arrival,
                    &mut stats.agent_handoff,
                    &mut stats.connection_ready,
                    &mut stats.delivered,
                ] {
                    *stamp = stamps.next().unwrap();
                }
                stats.reuse_count = reuse_count;
                RequestHead {
                    flags: RequestFlags(flags),
                    queue_name: next(),
                    queue_id: next(),
                    offset,
                    size,
                    nexthop: next(),
                    encoding: next(),
                    options: SendOptions::new(SendFlags(bits)),
                    sender: next(),
                    envelope_id: next(),
                    ret_flags,
                    stats,
                    client: ClientAttributes {
                        name: next(),
                        address: next(),
                        port: next(),
                        protocol: next(),
                        helo: next(),
                    },
                    sasl: SaslAttributes {
                        method: next(),
                        username: next(),
                        sender: next(),
                    },
                    log_ident: next(),
                    rewrite_context: next(),
                    recipient_count: 1,
                }
            },
        )
}

/// Lists come out as they went in, in whatever pieces, with others behind them.
fn round_trip<T: List + Clone + Debug + PartialEq>(list: &T, cut: usize) {
    let wire = [list.encode(), list.encode()].concat();
    let mut reader = ListReader::new("peer");
    let mut read = Vec::new();
    for piece in wire.chunks(cut) {
        reader.push(piece);
        while let Some(list) = reader.next_list::<T>().unwrap() {
            read.push(list);
        }
        assert!(reader.buffered() <= wire.len());
    }
    assert_eq!(read, [list.clone(), list.clone()]);
    assert_eq!(reader.ended(), None);
}

fn fails_or_ends<T: List + Debug>(wire: &[u8], cut: usize) {
    let mut reader = ListReader::new("peer");
    for piece in wire.chunks(cut) {
        reader.push(piece);
        while let Ok(Some(list)) = reader.next_list::<T>() {
            let _ = list.encode();
        }
        assert!(reader.buffered() <= LIST_LIMIT.min(wire.len()));
    }
    let _ = reader.ended().map(|error| error.to_string());
}

/// Tokens that lists are made of, in no order.
fn almost_lists() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"",
        b"",
        b"0",
        b"4294967295",
        b"status",
        b"flags",
        b"protocol",
        b"request",
        b"update",
        b"queue_name",
        b"recipient",
        b"offset",
        b"nrequest",
        b"AAAA",
        b"\xff",
        b"-1",
        b"dummy",
    ];
    vec(select(words), 0..60).prop_map(|words| {
        words
            .into_iter()
            .flat_map(|word| [word, b"\0"].concat())
            .collect()
    })
}

proptest! {
    #[test]
    fn lists_come_out_as_they_went_in(
        recipient in recipient(),
        dsn in dsn(),
        (one, two, three) in (value(), value(), value()),
        data in data(),
        (int, bits) in (any::<i32>(), any::<u32>()),
        verified in select(vec![Verified::Deliverable, Verified::Deferred, Verified::Undeliverable]),
        cut in 1..100_usize,
    ) {
        round_trip(&recipient, cut);
        round_trip(&StatusReply { status: int }, cut);
        round_trip(&FinalReply { hop: dsn.clone(), status: int }, cut);
        let record = StatusRecord { flags: RequestFlags(bits), queue_id: one.clone(), recipient, dsn };
        round_trip(&record, cut);
        let update = VerifyUpdate { address: one.clone(), status: verified, reason: two.clone() };
        round_trip(&update, cut);
        round_trip(&FlushAdd { site: one.clone(), queue_id: two.clone() }, cut);
        round_trip(&RewriteRequest { address: one.clone() }, cut);
        round_trip(&RewriteReply { flags: int, address: one.clone() }, cut);
        round_trip(&CleanupFlags { bits }, cut);
        round_trip(&CleanupReply { status: int, reason: two.clone() }, cut);
        let (destination, endpoint) = (two.clone(), three.clone());
        round_trip(&scache::FoundDestination { status: int, destination, endpoint }, cut);
        let (label, destination, endpoint) = (one.clone(), two.clone(), three.clone());
        round_trip(&scache::SaveDestination { ttl: int, label, destination, endpoint }, cut);
        let (label, endpoint) = (one.clone(), two.clone());
        round_trip(&scache::SaveEndpoint { ttl: int, label, endpoint }, cut);
        round_trip(&tlsmgr::SeedReply { status: int, seed: data.clone() }, cut);
        round_trip(&tlsmgr::Update { cache: one.clone(), id: two.clone(), session: data }, cut);
        round_trip(&tlsmgr::Delete { cache: one.clone(), id: two }, cut);
        for dialect in [proxymap::Dialect::Joint, proxymap::Dialect::Separate] {
            let flags = proxymap::OpenFlags { bits: int, dialect };
            round_trip(&proxymap::Open { table: one.clone(), flags }, cut);
        }
        round_trip(&proxymap::OpenReply { status: int, flags: int }, cut);
        let separate = proxymap::LookupFlags::Separate { instance: int, request: int };
        for flags in [proxymap::LookupFlags::Joint(int), separate] {
            round_trip(&proxymap::Lookup { table: one.clone(), flags, key: three.clone() }, cut);
        }
        for flags in [None, Some(int)] {
            round_trip(&proxymap::LookupReply { status: int, flags, value: three.clone() }, cut);
        }
    }

    #[test]
    fn requests_come_out_as_they_went_in(
        head in head(),
        recipients in vec(recipient(), 1..5),
        cut in 1..1000_usize,
    ) {
        round_trip(&head, cut);
        let mut request = DeliveryRequest { head, recipients };
        request.head.recipient_count = i32::try_from(request.recipients.len()).unwrap();
        let wire = request.encode();
        let mut reader = RequestReader::new("peer");
        let mut read = None;
        for piece in wire.chunks(cut) {
            prop_assert!(read.is_none());
            reader.push(piece);
            read = reader.next_request().unwrap();
        }
        prop_assert_eq!(read, Some(request));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(wire in vec(any::<u8>(), 0..300), cut in 1..50_usize) {
        fails_or_ends::<StatusReply>(&wire, cut);
        fails_or_ends::<RequestHead>(&wire, cut);
        let _ = StatusMessage::decode(&wire);
    }

    #[test]
    fn no_tokens_make_a_reader_panic(wire in almost_lists(), cut in 1..50_usize) {
        fails_or_ends::<StatusReply>(&wire, cut);
        fails_or_ends::<StatusRecord>(&wire, cut);
        fails_or_ends::<VerifyUpdate>(&wire, cut);
        fails_or_ends::<scache::Dummy>(&wire, cut);
        fails_or_ends::<scache::Carried>(&wire, cut);
        fails_or_ends::<tlsmgr::SeedReply>(&wire, cut);
    }

    /// A request with some bytes replaced is refused, or is another that comes out as it is.
    #[test]
    fn damaged_requests_are_refused_or_other_requests(
        head in head(),
        recipient in recipient(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        size in any::<prop::sample::Index>(),
    ) {
        let mut wire = DeliveryRequest { head, recipients: vec![recipient] }.encode();
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        wire.truncate(size.index(wire.len()) + 1);
        let mut reader = RequestReader::new("peer");
        reader.push(&wire);
        if let Ok(Some(request)) = reader.next_request() {
            let mut again = RequestReader::new("peer");
            again.push(&request.encode());
            prop_assert_eq!(again.next_request(), Ok(Some(request)));
        }
    }

    #[test]
    fn status_messages_come_out_as_they_went_in(pid in any::<i32>(), generation in any::<u32>(), taken in any::<bool>()) {
        let availability = if taken { Availability::Taken } else { Availability::Available };
        let message = StatusMessage { pid, generation: Generation(generation), availability };
        prop_assert_eq!(StatusMessage::decode(&message.encode()), Some(message));
        let octal = format!("{generation:o}");
        prop_assert_eq!(octal.parse(), Ok(Generation(generation)));
    }

    #[test]
    fn marks_are_at_offsets_of_records(offset in any::<i64>()) {
        match Mark::at(offset) {
            Ok(Some(mark)) => prop_assert_eq!(Some(mark.offset), u64::try_from(offset).ok()),
            Ok(None) => prop_assert_eq!(offset, -1),
            Err(_) => prop_assert!(offset <= 0),
        }
    }
}

/// A piece of a queue file's content.
#[derive(Clone, Debug)]
enum Piece {
    Line(Vec<u8>),
    Long(Vec<u8>),
    Padding(Vec<u8>),
    /// The rest goes on behind so many bytes that are not read.
    Jump(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let bytes = || vec(any::<u8>(), 0..200);
    prop_oneof![
        bytes().prop_map(Piece::Line),
        bytes().prop_map(Piece::Long),
        bytes().prop_map(Piece::Padding),
        bytes().prop_map(Piece::Jump),
    ]
}

/// A file with an envelope before its text, and the text.
fn file(begin: usize, pieces: &[Piece]) -> (Vec<u8>, Vec<u8>) {
    let (mut file, mut text) = (vec![b'?'; begin], Vec::new());
    for piece in pieces {
        match piece {
            Piece::Line(line) => {
                Record::write(RecordKind::LINE, line, &mut file);
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            Piece::Long(part) => {
                Record::write(RecordKind::LONG, part, &mut file);
                text.extend_from_slice(part);
            }
            Piece::Padding(data) => Record::write(RecordKind::PADDING, data, &mut file),
            Piece::Jump(garbage) => {
                let target = file.len() + 17 + garbage.len();
                let pointer = format!("{target:15}");
                Record::write(RecordKind::POINTER, pointer.as_bytes(), &mut file);
                file.extend_from_slice(garbage);
            }
        }
    }
    Record::write(RecordKind::EXTRACTED, b"", &mut file);
    (file, text)
}

fn at(file: &[u8], offset: u64, length: usize) -> Bytes {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(file.len());
    let end = start.saturating_add(length).min(file.len());
    Bytes::copy_from_slice(&file[start..end])
}

proptest! {
    #[test]
    fn the_text_is_that_of_the_records(
        begin in 0..50_usize,
        pieces in vec(piece(), 0..20),
        most in 1..400_usize,
        rooms in vec((1..500_usize, any::<prop::sample::Index>()), 1..10),
    ) {
        let (file, text) = file(begin, &pieces);
        let read = |offset, length: usize| Ok(at(&file, offset, length.min(most)));
        let mut source = ContentText::new(read, u64::try_from(begin).unwrap());
        // From the beginning to the end, then from anywhere.
        let mut got = Vec::new();
        loop {
            let room = rooms[got.len() % rooms.len()].0;
            let piece = source.read(u64::try_from(got.len()).unwrap(), room).unwrap();
            if piece.is_empty() {
                break;
            }
            got.extend_from_slice(&piece);
        }
        prop_assert_eq!(&got, &text);
        for (room, from) in rooms {
            let from = from.index(text.len() + 1);
            let piece = source.read(u64::try_from(from).unwrap(), room).unwrap();
            let end = text.len().min(from + room);
            prop_assert_eq!(&piece[..], &text[from..end]);
        }
        // Behind the end there is nothing.
        let behind = u64::try_from(text.len() + 1).unwrap();
        prop_assert!(source.read(behind, 1).unwrap().is_empty());
    }

    #[test]
    fn no_file_makes_a_reader_panic(
        file in vec(prop_oneof![select(&b"NLwpXERM\0\x01\x0f 0123"[..]), any::<u8>()], 0..200),
        most in 1..100_usize,
    ) {
        let mut content = Content::new(0);
        for _ in 0..10_000 {
            match content.poll() {
                ContentStep::Read { offset, length } => {
                    content.read(at(&file, offset, length.min(most)));
                    prop_assert!(content.buffered() <= file.len() + 200);
                }
                ContentStep::Text(text) => prop_assert!(!text.is_empty()),
                ContentStep::End => break,
                ContentStep::Corrupt(fault) => {
                    prop_assert!(!fault.warnings("active/ID", "ID").is_empty());
                    break;
                }
            }
        }
    }
}
