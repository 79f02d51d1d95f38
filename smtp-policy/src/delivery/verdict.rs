//! The last step of every verdict: the delivery status filter, then the report
//! (`src/global/sent.c`, `bounce.c`, `defer.c`). The recipient was crossed off the
//! roll before, so that nothing here changes the course of the delivery.

use std::collections::VecDeque;

use smtp_proto::status::EnhancedStatus;

use super::{Ask, External, Ticket, context::Context, roll::Rcpt, settle::Origin};
use crate::{
    Protocol,
    event::Event,
    report::{
        Outcome, Times,
        filter::{Filtered, Filtering},
        trouble::{Judge, Reason},
    },
    tables::TableFailure,
};

/// What is about to be reported of a recipient.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Delivered.
    Success(Box<Outcome>),
    /// Not delivered, for this reason, on this connection, after this time.
    Failure(Box<(Reason, Origin, Times)>),
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
    rcpt: Rcpt,
    verdict: Verdict,
    filtering: Filtering,
}

impl Verdict {
    /// The outcome to report, with the status and the text that the filter gives.
    fn outcome(self, judge: Judge, new: Option<(EnhancedStatus, String)>) -> Box<Outcome> {
        match self {
            Self::Success(mut outcome) => {
                if let Some((status, text)) = new {
                    (outcome.code, outcome.text) = (status, text.into());
                }
                outcome
            }
            Self::Failure(failure) => {
                let (mut reason, origin, times) = *failure;
                let hop = reason.hop();
                if let Some((status, text)) = new {
                    (reason.status, reason.text) = (status, text);
                }
                let mut outcome = judge.failure(&reason, origin.relay);
                outcome.hop = hop;
                outcome.connection_uses = origin.uses;
                outcome.times = times;
                Box::new(outcome)
            }
        }
    }
}

impl Verdicts {
    /// Returns whether no verdict waits.
    pub(super) fn are_given(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The recipients whose verdicts wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Rcpt> {
        self.waiting.iter().map(|pending| pending.rcpt)
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

impl Context {
    /// Reports a recipient that was crossed off just now, once the filter has had
    /// its say.
    pub(super) fn pronounce(&mut self, rcpt: Rcpt, verdict: Verdict) {
        if self.verdicts.waiting.is_empty() && self.settings.verdict.status_filter.is_empty() {
            let outcome = verdict.outcome(self.judge, None);
            return self.ask(Ask::Report(rcpt.0, outcome));
        }
        let (status, text) = match &verdict {
            Verdict::Success(outcome) => (outcome.code, outcome.text.as_str()),
            Verdict::Failure(failure) => (failure.0.status, failure.0.text.as_str()),
        };
        self.verdicts.waiting.push_back(Pending {
            rcpt,
            filtering: Filtering::new(&self.settings.verdict.status_filter, status, text),
            verdict,
        });
        self.filter_verdicts();
    }

    /// Goes on with verdicts that wait for a table. While one does, nothing else
    /// happens in the delivery.
    pub(super) fn await_verdicts(&mut self) -> Option<Ask> {
        self.verdicts.waiting.front()?;
        if self.verdicts.asked.is_some() && !self.is_overdue() {
            let until = self.give_up();
            return Some(Ask::Wait { until });
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
        self.pop_ask()
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
                    self.ask(Ask::LookUp(ticket, query));
                    return;
                }
                Filtered::Unchanged(warning) => (None, warning),
                Filtered::Replaced(status, text) => (Some((status, text)), None),
            };
            if let Some(warning) = warning {
                let text = warning.into();
                self.note(Event::StatusFilterWarning { text });
            }
            let outcome = first.verdict.outcome(self.judge, new);
            self.ask(Ask::Report(first.rcpt.0, outcome));
        }
    }
}
