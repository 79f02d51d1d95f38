//! The store in a file of SQLite does what every store must do, and what a file asks for.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod conformance;
#[path = "sqlite/file.rs"]
mod file;
#[path = "sqlite/together.rs"]
mod together;

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use outpost_queue::store::sqlite::{SqliteOptions, SqliteStore};

/// A store in a folder of its own.
struct Sqlite {
    store: SqliteStore,
    _folder: tempfile::TempDir,
}

impl conformance::Fixture for Sqlite {
    type Store = SqliteStore;

    fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        Self {
            store: SqliteStore::open(path, &SqliteOptions::default()).unwrap(),
            _folder: folder,
        }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        block_on(future)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, as any runtime would.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = core::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

suite!(Sqlite);
