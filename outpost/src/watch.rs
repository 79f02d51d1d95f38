//! What the program sees of a running delivery: progress, notes, and when each
//! recipient was settled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use smtp_policy::{
    delivery::{Level, Note, Observer},
    report::Outcome,
    request::{QueueId, RcptIndex, Recipient},
};

use crate::{
    log_line::{Delays, LogForm},
    output::complain,
    progress::Progress,
    report::ledger::Ledger,
};

/// Where notes and verdicts go while the delivery runs.
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
    recipients: Vec<Recipient>,
    age: Duration,
    started: Instant,
    /// When the first byte of text went out: the end of the set-up, as far as
    /// an observer can tell.
    set_up: Option<Instant>,
    settled: usize,
    progress: Progress,
}

impl Watch {
    /// Begins to watch the delivery of `request`, which starts now.
    pub(crate) fn new(
        request: &smtp_policy::request::Request,
        voice: Voice,
        progress: Progress,
    ) -> Self {
        Self {
            voice,
            id: request.id.clone(),
            recipients: request.recipients.clone(),
            age: request.age,
            started: Instant::now(),
            set_up: None,
            settled: 0,
            progress,
        }
    }

    /// Postfix stamps the end of the set-up when it sends MAIL (`src/smtp/smtp_proto.c`),
    /// and both ends at once when a failure comes before that (`src/smtp/smtp_trouble.c`;
    /// `src/global/log_adhoc.c`). An observer sees the first text instead; a recipient
    /// settled before that counts as set-up.
    fn delays(&self) -> Delays {
        let now = Instant::now();
        let set_up = self.set_up.unwrap_or(now);
        Delays {
            before: self.age,
            queued: Duration::ZERO,
            set_up: set_up.saturating_duration_since(self.started),
            transmission: now.saturating_duration_since(set_up),
        }
    }
}

impl Observer for Watch {
    fn settled(&mut self, index: RcptIndex, outcome: &Outcome) {
        self.settled += 1;
        self.progress.settled(self.settled);
        match &self.voice {
            Voice::Report(ledger, request) => self
                .progress
                .aside(|| ledger.settle(*request, index, outcome, None)),
            Voice::Log(ledger, request, form) => {
                let recipient = self.recipients.get(index);
                let line = recipient.map(|to| form.status(&self.id, to, outcome, self.delays()));
                self.progress
                    .aside(|| ledger.settle(*request, index, outcome, line));
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
        match &self.voice {
            Voice::Report(ledger, request) | Voice::Log(ledger, request, _) => {
                ledger.doubt(*request, recipients);
            }
            Voice::Silent => {}
        }
    }

    fn note(&mut self, note: &Note) {
        self.progress.aside(|| match &self.voice {
            Voice::Log(ledger, _, form) => ledger.log(&form.note(note)),
            Voice::Report(..) | Voice::Silent => tell(&self.id, note),
        });
    }

    fn progress(&mut self, text_bytes: u64) {
        if text_bytes > 0 && self.set_up.is_none() {
            self.set_up = Some(Instant::now());
        }
        self.progress.sent(text_bytes);
    }
}

/// Tells a note on standard error: warnings always, others where they are asked for.
fn tell(id: &str, note: &Note) {
    match note.level {
        Level::Debug => tracing::debug!(target: "outpost", id, "{}", note.text),
        Level::Info => tracing::info!(target: "outpost", id, "{}", note.text),
        Level::Warning if tracing::enabled!(target: "outpost", tracing::Level::WARN) => {
            tracing::warn!(target: "outpost", id, "{}", note.text);
        }
        Level::Warning => complain(format_args!("warning: {}", note.text)),
    }
}
