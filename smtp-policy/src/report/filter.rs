//! `smtp_delivery_status_filter`: tables that may give a verdict another status
//! and other words (`src/global/dsn_filter.c`). It does not see what merely
//! keeps a recipient for another server.
//!
//! The key is `d.d.d text`, and so is the result; the text may be left out of it. Success stays success; a
//! temporary failure may become a permanent one and the other way. A result that
//! breaks this rule, and a table that fails, leave the verdict as it is.

use smtp_proto::status::EnhancedStatus;

use crate::tables::{Maps, MapsSearch, MapsStep, TableFailure, TableQuery};

/// One verdict on its way through the filter.
#[derive(Debug)]
pub(crate) struct Filtering {
    search: MapsSearch,
    /// Empty where there is no table to ask.
    key: String,
    text: String,
    success: bool,
}

/// Where a verdict stands with the filter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// A table outside the engine is to be asked.
    Ask(TableQuery),
    /// The verdict stays as it is; with a warning if that was not what the table
    /// wanted.
    Unchanged(Option<String>),
    /// The verdict gets this status and text.
    Replaced(EnhancedStatus, String),
}

impl Filtering {
    /// Begins to filter a verdict with this status and text.
    pub(crate) fn new(maps: &Maps, status: EnhancedStatus, text: &str) -> Self {
        let key = match maps.is_empty() {
            true => String::new(),
            false => format!("{status} {text}"),
        };
        Self {
            search: maps.search(&key),
            success: status.class() == 2,
            text: text.to_owned(),
            key,
        }
    }

    /// Goes on. `parameter` is the name of the filter in warnings.
    pub(crate) fn step(&mut self, parameter: &str) -> Filtered {
        match self.search.next() {
            MapsStep::Ask { table, key } => Filtered::Ask(TableQuery { table, key }),
            MapsStep::Done(Ok(None)) => Filtered::Unchanged(None),
            MapsStep::Done(Ok(Some(result))) => self.judge(parameter, &result),
            MapsStep::Done(Err(failure)) => Filtered::Unchanged(Some(format!(
                "{} lookup error for \"{}\"",
                failure.table, self.key
            ))),
        }
    }

    /// The answer to the question of the last [`step`](Self::step).
    pub(crate) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        self.search.answered(value);
    }

    fn judge(&self, parameter: &str, result: &str) -> Filtered {
        match EnhancedStatus::parse(result) {
            Some((status, used)) if (status.class() == 2) == self.success => {
                let text = result.get(used..).unwrap_or_default().trim_ascii_start();
                // With a status alone the text stays as it is.
                let text = if text.is_empty() { &self.text } else { text };
                Filtered::Replaced(status, text.into())
            }
            _ => Filtered::Unchanged(Some(format!("{parameter}: bad status code: {result}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tables::testing::maps;

    fn filtered(tables: &str, status: &str, text: &str) -> Filtered {
        let tables = maps(tables);
        let (status, _) = EnhancedStatus::parse(status).unwrap();
        Filtering::new(&tables, status, text).step("a_filter")
    }

    #[test]
    fn the_class_of_a_failure_may_change_and_that_of_a_success_may_not() {
        // (result of the table, old status, new status and text; None for a warning)
        let rows = [
            ("5.2.2 full", "4.2.2", Some(("5.2.2", "full"))),
            ("4.0.0 \t later on", "5.1.1", Some(("4.0.0", "later on"))),
            ("5.1.9", "5.1.1", Some(("5.1.9", "some reason"))),
            ("4.10.123 \t", "5.1.1", Some(("4.10.123", "some reason"))),
            ("2.6.1", "2.0.0", Some(("2.6.1", "some reason"))),
            ("2.6.0 fine", "2.0.0", Some(("2.6.0", "fine"))),
            ("2.6.0 fine", "5.0.0", None),
            ("4.6.0 oh", "2.0.0", None),
            ("5.1.1: oh", "5.0.0", None),
            ("3.1.1 oh", "4.0.0", None),
            ("no status at all", "4.0.0", None),
        ];
        for (result, old, expected) in rows {
            let expected = match expected {
                Some((status, text)) => {
                    let (status, _) = EnhancedStatus::parse(status).unwrap();
                    Filtered::Replaced(status, text.into())
                }
                None => Filtered::Unchanged(Some(format!("a_filter: bad status code: {result}"))),
            };
            let table = format!("static:{{{result}}}");
            assert_eq!(filtered(&table, old, "some reason"), expected, "{result}");
        }
    }

    #[test]
    fn the_key_is_the_status_and_the_text() {
        let table = "regexp:{{/^4\\.2\\.2 mailbox full$/ 5.2.2 gone}}";
        let replaced = filtered(table, "4.2.2", "mailbox full");
        assert!(matches!(replaced, Filtered::Replaced(..)), "{replaced:?}");
        assert_eq!(filtered(table, "4.2.2", "no"), Filtered::Unchanged(None));
    }

    #[test]
    fn a_failing_table_leaves_the_verdict_alone_with_a_warning() {
        let expected = r#"fail:x lookup error for "5.1.1 who""#.to_owned();
        assert_eq!(
            filtered("fail:x", "5.1.1", "who"),
            Filtered::Unchanged(Some(expected))
        );
    }

    #[test]
    fn an_external_table_is_asked_of_the_driver() {
        let tables = maps("external:dsf");
        let status = EnhancedStatus::new(5, 1, 1);
        let mut filtering = Filtering::new(&tables, status, "who");
        let query = TableQuery {
            table: "dsf".into(),
            key: "5.1.1 who".into(),
        };
        assert_eq!(filtering.step("a_filter"), Filtered::Ask(query));
        filtering.answered(Ok(Some("4.1.1 wait".into())));
        let expected = Filtered::Replaced(EnhancedStatus::new(4, 1, 1), "wait".into());
        assert_eq!(filtering.step("a_filter"), expected);
    }
}
