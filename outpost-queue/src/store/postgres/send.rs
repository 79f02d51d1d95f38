//! The way statements go out: those that only write do not wait for their answers, so that a transaction takes as many
//! round trips as it has questions.

use core::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio_postgres::{Error, GenericClient, Row, Statement, error::SqlState, types::ToSql};

use super::{StoreError, errors, pool::Statements};

/// A parameter that outlives the call that sends it.
pub(super) type Param = Box<dyn ToSql + Sync + Send>;

/// A column of rows that are written, as an array.
pub(super) fn column<'r, R, V>(
    rows: impl IntoIterator<Item = &'r R>,
    value: impl Fn(&'r R) -> V,
) -> Param
where
    R: 'r,
    V: Send + Sync + core::fmt::Debug + 'static,
    Vec<V>: ToSql,
{
    Box::new(rows.into_iter().map(value).collect::<Vec<V>>())
}

/// The way in which a transaction runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The changes that it commits outlive a crash.
    Durable,
    /// The changes that it commits may be lost with the server's machine, until the next that is durable.
    Quick,
    /// It reads, from one moment.
    ReadOnly,
}

/// The state that all transactions of a store have in common.
#[derive(Debug)]
pub(super) struct Common {
    /// The schema with the point behind it, quoted.
    pub(super) prefix: String,
    /// Numbers that were fetched and not given out: the first, and the one behind the last.
    numbers: Mutex<(i64, i64)>,
    /// Counts that took long.
    pub(super) views: super::views::Cache,
}

impl Common {
    pub(super) fn new(schema: &str) -> Self {
        Self {
            prefix: format!("\"{schema}\"."),
            numbers: Mutex::default(),
            views: super::views::Cache::default(),
        }
    }

    /// Takes numbers off the stock, if there are enough.
    pub(super) fn take_numbers(&self, count: i64) -> Option<core::ops::Range<i64>> {
        let mut stock = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, end) = *stock;
        (end - first >= count).then(|| {
            *stock = (first + count, end);
            first..first + count
        })
    }

    /// Puts numbers into stock; what was left there is given up.
    pub(super) fn stock_numbers(&self, numbers: core::ops::Range<i64>) {
        let mut stock = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.end - numbers.start > stock.1 - stock.0 {
            *stock = (numbers.start, numbers.end);
        }
    }
}

/// A transaction on a connection.
pub(super) struct Tx<'a, C> {
    client: &'a C,
    statements: &'a Statements,
    pub(super) common: &'a Common,
    waiting: FuturesUnordered<BoxFuture<'a, Result<(), Error>>>,
    failed: Option<Error>,
    wrote: bool,
    tuned: bool,
}

/// An end of a transaction that is none as it should be.
pub(super) struct CommitError {
    pub(super) error: StoreError,
    /// It may be committed.
    pub(super) open: bool,
}

impl<'a, C: GenericClient + Sync> Tx<'a, C> {
    /// A transaction on this client. It is not begun here.
    pub(super) fn within(client: &'a C, statements: &'a Statements, common: &'a Common) -> Self {
        Self {
            client,
            statements,
            common,
            waiting: FuturesUnordered::new(),
            failed: None,
            wrote: false,
            tuned: false,
        }
    }

