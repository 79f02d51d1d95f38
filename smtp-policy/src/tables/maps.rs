//! Lists of tables, searched in order. Source: Postfix `src/global/maps.c`.

use std::sync::Arc;

use super::{Steps, Table, TableFailure};

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
    /// Adds at the end the external table of this name (`external:NAME`): the driver is asked.
    pub fn push_external(&mut self, name: impl Into<String>) {
        let name = name.into();
        Arc::make_mut(&mut self.entries).push(Entry::External { name });
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

    /// What the tables can answer, as far as they know: see [`Table::values`].
    pub fn values(&self) -> Vec<String> {
        let tables = self.entries.iter().filter_map(|entry| match entry {
            Entry::Own { table, .. } => Some(table),
            Entry::External { .. } => None,
        });
        tables.flat_map(|table| table.values()).collect()
    }

    /// Whether a search may have to ask the driver.
    pub fn has_external(&self) -> bool {
        self.external().is_some()
    }

    /// The name of the first external table.
    pub fn external(&self) -> Option<&str> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::External { name } => Some(name.as_str()),
            Entry::Own { .. } => None,
        })
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
            steps: Steps::default(),
            result: key.is_empty().then_some(Ok(None)),
        }
    }
}

/// Runs a search without a driver.
fn finish(mut search: MapsSearch) -> Result<Option<String>, TableFailure> {
    match search.next() {
        MapsStep::Done(result) => result,
        MapsStep::Ask { table, .. } => Err(TableFailure {
            table: format!("external:{table}"),
            reason: "an external table cannot be asked here".to_owned(),
        }),
    }
}

/// A search through [`Maps`] that stops where an external table must be asked.
///
/// Call [`next`](MapsSearch::next); on [`MapsStep::Ask`] get the answer, hand it to
/// [`answered`](MapsSearch::answered) and go on.
#[derive(Debug, Clone)]
pub struct MapsSearch {
    maps: Maps,
    key: String,
    partial: bool,
    next: usize,
    steps: Steps,
    result: Option<Result<Option<String>, TableFailure>>,
}

/// What a [`MapsSearch`] wants or has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum MapsStep {
    /// The search is over. Further calls say the same again.
    Done(Result<Option<String>, TableFailure>),
    /// Ask the external table `table` for `key`. Further calls say the same again until the answer
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
    #[expect(
        clippy::should_implement_trait,
        reason = "a search waits for answers, an iterator would not"
    )]
    pub fn next(&mut self) -> MapsStep {
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
                    let result = checked(spec, table.lookup_within(&self.key, &mut self.steps));
                    self.take(result);
                }
            }
        }
    }

    /// The work that the search has taken so far.
    pub fn steps(&self) -> &Steps {
        &self.steps
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    fn maps(specs: &str) -> Maps {
        super::super::testing::maps(specs)
    }

    #[test]
    fn the_first_answer_wins_and_the_first_failure_ends_the_search() {
        // (tables, key, answer; None for a failure)
        let rows: &[(&str, &str, Option<Option<&str>>)] = &[
            ("", "a", Some(None)),
            ("inline:{a=1}, inline:{a=2,b=3}", "a", Some(Some("1"))),
            ("inline:{a=1} inline:{a=2,b=3}", "b", Some(Some("3"))),
            ("inline:{a=1}\n\tstatic:{b c}", "z", Some(Some("b c"))),
            ("inline:{a=1}, fail:x", "a", Some(Some("1"))),
            ("inline:{a=1}, fail:x, static:y", "b", None),
            ("static:y", "", Some(None)),
            ("inline:{{a=}}, static:y", "a", None),
            ("unionmap:{inline:{a=1},fail:x}", "a", None),
            ("pipemap:{inline:{a=1},fail:x}", "a", None),
            ("pipemap:{inline:{a=1},fail:x}", "b", Some(None)),
            ("proxy:inline:{a=1}", "a", Some(Some("1"))),
        ];
        for (specs, key, expected) in rows {
            let answer = maps(specs).lookup(key).ok();
            let answer = answer.as_ref().map(Option::as_deref);
            assert_eq!(&answer, expected, "{specs} {key}");
        }
    }

    #[test]
    fn a_failure_names_its_table() {
        let failure = maps("inline:{{a=}}").lookup("a").unwrap_err();
        assert_eq!(failure.table, "inline:{{a=}}");
        let failure = maps("external:crm").lookup("a").unwrap_err();
        assert_eq!(failure.table, "external:crm");
    }

    #[test]
    fn parts_of_keys_are_not_asked_of_pattern_tables() {
        let rows = [
            ("regexp:{{/./ hit}}", None),
            ("pcre:{{/./ hit}}", None),
            ("cidr:{{::/0 hit}}", None),
            ("randmap:{hit}", None),
            ("unionmap:{regexp:{{/./ hit}},static:x}", None),
            ("unionmap:{inline:{a=hit},regexp:{{/z/ x}}}", Some("hit")),
            ("pipemap:{static:a,inline:{a=hit}}", Some("hit")),
            ("static:hit", Some("hit")),
        ];
        for (specs, expected) in rows {
            let answer = maps(specs).lookup_partial("a").unwrap();
            assert_eq!(answer.as_deref(), expected, "{specs}");
        }
    }

    #[test]
    fn a_search_stops_at_external_tables_and_goes_on_after_the_answer() {
        let maps = maps("inline:{a=1}, external:x, external:y, inline:{b=2, c=3}");
        assert!(maps.has_external());
        let ask = |table: &str, key: &str| MapsStep::Ask {
            table: table.to_owned(),
            key: key.to_owned(),
        };
        let done = |text: &str| MapsStep::Done(Ok(Some(text.to_owned())));

        let mut search = maps.search("a");
        assert_eq!(search.next(), done("1"));
        search.answered(Ok(Some("too late".to_owned())));
        assert_eq!(search.next(), done("1"));

        let mut search = maps.search("B");
        assert_eq!(search.next(), ask("x", "B"));
        assert_eq!(search.next(), ask("x", "B"));
        search.answered(Ok(None));
        assert_eq!(search.next(), ask("y", "B"));
        search.answered(Ok(None));
        assert_eq!(search.next(), done("2"));

        let mut search = maps.search("c");
        assert_eq!(search.next(), ask("x", "c"));
        search.answered(Ok(Some("theirs".to_owned())));
        assert_eq!(search.next(), done("theirs"));

        let mut search = maps.search("c");
        assert_eq!(search.next(), ask("x", "c"));
        search.answered(Ok(Some(String::new())));
        assert!(matches!(search.next(), MapsStep::Done(Err(_))));
    }

    #[test]
    fn a_table_of_the_consumer_is_asked_like_others() {
        #[derive(Debug)]
        struct Shout;
        impl Table for Shout {
            fn lookup(&self, key: &str) -> Result<Option<String>, TableFailure> {
                Ok(Some(key.to_uppercase()))
            }
        }
        let mut maps = maps("inline:{a=1}");
        maps.push("shout:", Arc::new(Shout));
        assert_eq!(maps.lookup("a"), Ok(Some("1".to_owned())));
        assert_eq!(maps.lookup("b"), Ok(Some("B".to_owned())));
    }
}
