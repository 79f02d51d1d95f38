//! The queue as operators see it. These methods look at more rows than the others do, and belong beside those who write
//! ([`Operation::reads_only`](crate::store::Operation::reads_only)).

use rusqlite::{Row, params};

use super::{
    destination,
    fault::Fault,
    link::{Cells, Link},
    message::{self, most, select},
};
use crate::{
    model::{Counts, Filter, Load, Message, MessageId, MessageState, Timestamp},
    store::words::time,
};

/// The messages in a state behind a name.
fn behind(state: Option<MessageState>) -> &'static str {
    match state {
        None => select!("INDEXED BY message_open WHERE state < 2 AND id > ?1 ORDER BY id"),
        Some(MessageState::Arriving) => {
            select!("INDEXED BY message_open WHERE state < 2 AND state = 0 AND id > ?1 ORDER BY id")
        }
        Some(MessageState::Queued) => {
            select!("INDEXED BY message_open WHERE state < 2 AND state = 1 AND id > ?1 ORDER BY id")
        }
        Some(MessageState::Finished) => select!("WHERE state = 2 AND id > ?1 ORDER BY id"),
    }
}

/// The messages of tasks at a destination, behind a name.
const AT_DESTINATION: &str = "SELECT DISTINCT message FROM (\
     SELECT message FROM task WHERE state = 1 AND destination = ?1 \
     UNION ALL SELECT message FROM task WHERE state = 0 AND destination = ?1 \
     UNION ALL SELECT message FROM task WHERE state = 2 AND destination = ?1 \
     UNION ALL SELECT message FROM task WHERE state >= 3 AND destination = ?1) \
     WHERE message > ?2 ORDER BY message";

/// The messages of tasks that are held, behind a name.
const HELD: &str =
    "SELECT DISTINCT message FROM task WHERE state >= 3 AND message > ?1 ORDER BY message";

