//! Messages and their texts.

use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, params};

use super::{
    fault::Fault,
    link::{Cells, Link},
};
use crate::{
    model::{Message, MessageId, Timestamp},
    store::{
        Chunk, StoreError,
        words::{Word, time_number},
    },
};

/// The columns of a message, in the order of [`read`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, state, sender, envelope, size, arrived, unsettled, report_at, finished \
             FROM message ",
            $rest
        )
    };
}
pub(super) use select;

/// The bits of the number of a chunk, below those of its message: 256 GiB of text.
const CHUNK_BITS: u32 = 20;

/// Reads a message.
pub(super) fn read(row: &Row<'_>) -> Result<Message, Fault> {
    let cells = Cells::new("message", row, 0)?;
    Ok(Message {
        id: MessageId(cells.id()),
        kind: cells.word(1)?,
        state: cells.word(2)?,
        sender: cells.get(3)?,
        envelope: cells.get(4)?,
        size: cells.count(5)?,
        arrived: Timestamp::from_micros(cells.get(6)?),
        unsettled: cells.count(7)?,
        report_at: cells.time(8)?,
        finished: cells.time(9)?,
    })
}

pub(super) fn insert(link: &Link, messages: &[Message]) -> Result<(), Fault> {
    write(
        link,
        messages,
        "INSERT INTO message \
         (id, kind, state, sender, envelope, size, arrived, unsettled, report_at, finished) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
}

pub(super) fn replace(link: &Link, messages: &[Message]) -> Result<(), Fault> {
    write(
        link,
        messages,
        "UPDATE message SET kind = ?2, state = ?3, sender = ?4, envelope = ?5, size = ?6, arrived = ?7, \
         unsettled = ?8, report_at = ?9, finished = ?10 WHERE id = ?1",
    )
}

fn write(link: &Link, messages: &[Message], sql: &'static str) -> Result<(), Fault> {
    let mut statement = link.statement(sql)?;
    for message in messages {
        statement.execute(params![
            message.id.0,
            message.kind.number(),
            message.state.number(),
            message.sender,
            message.envelope,
            size(message.size)?,
            message.arrived.micros(),
            message.unsettled,
            time_number(message.report_at),
            time_number(message.finished),
        ])?;
    }
    Ok(())
}

fn size(size: u64) -> Result<i64, StoreError> {
    let large = |_| StoreError::Other(format!("a text of {size} bytes is too large"));
    i64::try_from(size).map_err(large)
}

pub(super) fn save(link: &Link, messages: &[Message]) -> Result<(), Fault> {
    let mut statement = link.statement(
        "UPDATE message SET kind = ?2, state = ?3, unsettled = ?4, report_at = ?5, finished = ?6 \
         WHERE id = ?1",
    )?;
    for message in messages {
        statement.execute(params![
            message.id.0,
            message.kind.number(),
            message.state.number(),
            message.unsettled,
            time_number(message.report_at),
            time_number(message.finished),
        ])?;
    }
    Ok(())
}

pub(super) fn find(link: &Link, ids: &[MessageId]) -> Result<Vec<Message>, Fault> {
    let mut statement = link.statement(select!("WHERE id = ?1"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows = statement.query([id.0])?;
        if let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

pub(super) fn owing(link: &Link, now: Timestamp, limit: usize) -> Result<Vec<Message>, Fault> {
    let sql =
        select!("WHERE report_at IS NOT NULL AND report_at <= ?1 ORDER BY report_at, id LIMIT ?2");
    link.all(sql, params![now.micros(), most(limit)], read)
}

/// Those that have ended first, then those that have not.
pub(super) fn stale(
    link: &Link,
    finished: Timestamp,
    arriving: Timestamp,
    limit: usize,
) -> Result<Vec<Message>, Fault> {
    let sql = select!("WHERE state = 2 AND finished < ?1 ORDER BY finished LIMIT ?2");
    let mut stale = link.all(sql, params![finished.micros(), most(limit)], read)?;
    let left = limit.saturating_sub(stale.len());
    let sql = select!("WHERE state = 0 AND arrived < ?1 ORDER BY arrived LIMIT ?2");
    stale.extend(link.all(sql, params![arriving.micros(), most(left)], read)?);
    Ok(stale)
}

/// A limit, as SQLite takes it.
pub(super) fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn delete(link: &Link, ids: &[MessageId]) -> Result<(), Fault> {
    delete_texts(link, ids)?;
    let recipients = "SELECT DISTINCT task FROM recipient WHERE message = ?1";
    let mut tasks = link.statement(recipients)?;
    for id in ids {
        let mut rows = tasks.query([id.0])?;
        while let Some(row) = rows.next()? {
            let task: i64 = row.get(0)?;
            link.execute("DELETE FROM recipient WHERE task = ?1", [task])?;
        }
        drop(rows);
        link.execute("DELETE FROM task WHERE message = ?1", [id.0])?;
        link.execute("DELETE FROM message WHERE id = ?1", [id.0])?;
    }
    Ok(())
}

/// The number of a piece among all pieces.
fn place(message: MessageId, number: u32) -> Result<i64, StoreError> {
    let large = || {
        StoreError::Other(format!(
            "message {message} has no room for piece {number} of its text"
        ))
    };
    let fits = number < 1 << CHUNK_BITS && message.0 >= 0 && message.0 < i64::MAX >> CHUNK_BITS;
    fits.then_some((message.0 << CHUNK_BITS) | i64::from(number))
        .ok_or_else(large)
}

pub(super) fn insert_chunks(link: &Link, chunks: &[Chunk]) -> Result<(), Fault> {
    let mut statement =
        link.statement("INSERT OR REPLACE INTO chunk (id, bytes) VALUES (?1, ?2)")?;
    for chunk in chunks {
        statement.execute(params![place(chunk.message, chunk.number)?, &*chunk.bytes])?;
    }
    Ok(())
}

pub(super) fn delete_texts(link: &Link, ids: &[MessageId]) -> Result<(), Fault> {
    let mut statement = link.statement("DELETE FROM chunk WHERE id >= ?1 AND id < ?2")?;
    for id in ids {
        let (first, behind) = (place(*id, 0)?, place(MessageId(id.0 + 1), 0)?);
        statement.execute([first, behind])?;
    }
    Ok(())
}

pub(super) fn chunk(link: &Link, message: MessageId, number: u32) -> Result<Option<Bytes>, Fault> {
    let Ok(place) = place(message, number) else {
        return Ok(None);
    };
    let mut statement = link.statement("SELECT bytes FROM chunk WHERE id = ?1")?;
    let bytes: Option<Vec<u8>> = statement.query_row([place], |row| row.get(0)).optional()?;
    Ok(bytes.map(Bytes::from))
}

pub(super) fn first_chunks(link: &Link, ids: &[MessageId]) -> Result<Vec<Chunk>, Fault> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let bytes = chunk(link, *id, 0)?;
        found.extend(bytes.map(|bytes| Chunk {
            message: *id,
            number: 0,
            bytes,
        }));
    }
    Ok(found)
}
