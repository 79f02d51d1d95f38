//! Queue files: their records, the text, and what the agent writes into them.

use bytes::Bytes;
use postfix_ipc::{
    attr::Value,
    queue_file::{
        CORRUPT_MODE, ContentText, Corruption, Hashing, QueueFile, Record, RecordKind, Walk,
        WalkStep,
    },
    request::{DeliveryRequest, RequestReader},
};
use serde_json::Value as Json;
use smtp_policy::text::TextSource;

use crate::files::{Recording, all, bytes, named};

/// Bytes of a file, at most `most` at once.
fn at(file: &[u8], offset: u64, length: usize, most: usize) -> Bytes {
    let offset = usize::try_from(offset).unwrap().min(file.len());
    let end = (offset + length.min(most)).min(file.len());
    Bytes::copy_from_slice(&file[offset..end])
}

type Found = (u64, RecordKind, u32, Vec<u8>);

/// All records up to the end, with offset, type, length and data.
fn records(file: &[u8], most: usize) -> Vec<Found> {
    let mut walk = Walk::new(0);
    let mut found: Vec<Found> = Vec::new();
    loop {
        match walk.poll() {
            WalkStep::Read { offset, length } => walk.read(at(file, offset, length, most)),
            WalkStep::Record {
                offset,
                kind,
                length,
            } => {
                found.push((offset, kind, length, Vec::new()));
                if kind == RecordKind::END {
                    return found;
                }
            }
            WalkStep::Data(data) => found.last_mut().unwrap().3.extend_from_slice(&data),
            WalkStep::Corrupt(fault) => panic!("{fault}"),
        }
        assert!(walk.buffered() <= 32 * 1024);
    }
}

fn assert_records(found: &[Found], recorded: &[Json], name: &str) {
    let note = |record: &Json| record["note"].as_str().map(str::to_owned);
    let left_out = |text: String| text.split(' ').next().unwrap().parse::<usize>().unwrap();
    let skipped: usize = recorded.iter().filter_map(note).map(left_out).sum();
    let notes = recorded.iter().filter_map(note).count();
    assert_eq!(found.len(), recorded.len() - notes + skipped, "{name}");
    let mut found = found.iter();
    for record in recorded {
        if let Some(note) = note(record) {
            found.nth(left_out(note) - 1).unwrap();
            continue;
        }
        let (offset, kind, length, data) = found.next().unwrap();
        assert_eq!(Some(*offset), record["offset"].as_u64(), "{name}");
        assert_eq!(Some(kind.to_string().as_str()), record["type"].as_str());
        assert_eq!(Some(u64::from(*length)), record["length"].as_u64());
        assert_eq!(data.len(), usize::try_from(*length).unwrap());
        let data = String::from_utf8_lossy(data);
        // A long text is shortened.
        let text = record["data"].as_str().unwrap();
        let begin = text.strip_suffix("...").unwrap_or(text);
        assert!(
            data == text || (text.len() < data.len() && data.starts_with(begin)),
            "{name}: {data} {text}"
        );
    }
}

#[test]
fn every_record_is_met_in_the_order_of_the_pointers() {
    let mut count = 0;
    for recording in all() {
        for delivery in recording.deliveries() {
            let Some(recorded) = delivery["queue_file"]["records"].as_array() else {
                continue;
            };
            if recording.name == "corrupt-content" {
                continue;
            }
            let file = recording.queue_file(delivery).unwrap();
            let found = records(&file, usize::MAX);
            assert_records(&found, recorded, &recording.name);
            for most in [1, 3, 100] {
                if file.len() < 20_000 {
                    assert_eq!(records(&file, most), found, "{}", recording.name);
                }
            }
            for (offset, kind, _, data) in &found {
                let mut written = Vec::new();
                Record::write(*kind, data, &mut written);
                let start = usize::try_from(*offset).unwrap();
                assert_eq!(written, file[start..start + written.len()]);
            }
            count += 1;
        }
    }
    assert_eq!(count, 97);
}

fn request(delivery: &Json) -> DeliveryRequest {
    let mut reader = RequestReader::new("qmgr");
    reader.push(&bytes(&delivery["request_base64"]));
    reader.next_request().unwrap().unwrap()
}

/// The text of the message, read in pieces of `room`.
fn text(file: &[u8], offset: u64, room: usize, most: usize) -> std::io::Result<Vec<u8>> {
    let mut source = ContentText::new(|offset, length| Ok(at(file, offset, length, most)), offset);
    let mut text = Vec::new();
    loop {
        let piece = source.read(u64::try_from(text.len()).unwrap(), room)?;
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= room);
        text.extend_from_slice(&piece);
    }
    // Another server: from the beginning, or from anywhere.
    for offset in [0, text.len() / 2, text.len()] {
        let piece = source.read(u64::try_from(offset).unwrap(), room)?;
        assert_eq!(piece, text[offset..][..piece.len()]);
    }
    Ok(text)
}

