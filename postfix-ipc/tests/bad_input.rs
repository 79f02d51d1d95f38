//! Peers and files that do not keep to the rules: what is said of them, and that nothing
//! they can do makes this crate hold more than its limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::error::Error;

use bytes::Bytes;
use postfix_ipc::{
    attr::{LIST_LIMIT, List, ListReader, NAME_LIMIT, VALUE_LIMIT, Value},
    queue_file::{Content, ContentStep, ContentText, Corruption, Record, RecordKind},
    report::{StatusReply, VerifyUpdate},
    request::{
        DeliveryRequest, MAX_RECIPIENTS, MessageStats, REQUEST_LIMIT, Recipient, RequestError,
        RequestHead, RequestReader, Unservable,
    },
};
use smtp_policy::{Protocol, request::DeliveryFlags, text::TextSource};

const PEER: &str = "smtp socket";

fn value(text: &str) -> Value {
    Value::masked(text)
}

fn request() -> DeliveryRequest {
    let head = RequestHead {
        queue_name: value("active"),
        queue_id: value("8A4EB6F"),
        nexthop: value("example.com"),
        ..RequestHead::default()
    };
    let recipient = |address: &str| Recipient {
        address: value(address),
        offset: 248,
        ..Recipient::default()
    };
    DeliveryRequest {
        head,
        recipients: vec![recipient("a@example.com"), recipient("b@example.com")],
    }
}

/// All that is logged of a request, in its order.
fn said(error: &RequestError) -> Vec<String> {
    let source = error.source().map(ToString::to_string);
    source.into_iter().chain([error.to_string()]).collect()
}

/// The warnings about a request on the wire.
fn refused(wire: &[u8]) -> Vec<String> {
    let mut reader = RequestReader::new(PEER);
    reader.push(wire);
    match reader.next_request() {
        Err(error) => said(&error),
        Ok(None) => said(&reader.ended().unwrap()),
        Ok(Some(request)) => panic!("{request:?}"),
    }
}

const HEAD: &str = "deliver_request_get: error receiving common attributes";
const RECIPIENT: &str = "deliver_request_get: error receiving recipient attributes";

#[test]
fn a_request_that_is_wrong_is_refused_in_the_words_of_postfix() {
    let wire = String::from_utf8(request().encode()).unwrap();
    for (from, to, fault, summary) in [
        (
            "queue_name\0",
            "queue_nape\0",
            "unexpected attribute queue_nape from smtp socket (expecting: queue_name)",
            HEAD,
        ),
        (
            "queue_name\0active\0queue_id\x008A4EB6F\0",
            "queue_id\x008A4EB6F\0queue_name\0active\0",
            "unexpected attribute queue_id from smtp socket (expecting: queue_name)",
            HEAD,
        ),
        (
            "smtputf8\0",
            "later\0",
            "unexpected attribute later from smtp socket (expecting: smtputf8)",
            HEAD,
        ),
        (
            "offset\x000\0size\0",
            "offset\x000x\0size\0",
            "malformed numerical data from smtp socket while reading input attribute value: 0x",
            HEAD,
        ),
        (
            "time\0",
            "time\0*",
            "malformed base64 data from smtp socket while reading input attribute value: *",
            HEAD,
        ),
        (
            "recipient_count\x002\0\0",
            "recipient_count\x002\0more\x001\0\0",
            "unexpected attribute more from smtp socket (expecting: (list terminator))",
            HEAD,
        ),
        (
            "recipient_count\x002\0\0",
            "\0recipient_count\x002\0\0",
            "missing attribute recipient_count in input from smtp socket",
            HEAD,
        ),
        (
            "recipient\0b@",
            "recipients\0b@",
            "unexpected attribute recipients from smtp socket (expecting: recipient)",
            RECIPIENT,
        ),
        (
            "recipient_count\x002\0\0",
            "recipient_count\x003\0\0",
            "premature end-of-input on smtp socket while reading input attribute name",
            RECIPIENT,
        ),
    ] {
        assert_eq!(wire.matches(from).count(), 1, "{from:?}");
        let said = refused(wire.replace(from, to).as_bytes());
        let begins = said[0].starts_with(fault);
        assert!(begins && said[1] == summary, "{from:?}: {said:?}");
    }
}

