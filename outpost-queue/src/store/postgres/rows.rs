//! Rows of the tables, and the values that they are.

use bytes::{Bytes, BytesMut};
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use crate::{
    model::{
        Dead, Destination, DestinationName, Fence, Message, MessageId, QueuedRecipient, Shared,
        Task, TaskId, Timestamp,
    },
    store::words::{Place, StateWord, time},
};

use super::StoreError;

/// The columns of a message, in the order in which they are read.
macro_rules! message_columns {
    () => {
        "id, kind, state, sender, envelope, size, arrived, unsettled, report_at, finished"
    };
}

/// Those of a task.
macro_rules! task_columns {
    () => { "id, message, destination, state, due, fence, attempts, deaths, doubt, worker, until, arrived, watch, warned" };
}

/// Those of a recipient.
macro_rules! recipient_columns {
    () => {
        "message, number, task, address, original, orcpt, notify, fate, doubtful, verdict, owed"
    };
}

/// Those of a destination.
macro_rules! destination_columns {
    () => {
        "name, running, concurrency, success, failure, fail_cohorts, dead_until, dead_why, next_start, ready_at"
    };
}

/// Those of what is shared.
macro_rules! shared_columns {
    () => {
        "topic, key, value, number, until"
    };
}

pub(super) use {
    destination_columns, message_columns, recipient_columns, shared_columns, task_columns,
};

/// A row that is being read, column by column.
struct Reader<'r> {
    row: &'r Row,
    place: Place<'r>,
    next: usize,
}

impl<'r> Reader<'r> {
    fn column(&self) -> &'r str {
        // What was read last.
        let index = self.next.saturating_sub(1);
        self.row
            .columns()
            .get(index)
            .map_or("?", |column| column.name())
    }

    fn next<T: FromSql<'r>>(&mut self) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        let wrong = |why| self.place.damaged(self.column(), why);
        self.row.try_get(index).map_err(wrong)
    }

    fn count<N: TryFrom<i64>>(&mut self) -> Result<N, StoreError> {
        let number: i64 = self.next()?;
        self.place.count(self.column(), number)
    }

    fn word<W: crate::store::words::Word>(&mut self) -> Result<W, StoreError> {
        let number: i16 = self.next()?;
        self.place.word(self.column(), i64::from(number))
    }
}

/// A value of a row that is not one of the values below.
pub(super) fn value<'r, T: FromSql<'r>>(
    row: &'r Row,
    table: &'static str,
    index: usize,
) -> Result<T, StoreError> {
    let place = Place { table, id: &"?" };
    let mut reader = Reader {
        row,
        place,
        next: index,
    };
    reader.next()
}

/// A text in a row of what is shared.
pub(super) fn text(row: &Row, index: usize) -> Result<&str, StoreError> {
    value(row, "shared", index)
}

/// A name of a destination in a row.
pub(super) fn destination_name(
    row: &Row,
    table: &'static str,
    index: usize,
) -> Result<DestinationName, StoreError> {
    let text: &str = value(row, table, index)?;
    Place { table, id: &text }.text("destination", text)
}

pub(super) fn message(row: &Row) -> Result<Message, StoreError> {
    let id: i64 = value(row, "message", 0)?;
    let place = Place {
        table: "message",
        id: &id,
    };
    let mut row = Reader {
        row,
        place,
        next: 1,
    };
    Ok(Message {
        id: MessageId(id),
        kind: row.word()?,
        state: row.word()?,
        sender: row.next()?,
        envelope: row.next()?,
        size: row.count()?,
        arrived: Timestamp::from_micros(row.next()?),
        unsettled: row.count()?,
        report_at: time(row.next()?),
        finished: time(row.next()?),
    })
}

