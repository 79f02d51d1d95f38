//! `static:value`, the same answer for every key, and `fail:name`, no answer for any; nor has a
//! table that contradicts itself.
//!
//! Sources: Postfix `src/util/dict_static.c`, `src/util/dict_fail.c`, `src/util/dict_surrogate.c`.

use std::fmt;

use smtp_policy::tables::words::unbrace;
use smtp_policy::tables::{Table, TableError, TableFailure};

/// A table with one answer.
#[derive(Debug)]
pub(super) struct Static {
    value: String,
}

impl Static {
    /// Takes the answer as it is written, or from between braces, trimmed.
    pub(super) fn open(name: &str) -> Result<Self, TableError> {
        let value = if name.starts_with('{') {
            unbrace(name).map_err(|reason| {
                TableError::new(
                    format!("static:{name}"),
                    format!("bad static:name syntax: {reason}"),
                )
            })?
        } else {
            name
        };
        Ok(Static {
            value: value.to_owned(),
        })
    }
}

impl Table for Static {
    fn lookup(&self, _key: &str) -> Result<Option<String>, TableFailure> {
        Ok(Some(self.value.clone()))
    }

    fn values(&self) -> Vec<String> {
        vec![self.value.clone()]
    }
}

/// A table whose lookups all fail.
#[derive(Debug)]
pub(super) struct Fail {
    spec: String,
}

impl Fail {
    /// The name is only shown in the failures.
    pub(super) fn open(name: &str) -> Self {
        Fail {
            spec: format!("fail:{name}"),
        }
    }
}

impl Table for Fail {
    fn lookup(&self, _key: &str) -> Result<Option<String>, TableFailure> {
        Err(TableFailure {
            table: self.spec.clone(),
            reason: "this table always fails".to_owned(),
        })
    }

    fn is_pattern(&self) -> bool {
        true
    }
}

/// A table that was read but cannot be used: its lookups all fail with the reason.
#[derive(Debug)]
pub(super) struct Unavailable(TableFailure);

impl Unavailable {
    pub(super) fn new(spec: &str, reason: String) -> Self {
        Unavailable(TableFailure {
            table: spec.to_owned(),
            reason: format!("is unavailable. {reason}"),
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TableFailure { table, reason } = &self.0;
        write!(f, "{table} {reason}")
    }
}

impl Table for Unavailable {
    fn lookup(&self, _key: &str) -> Result<Option<String>, TableFailure> {
        Err(self.0.clone())
    }
}