#[test]
fn statistics_of_another_size_are_refused() {
    let wire = String::from_utf8(request().encode()).unwrap();
    let zeros = "A".repeat(4 * MessageStats::SIZE.div_ceil(3) - 2);
    assert_eq!(wire.matches(&zeros).count(), 1);
    let said = refused(wire.replace(&zeros, &zeros[4..]).as_bytes());
    assert_eq!(said, ["msg_stats_scan: size mis-match: 85 != 88", HEAD]);
}

#[test]
fn a_request_without_recipients_is_refused() {
    let mut request = request();
    for (count, text) in [
        (
            "0",
            "8A4EB6F: no recipients in delivery request for destination example.com",
        ),
        (
            "4294967295",
            "8A4EB6F: no recipients in delivery request for destination example.com",
        ),
        (
            "100001",
            "8A4EB6F: 100001 recipients in delivery request, more than 100000",
        ),
    ] {
        request.head.recipient_count = count.parse::<u32>().unwrap().cast_signed();
        assert_eq!(refused(&request.head.encode()), [text]);
    }
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let wire = request().encode();
    let reader = RequestReader::new(PEER);
    // The queue manager has changed its mind.
    assert_eq!(reader.ended(), None);
    for end in 1..wire.len() {
        let said = refused(&wire[..end]);
        let cut = said[0].contains("end-of-input");
        assert!(
            cut && [HEAD, RECIPIENT].contains(&said[1].as_str()),
            "{end}: {said:?}"
        );
    }
    let mut reader = RequestReader::new(PEER);
    reader.push(b"flags\x003");
    assert!(reader.next_request().unwrap().is_none());
    assert_eq!(
        said(&reader.ended().unwrap())[0],
        "unexpected end-of-input from smtp socket while reading input attribute value"
    );
    assert_eq!(
        said(&reader.timed_out())[0],
        "timeout on smtp socket while reading input attribute value"
    );
    // However it came.
    let mut reader = RequestReader::new(PEER);
    for (at, byte) in wire.iter().enumerate() {
        reader.push(&[*byte]);
        if reader.next_request().unwrap().is_none() {
            let ended = said(&reader.ended().unwrap());
            assert_eq!(ended, refused(&wire[..=at]), "{at}");
        }
    }
}

/// The fault of a reader that is fed these pieces, and that it holds no more than it may.
fn fails<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    holds(LIST_LIMIT, pieces)
}

fn holds<'a>(most: usize, pieces: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut reader = RequestReader::new(PEER);
    for piece in pieces {
        reader.push(piece);
        if let Err(error) = reader.next_request() {
            assert_eq!(reader.buffered(), 0);
            return Some(said(&error)[0].clone());
        }
        assert!(reader.buffered() <= most, "{}", reader.buffered());
    }
    None
}

#[test]
fn nothing_grows_without_limit() {
    let chunk = vec![b'x'; 4096];
    let endless = || std::iter::repeat_n(&chunk[..], 100 * 1024 * 1024 / chunk.len());
    let text = |limit: usize, part: &str| {
        format!("more than {limit} bytes from smtp socket while reading input attribute {part}")
    };
    let most = 2 * NAME_LIMIT + chunk.len();
    assert_eq!(holds(most, endless()), Some(text(NAME_LIMIT, "name")));
    let begun = std::iter::once(&b"flags\0"[..]);
    let most = 2 * VALUE_LIMIT + chunk.len();
    let fault = holds(most, begun.chain(endless()));
    assert_eq!(fault, Some(text(VALUE_LIMIT, "value")));

    // Values that are long, and not too long.
    let mut request = request();
    let most = "x".repeat(VALUE_LIMIT);
    request.head.nexthop = value(&most);
    request.recipients[0].address = value(&most[..100_000]);
    assert_eq!(fails(request.encode().chunks(100)), None);
    let mut reader = RequestReader::new(PEER);
    reader.push(&request.encode());
    let read = reader.next_request().unwrap().unwrap();
    assert_eq!(read.recipients, request.recipients);
    // Too many of them.
    request.head.sender = value(&most);
    request.head.envelope_id = value(&most);
    assert_eq!(fails(request.encode().chunks(4096)), None);
    request.head.sasl.username = value(&most);
    let wire = request.encode();
    let begun = std::iter::once(&wire[..LIST_LIMIT - 200_000]);
    assert!(fails(begun.chain(endless())).is_some());
    let too_long = "more than 1048576 bytes from smtp socket while reading input attribute list";
    assert_eq!(fails(wire.chunks(4096)).as_deref(), Some(too_long));
    assert_eq!(fails(std::iter::once(&wire[..])).as_deref(), Some(too_long));
}

