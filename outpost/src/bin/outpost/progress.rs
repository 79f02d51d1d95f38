//! A progress bar on standard error, for work that takes a while on a terminal.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves by itself, so that its clock runs while a server is
/// silent.
const TICK: Duration = Duration::from_millis(200);
/// The bar stays away from work that is over sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// How far one request has come. Clones are the same bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
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
            recipients,
            started: std::time::Instant::now(),
            patience: Some(PATIENCE),
        };
        progress.settled(0);
        progress
    }

    /// No bar: for work that is not alone on the terminal.
    pub(crate) fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            recipients: 0,
            started: std::time::Instant::now(),
            patience: None,
        }
    }

    /// The text was sent up to this offset.
    pub(crate) fn sent(&self, bytes: u64) {
        self.show_when_long();
        self.bar.set_position(bytes);
    }

    /// So many recipients have their verdict.
    pub(crate) fn settled(&self, recipients: usize) {
        self.show_when_long();
        self.bar
            .set_message(format!("{recipients}/{} recipients", self.recipients));
    }

    /// Does something that writes to the terminal.
    pub(crate) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn show_when_long(&self) {
        let is_long = |patience| self.started.elapsed() >= patience;
        if self.bar.is_hidden() && self.patience.is_some_and(is_long) && io::stderr().is_terminal()
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
    }
}
