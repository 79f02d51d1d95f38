//! A store for one machine: one file of SQLite, which is built in. It needs no server, and no other program.
//!
//! One thread has the connection that writes. What waits for it is done in one transaction, each operation in a part of
//! its own that fails alone, and then everybody hears of it at once: the disk is waited for once (*group commit*). An operation
//! that only reads ([`Operation::reads_only`]) has another connection and another thread, and holds up nobody.
//!
//! - **Crashes.** What was answered to an operation that [is durable](Operation::is_durable) is on the disk: the log of what
//!   was written (WAL) is flushed with each commit (`synchronous=FULL`). Where all operations of a transaction need not last, it
//!   is not (`NORMAL`): a crash of the machine, not of the program, may then take the last of them.
//! - **Other processes.** Several may use the file at the same time, on one machine. One waits for the other for as long as
//!   [`SqliteOptions::wait`] says. [`SqliteStore::foreign_changes`] tells whether another one has written.
//! - **Space.** What is removed leaves room in the file for what comes; the file itself does not shrink but with
//!   `VACUUM`, while nobody uses it. So it is as large as the queue has ever been.
//! - **Users.** The file is for its owner alone (mode 0600), with the files that SQLite lays beside it (`-wal`, `-shm`): a
//!   backup takes them together, or uses `sqlite3 FILE ".backup COPY"`.

mod destination;
mod fault;
mod link;
mod message;
mod open;
mod recipient;
mod schema;
mod shared;
mod task;
#[cfg(test)]
mod tests;
mod transaction;
mod view;
mod writer;

use core::{fmt, future::Future, time::Duration};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Receiver},
    thread,
};

use self::{
    link::Link,
    writer::{Ask, Job, Pending, Thread},
};
use super::{Operation, Store, StoreError};
use crate::model::Timestamp;

/// A clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The settings of a store.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// The clock: that of this machine.
    pub clock: Clock,
    /// The time for which another process that writes is waited for: ten seconds. After that it is a
    /// [conflict](StoreError::Conflict).
    pub wait: Duration,
    /// The most memory in bytes for pages of the file, in each of two connections: 64 MiB.
    pub cache: u32,
    /// The size in bytes from which the file [is full](StoreError::Full); none: when the disk is.
    pub size_limit: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            clock: link::system_clock(),
            wait: Duration::from_secs(10),
            cache: 64 << 20,
            size_limit: None,
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("wait", &self.wait)
            .field("cache", &self.cache)
            .field("size_limit", &self.size_limit)
            .finish_non_exhaustive()
    }
}

/// A store in a file of SQLite. When its last clone is dropped, what waits is done first, and the file is closed.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Threads>);

/// The threads of a store.
#[derive(Debug)]
struct Threads {
    path: PathBuf,
    writer: Option<Thread>,
    reader: Option<Thread>,
}

impl SqliteStore {
    /// Opens a file. It is made if it is not there; its directory is not. An older schema is brought up to date.
    ///
    /// It waits for the disk, and does not belong on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// The file is no database of SQLite, or one of somebody else ([`Unusable`](StoreError::Unusable)); it has a schema of a
    /// newer edition ([`Version`](StoreError::Version)); this user may not write it ([`ReadOnly`](StoreError::ReadOnly)); and what
    /// else keeps one from opening a file. The texts name it.
    pub fn open(path: impl AsRef<Path>, options: &SqliteOptions) -> Result<Self, StoreError> {
        let path = open::absolute(path.as_ref());
        let link = |conn| Link::new(conn, path.clone(), options.clock.clone(), options.wait);
        let writer = link(open::open(&path, options)?);
        let reader = link(open::open_reader(&path, options)?);
        let start = |name, link, work: fn(&mut Link, &Receiver<_>)| {
            writer::start(name, link, work).map(Some)
        };
        let mut threads = Threads {
            path: path.clone(),
            writer: None,
            reader: None,
        };
        threads.writer = start("queue-writer", writer, writer::write)?;
        threads.reader = start("queue-reader", reader, writer::read)?;
        Ok(Self(Arc::new(threads)))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A number that is another one after another process has written, and stays the same after what this store writes. It
    /// costs some microseconds.
    ///
    /// # Errors
    /// As [`run`](Store::run).
    pub async fn foreign_changes(&self) -> Result<i64, StoreError> {
        let (ask, answer) = Ask::new(|link| link.number("PRAGMA data_version", []));
        send(&self.0.writer, ask)?;
        answer.await.map_err(|_| gone())?
    }
}

impl Store for SqliteStore {
    fn run<O: Operation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, StoreError>> + Send {
        let thread = match operation.reads_only() {
            true => &self.0.reader,
            false => &self.0.writer,
        };
        let (job, answer) = Pending::new(operation);
        let sent = send(thread, job);
        async move {
            sent?;
            answer.await.map_err(|_| gone())?
        }
    }
}

fn send(thread: &Option<Thread>, job: Box<dyn Job>) -> Result<(), StoreError> {
    let (sender, _) = thread.as_ref().ok_or_else(gone)?;
    sender.send(job).map_err(|_| gone())
}

fn gone() -> StoreError {
    StoreError::Unavailable("the thread of the store has ended".to_owned())
}

impl Drop for Threads {
    fn drop(&mut self) {
        for (sender, thread) in [self.writer.take(), self.reader.take()]
            .into_iter()
            .flatten()
        {
            drop(sender);
            // What a thread drops itself must not wait for it.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}
