//! The program's view of a running delivery: progress, notes, and when each
//! recipient was settled.

use std::sync::Arc;

use smtp_policy::{
    delivery::Observer,
    event::{Level, Note},
    report::Outcome,
    request::{QueueId, RcptIndex, Recipient, Request},
};

use crate::{
    dialogue, events::Stream, journal::Page, log_line::LogForm, output::complain,
    progress::Progress, report::ledger::Ledger,
};

/// The output for notes and verdicts while the delivery runs.
pub(crate) enum Voice {
    /// To the report: verdicts, as those of the request with this number.
    Report(Arc<Ledger>, usize),
    /// To the report, as Postfix logs them: verdicts and notes.
    Log(Arc<Ledger>, usize, LogForm),
    /// Nowhere; whoever delivers looks at the report.
    Silent,
}

/// The observer of one delivery.
pub(crate) struct Watch {
    voice: Voice,
    id: QueueId,
    settled: usize,
    progress: Progress,
    page: Option<Page>,
    events: Option<Stream>,
}

impl Watch {
    /// Begins to watch the delivery of `request`, which starts now.
    pub(crate) fn new(request: &Request, voice: Voice, progress: Progress) -> Self {
        Self {
            voice,
            id: request.id.clone(),
            settled: 0,
            progress,
            page: None,
            events: None,
        }
    }

    /// Writes into a journal what is settled and what is in doubt.
    pub(crate) fn writing(self, page: Option<Page>) -> Self {
        Self { page, ..self }
    }

    /// Writes events there, too.
    pub(crate) fn streaming(self, events: Option<Stream>) -> Self {
        Self { events, ..self }
    }
}

impl Observer for Watch {
    fn settled(&mut self, index: RcptIndex, recipient: &Recipient, outcome: &Outcome) {
        self.settled += 1;
        if let Some(page) = &mut self.page {
            page.settled(index, recipient, outcome);
        }
        self.progress.settled(self.settled);
        match &self.voice {
            Voice::Report(ledger, request) => self
                .progress
                .aside(|| ledger.settle(*request, index, outcome, None)),
            Voice::Log(ledger, request, form) => {
                let line = form.status(&self.id, recipient, outcome);
                self.progress
                    .aside(|| ledger.settle(*request, index, outcome, Some(line)));
            }
            Voice::Silent => {}
        }
        // After the report, which a trace that nobody reads must not hold up.
        self.progress.aside(|| {
            tracing::info!(
                id = self.id.as_str(),
                index,
                status = outcome.word,
                text = outcome.text.as_str(),
                "settled"
            );
        });
    }

    fn in_doubt(&mut self, recipients: &[RcptIndex]) {
        // It is the journal that may break the delivery off.
        if let Some(page) = &mut self.page {
            page.in_doubt(recipients);
        }
        match &self.voice {
            Voice::Report(ledger, request) | Voice::Log(ledger, request, _) => {
                ledger.doubt(*request, recipients);
            }
            Voice::Silent => {}
        }
    }

    fn note(&mut self, note: &Note) {
        if let Some(events) = &self.events {
            self.progress.aside(|| events.tell(&self.id, note));
        }
        self.progress.aside(|| match &self.voice {
            Voice::Log(ledger, _, form) => {
                if let Some(line) = form.note(note) {
                    ledger.log(&line);
                }
            }
            Voice::Report(..) | Voice::Silent => tell(&self.id, note),
        });
    }

    fn progress(&mut self, text_bytes: u64) {
        self.progress.sent(text_bytes);
    }
}

/// Tells a note on standard error: warnings always, others where they are asked for.
pub(crate) fn tell(id: &str, note: &Note) {
    match note.level() {
        level if dialogue::is_shown() && level != Level::Warning => dialogue::show(id, note),
        Level::Warning
            if !dialogue::is_shown()
                && tracing::enabled!(target: "outpost", tracing::Level::WARN) =>
        {
            tracing::warn!(target: "outpost", id, "{note}");
        }
        Level::Warning => complain(format_args!("warning: {note}")),
        Level::Info => tracing::info!(target: "outpost", id, "{note}"),
        Level::Debug => tracing::debug!(target: "outpost", id, "{note}"),
        _ => tracing::trace!(target: "outpost", id, "{note}"),
    }
}
