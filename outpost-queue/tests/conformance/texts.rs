//! Texts.

use bytes::Bytes;
use outpost_queue::{
    model::MessageId,
    store::{CHUNK, Chunk, Transaction},
};

use super::{
    Fixture,
    rows::{Rows, chunk, message, numbers},
    script,
};

fn put(on: &impl Fixture, ids: &[i64], chunks: Vec<Chunk>) {
    let rows = Rows {
        messages: ids.iter().map(|id| message(*id)).collect(),
        chunks,
        ..Rows::default()
    };
    rows.put(on);
}

fn piece(on: &impl Fixture, id: i64, number: u32) -> Option<Bytes> {
    on.run(script!(tx [id: i64, number: u32] -> Option<Bytes> {
        tx.chunk(MessageId(*id), *number).await
    }))
}

fn first(on: &impl Fixture, ids: &[i64]) -> Vec<Chunk> {
    let ids: Vec<MessageId> = ids.iter().copied().map(MessageId).collect();
    on.run(script!(tx [ids: Vec<MessageId>] -> Vec<Chunk> { tx.first_chunks(ids).await }))
}

pub(crate) fn come_in_pieces(on: &impl Fixture) {
    let ids = numbers(on, 2);
    put(
        on,
        &ids,
        vec![chunk(ids[0], 1, b"two"), chunk(ids[0], 0, b"one")],
    );
    assert_eq!(piece(on, ids[0], 0).unwrap(), "one");
    assert_eq!(piece(on, ids[0], 1).unwrap(), "two");
    assert_eq!(piece(on, ids[0], 2), None);
    assert_eq!(piece(on, ids[0], u32::MAX), None);
    assert_eq!(piece(on, ids[1], 0), None);
    let again = vec![chunk(ids[0], 1, b"twice"), chunk(ids[0], 2, b"")];
    on.run(script!(tx [again: Vec<Chunk>] -> () { tx.insert_chunks(again).await }));
    assert_eq!(piece(on, ids[0], 1).unwrap(), "twice");
    assert_eq!(piece(on, ids[0], 2).unwrap(), "");
}

pub(crate) fn first_pieces_come_by_name(on: &impl Fixture) {
    let ids = numbers(on, 4);
    let chunks = vec![
        chunk(ids[2], 0, b"c"),
        chunk(ids[0], 0, b"a"),
        chunk(ids[0], 1, b"A"),
        chunk(ids[3], 1, b"D"),
    ];
    put(on, &ids, chunks);
    assert_eq!(
        first(on, &ids),
        [chunk(ids[0], 0, b"a"), chunk(ids[2], 0, b"c")]
    );
    assert_eq!(first(on, &[]), []);
}

pub(crate) fn deleted_alone(on: &impl Fixture) {
    let ids = numbers(on, 3);
    let mut chunks: Vec<Chunk> = ids.iter().map(|id| chunk(*id, 0, b"first")).collect();
    chunks.push(chunk(ids[1], 7, b"last"));
    put(on, &ids, chunks);
    let middle = ids[1];
    on.run(script!(tx [middle: i64] -> () { tx.delete_texts(&[MessageId(*middle)]).await }));
    assert_eq!(piece(on, middle, 0), None);
    assert_eq!(piece(on, middle, 7), None);
    let left: Vec<i64> = first(on, &ids).iter().map(|one| one.message.0).collect();
    assert_eq!(left, [ids[0], ids[2]]);
}

pub(crate) fn bytes_stay_as_they_are(on: &impl Fixture) {
    let ids = numbers(on, 1);
    let bytes: Bytes = (0..CHUNK).map(|place| (place * 31 % 256) as u8).collect();
    let whole = Chunk {
        message: MessageId(ids[0]),
        number: 0,
        bytes: bytes.clone(),
    };
    put(on, &ids, vec![whole]);
    assert_eq!(piece(on, ids[0], 0).unwrap(), bytes);
}
