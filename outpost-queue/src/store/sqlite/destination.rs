//! Destinations.

use rusqlite::{Row, params};

use super::{
    fault::Fault,
    link::{Cells, Link},
    message::most,
};
use crate::{
    model::{Dead, Destination, DestinationName, Timestamp},
    store::words::time_number,
};

/// The columns of a destination, in the order of [`read`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, running, window, success, failure, fail_cohorts, dead_until, dead_why, \
             next_start, ready_at FROM destination ",
            $rest
        )
    };
}

const SAVE: &str = "INSERT OR REPLACE INTO destination (id, running, window, success, failure, \
     fail_cohorts, dead_until, dead_why, next_start, ready_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Reads a destination.
fn read(link: &Link, row: &Row<'_>) -> Result<Destination, Fault> {
    let cells = Cells::new("destination", row, 0)?;
    // One that rests without an end rests for ever; one that does not rest has no reason.
    let why: Option<String> = cells.get(7)?;
    let until = cells.time(6)?;
    Ok(Destination {
        name: link.destination_name(cells.id())?,
        running: cells.count(1)?,
        window: cells.count(2)?,
        success: cells.get(3)?,
        failure: cells.get(4)?,
        fail_cohorts: cells.get(5)?,
        dead: why.map(|why| Dead { until, why }),
        next_start: cells.time(8)?,
        ready_at: cells.time(9)?,
    })
}

/// Reads one by its number.
pub(super) fn get(link: &Link, id: i64) -> Result<Option<Destination>, Fault> {
    let mut statement = link.statement(select!("WHERE id = ?1"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(|row| read(link, row)).transpose()
}

pub(super) fn lock(
    link: &Link,
    names: &[DestinationName],
    new: &dyn Fn(&DestinationName) -> Destination,
) -> Result<Vec<Destination>, Fault> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let destination = match get(link, link.destination(name)?)? {
            Some(destination) => destination,
            None => {
                let destination = new(name);
                save(link, core::slice::from_ref(&destination))?;
                destination
            }
        };
        found.push(destination);
    }
    Ok(found)
}

pub(super) fn ready(link: &Link, now: Timestamp, limit: usize) -> Result<Vec<Destination>, Fault> {
    let sql = select!("WHERE ready_at IS NOT NULL AND ready_at <= ?1 ORDER BY ready_at LIMIT ?2");
    link.all(sql, params![now.micros(), most(limit)], |row| {
        read(link, row)
    })
}

pub(super) fn save(link: &Link, destinations: &[Destination]) -> Result<(), Fault> {
    let mut statement = link.statement(SAVE)?;
    for one in destinations {
        let dead = one.dead.as_ref();
        statement.execute(params![
            link.destination(&one.name)?,
            one.running,
            one.window,
            one.success,
            one.failure,
            one.fail_cohorts,
            dead.and_then(|dead| time_number(dead.until)),
            dead.map(|dead| &dead.why),
            time_number(one.next_start),
            time_number(one.ready_at),
        ])?;
    }
    Ok(())
}
