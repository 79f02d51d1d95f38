//! `pipemap:{type:name, …}`: tables one after the other. Source: Postfix `src/util/dict_pipe.c`.

use std::sync::Arc;

use smtp_policy::tables::{Steps, Table, TableFailure};

/// Looks the answer of each table up in the next; the first table without one ends it.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) tables: Vec<Arc<dyn Table>>,
}

impl Table for Pipe {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        self.lookup_within(key, &mut Steps::default())
    }

    fn lookup_within(&self, key: &str, steps: &mut Steps) -> Result<Option<String>, TableFailure> {
        let mut text = key.to_owned();
        for table in &self.tables {
            match table.lookup_within(&text, steps)? {
                Some(answer) => text = answer,
                None => return Ok(None),
            }
        }
        Ok(Some(text))
    }

    // As in Postfix, the first table decides for all.
    fn is_pattern(&self) -> bool {
        self.tables.first().is_some_and(|table| table.is_pattern())
    }
}
