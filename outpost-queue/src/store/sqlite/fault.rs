//! Errors of SQLite, and what they mean for the queue (<https://sqlite.org/rescode.html>).

use std::path::Path;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// An error on the way, before it is known which file it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// The store says so.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The error with the name of the file.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let name = |why: String| format!("{}: {why}", path.display());
        match self {
            Self::Sqlite(error) => of_sqlite(&error)(name(error.to_string())),
            Self::Store(error) => match error {
                StoreError::Damaged(why) => StoreError::Damaged(name(why)),
                StoreError::Unusable(why) => StoreError::Unusable(name(why)),
                StoreError::ReadOnly(why) => StoreError::ReadOnly(name(why)),
                other => other,
            },
        }
    }
}

/// The meaning of an error.
fn of_sqlite(error: &rusqlite::Error) -> fn(String) -> StoreError {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Conflict,
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly,
        Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => StoreError::Unavailable,
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::AuthorizationForStatementDenied,
        ) => StoreError::Unusable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged,
        Some(_) => StoreError::Other,
        None => match error {
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..) => StoreError::Damaged,
            _ => StoreError::Other,
        },
    }
}
