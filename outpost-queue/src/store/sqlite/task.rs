//! Tasks.

use rusqlite::{OptionalExtension, Row, params};

use super::{
    fault::Fault,
    link::{Cells, Link},
    message::most,
};
use crate::{
    model::{DestinationName, Fence, MessageId, Task, TaskId, TaskState, Timestamp},
    store::words::{StateWord, Word, time, time_number},
};

/// The columns of a task, in the order of [`read`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, message, destination, state, worker, until, due, fence, attempts, deaths, doubt, \
             arrived, watch, warned FROM task ",
            $rest
        )
    };
}

/// Reads a task.
fn read(link: &Link, row: &Row<'_>) -> Result<Task, Fault> {
    let cells = Cells::new("task", row, 0)?;
    let word: StateWord = cells.word(3)?;
    let until: Option<i64> = cells.get(5)?;
    let no_lease = || {
        cells
            .place()
            .damaged("worker", "a lease has no worker, or no end")
    };
    let state = word.with(cells.text(4)?, until.map(Timestamp::from_micros));
    let doubt: Option<i64> = cells.get(10)?;
    Ok(Task {
        id: TaskId(cells.id()),
        message: MessageId(cells.get(1)?),
        destination: link.destination_name(cells.get(2)?)?,
        state: state.ok_or_else(no_lease)?,
        due: Timestamp::from_micros(cells.get(6)?),
        fence: Fence(cells.get(7)?),
        attempts: cells.count(8)?,
        deaths: cells.count(9)?,
        doubt: doubt.map(Fence),
        arrived: Timestamp::from_micros(cells.get(11)?),
        watch: cells.time(12)?,
        warned: cells.flag(13)?,
    })
}

/// The worker and the end of a lease.
fn lease(state: &TaskState) -> (Option<&str>, Option<i64>) {
    match state {
        TaskState::Leased(lease) => (Some(&lease.worker.0), Some(lease.until.micros())),
        TaskState::New | TaskState::Ready | TaskState::Held(_) => (None, None),
    }
}

pub(super) fn insert(link: &Link, tasks: &[Task]) -> Result<(), Fault> {
    let mut statement = link.statement(
        "INSERT INTO task (id, message, destination, state, worker, until, due, fence, attempts, deaths, \
         doubt, arrived, watch, warned) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for task in tasks {
        let (worker, until) = lease(&task.state);
        statement.execute(params![
            task.id.0,
            task.message.0,
            link.destination(&task.destination)?,
            StateWord::from(&task.state).number(),
            worker,
            until,
            task.due.micros(),
            task.fence.0,
            task.attempts,
            task.deaths,
            task.doubt.map(|fence| fence.0),
            task.arrived.micros(),
            time_number(task.watch),
            task.warned,
        ])?;
    }
    Ok(())
}

pub(super) fn save(link: &Link, tasks: &[Task]) -> Result<(), Fault> {
    let mut statement = link.statement(
        "UPDATE task SET state = ?2, worker = ?3, until = ?4, due = ?5, fence = ?6, attempts = ?7, \
         deaths = ?8, doubt = ?9, watch = ?10, warned = ?11 WHERE id = ?1",
    )?;
    for task in tasks {
        let (worker, until) = lease(&task.state);
        statement.execute(params![
            task.id.0,
            StateWord::from(&task.state).number(),
            worker,
            until,
            task.due.micros(),
            task.fence.0,
            task.attempts,
            task.deaths,
            task.doubt.map(|fence| fence.0),
            time_number(task.watch),
            task.warned,
        ])?;
    }
    Ok(())
}

pub(super) fn find(link: &Link, ids: &[TaskId]) -> Result<Vec<Task>, Fault> {
    let mut statement = link.statement(select!("WHERE id = ?1"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows = statement.query([id.0])?;
        if let Some(row) = rows.next()? {
            found.push(read(link, row)?);
        }
    }
    Ok(found)
}

pub(super) fn of_messages(link: &Link, ids: &[MessageId]) -> Result<Vec<Task>, Fault> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let sql = select!("WHERE message = ?1 ORDER BY id");
        found.extend(link.all(sql, [id.0], |row| read(link, row))?);
    }
    found.sort_by_key(|task| task.id);
    Ok(found)
}

pub(super) fn new(link: &Link, limit: usize) -> Result<Vec<Task>, Fault> {
    let sql = select!("WHERE state = 0 ORDER BY id LIMIT ?1");
    link.all(sql, [most(limit)], |row| read(link, row))
}

pub(super) fn due(
    link: &Link,
    turns: &[(DestinationName, u32)],
    now: Timestamp,
) -> Result<Vec<Task>, Fault> {
    let sql =
        select!("WHERE state = 1 AND destination = ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3");
    let mut found = Vec::new();
    for (name, turns) in turns {
        if let Some(destination) = link.find_destination(name)? {
            let values = params![destination, now.micros(), turns];
            found.extend(link.all(sql, values, |row| read(link, row))?);
        }
    }
    Ok(found)
}

pub(super) fn next_due(
    link: &Link,
    names: &[DestinationName],
) -> Result<Vec<(DestinationName, Timestamp)>, Fault> {
    let sql = "SELECT due FROM task WHERE state = 1 AND destination = ?1 ORDER BY due LIMIT 1";
    let mut statement = link.statement(sql)?;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let due: Option<i64> = match link.find_destination(name)? {
            None => None,
            Some(id) => statement.query_row([id], |row| row.get(0)).optional()?,
        };
        found.push((name.clone(), time(due)));
    }
    Ok(found)
}

pub(super) fn abandoned(link: &Link, now: Timestamp, limit: usize) -> Result<Vec<Task>, Fault> {
    let sql = select!("WHERE state = 2 AND until < ?1 ORDER BY until, id LIMIT ?2");
    link.all(sql, params![now.micros(), most(limit)], |row| {
        read(link, row)
    })
}

pub(super) fn watched(link: &Link, now: Timestamp, limit: usize) -> Result<Vec<Task>, Fault> {
    let sql = select!(
        "WHERE watch IS NOT NULL AND (state = 1 OR state >= 3) AND watch <= ?1 \
         ORDER BY watch, id LIMIT ?2"
    );
    link.all(sql, params![now.micros(), most(limit)], |row| {
        read(link, row)
    })
}

pub(super) fn delete(link: &Link, ids: &[TaskId]) -> Result<(), Fault> {
    let mut statement = link.statement("DELETE FROM task WHERE id = ?1")?;
    for id in ids {
        statement.execute([id.0])?;
    }
    Ok(())
}
