//! The things that workers share.

use rusqlite::{Row, params};

use super::{fault::Fault, link::Link, message::most};
use crate::{
    model::{Shared, Timestamp},
    store::words::{time, time_number},
};

fn read(row: &Row<'_>) -> Result<Shared, Fault> {
    Ok(Shared {
        topic: row.get(0)?,
        key: row.get(1)?,
        value: row.get(2)?,
        number: row.get(3)?,
        until: time(row.get(4)?),
    })
}

pub(super) fn find(
    link: &Link,
    topic: &str,
    keys: &[String],
    now: Timestamp,
) -> Result<Vec<Shared>, Fault> {
    let mut statement = link.statement(
        "SELECT topic, key, value, number, until FROM shared \
         WHERE topic = ?1 AND key = ?2 AND (until IS NULL OR until > ?3)",
    )?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let mut rows = statement.query(params![topic, key, now.micros()])?;
        if let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

pub(super) fn scan(
    link: &Link,
    topic: &str,
    after: &str,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Shared>, Fault> {
    link.all(
        "SELECT topic, key, value, number, until FROM shared \
         WHERE topic = ?1 AND key > ?2 AND (until IS NULL OR until > ?3) ORDER BY key LIMIT ?4",
        params![topic, after, now.micros(), most(limit)],
        read,
    )
}

pub(super) fn put(link: &Link, things: &[Shared]) -> Result<(), Fault> {
    write(
        link,
        things,
        "INSERT INTO shared (topic, key, value, number, until) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE \
         SET value = excluded.value, number = excluded.number, until = excluded.until",
    )
}

pub(super) fn add(link: &Link, things: &[Shared]) -> Result<(), Fault> {
    // SQLite would go on with floating-point numbers behind the largest, and refuse them.
    write(
        link,
        things,
        "INSERT INTO shared (topic, key, value, number, until) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET number = CASE \
         WHEN excluded.number > 0 AND number > 9223372036854775807 - excluded.number \
         THEN 9223372036854775807 \
         WHEN excluded.number < 0 AND number < -9223372036854775807 - excluded.number \
         THEN -9223372036854775807 \
         ELSE number + excluded.number END",
    )
}

fn write(link: &Link, things: &[Shared], sql: &'static str) -> Result<(), Fault> {
    let mut statement = link.statement(sql)?;
    for thing in things {
        statement.execute(params![
            thing.topic,
            thing.key,
            thing.value,
            thing.number,
            time_number(thing.until),
        ])?;
    }
    Ok(())
}

pub(super) fn claim(link: &Link, things: &[Shared], now: Timestamp) -> Result<Vec<String>, Fault> {
    let mut statement = link.statement(
        "INSERT INTO shared (topic, key, value, number, until) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE \
         SET value = excluded.value, number = excluded.number, until = excluded.until \
         WHERE until <= ?6",
    )?;
    let mut claimed = Vec::new();
    for thing in things {
        let added = statement.execute(params![
            thing.topic,
            thing.key,
            thing.value,
            thing.number,
            time_number(thing.until),
            now.micros(),
        ])?;
        if added > 0 {
            claimed.push(thing.key.clone());
        }
    }
    Ok(claimed)
}

pub(super) fn delete(link: &Link, topic: &str, keys: &[String]) -> Result<(), Fault> {
    let mut statement = link.statement("DELETE FROM shared WHERE topic = ?1 AND key = ?2")?;
    for key in keys {
        statement.execute(params![topic, key])?;
    }
    Ok(())
}

pub(super) fn purge(link: &Link, now: Timestamp, limit: usize) -> Result<(), Fault> {
    link.execute(
        "DELETE FROM shared WHERE (topic, key) IN \
         (SELECT topic, key FROM shared WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2)",
        params![now.micros(), most(limit)],
    )?;
    Ok(())
}
