//! Which rule of a script applies to an event. No behaviour of its own.

use std::collections::BTreeMap;

use crate::scenario::{Rule, ServerScript};

/// The events of one connection so far, by name; `nth` of a rule counts them.
#[derive(Clone, Debug, Default)]
pub(super) struct EventCounts(BTreeMap<String, u32>);

impl EventCounts {
    /// Counts the event and returns its number, from 1.
    fn count(&mut self, event: &str) -> u32 {
        let count = self.0.entry(event.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// The first rule that fits this event. The event is counted whether or not
    /// there is one.
    pub(super) fn find(
        &mut self,
        script: &ServerScript,
        session: u32,
        tls: bool,
        event: &str,
        line: &str,
    ) -> Option<Rule> {
        let nth = self.count(event);
        let fits = |rule: &&Rule| {
            rule.on.to_uppercase() == event
                && rule.session.is_none_or(|wanted| wanted == session)
                && rule.nth.is_none_or(|wanted| wanted == nth)
                && rule.line.as_ref().is_none_or(|wanted| wanted == line)
                && rule
                    .contains
                    .as_ref()
                    .is_none_or(|wanted| contains(line, wanted))
                && rule.tls.is_none_or(|wanted| wanted == tls)
        };
        script.rules.iter().find(fits).cloned()
    }
}

fn contains(line: &str, text: &str) -> bool {
    line.to_lowercase().contains(&text.to_lowercase())
}
