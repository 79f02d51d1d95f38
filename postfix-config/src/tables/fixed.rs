//! Tables with fixed strings as keys, whatever they were read from.

use std::collections::BTreeMap;

use smtp_policy::tables::{KeyCase, Table, TableFailure};

/// A table of keys and values in memory.
#[derive(Debug)]
pub(super) struct Fixed {
    /// The way in which keys are kept.
    kept: KeyCase,
    /// The way in which keys are looked up.
    asked: KeyCase,
    entries: BTreeMap<String, String>,
}

impl Fixed {
    /// A table without entries, whose keys are kept in one way and looked up in another.
    pub(super) fn new(kept: KeyCase, asked: KeyCase) -> Self {
        Fixed {
            kept,
            asked,
            entries: BTreeMap::new(),
        }
    }

    /// Adds an entry; the first one for a key stays. False if there was one already.
    pub(super) fn add(&mut self, key: &str, value: &str) -> bool {
        let key = self.kept.fold(key);
        if self.entries.contains_key(&*key) {
            return false;
        }
        self.entries.insert(key.into_owned(), value.to_owned());
        true
    }

    /// Adds an entry; the last one for a key stays.
    pub(super) fn replace(&mut self, key: &str, value: &str) {
        let key = self.kept.fold(key).into_owned();
        self.entries.insert(key, value.to_owned());
    }

    /// Returns whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Table for Fixed {
    fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        Ok(self.entries.get(&*self.asked.fold(key)).cloned())
    }

    fn values(&self) -> Vec<String> {
        self.entries.values().cloned().collect()
    }
}