/// The messages that a server took under a queue id.
fn arrived(recording: &Recording, id: &str) -> Vec<Vec<u8>> {
    let arrivals = recording.json["arrivals"].as_array().unwrap().iter();
    let messages = arrivals.map(|arrival| bytes(&arrival["data_base64"]));
    let of_id = |message: &Vec<u8>| {
        let text = String::from_utf8_lossy(message);
        let received = text.split("\nMessage-Id:").next().unwrap();
        received.contains(&format!(" id {id}")) || received.contains(&format!("\tid {id}"))
    };
    messages.filter(of_id).collect()
}

/// Recordings in which the client changes the text on its way.
const CHANGED: &[&str] = &[
    "eight-bit-to-seven",
    "generic",
    "header-checks-prepend",
    "lmtp-unix-flags",
    "long-lines",
];

#[test]
fn the_text_is_what_the_server_got() {
    let mut count = 0;
    for recording in all() {
        for delivery in recording.deliveries() {
            let Some(file) = recording.queue_file(delivery) else {
                continue;
            };
            let head = request(delivery).head;
            let offset = head.text_offset().unwrap();
            if recording.name == "corrupt-content" {
                continue;
            }
            let found = text(&file, offset, 16 * 1024, usize::MAX).unwrap();
            if file.len() < 20_000 {
                assert_eq!(text(&file, offset, 1, usize::MAX).unwrap(), found);
                assert_eq!(text(&file, offset, 100, 7).unwrap(), found);
            }
            if CHANGED.contains(&recording.name.as_str()) {
                continue;
            }
            let wire = String::from_utf8_lossy(&found).replace('\n', "\r\n");
            let arrived = arrived(&recording, head.queue_id.to_str().unwrap());
            for message in &arrived {
                assert_eq!(String::from_utf8_lossy(message), wire, "{}", recording.name);
            }
            count += arrived.len();
        }
    }
    assert!(count > 90, "{count}");
}

#[test]
fn long_lines_are_joined() {
    let recording = named("long-lines");
    let delivery = &recording["deliveries"][0];
    let file = bytes(&delivery["queue_file"]["base64"]);
    let offset = request(delivery).head.text_offset().unwrap();
    let text = text(&file, offset, 4096, usize::MAX).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lengths: Vec<_> = text.lines().rev().take(6).map(str::len).collect();
    assert_eq!(lengths, [3, 4, 2049, 2048, 0, 5000]);
    assert!(text.ends_with("\n.dot\nend\n"));
}

#[test]
fn a_corrupt_file_is_told_as_postfix_tells_it() {
    let recording = named("corrupt-content");
    let delivery = &recording["deliveries"][0];
    let file = bytes(&delivery["queue_file"]["base64"]);
    let head = request(delivery).head;
    let offset = head.text_offset().unwrap();
    let error = text(&file, offset, 4096, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let fault = error
        .into_inner()
        .unwrap()
        .downcast::<Corruption>()
        .unwrap();
    let queue_file = head.queue_file().unwrap();
    let warnings = fault.warnings(&queue_file.to_string(), queue_file.id());
    let log = recording["agent_log"].to_string();
    for warning in &warnings {
        assert!(log.contains(&format!("warning: {warning}\"")), "{warning}");
    }
    assert_eq!(*fault, Corruption::End);
    assert!(log.contains("status=bounced (unreadable mail queue entry)"));
    assert!(log.contains(&format!("corrupted queue file: {queue_file}")));
    let mode = format!("{CORRUPT_MODE:04o}");
    assert_eq!(delivery["queue_file"]["mode_after"], mode);
}

#[test]
fn every_file_has_its_recipients_where_the_request_says() {
    for recording in all() {
        for delivery in recording.deliveries() {
            let request = request(delivery);
            let queue_file = request.head.queue_file().unwrap();
            let Some(file) = recording.queue_file(delivery) else {
                continue;
            };
            let path = queue_file.path(&Hashing::new("deferred, defer", 1));
            assert_eq!(delivery["queue_file"]["path"], path);
            for recipient in &request.recipients {
                let mark = recipient.mark().unwrap().unwrap();
                let (record, _) =
                    Record::read(&file[usize::try_from(mark.offset).unwrap()..]).unwrap();
                // Another delivery of the same message may have marked it.
                assert!(matches!(
                    record.kind,
                    RecordKind::RECIPIENT | RecordKind::DONE
                ));
                // A redirection replaces the addresses.
                let redirected = recording.name == "priority-and-redirect";
                assert!(redirected || record.data == recipient.address.as_bytes());
            }
        }
    }
}

#[test]
fn a_long_queue_id_has_its_folders_by_the_microseconds() {
    let recording = named("long-queue-id");
    let head = request(&recording["deliveries"][0]).head;
    let deferred = Value::new("deferred").unwrap();
    let file = QueueFile::new(&deferred, &head.queue_id).unwrap();
    let id = file.id();
    let path = file.path(&Hashing::new("deferred", 2));
    assert!(path.ends_with(&format!("/{id}")) && path.len() == "deferred/0/0/".len() + id.len());
}
