//! What the program sees of a running delivery: progress, notes, and when each
//! recipient was settled.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use smtp_policy::{
    delivery::{Level, Note, Observer},
    report::Outcome,
    request::{QueueId, RcptIndex, Recipient},
};

use crate::{
    log_line::{Delays, LogForm},
    output::{Output, complain},
    progress::Progress,
};

/// Where notes and verdicts go while the delivery runs.
#[derive(Clone, Debug)]
pub(crate) enum Voice {
    /// To standard output, as Postfix logs them.
    Log(Arc<Mutex<Output>>, LogForm),
    /// Warnings to standard error; the verdicts come in the report.
    Warnings,
}

/// The observer of one delivery.
#[derive(Debug)]
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

    /// Postfix stamps the end of the set-up when it sends MAIL, and both ends
    /// at once when it never got there (behaviour.md 17.2). An observer sees the
    /// first text instead; a recipient settled before that counts as set-up.
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
        tracing::info!(
            id = self.id.as_str(),
            index,
            status = outcome.word,
            text = outcome.text.as_str(),
            "settled"
        );
        if let (Voice::Log(output, form), Some(recipient)) =
            (&self.voice, self.recipients.get(index))
        {
            let line = form.status(&self.id, recipient, outcome, self.delays());
            self.progress.aside(|| say(output, &line));
        }
    }

    fn note(&mut self, note: &Note) {
        match note.level {
            Level::Warning => tracing::warn!(id = self.id.as_str(), "{}", note.text),
            Level::Info => tracing::info!(id = self.id.as_str(), "{}", note.text),
            Level::Debug => tracing::debug!(id = self.id.as_str(), "{}", note.text),
        }
        match (&self.voice, note.level) {
            (Voice::Warnings, Level::Debug | Level::Info) => {}
            (Voice::Log(output, form), _) => {
                let line = form.note(note);
                self.progress.aside(|| say(output, &line));
            }
            (Voice::Warnings, Level::Warning) => {
                self.progress
                    .aside(|| complain(format_args!("warning: {}", note.text)));
            }
        }
    }

    fn progress(&mut self, text_bytes: u64) {
        if text_bytes > 0 && self.set_up.is_none() {
            self.set_up = Some(Instant::now());
        }
        self.progress.sent(text_bytes);
    }
}

fn say(output: &Mutex<Output>, line: &str) {
    output
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .line(line);
}
