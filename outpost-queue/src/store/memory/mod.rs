//! A store in memory, for tests and simulations. It is gone with the process, and it can be told to fail.

mod tables;
mod transaction;

use core::{
    any::type_name,
    fmt,
    ops::{Deref, DerefMut},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;

use crate::model::Timestamp;

pub use self::tables::Rows;
use self::{tables::Tables, transaction::MemoryTransaction};
use super::{Operation, Store, StoreError};

/// A store in memory. One transaction runs at a time.
#[derive(Clone)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    faults: Arc<Mutex<Faults>>,
}

type Faults = dyn FnMut(&'static str) -> Option<Fault> + Send;

/// A failure of the store during an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store is away: nothing is done.
    Away,
    /// The store goes away after so many steps of the operation: nothing is done. An operation with fewer steps succeeds.
    Within(u32),
    /// The operation is done, and the answer is lost.
    Unanswered,
    /// The operation is done, the store cannot tell, and does it again.
    Twice,
}

impl MemoryStore {
    /// An empty store with this clock. It does not fail.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            tables: Arc::default(),
            clock: Arc::new(clock),
            faults: Arc::new(Mutex::new(|_| None)),
        }
    }

    /// The same store, which fails when it is told to: `faults` is asked at the beginning of each operation, with the name of
    /// its type.
    #[must_use]
    pub fn with_faults(
        self,
        faults: impl FnMut(&'static str) -> Option<Fault> + Send + 'static,
    ) -> Self {
        let faults = Arc::new(Mutex::new(faults));
        Self { faults, ..self }
    }

    /// The rows, while nobody changes them.
    pub fn rows(&self) -> RowsGuard<'_> {
        RowsGuard {
            tables: lock(&self.tables),
            changed: false,
        }
    }

    /// The machine of the store crashes, and comes up again: operations that need not last
    /// ([`Operation::is_durable`]) are gone if none that must last has followed.
    pub fn crash(&self) {
        lock(&self.tables).roll_back(0);
    }

    fn run_once<O: Operation>(
        &self,
        operation: &O,
        steps: Option<u32>,
    ) -> Result<O::Output, StoreError> {
        let mut tables = lock(&self.tables);
        let mark = tables.mark();
        let mut tx = MemoryTransaction {
            tables: &mut tables,
            now: (self.clock)(),
            steps,
        };
        // Nothing in here waits, so that one look is enough.
        let waits = || StoreError::Other("an operation waits for something else".to_owned());
        let result = operation.run(&mut tx).now_or_never().ok_or_else(waits);
        match result.and_then(|result| result) {
            Ok(output) => {
                if operation.is_durable() {
                    tables.settle();
                }
                Ok(output)
            }
            Err(error) => {
                tables.roll_back(mark);
                Err(error)
            }
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let away = || StoreError::Unavailable("it was told to be away".to_owned());
        let unanswered = || StoreError::Uncertain("it was told to lose the answer".to_owned());
        let fault = lock(&self.faults)(type_name::<O>());
        match fault {
            None => self.run_once(&operation, None),
            Some(Fault::Away) => Err(away()),
            Some(Fault::Within(steps)) => self.run_once(&operation, Some(steps)),
            Some(Fault::Unanswered) => {
                self.run_once(&operation, None)?;
                Err(unanswered())
            }
            Some(Fault::Twice) => {
                self.run_once(&operation, None)?;
                self.run_once(&operation, None)
            }
        }
    }
}

/// The rows of a store, which nobody else can change as long as this is there. Changes are made at once, outside of any
/// transaction.
#[derive(Debug)]
pub struct RowsGuard<'a> {
    tables: MutexGuard<'a, Tables>,
    changed: bool,
}

impl Deref for RowsGuard<'_> {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        &self.tables.rows
    }
}

impl DerefMut for RowsGuard<'_> {
    fn deref_mut(&mut self) -> &mut Rows {
        self.changed = true;
        &mut self.tables.rows
    }
}

impl Drop for RowsGuard<'_> {
    fn drop(&mut self) {
        if self.changed {
            self.tables.settle();
            self.tables.index();
        }
    }
}
