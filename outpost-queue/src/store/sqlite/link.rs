//! A connection with what a transaction needs to know of it.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Params, Row};

use super::{Clock, fault::Fault};
use crate::{
    model::{DestinationName, Timestamp},
    store::{
        StoreError,
        words::{Place, time},
    },
};

/// The most names of destinations that are remembered.
const NAMES: usize = 100_000;

/// The pause before the lock of another process is tried again. It is short, since one that writes all the time gives the
/// lock away for moments only.
const PAUSE: Duration = Duration::from_millis(1);

/// A connection.
pub(super) struct Link {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    clock: Clock,
    /// The time for which another process is waited for.
    wait: Duration,
    /// Commits wait until the disk has them.
    synced: bool,
    /// The last number that was given out, once it is known in this transaction.
    number: Option<i64>,
    /// The same as it is in the database.
    saved: Option<i64>,
    names: RefCell<Names>,
    /// The statements that were used.
    #[cfg(test)]
    pub(super) used: RefCell<std::collections::BTreeSet<&'static str>>,
}

/// The known names of destinations, which are not removed.
#[derive(Default)]
struct Names {
    ids: HashMap<DestinationName, i64>,
    names: HashMap<i64, DestinationName>,
}

impl Link {
    pub(super) fn new(conn: Connection, path: PathBuf, clock: Clock, wait: Duration) -> Self {
        Self {
            conn,
            path,
            clock,
            wait,
            synced: true,
            number: None,
            saved: None,
            names: RefCell::default(),
            #[cfg(test)]
            used: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Begins to write, when no other process does. What is not durable need not be on the disk when it is committed; it
    /// is when the next that is durable has been.
    pub(super) fn begin(&mut self, durable: bool) -> Result<(), Fault> {
        if self.synced != durable {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.synced = durable;
        }
        (self.number, self.saved) = (None, None);
        let begun = Instant::now();
        loop {
            match self.command("BEGIN IMMEDIATE") {
                Err(Fault::Sqlite(error)) if is_busy(&error) && begun.elapsed() < self.wait => {
                    thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Begins to read what is there now.
    pub(super) fn begin_reading(&mut self) -> Result<(), Fault> {
        (self.number, self.saved) = (None, None);
        self.command("BEGIN")
    }

    /// Makes it last. On an error nothing is left of the transaction.
    pub(super) fn commit(&mut self) -> Result<(), Fault> {
        let committed = self.save_number().and_then(|()| self.last());
        if committed.is_err() {
            self.roll_back();
        }
        committed
    }

    fn last(&self) -> Result<(), Fault> {
        match self.command("COMMIT") {
            // All of it may be in the log, and come to life when the file is opened after a crash.
            Err(Fault::Sqlite(error))
                if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) =>
            {
                let why = format!("{}: {error}", self.path.display());
                Err(StoreError::Uncertain(why).into())
            }
            other => other,
        }
    }

    /// Ends the transaction as if it had never been. SQLite may have done so itself.
    pub(super) fn roll_back(&mut self) {
        self.forget();
        if !self.conn.is_autocommit() {
            // If not even that goes, the next BEGIN fails, and says so.
            drop(self.conn.execute_batch("ROLLBACK"));
        }
    }

    /// Returns whether SQLite has ended the transaction itself, as it does when the disk is full.
    pub(super) fn is_broken(&self) -> bool {
        self.conn.is_autocommit()
    }

    /// Begins a part that can be taken back alone. Returns what [`undo`](Self::undo) needs.
    pub(super) fn part(&mut self) -> Result<Option<i64>, Fault> {
        self.command("SAVEPOINT part")?;
        Ok(self.number)
    }

    /// The part is good.
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        self.command("RELEASE part")
    }

    /// Takes the part back.
    pub(super) fn undo(&mut self, number: Option<i64>) -> Result<(), Fault> {
        self.forget();
        self.number = number;
        self.command("ROLLBACK TO part")?;
        self.command("RELEASE part")
    }

    /// Names that were added are not there.
    fn forget(&self) {
        self.names.take();
    }

    fn command(&self, sql: &'static str) -> Result<(), Fault> {
        self.statement(sql)?.execute([])?;
        Ok(())
    }

    /// A statement, which stays compiled.
    pub(super) fn statement(&self, sql: &'static str) -> Result<CachedStatement<'_>, Fault> {
        #[cfg(test)]
        self.used.borrow_mut().insert(sql);
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// Runs a statement that returns no rows. Returns how many it has changed.
    pub(super) fn execute(&self, sql: &'static str, values: impl Params) -> Result<usize, Fault> {
        Ok(self.statement(sql)?.execute(values)?)
    }

    /// The rows of a statement.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        values: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(values)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    /// The one number that a statement returns.
    pub(super) fn number(&self, sql: &'static str, values: impl Params) -> Result<i64, Fault> {
        Ok(self.statement(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Numbers that nobody has had.
    pub(super) fn allocate(&mut self, count: usize) -> Result<Vec<i64>, Fault> {
        let last = match self.number {
            Some(number) => number,
            None => self.number("SELECT number FROM counter", [])?,
        };
        if self.saved.is_none() {
            self.saved = Some(last);
        }
        let up = i64::try_from(count)
            .ok()
            .and_then(|count| last.checked_add(count));
        let up = up.ok_or_else(|| StoreError::Other("there are no numbers left".to_owned()))?;
        self.number = Some(up);
        Ok((last + 1..=up).collect())
    }

    /// Takes down which numbers were given out, once for all of the transaction.
    fn save_number(&self) -> Result<(), Fault> {
        if self.number != self.saved {
            self.execute("UPDATE counter SET number = ?1", [self.number])?;
        }
        Ok(())
    }

    /// The number of a destination; none if nobody has named it yet.
    pub(super) fn find_destination(&self, name: &DestinationName) -> Result<Option<i64>, Fault> {
        if let Some(id) = self.names.borrow().ids.get(name) {
            return Ok(Some(*id));
        }
        let mut statement = self.statement("SELECT id FROM destination_name WHERE name = ?1")?;
        let found: Option<i64> = statement
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            self.remember(id, name);
        }
        Ok(found)
    }

    /// The number of a destination.
    pub(super) fn destination(&self, name: &DestinationName) -> Result<i64, Fault> {
        if let Some(id) = self.find_destination(name)? {
            return Ok(id);
        }
        let sql = "INSERT INTO destination_name (name) VALUES (?1)";
        self.execute(sql, [name.as_str()])?;
        let id = self.conn.last_insert_rowid();
        self.remember(id, name);
        Ok(id)
    }

    /// The name of a destination.
    pub(super) fn destination_name(&self, id: i64) -> Result<DestinationName, Fault> {
        if let Some(name) = self.names.borrow().names.get(&id) {
            return Ok(name.clone());
        }
        let mut statement = self.statement("SELECT name FROM destination_name WHERE id = ?1")?;
        let text: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        let place = Place {
            table: "destination_name",
            id: &id,
        };
        let text = text.ok_or_else(|| place.damaged("id", "it is not there"))?;
        let name: DestinationName = place.text("name", &text)?;
        self.remember(id, &name);
        Ok(name)
    }

    fn remember(&self, id: i64, name: &DestinationName) {
        let mut names = self.names.borrow_mut();
        if names.ids.len() >= NAMES {
            *names = Names::default();
        }
        names.ids.insert(name.clone(), id);
        names.names.insert(id, name.clone());
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseBusy | DatabaseLocked)
    )
}

/// A row that is being read. A value that is not what it should be is an error that names it.
pub(super) struct Cells<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    id: i64,
}

impl<'a> Cells<'a> {
    /// A row of a table. The column with number `id` says which.
    pub(super) fn new(table: &'static str, row: &'a Row<'a>, id: usize) -> Result<Self, Fault> {
        let id = row.get(id)?;
        Ok(Self { row, table, id })
    }

    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place {
            table: self.table,
            id: &self.id,
        }
    }

    pub(super) fn name(&self, column: usize) -> &str {
        self.row.as_ref().column_name(column).unwrap_or("?")
    }

    pub(super) fn get<T: rusqlite::types::FromSql>(&self, column: usize) -> Result<T, Fault> {
        let read = self.row.get(column);
        read.map_err(|why| self.place().damaged(self.name(column), why).into())
    }

    /// A text where it lies.
    pub(super) fn text(&self, column: usize) -> Result<Option<&str>, Fault> {
        let text = self.row.get_ref(column)?.as_str_or_null();
        text.map_err(|why| self.place().damaged(self.name(column), why).into())
    }

    /// A number of the model that is not negative.
    pub(super) fn count<N: TryFrom<i64>>(&self, column: usize) -> Result<N, Fault> {
        let number = self.get(column)?;
        Ok(self.place().count(self.name(column), number)?)
    }

    /// A yes or no.
    pub(super) fn flag(&self, column: usize) -> Result<bool, Fault> {
        let number: i64 = self.get(column)?;
        Ok(number != 0)
    }

    /// A value that is kept as a small number.
    pub(super) fn word<W: crate::store::words::Word>(&self, column: usize) -> Result<W, Fault> {
        let number = self.get(column)?;
        Ok(self.place().word(self.name(column), number)?)
    }

    /// A time; NULL is never.
    pub(super) fn time(&self, column: usize) -> Result<Timestamp, Fault> {
        Ok(time(self.get(column)?))
    }
}

/// The clock of this machine.
pub(super) fn system_clock() -> Clock {
    Arc::new(|| {
        let epoch = std::time::UNIX_EPOCH;
        Timestamp::since_epoch(epoch.elapsed().unwrap_or_default())
    })
}
