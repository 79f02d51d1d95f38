//! The store in memory does what every store must do.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod conformance;

use std::time::UNIX_EPOCH;

use futures_util::FutureExt;
use outpost_queue::{model::Timestamp, store::memory::MemoryStore};

struct Memory(MemoryStore);

impl conformance::Fixture for Memory {
    type Store = MemoryStore;

    fn fresh() -> Self {
        let now = || Timestamp::since_epoch(UNIX_EPOCH.elapsed().unwrap());
        Self(MemoryStore::new(now))
    }

    fn store(&self) -> &MemoryStore {
        &self.0
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        // It never waits.
        future.now_or_never().unwrap()
    }
}

suite!(Memory);
