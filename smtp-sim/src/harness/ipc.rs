//! The inner protocols of Postfix: lists, requests, queue files.

use core::fmt::Debug;

use bytes::Bytes;
use postfix_ipc::{
    announce::{Announcement, CleanupAnnouncement},
    attr::{LIST_LIMIT, List, ListReader},
    proxymap,
    queue_file::{Content, ContentStep, ContentText, Corruption, Hashing, Record, RecordKind},
    report::{
        CleanupReply, FlushAdd, RewriteReply, RewriteRequest, StatusRecord, StatusReply,
        VerifyUpdate,
    },
    request::{DeliveryRequest, FinalReply, Recipient, RequestError, RequestHead, RequestReader},
    scache, tlsmgr,
};
use smtp_policy::{Protocol, request::DeliveryFlags, text::TextSource};

use super::{chunks, read};

/// Reads lists of some type, in pieces of these lengths.
type Lists = fn(&[u8], &[u8]);

/// The types of lists, in the order of the steering byte.
const LISTS: &[Lists] = &[
    lists::<StatusReply>,
    lists::<StatusRecord>,
    lists::<RequestHead>,
    lists::<Recipient>,
    lists::<FinalReply>,
    lists::<Announcement>,
    lists::<CleanupAnnouncement>,
    lists::<VerifyUpdate>,
    lists::<FlushAdd>,
    lists::<RewriteRequest>,
    lists::<RewriteReply>,
    lists::<CleanupReply>,
    lists::<scache::FoundDestination>,
    lists::<scache::SaveDestination>,
    lists::<scache::Dummy>,
    lists::<scache::Carried>,
    lists::<tlsmgr::SeedReply>,
    lists::<tlsmgr::LookupReply>,
    lists::<proxymap::LookupReply>,
];

/// A stream of lists of one type.
///
/// # Panics
/// The cuts change what is read, more is held than a list may have, or what was read is
/// something else once it is written.
pub fn attr(input: &[u8]) {
    let Some((kind, lengths, matter)) = read::<(u8, [u8; 4], &[u8])>(input) else {
        return;
    };
    if let Some(lists) = LISTS.get(usize::from(kind) % LISTS.len()) {
        lists(&lengths, matter);
    }
}

fn lists<T: List + Debug + PartialEq>(lengths: &[u8], matter: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut reader = ListReader::new("peer");
        let mut seen = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Ok(Some(list)) = reader.next_list::<T>() {
                seen.push(list);
            }
            assert!(reader.buffered() <= LIST_LIMIT.min(matter.len()));
        }
        (seen, reader.ended())
    };
    let (whole, ended) = read(&mut core::iter::once(matter));
    let pieces = read(&mut chunks(lengths, matter));
    assert_eq!(
        (&whole, &ended),
        (&pieces.0, &pieces.1),
        "the cuts change the lists"
    );
    let written: Vec<u8> = whole.iter().flat_map(List::encode).collect();
    let (again, ended) = read_all(&written);
    assert_eq!((again, ended), (whole, None), "writing changes the lists");
}

fn read_all<T: List>(wire: &[u8]) -> (Vec<T>, Option<postfix_ipc::attr::ListError>) {
    let mut reader = ListReader::new("peer");
    reader.push(wire);
    let next = || reader.next_list().ok().flatten();
    (core::iter::from_fn(next).collect(), reader.ended())
}

/// A delivery request.
///
/// # Panics
/// The cuts change what is read, what was read is something else once it is written, or
/// its file lies outside of its queue.
pub fn delivery_request(input: &[u8]) {
    let Some((lengths, matter)) = read::<([u8; 4], &[u8])>(input) else {
        return;
    };
    let whole = request(&mut core::iter::once(matter));
    let pieces = request(&mut chunks(&lengths, matter));
    assert_eq!(whole, pieces, "the cuts change the request");
    let Ok(Some(read)) = whole else {
        return;
    };
    let again = request(&mut core::iter::once(&read.encode()[..]));
    assert_eq!(again, Ok(Some(read.clone())), "writing changes the request");
    serve(&read);
}

