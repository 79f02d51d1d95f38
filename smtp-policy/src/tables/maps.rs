//! Lists of tables, searched in order. Source: Postfix `src/global/maps.c`.

use std::path::Path;
use std::sync::Arc;

use super::open::{TableContext, open_in};
use super::words::split;
use super::{Table, TableError, TableFailure};

/// A list of tables; the first answer wins and the first failure ends a search.
///
/// Cloning is cheap: clones share the tables.
#[derive(Debug, Clone, Default)]
pub struct Maps {
    entries: Arc<Vec<Entry>>,
}

/// A member of the list.
#[derive(Debug, Clone)]
enum Entry {
    /// A table of this process.
    Own { spec: String, table: Arc<dyn Table> },
    /// `external:NAME`: the driver is asked.
    External { name: String },
}

impl Maps {
    /// Opens the tables of a list, separated by commas or white space; text in braces is one piece.
    /// Relative file names are taken from `dir`. An empty list is an empty `Maps`.
    ///
    /// Warnings about lines of tables are lost and `randmap:` always makes the same picks; see
    /// [`Maps::open_in`].
    ///
    /// # Errors
    ///
    /// If one of the tables cannot be opened.
    pub fn open(specs: &str, dir: &Path) -> Result<Maps, TableError> {
        Maps::open_in(specs, &mut TableContext::new(dir))
    }

    /// Like [`Maps::open`], with the seed and the collected warnings of a context.
    ///
    /// # Errors
    ///
    /// If one of the tables cannot be opened.
    pub fn open_in(specs: &str, context: &mut TableContext<'_>) -> Result<Maps, TableError> {
        let mut entries = Vec::new();
        for spec in split(specs) {
            entries.push(match spec.strip_prefix("external:") {
                Some("") => return Err(TableError::new(spec, "an external table needs a name")),
                Some(name) => Entry::External {
                    name: name.to_owned(),
                },
                None => Entry::Own {
                    spec: spec.to_owned(),
                    table: open_in(spec, context)?,
                },
            });
        }
        Ok(Maps {
            entries: Arc::new(entries),
        })
    }

    /// Adds a table of the consumer's own at the end. The name is shown in failures.
    pub fn push(&mut self, name: impl Into<String>, table: Arc<dyn Table>) {
        let spec = name.into();
        Arc::make_mut(&mut self.entries).push(Entry::Own { spec, table });
    }

    /// Whether there is no table, so that no lookup can find anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a search may have to ask the driver.
    pub fn has_external(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry, Entry::External { .. }))
    }

    /// The first answer for `key`. An empty key is never found.
    ///
    /// # Errors
    ///
    /// If a table fails before one has an answer; if the answer is empty, which Postfix takes for a
    /// mistake in the table; or if an external table would have to be asked (see [`Maps::search`]).
    pub fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
        finish(self.search(key))
    }

    /// Like [`Maps::lookup`], for a part of a key: tables of patterns are passed over.
    ///
    /// # Errors
    ///
    /// As for [`Maps::lookup`].
    pub fn lookup_partial(&self, key: &str) -> Result<Option<String>, TableFailure> {
        finish(self.search_partial(key))
    }

    /// Starts a search that can ask the driver about external tables.
    pub fn search(&self, key: &str) -> MapsSearch {
        self.start(key, false)
    }

    /// Like [`Maps::search`], for a part of a key: tables of patterns are passed over. External tables
    /// are asked, they count as tables of fixed strings.
    pub fn search_partial(&self, key: &str) -> MapsSearch {
        self.start(key, true)
    }

    fn start(&self, key: &str, partial: bool) -> MapsSearch {
        MapsSearch {
            maps: self.clone(),
            key: key.to_owned(),
            partial,
            next: 0,
            result: key.is_empty().then_some(Ok(None)),
        }
    }
}

/// Runs a search without a driver.
fn finish(mut search: MapsSearch) -> Result<Option<String>, TableFailure> {
    match search.step() {
        MapsStep::Done(result) => result,
        MapsStep::Ask { table, .. } => Err(TableFailure {
            table: format!("external:{table}"),
            reason: "an external table cannot be asked here".to_owned(),
        }),
    }
}

/// A search through [`Maps`] that stops where an external table must be asked.
///
/// Call [`step`](MapsSearch::step); on [`MapsStep::Ask`] get the answer, hand it to
/// [`answered`](MapsSearch::answered) and step again.
#[derive(Debug, Clone)]
pub struct MapsSearch {
    maps: Maps,
    key: String,
    partial: bool,
    next: usize,
    result: Option<Result<Option<String>, TableFailure>>,
}

/// What a [`MapsSearch`] wants or has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum MapsStep {
    /// The search is over. Further steps say the same again.
    Done(Result<Option<String>, TableFailure>),
    /// Ask the external table `table` for `key`. Further steps say the same again until the answer
    /// was given.
    Ask {
        /// The name after `external:`.
        table: String,
        /// The key, not folded.
        key: String,
    },
}

impl MapsSearch {
    /// Searches on until there is a result or a question.
    pub fn step(&mut self) -> MapsStep {
        loop {
            if let Some(result) = &self.result {
                return MapsStep::Done(result.clone());
            }
            match self.maps.entries.get(self.next) {
                None => self.result = Some(Ok(None)),
                Some(Entry::External { name }) => {
                    return MapsStep::Ask {
                        table: name.clone(),
                        key: self.key.clone(),
                    };
                }
                Some(Entry::Own { table, .. }) if self.partial && table.is_pattern() => {
                    self.next += 1;
                }
                Some(Entry::Own { spec, table }) => {
                    let result = checked(spec, table.lookup(&self.key));
                    self.take(result);
                }
            }
        }
    }

    /// Takes the answer to the last [`MapsStep::Ask`]. It is ignored if nothing was asked.
    pub fn answered(&mut self, answer: Result<Option<String>, TableFailure>) {
        if self.result.is_some() {
            return;
        }
        if let Some(Entry::External { name }) = self.maps.entries.get(self.next) {
            let result = checked(&format!("external:{name}"), answer);
            self.take(result);
        }
    }

    fn take(&mut self, result: Result<Option<String>, TableFailure>) {
        self.next += 1;
        if !matches!(result, Ok(None)) {
            self.result = Some(result);
        }
    }
}

/// An empty answer is a mistake in the table, not an answer.
fn checked(
    spec: &str,
    result: Result<Option<String>, TableFailure>,
) -> Result<Option<String>, TableFailure> {
    match result {
        Ok(Some(answer)) if answer.is_empty() => Err(TableFailure {
            table: spec.to_owned(),
            reason: "lookup returns an empty string result".to_owned(),
        }),
        other => other,
    }
}