#[test]
fn a_request_has_a_limit_as_a_whole() {
    let mut request = request();
    request.head.recipient_count = i32::try_from(MAX_RECIPIENTS).unwrap();
    let head = request.head.encode();
    let recipient = Recipient {
        address: value(&"x".repeat(2000)),
        ..Recipient::default()
    };
    let recipient = recipient.encode();
    let count = REQUEST_LIMIT / recipient.len();
    let pieces = std::iter::once(&head[..]).chain(std::iter::repeat_n(&recipient[..], count + 1));
    assert_eq!(
        fails(pieces),
        Some("delivery request with more than 67108864 bytes".to_owned())
    );
}

#[test]
fn a_reader_that_failed_stays_so() {
    let mut reader = ListReader::new("private/bounce");
    reader.push(b"oops\0");
    let error = reader.next_list::<StatusReply>().unwrap_err();
    reader.push(b"status\x000\0\0");
    assert_eq!(reader.next_list::<StatusReply>(), Err(error.clone()));
    assert_eq!((reader.buffered(), reader.ended()), (0, Some(error)));
}

#[test]
fn only_what_is_known_of_an_address_can_be_read() {
    let mut reader = ListReader::new("verify");
    reader.push(b"request\0update\0address\0a@b\0recipient_status\x003\0reason\0\0\0");
    let error = reader.next_list::<VerifyUpdate>().unwrap_err().to_string();
    assert!(error.starts_with("malformed numerical data"), "{error}");
    let mut reader = ListReader::new("verify");
    reader.push(b"request\0query\0");
    assert_eq!(
        reader.next_list::<VerifyUpdate>().unwrap_err().to_string(),
        "unexpected request query from verify (expected: update)"
    );
}

#[test]
fn what_a_peer_says_is_logged_in_one_line() {
    let mut reader = ListReader::new("a\nb");
    reader.push(b"x\n\x1b[2J\xff\0");
    assert_eq!(
        reader.next_list::<StatusReply>().unwrap_err().to_string(),
        "unexpected attribute x??[2J\u{fffd} from a?b (expecting: status)"
    );
}

#[test]
fn what_cannot_be_understood_is_not_served() {
    let serve = |change: &dyn Fn(&mut RequestHead)| {
        let mut head = request().head;
        change(&mut head);
        let served = head.to_policy(Protocol::Smtp, DeliveryFlags::default(), Vec::new());
        served.map(drop).map_err(|error| error.to_string())
    };
    let is = |text: &str| Err::<(), _>(text.to_owned());
    assert_eq!(serve(&|_| {}), Ok(()));
    assert_eq!(
        serve(&|head| head.nexthop = Value::EMPTY),
        is("empty nexthop hostname")
    );
    assert_eq!(
        serve(&|head| head.nexthop = value("a\nb")),
        is(
            "attribute nexthop of the delivery request: the next hop has the character U+000A at offset 1"
        )
    );
    assert_eq!(
        serve(&|head| head.sender = Value::new(&b"\xff@x"[..]).unwrap()),
        is("attribute sender of the delivery request is not UTF-8: \u{fffd}@x")
    );
    assert!(serve(&|head| head.sender = value("a@b c")).is_err());
    assert_eq!(
        serve(&|head| head.ret_flags = 3),
        is("attribute ret_flags of the delivery request is 3")
    );
    assert!(serve(&|head| head.client.helo = value("a\rb")).is_err());
    let mut head = request().head;
    for (offset, found) in [(286, Some(286)), (0, None), (-5, None)] {
        head.offset = offset;
        assert_eq!(head.text_offset().ok(), found);
    }
    // What is not known, or of no use, is left out.
    assert_eq!(serve(&|head| head.encoding = value("9bit")), Ok(()));
    assert_eq!(serve(&|head| head.size = -1), Ok(()));

    let recipient = |address: &str, original: &str, dsn: &str| Recipient {
        address: value(address),
        original: value(original),
        dsn_original: value(dsn),
        ..Recipient::default()
    };
    assert!(recipient("a@b", "", "").to_policy().is_ok());
    for bad in [
        recipient("", "", ""),
        recipient("a@b\nc", "", ""),
        recipient("a@b", "x\ny", ""),
        recipient("a@b", "", "untyped"),
    ] {
        let error: Unservable = bad.to_policy().unwrap_err();
        assert!(error.to_string().starts_with("attribute "));
    }
}

