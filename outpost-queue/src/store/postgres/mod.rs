//! The store for many machines: PostgreSQL. What it is told is written down here; what is decided is decided by the
//! operations.
//!
//! # Address
//!
//! A connection URI of PostgreSQL, with two parameters of ours: `schema` (`outpost`), which is made where it is not there,
//! and `connections` (8), the most that are open. Of `sslmode` there are `disable`, `prefer` (the default), `require` and
//! `verify-full`, with `sslrootcert` for a file of authorities other than the system's. Others, and parameters that are not
//! known, are refused.
//!
//! ```text
//! postgres://queue:password@db.example.com/mail?sslmode=verify-full&schema=outpost
//! ```
//!
//! Sessions are set up once, so a connection pooler in between has to pool sessions, not transactions.
//!
//! # Lasting
//!
//! An operation that has to last is committed as the server has it for `synchronous_commit`; where that is `off`, it is
//! `on` here. With `fsync=off` nothing lasts. Others are committed with `synchronous_commit=off`.
//!
//! A commit whose answer is lost may have happened. The operation is run again for some seconds, until an answer comes,
//! and else the error is [`StoreError::Uncertain`]. That is safe, since each sees what it has done before:
//!
//! | operation | run again after it was committed |
//! |---|---|
//! | [`Submit`] | finds its key, and answers with the names of the first time |
//! | [`Append`](crate::operation::Append), [`Mark`](crate::operation::Mark), [`Renew`](crate::operation::Renew) | writes the same again |
//! | [`Begin`](crate::operation::Begin) | makes another message; the first never ends, and is purged |
//! | [`Admit`](crate::operation::Admit), [`Claim`](crate::operation::Claim) | takes other tasks; the leases of the first run out |
//! | [`Conclude`](crate::operation::Conclude), [`Release`](crate::operation::Release) | finds that the task is no longer its own: the verdicts of the first time stand |
//! | [`Reap`](crate::operation::Reap) | takes back what is left |
//! | counters ([`add_shared`](crate::store::Transaction::add_shared)) | counts twice |
//!
//! # Other databases
//!
//! The statements are plain SQL: arrays with `UNNEST`, `ON CONFLICT`, `LATERAL`, `FOR UPDATE SKIP LOCKED`, a sequence,
//! partial indexes, no functions and no notifications. What is for PostgreSQL alone (storage parameters, planner settings,
//! `synchronous_commit`) is left out where `version()` names another. PostgreSQL 15 is what this was tested on;
//! CockroachDB (which has to have Read Committed enabled) and YugabyteDB were not, in particular not `COLLATE "C"` on
//! columns, and `LIMIT` with a column of the outer query.

mod errors;
mod messages;
mod pool;
mod rows;
mod schema;
mod send;
mod shared;
mod tasks;
mod tls;
mod transaction;
mod url;
mod views;

use core::{fmt, time::Duration};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use crate::{model::MessageId, operation::Submit};

use super::{Operation, Store, StoreError};

use self::{
    pool::{Pool, Statements},
    send::{Common, Mode, Tx},
};

/// A queue in a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    common: Arc<Common>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store at an address (see the [module](self)), and makes or renews its tables. It runs in tokio.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses; the address cannot be understood; the encoding of the database is not
    /// UTF8; the schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let settings = url::parse(url)?;
        let tls = tls::connector(&settings.trust)?;
        let common = Arc::new(Common::new(&settings.schema));
        let pool = Pool::new(settings.config, tls, settings.connections);
        let lent = pool.get().await?;
        schema::migrate(&lent.connection.client, &common.prefix, pool.is_postgres()).await?;
        lent.give_back();
        Ok(Self { pool, common })
    }

    async fn attempt<O: Operation>(&self, operation: &O) -> Result<O::Output, Failure> {
        let mode = match (operation.reads_only(), operation.is_durable()) {
            (true, _) => Mode::ReadOnly,
            (false, true) => Mode::Durable,
            (false, false) => Mode::Quick,
        };
        let lent = self.pool.get().await?;
        let connection = &lent.connection;
        let mut tx = Tx::within(&connection.client, &connection.statements, &self.common);
        tx.begin(mode, self.pool.is_postgres());
        let done = match operation.run(&mut tx).await {
            Ok(output) => match tx.commit().await {
                Ok(()) => Ok(output),
                // Nothing is left to be taken back, except by a server that is not there.
                Err(end) => Err(Failure {
                    error: end.error,
                    open: end.open,
                }),
            },
            Err(error) => {
                if !tx.roll_back().await {
                    return Err(error.into());
                }
                Err(error.into())
            }
        };
        lent.give_back();
        done
    }
}

