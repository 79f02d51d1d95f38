//! Opening of a file: what it is, who may use it, and how SQLite is set.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    SqliteOptions,
    fault::Fault,
    schema::{self, Contents},
};
use crate::store::StoreError;

/// The size of a page in bytes. A text of 4 KiB has room in one, so that it costs one page and not a chain of them.
const PAGE: u32 = 8192;

/// The number of pages in the log of what was written (WAL) after which they are carried over into the database. It is done
/// by whoever commits, so that it must not take long; and the longer it waits, the more writes of one page become one.
const CHECKPOINT: u32 = 4000;

/// The size in bytes to which the log is cut when it was carried over.
const LOG_LIMIT: u32 = 128 << 20;

/// The statements that are kept compiled. It is more than there are.
const STATEMENTS: usize = 128;

/// The time for which SQLite itself waits for others while a file is opened, and while somebody reads.
const BUSY: Duration = Duration::from_secs(5);

/// The pause before a file is opened again.
const PAUSE: Duration = Duration::from_millis(5);

/// The side of the store that a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that writes.
    Writer,
    /// One that reads beside it.
    Reader,
}

/// Opens a file for writing, after it was made or brought up to date where need be.
pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    prepare_file(path)?;
    let open = || {
        let conn = connect(path)?;
        if conn.is_readonly("main")? {
            let why = "this user may not write it".to_owned();
            return Err(StoreError::ReadOnly(why).into());
        }
        // Another process may be about to make it.
        let moment = conn.unchecked_transaction()?;
        let contents = schema::look(&moment).map_err(no_database)?;
        moment.finish()?;
        let version = schema::check(contents, schema::NEWEST)?;
        if contents == Contents::Empty {
            conn.pragma_update(None, "page_size", PAGE)?;
        }
        set(&conn, options, Side::Writer)?;
        if version < schema::NEWEST {
            schema::migrate(&conn)?;
        }
        // From here on it is the thread that waits for others.
        conn.busy_timeout(Duration::ZERO)?;
        Ok(conn)
    };
    patiently(path, options.wait, open)
}

/// Opens again and again while others are about to. SQLite does not wait for them where it might be in vain.
fn patiently(
    path: &Path,
    wait: Duration,
    open: impl Fn() -> Result<Connection, Fault>,
) -> Result<Connection, StoreError> {
    let begun = Instant::now();
    loop {
        match open().map_err(|fault| fault.at(path)) {
            Err(StoreError::Conflict(_)) if begun.elapsed() < wait => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
}

/// Tells a file that is no database from the start apart from one that was damaged.
fn no_database(fault: Fault) -> Fault {
    match fault {
        Fault::Sqlite(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) =>
        {
            StoreError::Unusable("it is no database of SQLite".to_owned()).into()
        }
        other => other,
    }
}

/// Opens a file that is open already, for reading.
pub(super) fn open_reader(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let open = || {
        let conn = connect(path)?;
        set(&conn, options, Side::Reader)?;
        Ok(conn)
    };
    patiently(path, options.wait, open)
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    // Whether the file may be made is decided before; each connection stays with one thread.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

/// Makes the file if it is not there, for nobody but its owner, and says in plain words why it cannot be used.
fn prepare_file(path: &Path) -> Result<(), StoreError> {
    let name = path.display();
    let unusable = |why: &str| StoreError::Unusable(format!("{name}: {why}"));
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(unusable("it is a directory")),
        Ok(meta) if !meta.is_file() => return Err(unusable("it is no ordinary file")),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(of_io(path, &error)),
    }
    let folder = match path.parent() {
        None => return Err(unusable("it is no name of a file")),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            let why = format!("{} is no directory", folder.display());
            return Err(unusable(&why));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why = format!("the directory {} does not exist", folder.display());
            return Err(unusable(&why));
        }
        Err(error) => return Err(of_io(path, &error)),
    }
    let mut file = fs::OpenOptions::new();
    file.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path)
        .map(drop)
        .map_err(|error| of_io(path, &error))
}

fn of_io(path: &Path, error: &io::Error) -> StoreError {
    let why = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(why),
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(why),
        _ => StoreError::Unusable(why),
    }
}

/// Sets what SQLite does with a connection.
fn set(conn: &Connection, options: &SqliteOptions, side: Side) -> Result<(), Fault> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        // SQLite needs memory that processes share.
        let why = "its file system allows no write-ahead log".to_owned();
        return Err(StoreError::Unusable(why).into());
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(options.cache / 1024))?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    conn.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
    match (side, options.size_limit) {
        (Side::Reader, _) => conn.pragma_update(None, "query_only", true)?,
        (Side::Writer, None) => {}
        (Side::Writer, Some(limit)) => {
            let page: i64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            let pages = i64::try_from(limit).unwrap_or(i64::MAX) / page.max(1);
            // It answers with the new value.
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
    }
    Ok(())
}

/// The path as errors name it, which stays right when the program changes its folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