/// Records as bytes.
fn file(records: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, data) in records {
        Record::write(RecordKind(*kind), data, &mut bytes);
    }
    bytes
}

/// The text of a file, or why there is none. At most `most` bytes come at once.
fn text(file: &[u8], most: usize) -> Result<String, Corruption> {
    let mut content = Content::new(0);
    let mut text = Vec::new();
    loop {
        match content.poll() {
            ContentStep::Read { offset, length } => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(file.len());
                let end = start.saturating_add(length.min(most)).min(file.len());
                content.read(Bytes::copy_from_slice(&file[start..end]));
                assert!(content.buffered() <= length.min(most) + 128);
            }
            ContentStep::Text(piece) => text.extend_from_slice(&piece),
            ContentStep::End => return Ok(String::from_utf8(text).unwrap()),
            ContentStep::Corrupt(fault) => {
                assert_eq!(content.poll(), ContentStep::Corrupt(fault.clone()));
                return Err(fault);
            }
        }
    }
}

#[test]
fn every_corruption_is_told_in_the_words_of_postfix() {
    let kind = RecordKind::LINE;
    let line = file(&[(b'N', b"hello")]);
    let pointer = |text: &[u8]| file(&[(b'N', b"hello"), (b'p', text)]);
    for (file, fault, code, warning) in [
        (line.clone(), Corruption::End, -1, None),
        (Vec::new(), Corruption::End, -1, None),
        (
            line[..1].to_vec(),
            Corruption::EndInLength(kind),
            -2,
            Some("unexpected EOF reading length, record type 78"),
        ),
        (
            line[..4].to_vec(),
            Corruption::EndInData { kind, length: 5 },
            -2,
            Some("unexpected EOF in data, record type 78 length 5"),
        ),
        (
            b"N\xff\xff\xff\xff\xff\x01".to_vec(),
            Corruption::TooManyBits(kind),
            -2,
            Some("too many length bits, record type 78"),
        ),
        (
            b"N\xff\xff\xff\xff\x0f".to_vec(),
            Corruption::Length { kind, length: -1 },
            -2,
            Some("illegal length -1, record type 78"),
        ),
        (
            pointer(b"             x0"),
            Corruption::Pointer(value("             x0")),
            -2,
            Some("malformed pointer record value: x0"),
        ),
        (
            pointer(b"             -1"),
            Corruption::Pointer(value("             -1")),
            -2,
            Some("malformed pointer record value: -1"),
        ),
        (
            pointer(b"99999999999999999999"),
            Corruption::Pointer(value("99999999999999999999")),
            -2,
            Some("malformed pointer record value: 99999999999999999999"),
        ),
        // Behind the end of the file.
        (pointer(b"          10000"), Corruption::End, -1, None),
        (pointer(b"9223372036854775807"), Corruption::End, -1, None),
        (
            file_with_envelope(),
            Corruption::Kind(RecordKind::RECIPIENT),
            82,
            None,
        ),
        (
            file(&[(b'E', b"")]),
            Corruption::Kind(RecordKind::END),
            69,
            None,
        ),
        (
            file(&[(0xff, b"")]),
            Corruption::Kind(RecordKind(0xff)),
            255,
            None,
        ),
    ] {
        for most in [usize::MAX, 1] {
            assert_eq!(text(&file, most), Err(fault.clone()), "{file:?}");
        }
        assert_eq!(fault.code(), code);
        let last = format!("ID: bad record type: {code} in message content");
        let first = warning.map(|text| format!("active/ID: {text}"));
        let warnings: Vec<_> = first.into_iter().chain([last]).collect();
        assert_eq!(fault.warnings("active/ID", "ID"), warnings);
    }
}

