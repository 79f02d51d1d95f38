//! The last step of every verdict: the delivery status filter, then the report
//! (`src/global/sent.c`, `bounce.c`, `defer.c`). The recipient was crossed off the
//! roll before, so that nothing here changes the course of the delivery.

use std::collections::VecDeque;

use smtp_proto::time::Time;

use super::{Ask, Delivery, External, Note, Ticket, hosts::Phase};
use crate::{
    Protocol,
    report::{
        Outcome,
        filter::{Filtered, Filtering},
        trouble::Reason,
    },
    request::RcptIndex,
    tables::TableFailure,
};

/// What is about to be reported of a recipient.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Delivered.
    Success(Box<Outcome>),
    /// Not delivered, for this reason, by the server of this name.
    Failure(Box<Reason>, Option<String>),
}

/// The verdicts that wait for a table outside the engine, oldest first.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    waiting: VecDeque<Pending>,
    /// The question that is out about the first of them.
    asked: Option<u32>,
}

#[derive(Debug)]
struct Pending {
    index: RcptIndex,
    verdict: Verdict,
    filtering: Filtering,
    connection_uses: u32,
}

impl Verdicts {
    /// The recipients whose verdicts wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = RcptIndex> {
        self.waiting.iter().map(|pending| pending.index)
    }

    /// Whether a ticket is that of the question about a verdict.
    pub(super) fn asked(&self, ticket: &Ticket<External>) -> bool {
        self.asked == Some(ticket.serial())
    }

    /// Takes the answer to the question about a verdict.
    pub(super) fn answer(&mut self, value: Result<Option<String>, TableFailure>) {
        self.asked = None;
        if let Some(first) = self.waiting.front_mut() {
            first.filtering.answered(value);
        }
    }
}

impl Delivery {
    /// Reports a recipient that was crossed off just now, once the filter has had
    /// its say.
    pub(super) fn pronounce(&mut self, index: RcptIndex, verdict: Verdict) {
        let (status, text) = match &verdict {
            Verdict::Success(outcome) => (outcome.code, outcome.text.as_str()),
            Verdict::Failure(reason, _) => (reason.status, reason.text.as_str()),
        };
        let pending = Pending {
            index,
            filtering: Filtering::new(&self.settings.verdict.status_filter, status, text),
            verdict,
            connection_uses: match &self.phase {
                Phase::Talking(talk) => talk.channel.uses.saturating_add(1),
                _ => 0,
            },
        };
        self.verdicts.waiting.push_back(pending);
        self.filter_verdicts();
    }

    /// Goes on with verdicts that wait for a table. While one does, nothing else
    /// happens in the delivery.
    pub(super) fn await_verdicts(&mut self, give_up: Time) -> Option<Ask> {
        self.verdicts.waiting.front()?;
        if self.verdicts.asked.is_some() && self.now < give_up {
            return Some(Ask::Wait { until: give_up });
        }
        if self.verdicts.asked.take().is_some() {
            // A driver that forgot to answer.
            let table = self.filter_name().to_owned();
            let reason = "no answer".into();
            if let Some(first) = self.verdicts.waiting.front_mut() {
                first
                    .filtering
                    .answered(Err(TableFailure { table, reason }));
            }
        }
        self.filter_verdicts();
        self.asks.pop_front()
    }

    fn filter_name(&self) -> &'static str {
        match self.settings.protocol() {
            Protocol::Smtp => "smtp_delivery_status_filter",
            Protocol::Lmtp => "lmtp_delivery_status_filter",
        }
    }

    /// Reports the verdicts in their order, as far as the filter can tell without
    /// a question.
    fn filter_verdicts(&mut self) {
        while self.verdicts.asked.is_none()
            && let Some(mut first) = self.verdicts.waiting.pop_front()
        {
            let (new, warning) = match first.filtering.step(self.filter_name()) {
                Filtered::Ask(query) => {
                    let ticket = self.ticket();
                    self.verdicts.asked = Some(ticket.serial());
                    self.verdicts.waiting.push_front(first);
                    self.asks.push_back(Ask::LookUp(ticket, query));
                    return;
                }
                Filtered::Unchanged(warning) => (None, warning),
                Filtered::Replaced(status, text) => (Some((status, text)), None),
            };
            if let Some(warning) = warning {
                self.note(Note::warning(warning));
            }
            let mut outcome = match first.verdict {
                Verdict::Success(mut outcome) => {
                    if let Some((status, text)) = new {
                        (outcome.code, outcome.text) = (status, text.into());
                    }
                    outcome
                }
                Verdict::Failure(mut reason, relay) => {
                    if let Some((status, text)) = new {
                        (reason.status, reason.text) = (status, text);
                    }
                    Box::new(self.judge.failure(&reason, relay))
                }
            };
            outcome.connection_uses = first.connection_uses;
            self.asks.push_back(Ask::Report(first.index, outcome));
        }
    }
}
