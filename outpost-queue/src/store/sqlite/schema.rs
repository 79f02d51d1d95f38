//! The tables, as the steps that lead to them. The number of a step is the version of the schema after it
//! (`PRAGMA user_version`); a step that was released is never changed.

use rusqlite::Connection;

use super::fault::Fault;
use crate::store::StoreError;

/// The mark of a file of this store (`PRAGMA application_id`): "OPQu".
pub(super) const APPLICATION: i64 = 0x4F50_5175;

/// The steps. Numbers of states, fates and so on are those of [`words`](crate::store::words).
///
/// - Times are microseconds; NULL is never, but for `task.due`, which is a part of an index.
/// - There are no foreign keys: what belongs together is removed together, and each look would cost as much as the row.
/// - Partial indexes hold what somebody waits for, and nothing else: a message that is delivered at once touches few.
/// - `recipient` is in the order in which it is read, by tasks. `chunk.id` is message and number in one.
const STEPS: [&str; 1] = ["
CREATE TABLE counter (number INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    sender TEXT NOT NULL,
    envelope TEXT NOT NULL,
    size INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    unsettled INTEGER NOT NULL,
    report_at INTEGER,
    finished INTEGER
) STRICT;
CREATE INDEX message_open ON message (id) WHERE state < 2;
CREATE INDEX message_arriving ON message (arrived) WHERE state = 0;
CREATE INDEX message_finished ON message (finished) WHERE state = 2;
CREATE INDEX message_owing ON message (report_at) WHERE report_at IS NOT NULL;

CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    state INTEGER NOT NULL,
    worker TEXT,
    until INTEGER,
    due INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    deaths INTEGER NOT NULL,
    doubt INTEGER,
    arrived INTEGER NOT NULL,
    watch INTEGER,
    warned INTEGER NOT NULL
) STRICT;
CREATE INDEX task_message ON task (message);
CREATE INDEX task_new ON task (state) WHERE state = 0;
CREATE INDEX task_due ON task (destination, due) WHERE state = 1;
CREATE INDEX task_leased ON task (until) WHERE state = 2;
CREATE INDEX task_held ON task (state) WHERE state >= 3;
CREATE INDEX task_watched ON task (watch) WHERE watch IS NOT NULL AND (state = 1 OR state >= 3);

CREATE TABLE recipient (
    task INTEGER NOT NULL,
    number INTEGER NOT NULL,
    message INTEGER NOT NULL,
    address TEXT NOT NULL,
    original TEXT,
    orcpt TEXT,
    notify INTEGER NOT NULL,
    fate INTEGER NOT NULL,
    doubtful INTEGER NOT NULL,
    verdict TEXT,
    owed INTEGER,
    PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX recipient_message ON recipient (message, number);
CREATE INDEX recipient_owed ON recipient (message, number) WHERE owed IS NOT NULL;

CREATE TABLE destination_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE destination (
    id INTEGER PRIMARY KEY,
    running INTEGER NOT NULL,
    window INTEGER NOT NULL,
    success REAL NOT NULL,
    failure REAL NOT NULL,
    fail_cohorts REAL NOT NULL,
    dead_until INTEGER,
    dead_why TEXT,
    next_start INTEGER,
    ready_at INTEGER
) STRICT;
CREATE INDEX destination_ready ON destination (ready_at) WHERE ready_at IS NOT NULL;
CREATE INDEX destination_dead ON destination (dead_until) WHERE dead_until IS NOT NULL;

CREATE TABLE shared (
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    number INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (topic, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_until ON shared (until) WHERE until IS NOT NULL;
"];

/// The newest version that is known here.
pub(super) const NEWEST: i64 = STEPS.len() as i64;

/// The contents of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing yet.
    Empty,
    /// A store of this version.
    Store(i64),
}

/// Looks at what a file is, in a transaction. It changes nothing.
pub(super) fn look(conn: &Connection) -> Result<Contents, Fault> {
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Contents::Empty),
        (APPLICATION, 1.., 1..) => Ok(Contents::Store(version)),
        _ => {
            let why = "it is a database of SQLite that another program has made";
            Err(StoreError::Unusable(why.to_owned()).into())
        }
    }
}

/// Refuses what a newer edition has made.
pub(super) fn check(contents: Contents, known: i64) -> Result<i64, Fault> {
    match contents {
        Contents::Empty => Ok(0),
        Contents::Store(found) if found > known => Err(StoreError::Version { found, known }.into()),
        Contents::Store(found) => Ok(found),
    }
}

/// Takes the steps that are left, in one transaction. Another process may do it at the same time.
pub(super) fn migrate(conn: &Connection) -> Result<(), Fault> {
    take(conn, &STEPS)
}

/// Takes the steps that are left of these.
pub(super) fn take(conn: &Connection, steps: &[&str]) -> Result<(), Fault> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let taken = take_rest(conn, steps);
    let ended = conn.execute_batch(match taken {
        Ok(()) => "COMMIT",
        Err(_) => "ROLLBACK",
    });
    taken?;
    Ok(ended?)
}

fn take_rest(conn: &Connection, steps: &[&str]) -> Result<(), Fault> {
    let newest = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let version = check(look(conn)?, newest)?;
    for step in steps.iter().skip(usize::try_from(version).unwrap_or(0)) {
        conn.execute_batch(step)?;
    }
    conn.pragma_update(None, "application_id", APPLICATION)?;
    conn.pragma_update(None, "user_version", newest)?;
    Ok(())
}
