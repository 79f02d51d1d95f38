//! The tables that a program brings in under a name (`external:NAME` in main.cf): those that may hold up a
//! thread, and those that are awaited.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{Table, TableFailure};

/// The answer of an [`AsyncTable`], as it is awaited.
pub type LookupFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<String>, TableFailure>> + Send + 'a>>;

/// A lookup table that is awaited: a database, a directory, an HTTP service.
///
/// The clients of the runtimes take such tables with `add_async_table`, and poll the future among
/// all else that a delivery waits for, without a thread. It runs on the task that drives the delivery, and is
/// dropped when that is given up. A look-up has no limit but that of the delivery as a whole
/// (`daemon_timeout`): a table that may hang sets one of its own.
///
/// ```
/// use smtp_policy::tables::{AsyncTable, LookupFuture, TableFailure};
///
/// /// A service that knows the TLS policy of each domain.
/// #[derive(Debug)]
/// struct Policies;
///
/// impl Policies {
///     async fn policy(&self, domain: &str) -> std::io::Result<Option<String>> {
/// #       let _ = domain;
///         Ok(Some("encrypt".to_owned()))
///     }
/// }
///
/// impl AsyncTable for Policies {
///     fn lookup<'a>(&'a self, key: &'a str) -> LookupFuture<'a> {
///         Box::pin(async move {
///             let answer = self.policy(key).await;
///             answer.map_err(|error| TableFailure {
///                 table: "policies".to_owned(),
///                 reason: error.to_string(),
///             })
///         })
///     }
/// }
/// ```
pub trait AsyncTable: Send + Sync + fmt::Debug {
    /// The text for `key`, or `None` if the table has none. An error, when the question cannot be
    /// answered now, defers the mail that depends on the answer.
    fn lookup<'a>(&'a self, key: &'a str) -> LookupFuture<'a>;
}

/// A table that was added to a client under a name. Exhaustive on purpose: a driver asks each kind in
/// a way of its own.
#[derive(Clone, Debug)]
pub enum NamedTable {
    /// A look-up may hold up its thread: it is asked on one where that does no harm.
    Blocking(Arc<dyn Table>),
    /// A look-up is awaited.
    Async(Arc<dyn AsyncTable>),
}