/// An attempt to run an operation that has failed.
struct Failure {
    error: StoreError,
    /// It may be committed.
    open: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, open: false }
    }
}

impl Store for PostgresStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let mut trials = Trials::default();
        loop {
            match self.attempt(&operation).await {
                Ok(output) => return Ok(output),
                Err(failure) => tokio::time::sleep(trials.after(failure)?).await,
            }
        }
    }
}

/// The attempts that were made to run an operation.
struct Trials {
    begun: Instant,
    conflicts: u32,
    losses: u32,
    open: bool,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            conflicts: 0,
            losses: 0,
            open: false,
        }
    }
}

impl Trials {
    /// The conflicts with others after which an operation is given up.
    const CONFLICTS: u32 = 10;

    /// The time after which a server that is gone is not waited for any longer.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Decides on what follows an attempt that has failed: another one after some time, or the error.
    fn after(&mut self, failure: Failure) -> Result<Duration, StoreError> {
        self.open |= failure.open;
        let again = match &failure.error {
            StoreError::Conflict(_) => {
                self.conflicts += 1;
                self.conflicts <= Self::CONFLICTS
            }
            StoreError::Unavailable(_) => {
                self.losses += 1;
                // Connections that were idle while the server was restarted are all gone at once.
                self.begun.elapsed() < Self::PATIENCE
            }
            _ => false,
        };
        match (again, self.open) {
            (true, _) => Ok(pause(self.conflicts + self.losses)),
            (false, true) => Err(StoreError::Uncertain(failure.error.to_string())),
            (false, false) => Err(failure.error),
        }
    }
}

/// The time before another attempt: from a millisecond to a second, by chance, so that two that have met do not meet again.
fn pause(attempts: u32) -> Duration {
    let most = 1000 * (1_u64 << attempts.min(10));
    Duration::from_micros(RandomState::new().hash_one(attempts) % most + 1)
}

/// Adds messages in a transaction of the caller's own: they are there when it is committed, and then for good. The schema is
/// the one of the store, in a database that it shares with what else the transaction writes.
///
/// ```no_run
/// # use outpost_queue::{operation::{Submission, Submit}, store::{StoreError, postgres::submit_in}};
/// # async fn order(client: &mut tokio_postgres::Client, mail: Submission) -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// transaction.execute("INSERT INTO orders (customer) VALUES ($1)", &[&"me@example.org"]).await?;
/// submit_in(&transaction, "outpost", &Submit::new(vec![mail])).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Store::run`], without another attempt: the transaction has failed then. The schema is not there, or of another
/// version.
pub async fn submit_in(
    transaction: &tokio_postgres::Transaction<'_>,
    schema: &str,
    submit: &Submit,
) -> Result<Vec<MessageId>, StoreError> {
    url::check_schema(schema)?;
    let (statements, common) = (Statements::default(), Common::new(schema));
    let mut tx = Tx::within(transaction, &statements, &common);
    let found = tx.read("SELECT version FROM @version", &[]).await?;
    let missing = || StoreError::Damaged("table version: it has no row".to_owned());
    let found = schema::check(found.first().ok_or_else(missing)?)?;
    if found != schema::VERSION {
        return Err(StoreError::Version {
            found,
            known: schema::VERSION,
        });
    }
    let ids = submit.run(&mut tx).await?;
    tx.settle().await?;
    Ok(ids)
}