pub(super) fn task(row: &Row) -> Result<Task, StoreError> {
    let id: i64 = value(row, "task", 0)?;
    let place = Place {
        table: "task",
        id: &id,
    };
    let mut row = Reader {
        row,
        place,
        next: 1,
    };
    let message = MessageId(row.next()?);
    let destination = place.text("destination", row.next()?)?;
    let state: StateWord = row.word()?;
    let due = Timestamp::from_micros(row.next()?);
    let fence = Fence(row.next()?);
    let (attempts, deaths) = (row.count()?, row.count()?);
    let doubt: Option<i64> = row.next()?;
    let worker: Option<&str> = row.next()?;
    let until: Option<i64> = row.next()?;
    let arrived = Timestamp::from_micros(row.next()?);
    let no_lease = || place.damaged("worker", "it is under way, and nobody has it");
    Ok(Task {
        id: TaskId(id),
        message,
        destination,
        state: state
            .with(worker, until.map(Timestamp::from_micros))
            .ok_or_else(no_lease)?,
        due,
        fence,
        attempts,
        deaths,
        doubt: doubt.map(Fence),
        arrived,
        watch: time(row.next()?),
        warned: row.next()?,
    })
}

pub(super) fn recipient(row: &Row) -> Result<QueuedRecipient, StoreError> {
    let message: i64 = value(row, "recipient", 0)?;
    let number: i64 = value(row, "recipient", 1)?;
    let id = format!("{message}, {number}");
    let place = Place {
        table: "recipient",
        id: &id,
    };
    let mut row = Reader {
        row,
        place,
        next: 2,
    };
    let task = TaskId(row.next()?);
    let (address, original, orcpt): (&str, Option<&str>, Option<&str>) =
        (row.next()?, row.next()?, row.next()?);
    let notify: i16 = row.next()?;
    let recipient = place.recipient(address, original, orcpt, i64::from(notify))?;
    let (fate, doubtful, verdict) = (row.word()?, row.next()?, row.next()?);
    let owed: Option<i16> = row.next()?;
    Ok(QueuedRecipient {
        message: MessageId(message),
        number: place.count("number", number)?,
        task,
        recipient,
        fate,
        doubtful,
        verdict,
        owed: owed
            .map(|number| place.word("owed", i64::from(number)))
            .transpose()?,
    })
}

pub(super) fn destination(row: &Row) -> Result<Destination, StoreError> {
    let text: &str = value(row, "destination", 0)?;
    let place = Place {
        table: "destination",
        id: &text,
    };
    let mut row = Reader {
        row,
        place,
        next: 1,
    };
    let (running, window) = (row.count()?, row.count()?);
    let (success, failure, fail_cohorts) = (row.next()?, row.next()?, row.next()?);
    let (until, why): (Option<i64>, Option<String>) = (row.next()?, row.next()?);
    let dead = until.zip(why).map(|(until, why)| Dead {
        until: Timestamp::from_micros(until),
        why,
    });
    Ok(Destination {
        name: place.text("name", text)?,
        running,
        window,
        success,
        failure,
        fail_cohorts,
        dead,
        next_start: Timestamp::from_micros(row.next()?),
        ready_at: time(row.next()?),
    })
}

pub(super) fn shared(row: &Row) -> Result<Shared, StoreError> {
    let place = Place {
        table: "shared",
        id: &"?",
    };
    let mut row = Reader {
        row,
        place,
        next: 0,
    };
    Ok(Shared {
        topic: row.next()?,
        key: row.next()?,
        value: row.next()?,
        number: row.next()?,
        until: time(row.next()?),
    })
}

/// Reads rows.
pub(super) fn all<'r, T>(
    rows: &'r [Row],
    one: impl Fn(&'r Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(one).collect()
}

/// Bytes that are written without a copy.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Bytes);

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn core::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }

    to_sql_checked!();
}

/// An address in lower case, where that is not the address with its ASCII letters in lower case, which a database can find
/// out itself.
pub(super) fn folded(address: &str) -> Option<String> {
    (!address.is_ascii()).then(|| address.to_lowercase())
}
