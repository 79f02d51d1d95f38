//! The observer of a probe: shows each finding as soon as it is there, and where
//! the probe is while it waits.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use smtp_policy::{
    delivery::Observer,
    event::{Event, Level, Note},
    report::printable,
    survey::Finding,
};

use super::Seen;
use crate::output::{Output, shows_bars};

/// The time between two moves of the spinner.
const TICK: Duration = Duration::from_millis(200);

/// The findings so far, and their output.
#[derive(Debug)]
pub(super) struct State {
    /// The output that shows findings.
    pub(super) output: Output,
    /// The findings.
    pub(super) seen: Vec<Seen>,
    log: Vec<String>,
    show: fn(&Seen) -> String,
    /// The begin, or the moment of the last finding.
    since: Instant,
}

impl State {
    /// `show` makes text of a finding; empty text is not shown.
    pub(super) fn new(show: fn(&Seen) -> String) -> Self {
        Self {
            output: Output::default(),
            seen: Vec::new(),
            log: Vec::new(),
            show,
            since: Instant::now(),
        }
    }
}

/// Fills a [`State`].
#[derive(Debug)]
pub(super) struct Watch {
    state: Arc<Mutex<State>>,
    progress: Progress,
}

impl Watch {
    pub(super) fn new(state: Arc<Mutex<State>>, progress: Progress) -> Self {
        Self { state, progress }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watch {
    fn note(&mut self, note: &Note) {
        if let Event::Found { finding } = &note.event {
            return self.found(finding);
        }
        let line = match note.level() {
            Level::Warning => format!("warning: {note}"),
            Level::Info => note.to_string(),
            Level::Debug => {
                return self.progress.aside(|| crate::watch::tell("", note));
            }
            _ => return,
        };
        self.state().log.push(line);
    }
}

impl Watch {
    fn found(&mut self, finding: &Finding) {
        let mut state = self.state();
        let seen = Seen {
            finding: finding.clone(),
            log: std::mem::take(&mut state.log),
            took: state.since.elapsed(),
        };
        state.since = Instant::now();
        let text = (state.show)(&seen);
        if !text.is_empty() {
            self.progress.aside(|| state.output.text(&text));
        }
        self.progress.seen(finding);
        state.seen.push(seen);
    }
}

/// A spinner that says how far the probe has come, on standard error when that is a
/// terminal. Clones are the same spinner.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn start(destination: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(format!("asking for {}", printable(destination)));
        if shows_bars() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// A spinner for several destinations, which are counted as they end.
    pub(super) fn start_many(count: usize) -> Self {
        let progress = Self::start("several destinations");
        progress.bar.set_length(count as u64);
        progress
            .bar
            .set_message(format!("0 of {count} destinations seen"));
        progress
    }

    /// No spinner: for a look that is not alone on the terminal.
    pub(super) fn none() -> Self {
        let bar = ProgressBar::hidden();
        Self { bar }
    }

    /// One of several destinations has been looked at.
    pub(super) fn ended(&self) {
        self.bar.inc(1);
        let (at, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        self.bar
            .set_message(format!("{at} of {all} destinations seen"));
    }

    fn seen(&self, finding: &Finding) {
        match finding {
            Finding::Destination(found) => {
                self.bar.inc_length(found.candidates.len().max(1) as u64);
            }
            _ => self.bar.inc(1),
        }
        let (at, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        self.bar
            .set_message(format!("{at} of {all} servers visited"));
    }

    /// Does something that writes to the terminal.
    pub(super) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
