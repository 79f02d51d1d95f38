//! Recipients.

use rusqlite::{Row, params};

use super::{
    fault::Fault,
    link::{Cells, Link},
    message::most,
};
use crate::{
    model::{MessageId, QueuedRecipient, TaskId},
    store::words::{Word, notify_number},
};

/// The columns of a recipient, in the order of [`read`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT task, number, message, address, original, orcpt, notify, fate, doubtful, verdict, owed \
             FROM recipient ",
            $rest
        )
    };
}

fn read(row: &Row<'_>) -> Result<QueuedRecipient, Fault> {
    let cells = Cells::new("recipient", row, 0)?;
    let address = cells.text(3)?.unwrap_or_default();
    let (original, orcpt) = (cells.text(4)?, cells.text(5)?);
    let owed: Option<i64> = cells.get(10)?;
    let place = cells.place();
    Ok(QueuedRecipient {
        message: MessageId(cells.get(2)?),
        number: cells.count(1)?,
        task: TaskId(cells.id()),
        recipient: place.recipient(address, original, orcpt, cells.get(6)?)?,
        fate: cells.word(7)?,
        doubtful: cells.flag(8)?,
        verdict: cells.get(9)?,
        owed: owed.map(|number| place.word("owed", number)).transpose()?,
    })
}

pub(super) fn insert(link: &Link, recipients: &[QueuedRecipient]) -> Result<(), Fault> {
    let mut statement = link.statement(
        "INSERT INTO recipient \
         (task, number, message, address, original, orcpt, notify, fate, doubtful, verdict, owed) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for one in recipients {
        let recipient = &one.recipient;
        statement.execute(params![
            one.task.0,
            one.number,
            one.message.0,
            recipient.address.as_str(),
            recipient.original.as_ref().map(ToString::to_string),
            recipient.orcpt.as_ref().map(ToString::to_string),
            notify_number(recipient.notify),
            one.fate.number(),
            one.doubtful,
            one.verdict,
            one.owed.map(Word::number),
        ])?;
    }
    Ok(())
}

pub(super) fn save(link: &Link, recipients: &[QueuedRecipient]) -> Result<(), Fault> {
    let mut statement = link.statement(
        "UPDATE recipient SET fate = ?3, doubtful = ?4, verdict = ?5, owed = ?6 \
         WHERE task = ?1 AND number = ?2",
    )?;
    for one in recipients {
        statement.execute(params![
            one.task.0,
            one.number,
            one.fate.number(),
            one.doubtful,
            one.verdict,
            one.owed.map(Word::number),
        ])?;
    }
    Ok(())
}

pub(super) fn of_tasks(
    link: &Link,
    tasks: &[TaskId],
    pending: bool,
) -> Result<Vec<QueuedRecipient>, Fault> {
    let sql = match pending {
        true => select!("WHERE task = ?1 AND fate = 0"),
        false => select!("WHERE task = ?1"),
    };
    let mut found = Vec::with_capacity(tasks.len());
    let mut statement = link.statement(sql)?;
    for task in tasks {
        let mut rows = statement.query([task.0])?;
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
    }
    found.sort_by_key(|one| (one.message, one.number));
    Ok(found)
}

pub(super) fn owed(
    link: &Link,
    message: MessageId,
    limit: usize,
) -> Result<Vec<QueuedRecipient>, Fault> {
    let sql = select!("WHERE message = ?1 AND owed IS NOT NULL ORDER BY number LIMIT ?2");
    link.all(sql, params![message.0, most(limit)], read)
}

pub(super) fn of_message(link: &Link, message: MessageId) -> Result<Vec<QueuedRecipient>, Fault> {
    link.all(
        select!("WHERE message = ?1 ORDER BY number"),
        [message.0],
        read,
    )
}
