//! The progress of a run, on standard error when that is a terminal.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{task::JoinHandle, time};

use super::{Books, lock, pace::Pace};
use crate::{cli::LoadArgs, output::shows_bars};

/// The time between two looks at the books.
const TICK: Duration = Duration::from_millis(200);

/// A line on the terminal, or nothing.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    task: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show the run. To be called inside its runtime.
    pub(super) fn start(pace: &Arc<Pace>, books: &Arc<Mutex<Books>>, args: &LoadArgs) -> Self {
        if !shows_bars() {
            let bar = ProgressBar::hidden();
            return Self { bar, task: None };
        }
        let target = ProgressDrawTarget::stderr();
        let by_time = args.duration.filter(|_| args.messages.is_none());
        let length = by_time.map_or_else(
            || args.messages.unwrap_or(1),
            |span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX),
        );
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        let (shown, pace, books) = (bar.clone(), Arc::clone(pace), Arc::clone(books));
        let task = tokio::spawn(async move {
            let mut ticks = time::interval(TICK);
            let mut before = 0;
            loop {
                ticks.tick().await;
                let tally = lock(&books).tally.messages;
                let ended = tally.ended();
                let rate = (ended - before) as f64 / TICK.as_secs_f64();
                before = ended;
                let elapsed = u64::try_from(pace.elapsed().as_millis()).unwrap_or(u64::MAX);
                shown.set_position(if by_time.is_some() { elapsed } else { ended });
                let failed = tally.failed + tally.partly;
                shown.set_message(format!("{ended} messages, {failed} failed, {rate:.0}/s"));
            }
        });
        let task = Some(task);
        Self { bar, task }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}
