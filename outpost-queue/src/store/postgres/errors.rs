//! The meaning of PostgreSQL's errors for a store.

use core::error::Error as _;
use std::io;

use tokio_postgres::{Error, error::SqlState};

use super::StoreError;

/// The meaning of a class of errors.
type Meaning = fn(String) -> StoreError;

/// The meanings of SQLSTATE codes (PostgreSQL, appendix A), by their beginning; the first that fits.
const MEANINGS: [(&str, Meaning); 25] = [
    // Serialization failure, deadlock, lock timeout; a key that somebody else has added just now.
    ("40001", StoreError::Conflict),
    ("40P01", StoreError::Conflict),
    ("55P03", StoreError::Conflict),
    ("23505", StoreError::Conflict),
    // CockroachDB's word for a commit of which it cannot tell.
    ("40003", StoreError::Unavailable),
    ("53100", StoreError::Full),
    ("53", StoreError::Unavailable),
    ("25006", StoreError::ReadOnly),
    ("25P03", StoreError::Unavailable),
    ("57P04", StoreError::Unusable),
    ("57P", StoreError::Unavailable),
    ("08P01", StoreError::Unusable),
    ("08", StoreError::Unavailable),
    // Authentication, the name of the database, rights.
    ("28", StoreError::Unusable),
    ("3D000", StoreError::Unusable),
    ("42501", StoreError::Unusable),
    ("0A000", StoreError::Unusable),
    // Tables, columns, indexes that are not there, or are not what they should be.
    ("3F000", StoreError::Damaged),
    ("42P01", StoreError::Damaged),
    ("42703", StoreError::Damaged),
    ("42804", StoreError::Damaged),
    ("42704", StoreError::Damaged),
    ("42P10", StoreError::Damaged),
    ("XX001", StoreError::Damaged),
    ("XX002", StoreError::Damaged),
];

/// The error that an answer to a statement means.
pub(super) fn of_statement(error: &Error) -> StoreError {
    match error.as_db_error() {
        Some(_) => of_server(error),
        None if is_lost(error) => StoreError::Unavailable(text(error)),
        None => StoreError::Other(text(error)),
    }
}

/// The error that an attempt to connect means.
pub(super) fn of_connect(error: &Error) -> StoreError {
    match error.as_db_error() {
        Some(_) => of_server(error),
        None if is_lost(error) => StoreError::Unavailable(text(error)),
        // TLS, passwords, parameters.
        None => StoreError::Unusable(text(error)),
    }
}

fn of_server(error: &Error) -> StoreError {
    of_code(error.code().map_or("", SqlState::code), text(error))
}

fn of_code(code: &str, text: String) -> StoreError {
    let found = MEANINGS.iter().find(|(start, _)| code.starts_with(start));
    found.map_or(StoreError::Other as Meaning, |(_, meaning)| *meaning)(text)
}

/// Returns whether the connection is gone, or was never there, for a reason that passes.
fn is_lost(error: &Error) -> bool {
    let mut cause: Option<&(dyn core::error::Error + 'static)> = error.source();
    while let Some(one) = cause {
        if let Some(io) = one.downcast_ref::<io::Error>() {
            // What TLS objects to comes in this form, too, and does not pass.
            return io
                .get_ref()
                .is_none_or(|inner| !inner.is::<rustls::Error>());
        }
        cause = one.source();
    }
    error.is_closed()
}

/// Returns whether nobody knows what became of a commit that ended so.
pub(super) fn leaves_commit_open(error: &Error) -> bool {
    match error.code().map(SqlState::code) {
        Some(code) => code.starts_with("57P") || code.starts_with("08") || code == "40003",
        None => true,
    }
}

/// The error with its causes, and the code of the server. It has no values of rows and parameters.
fn text(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause: Option<&(dyn core::error::Error + 'static)> = error.source();
    while let Some(one) = cause {
        text.push_str(": ");
        text.push_str(&one.to_string());
        cause = one.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_their_class_or_they_themselves_mean() {
        let expected: [(&str, Meaning); 12] = [
            ("53100", StoreError::Full),
            ("53300", StoreError::Unavailable),
            ("25006", StoreError::ReadOnly),
            ("25P02", StoreError::Other),
            ("40001", StoreError::Conflict),
            ("40P01", StoreError::Conflict),
            ("57P01", StoreError::Unavailable),
            ("57P03", StoreError::Unavailable),
            ("57P04", StoreError::Unusable),
            ("08006", StoreError::Unavailable),
            ("42P01", StoreError::Damaged),
            ("22021", StoreError::Other),
        ];
        for (code, meaning) in expected {
            assert_eq!(of_code(code, "x".into()), meaning("x".into()), "{code}");
        }
    }
}