fn request(
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Result<Option<DeliveryRequest>, Option<RequestError>> {
    let mut reader = RequestReader::new("peer");
    for piece in pieces {
        reader.push(piece);
        if let Some(request) = reader.next_request().map_err(Some)? {
            return Ok(Some(request));
        }
    }
    match reader.ended() {
        None => Ok(None),
        ended => Err(ended),
    }
}

/// Makes of a request what an agent makes of it.
fn serve(request: &DeliveryRequest) {
    let DeliveryRequest { head, recipients } = request;
    let understood = recipients.iter().filter_map(|it| it.to_policy().ok());
    let served = head.to_policy(
        Protocol::Smtp,
        DeliveryFlags::default(),
        understood.collect(),
    );
    if let Ok(served) = served {
        assert!(served.recipients.len() <= recipients.len());
        assert!(!served.nexthop.is_empty());
    }
    if let Ok(file) = head.queue_file() {
        let path = file.path(&Hashing::new("active, deferred", 3));
        assert!(!path.contains("..") && !path.starts_with('/'), "{path}");
        assert!(path.ends_with(file.id()), "{path}");
    }
    for recipient in recipients {
        let mark = recipient.mark().ok().flatten();
        assert!(mark.is_none_or(|mark| mark.offset > 0));
    }
}

/// The most text that is compared: a loop of pointers can make much of a small file.
const TEXT_LIMIT: usize = 64 * 1024;

/// A queue file whose text begins at its beginning.
///
/// # Panics
/// The text depends on how much of the file is read at once or asked for at once, more
/// is held than was read, or lines that are written are not read again.
pub fn queue_file(input: &[u8]) {
    let Some((room, file)) = read::<(u8, &[u8])>(input) else {
        return;
    };
    let whole = text(file, usize::MAX);
    assert_eq!(
        whole,
        text(file, usize::from(room).max(1)),
        "the cuts change the text"
    );
    let Ok(text) = whole else {
        return;
    };
    if text.len() < TEXT_LIMIT {
        by_offset(file, &text, usize::from(room).max(1));
        let written = written(&text);
        assert_eq!(
            Ok(text),
            self::text(&written, usize::MAX),
            "writing changes the text"
        );
    }
}

/// Bytes of the file, as a system call gives them.
fn at(file: &[u8], offset: u64, length: usize) -> Bytes {
    let start = usize::try_from(offset).map_or(file.len(), |at| at.min(file.len()));
    let rest = file.get(start..).unwrap_or_default();
    Bytes::copy_from_slice(rest.get(..length.min(rest.len())).unwrap_or_default())
}

fn text(file: &[u8], most: usize) -> Result<Vec<u8>, Corruption> {
    let mut content = Content::new(0);
    let mut text = Vec::new();
    while text.len() < TEXT_LIMIT {
        match content.poll() {
            ContentStep::Read { offset, length } => {
                let bytes = at(file, offset, length.min(most));
                content.read(bytes);
                assert!(content.buffered() <= length + 128);
            }
            ContentStep::Text(piece) => text.extend_from_slice(&piece),
            ContentStep::End => return Ok(text),
            ContentStep::Corrupt(fault) => return Err(fault),
        }
    }
    text.truncate(TEXT_LIMIT);
    Ok(text)
}

/// Reads the text as a delivery does, and again from within it.
fn by_offset(file: &[u8], text: &[u8], room: usize) {
    let read = |offset, length| Ok(at(file, offset, length));
    let mut source = ContentText::new(read, 0);
    for offset in [0, text.len() / 2, 0, text.len()] {
        let mut rest = text.get(offset..).unwrap_or_default();
        for _ in 0..100 {
            let begin = text.len() - rest.len();
            let begin = u64::try_from(begin).unwrap_or(u64::MAX);
            let piece = source.read(begin, room).unwrap_or_default();
            assert!(rest.starts_with(&piece) && piece.len() <= room);
            assert_eq!(piece.is_empty(), rest.is_empty());
            rest = rest.get(piece.len()..).unwrap_or_default();
        }
    }
}

/// A file with this text.
fn written(text: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => Record::write(RecordKind::LINE, line, &mut file),
            None => Record::write(RecordKind::LONG, line, &mut file),
        }
    }
    Record::write(RecordKind::EXTRACTED, b"", &mut file);
    file
}
