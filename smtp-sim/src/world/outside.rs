//! Tables and sources of tokens outside the engine, in a world where nobody waits for them.

use std::task::{Context, Poll, Waker};

use smtp_policy::{
    settings::{TokenFailure, TokenRequest, TokenSource},
    tables::{NamedTable, TableFailure, TableQuery},
};
use smtp_proto::Secret;

/// The answer of a table. One that is not ready at once would have to wait for something outside the world, and
/// fails.
pub(super) fn look_up(
    table: &NamedTable,
    query: &TableQuery,
) -> Result<Option<String>, TableFailure> {
    match table {
        NamedTable::Blocking(table) => table.lookup(&query.key),
        NamedTable::Async(table) => {
            let mut answer = table.lookup(&query.key);
            match answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(answer) => answer,
                Poll::Pending => Err(TableFailure {
                    table: format!("external:{}", query.table),
                    reason: "the table waits for something outside the simulation".to_owned(),
                }),
            }
        }
    }
}

/// A token of its source. One that is not there at once would have to wait for something outside the world.
pub(super) fn ask_token(
    source: &TokenSource,
    wanted: &TokenRequest,
) -> Result<Secret, TokenFailure> {
    match source {
        TokenSource::Blocking(source) => source.token(wanted),
        TokenSource::Async(source) => {
            let mut token = source.token(wanted);
            match token.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(token) => token,
                Poll::Pending => {
                    let why = "its source waits for something outside the simulation";
                    Err(TokenFailure::new(why))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_policy::tables::{AsyncTable, LookupFuture, Table};
    use std::{future, sync::Arc};

    /// Answers with the key, unless that is empty.
    #[derive(Debug)]
    struct Echo;

    impl Table for Echo {
        fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
            Ok(Some(key.to_owned()))
        }
    }

    impl AsyncTable for Echo {
        fn lookup<'a>(&'a self, key: &'a str) -> LookupFuture<'a> {
            match key.is_empty() {
                true => Box::pin(future::pending()),
                false => Box::pin(async { Ok(Some(key.to_owned())) }),
            }
        }
    }

    #[test]
    fn a_table_that_is_awaited_answers_at_once_or_fails() {
        let query = |key: &str| TableQuery {
            table: "echo".to_owned(),
            key: key.to_owned(),
        };
        let found = Ok(Some("key".to_owned()));
        let tables = [
            NamedTable::Blocking(Arc::new(Echo)),
            NamedTable::Async(Arc::new(Echo)),
        ];
        for table in &tables {
            assert_eq!(look_up(table, &query("key")), found);
        }
        let [_, awaited] = tables;
        let failure = look_up(&awaited, &query("")).err();
        assert_eq!(
            failure.map(|failure| failure.table).as_deref(),
            Some("external:echo")
        );
    }
}
