//! `unionmap:{type:name, …}`: the answers of all tables. Source: Postfix `src/util/dict_union.c`.

use std::sync::Arc;

use smtp_policy::tables::{Steps, Table, TableFailure};

/// Joins the answers that its tables have for a key with commas.
#[derive(Debug)]
pub(super) struct Union {
    pub(super) tables: Vec<Arc<dyn Table>>,
}

impl Table for Union {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        self.lookup_within(key, &mut Steps::default())
    }

    fn lookup_within(&self, key: &str, steps: &mut Steps) -> Result<Option<String>, TableFailure> {
        let mut all = String::new();
        for table in &self.tables {
            if let Some(answer) = table.lookup_within(key, steps)? {
                if !all.is_empty() {
                    all.push(',');
                }
                all.push_str(&answer);
            }
        }
        Ok((!all.is_empty()).then_some(all))
    }

    // As in Postfix, the first table decides for all.
    fn is_pattern(&self) -> bool {
        self.tables.first().is_some_and(|table| table.is_pattern())
    }
}