    /// Begins a transaction, with the first statement that follows.
    pub(super) fn begin(&mut self, mode: Mode, is_postgres: bool) {
        self.tuned = is_postgres;
        self.post(match (mode, is_postgres) {
            (Mode::ReadOnly, _) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Mode::Quick, true) => {
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
            }
            (Mode::Durable, _) | (Mode::Quick, false) => "BEGIN ISOLATION LEVEL READ COMMITTED",
        });
    }

    /// Sends a statement without parameters, and waits for nothing.
    pub(super) fn post(&mut self, sql: &'static str) {
        let client = self.client;
        self.waiting
            .push(Box::pin(async move { client.batch_execute(sql).await }));
    }

    /// Sends a statement that writes, and does not wait for its answer.
    pub(super) async fn write(
        &mut self,
        sql: &'static str,
        params: Vec<Param>,
    ) -> Result<(), StoreError> {
        let statement = self.statement(sql).await?;
        let client = self.client;
        self.wrote = true;
        self.waiting.push(Box::pin(async move {
            client.execute_raw(&statement, params).await.map(drop)
        }));
        self.look().await;
        match self.failed {
            None => Ok(()),
            Some(_) => Err(self.failure(None).await),
        }
    }

    /// Sends a statement, and waits for its rows.
    pub(super) async fn read(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        let client = self.client;
        let answer = self.beside(client.query(&statement, params)).await;
        self.sound(answer).await
    }

    /// The same for a statement that is put together, and is not kept.
    pub(super) async fn read_once(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.replace('@', &self.common.prefix);
        let client = self.client;
        let answer = self.beside(client.query(&sql, params)).await;
        self.sound(answer).await
    }

    /// Returns whether the session has the settings of PostgreSQL itself.
    pub(super) fn is_tuned(&self) -> bool {
        self.tuned
    }

    /// Says that something was written by a statement that was read.
    pub(super) fn note_write(&mut self) {
        self.wrote = true;
    }

    async fn statement(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known);
        }
        let (client, text) = (self.client, sql.replace('@', &self.common.prefix));
        let answer = self.beside(client.prepare(&text)).await;
        let statement = self.sound(answer).await?;
        self.statements.put(sql, statement.clone());
        Ok(statement)
    }

    /// Waits for all answers that are due.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        self.drain().await;
        match self.failed {
            None => Ok(()),
            Some(_) => Err(self.failure(None).await),
        }
    }

    /// Commits.
    pub(super) async fn commit(mut self) -> Result<(), CommitError> {
        let client = self.client;
        let answer = self.beside(client.batch_execute("COMMIT")).await;
        self.drain().await;
        // A statement that failed has the server turn the commit into its contrary. One whose answer was lost has not.
        let error = match (self.failed.take(), answer) {
            (None, Ok(())) => return Ok(()),
            (Some(error), _) if error.as_db_error().is_some() => {
                return Err(CommitError {
                    error: errors::of_statement(&error),
                    open: false,
                });
            }
            (Some(error), _) | (None, Err(error)) => error,
        };
        let open = self.wrote && errors::leaves_commit_open(&error);
        Err(CommitError {
            error: errors::of_statement(&error),
            open,
        })
    }

    /// Takes everything back. Returns whether the connection is good for another transaction.
    pub(super) async fn roll_back(mut self) -> bool {
        self.drain().await;
        self.client.batch_execute("ROLLBACK").await.is_ok()
    }

    async fn sound<T>(&mut self, answer: Result<T, Error>) -> Result<T, StoreError> {
        match answer {
            Ok(value) if self.failed.is_none() => Ok(value),
            answer => Err(self.failure(answer.err()).await),
        }
    }

    /// The first error of the transaction: those behind it only say that it has failed.
    async fn failure(&mut self, last: Option<Error>) -> StoreError {
        self.drain().await;
        let first = self.failed.take().or(last);
        let none = || StoreError::Other("the transaction has failed".to_owned());
        let error = first.as_ref().map_or_else(none, errors::of_statement);
        // Whatever comes now fails as well.
        if let Some(first) = first {
            let aborted = first.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
            self.failed = (!aborted).then_some(first);
        }
        error
    }

    /// Waits for something; meanwhile the answers that are due are taken in, so that none is in the way of it.
    async fn beside<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _ = self.take_in(cx);
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Takes in the answers that have come; sends what was not sent.
    async fn look(&mut self) {
        poll_fn(|cx| {
            let _ = self.take_in(cx);
            Poll::Ready(())
        })
        .await;
    }

    async fn drain(&mut self) {
        poll_fn(|cx| self.take_in(cx)).await;
    }

    fn take_in(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.waiting.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(error))) => {
                    self.failed.get_or_insert(error);
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