fn file_with_envelope() -> Vec<u8> {
    file(&[(b'N', b"hello"), (b'R', b"a@b"), (b'X', b"")])
}

#[test]
fn a_file_that_becomes_shorter_is_corrupt() {
    let whole = file(&[
        (b'L', b"hel"),
        (b'N', b"lo"),
        (b'w', b"0"),
        (b'N', b""),
        (b'X', b""),
    ]);
    assert_eq!(text(&whole, usize::MAX), Ok("hello\n\n".to_owned()));
    for end in 0..whole.len() {
        assert!(text(&whole[..end], 2).is_err(), "{end}");
    }
}

#[test]
fn sizes_that_lie_are_found_without_being_believed() {
    // Two gigabytes that are not there.
    let mut lie = b"N\xff\xff\xff\xff\x07hello".to_vec();
    let kind = RecordKind::LINE;
    let length = 0x7fff_ffff;
    assert_eq!(
        text(&lie, usize::MAX),
        Err(Corruption::EndInData { kind, length })
    );
    // What is skipped is not held either.
    lie[0] = b'w';
    lie.resize(100_000, b'x');
    let kind = RecordKind::PADDING;
    assert_eq!(
        text(&lie, usize::MAX),
        Err(Corruption::EndInData { kind, length })
    );
    // A pointer is not that long.
    lie[0] = b'p';
    assert!(matches!(text(&lie, 1000), Err(Corruption::Pointer(_))));
}

#[test]
fn loops_of_pointers_end() {
    // To itself, back and forth, and with text on the way.
    let start = format!("{:15}", 0);
    let own = file(&[(b'N', b"x"), (b'p', b"              3")]);
    assert_eq!(text(&own, usize::MAX), Err(Corruption::Loop));
    let forth = (b'p', &b"             19"[..]);
    let both = file(&[(b'w', b""), forth, (b'p', b"              2")]);
    assert_eq!(text(&both, usize::MAX), Err(Corruption::Loop));
    let back = file(&[(b'w', b""), (b'N', b"x"), (b'p', b"              2")]);
    assert_eq!(text(&back, usize::MAX), Err(Corruption::Loop));
    // As many as Postfix follows: once without, once after the first, which leads on.
    let mut content = Content::new(0);
    let mut lines = 0;
    loop {
        match content.poll() {
            ContentStep::Read { offset, .. } => {
                let start = usize::try_from(offset).unwrap();
                content.read(Bytes::copy_from_slice(&back[start..]));
            }
            ContentStep::Text(text) => lines += usize::from(text == "\n"),
            _ => break,
        }
    }
    assert_eq!(lines, 10_002);
    // A pointer of zero leads on.
    let dummy = file(&[
        (b'p', start.as_bytes()),
        (b'N', b"x"),
        (b'p', b""),
        (b'X', b""),
    ]);
    assert_eq!(text(&dummy, usize::MAX), Ok("x\n".to_owned()));
}

#[test]
fn a_text_may_end_within_a_line() {
    let cut = file(&[(b'N', b"one"), (b'L', b"two"), (b'X', b"")]);
    assert_eq!(text(&cut, 3), Ok("one\ntwo".to_owned()));
    // A CR is data.
    let cr = file(&[(b'N', b"one\r"), (b'N', b"\r"), (b'X', b"")]);
    assert_eq!(text(&cr, usize::MAX), Ok("one\r\n\r\n".to_owned()));
}

#[test]
fn a_text_is_read_once() {
    let lines = vec![b'x'; 1000];
    let file = file(&[(b'N', &lines), (b'N', &lines), (b'X', b"")]);
    let mut read = Vec::new();
    let at = |offset: u64, length: usize| {
        read.push(offset);
        let rest = &file[usize::try_from(offset).unwrap()..];
        Ok(Bytes::copy_from_slice(
            &rest[..rest.len().min(length).min(300)],
        ))
    };
    let mut source = ContentText::new(at, 0);
    for at in (0..2002).step_by(11) {
        assert_eq!(source.read(at, 11).unwrap().len(), 11);
    }
    drop(source);
    assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
}