pub(super) fn list(
    link: &Link,
    filter: &Filter,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<Message>, Fault> {
    let after = after.map_or(-1, |id| id.0);
    // The fewest first: what is held, what is at a destination, all.
    let narrow: Option<Vec<i64>> = match (&filter.destination, filter.held) {
        (_, true) => Some(link.all(HELD, [after], |row| Ok(row.get(0)?))?),
        (Some(name), false) => match link.find_destination(name)? {
            None => Some(Vec::new()),
            Some(id) => Some(link.all(AT_DESTINATION, [id, after], |row| Ok(row.get(0)?))?),
        },
        (None, false) => None,
    };
    let mut found = Vec::new();
    if let Some(ids) = narrow {
        for id in ids {
            if found.len() >= limit {
                break;
            }
            for message in message::find(link, &[MessageId(id)])? {
                if fits(link, &message, filter)? {
                    found.push(message);
                }
            }
        }
        return Ok(found);
    }
    let mut statement = link.statement(behind(filter.state))?;
    let mut rows = statement.query([after])?;
    while found.len() < limit {
        let Some(row) = rows.next()? else { break };
        let message = message::read(row)?;
        if fits(link, &message, filter)? {
            found.push(message);
        }
    }
    Ok(found)
}

/// Returns whether a message is one of those that are wanted.
fn fits(link: &Link, message: &Message, filter: &Filter) -> Result<bool, Fault> {
    let state = match filter.state {
        None => message.state != MessageState::Finished,
        Some(state) => message.state == state,
    };
    let sender = filter.sender.as_ref();
    let sender = sender.is_none_or(|sender| message.sender.to_lowercase() == *sender);
    let before = filter.before.is_none_or(|before| message.arrived < before);
    Ok(state
        && sender
        && before
        && has_task(link, message.id, filter)?
        && has_recipient(link, message.id, filter)?)
}

fn has_task(link: &Link, message: MessageId, filter: &Filter) -> Result<bool, Fault> {
    if filter.held {
        let sql = "SELECT EXISTS (SELECT 1 FROM task WHERE message = ?1 AND state >= 3)";
        if link.number(sql, [message.0])? == 0 {
            return Ok(false);
        }
    }
    let Some(name) = &filter.destination else {
        return Ok(true);
    };
    let Some(id) = link.find_destination(name)? else {
        return Ok(false);
    };
    let sql = "SELECT EXISTS (SELECT 1 FROM task WHERE message = ?1 AND destination = ?2)";
    Ok(link.number(sql, [message.0, id])? != 0)
}

fn has_recipient(link: &Link, message: MessageId, filter: &Filter) -> Result<bool, Fault> {
    let Some(wanted) = &filter.recipient else {
        return Ok(true);
    };
    // SQLite knows only the letters of ASCII.
    let mut statement = link.statement("SELECT address FROM recipient WHERE message = ?1")?;
    let mut rows = statement.query([message.0])?;
    while let Some(row) = rows.next()? {
        let address: String = row.get(0)?;
        if address.to_lowercase() == *wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Counts over indexes that hold nothing else. The oldest task is the one with the first name.
pub(super) fn counts(link: &Link, now: Timestamp) -> Result<Counts, Fault> {
    let count = |sql: &'static str| -> Result<u64, Fault> {
        let number = link.number(sql, [])?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let ready = count("SELECT count(*) FROM task WHERE state = 1")?;
    let sql = "SELECT count(*) FROM task WHERE state = 1 AND due <= ?1";
    let due = u64::try_from(link.number(sql, [now.micros()])?).unwrap_or(0);
    let dead = "SELECT count(*) FROM destination WHERE dead_until IS NOT NULL AND dead_until > ?1";
    let oldest = link.all(
        "SELECT arrived FROM task WHERE id = (SELECT min(id) FROM task)",
        [],
        |row| Ok(row.get(0)?),
    )?;
    Ok(Counts {
        messages: count("SELECT count(*) FROM message INDEXED BY message_open WHERE state < 2")?,
        new: count("SELECT count(*) FROM task WHERE state = 0")?,
        due,
        deferred: ready.saturating_sub(due),
        leased: count("SELECT count(*) FROM task WHERE state = 2")?,
        held: count("SELECT count(*) FROM task WHERE state >= 3")?,
        in_doubt: count("SELECT count(*) FROM task WHERE state = 2 AND doubt IS NOT NULL")?,
        dead: u64::try_from(link.number(dead, [now.micros()])?).unwrap_or(0),
        oldest: time(oldest.first().copied()),
    })
}

/// The destinations with most tasks, with their numbers, and the first of them.
const LOADS: &str = "SELECT destination, count(*), min(id) FROM (\
     SELECT destination, id FROM task WHERE state = 1 \
     UNION ALL SELECT destination, id FROM task WHERE state = 0 \
     UNION ALL SELECT destination, id FROM task WHERE state = 2 \
     UNION ALL SELECT destination, id FROM task WHERE state >= 3) \
     GROUP BY destination ORDER BY 2 DESC, 3 LIMIT ?1";

pub(super) fn loads(link: &Link, limit: usize) -> Result<Vec<Load>, Fault> {
    let read = |row: &Row<'_>| {
        let cells = Cells::new("task", row, 0)?;
        Ok((cells.id(), cells.count(1)?, cells.get(2)?))
    };
    let most: Vec<(i64, u64, i64)> = link.all(LOADS, params![most(limit)], read)?;
    let mut loads = Vec::with_capacity(most.len());
    for (id, tasks, first) in most {
        // One that nobody has looked at yet has no row.
        let Some(destination) = destination::get(link, id)? else {
            continue;
        };
        let oldest = link.number("SELECT arrived FROM task WHERE id = ?1", [first])?;
        loads.push(Load {
            destination,
            tasks,
            oldest: Timestamp::from_micros(oldest),
        });
    }
    Ok(loads)
}
