//! A progress bar on standard error, for work that takes a while on a terminal.

use std::{fmt, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{output::shows_bars, report::Tally};

/// The time after which the bar moves by itself, so that its clock runs while a server
/// is silent.
const TICK: Duration = Duration::from_millis(200);
/// The bar stays away from work that is over sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// The progress of one request. Clones are the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// True if it shows how much of a text was sent.
    follows: bool,
    recipients: usize,
    started: std::time::Instant,
    /// The time that work may take before there is a bar; nothing if there never is one.
    patience: Option<Duration>,
}

impl Progress {
    /// A bar for a text of `length` bytes and so many recipients. It stays
    /// invisible when standard error is not a terminal.
    pub(crate) fn start(what: &str, length: u64, recipients: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        let template = "{prefix}{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !what.is_empty() {
            bar.set_prefix(format!("{what} "));
        }
        let progress = Self {
            bar,
            follows: true,
            recipients,
            started: std::time::Instant::now(),
            patience: Some(PATIENCE),
        };
        progress
            .bar
            .set_message(format!("0/{recipients} recipients"));
        progress
    }

    /// A bar for many messages, so many if that is known. It stays invisible when standard
    /// error is not a terminal.
    pub(crate) fn of_all(messages: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(messages, ProgressDrawTarget::hidden());
        let template = match messages {
            Some(_) => "{bar:30} {human_pos}/{human_len} {per_sec} {msg} {eta}",
            None => "{spinner} {human_pos} {per_sec} {msg} {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("per_sec", rate));
        }
        Self {
            bar,
            follows: false,
            recipients: 0,
            started: std::time::Instant::now(),
            patience: Some(PATIENCE),
        }
    }

    /// So many messages were begun, and their recipients have these verdicts.
    pub(crate) fn count(&self, messages: u64, tally: Tally) {
        if self.show_when_long() {
            let Tally {
                sent,
                deferred,
                bounced,
                ..
            } = tally;
            self.bar.set_message(format!(
                "sent {sent}, deferred {deferred}, bounced {bounced}"
            ));
            self.bar.set_position(messages);
        }
    }

    /// The same bar for one of its messages, which only keeps out of its way.
    pub(crate) fn beside(&self) -> Self {
        self.clone()
    }

    /// No bar: for work that is not alone on the terminal.
    pub(crate) fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            follows: false,
            recipients: 0,
            started: std::time::Instant::now(),
            patience: None,
        }
    }

    /// The text was sent up to this offset.
    pub(crate) fn sent(&self, bytes: u64) {
        if self.follows && self.show_when_long() {
            self.bar.set_position(bytes);
        }
    }

    /// So many recipients have their verdict.
    pub(crate) fn settled(&self, recipients: usize) {
        if self.follows && self.show_when_long() {
            self.bar
                .set_message(format!("{recipients}/{} recipients", self.recipients));
        }
    }

    /// Does something that writes to the terminal.
    pub(crate) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    /// One message is over: takes its own bar away, if it has one.
    pub(crate) fn end_of_one(&self) {
        if self.follows {
            self.end();
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Makes the bar visible when it is time. Returns whether it is.
    fn show_when_long(&self) -> bool {
        if !self.bar.is_hidden() {
            return true;
        }
        let is_long = |patience| self.started.elapsed() >= patience;
        let is_due = self.patience.is_some_and(is_long) && shows_bars();
        if is_due {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
        is_due
    }
}
