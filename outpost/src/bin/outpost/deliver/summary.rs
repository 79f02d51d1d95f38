//! The line at the end of a run over many messages.

use std::{fmt, time::Duration};

use indicatif::{DecimalBytes, HumanCount};

use super::messages::Counts;
use crate::{exit::Exit, report::Tally};

/// The sums of a run. Its `Display` is a line for standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Summary {
    pub(super) tally: Tally,
    pub(super) counts: Counts,
    /// The number of messages that there were, where it is known.
    pub(super) total: Option<u64>,
    pub(super) time: Duration,
    pub(super) interrupted: bool,
    pub(super) journal_is_broken: bool,
}

impl Summary {
    /// The exit status of the run, where that of the report is `exit`.
    pub(super) fn exit(&self, exit: Exit) -> Exit {
        let is_over = self.total.is_some_and(|all| all <= self.counts.messages);
        let has_rest = self.counts.held > 0 || (self.interrupted && !is_over);
        match exit {
            Exit::Ok | Exit::Bounced | Exit::Deferred | Exit::Data if self.journal_is_broken => {
                Exit::Output
            }
            Exit::Ok | Exit::Bounced if has_rest => Exit::Deferred,
            exit => exit,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tally, counts, .. } = self;
        let recipients = tally.sent + tally.deferred + tally.bounced;
        write!(
            f,
            "{}, {}: {} sent, {} deferred, {} bounced",
            many(counts.messages, "message"),
            many(recipients, "recipient"),
            tally.sent,
            tally.deferred,
            tally.bounced
        )?;
        if counts.done > 0 {
            write!(f, "; {} settled by an earlier run", counts.done)?;
        }
        if counts.held > 0 {
            write!(f, "; {} in doubt and held back", counts.held)?;
        }
        if tally.faults > 0 {
            write!(f, "; {} not delivered", many(tally.faults, "message"))?;
        }
        let seconds = self.time.as_secs_f64();
        let bytes = DecimalBytes(counts.bytes);
        write!(f, "; {bytes} in {seconds:.1} s")?;
        let rate = counts.messages as f64 / seconds.max(0.001);
        write!(f, " ({rate:.0} messages/s)")?;
        match self.total {
            _ if !self.interrupted => Ok(()),
            Some(all) if all <= counts.messages => f.write_str("; interrupted"),
            Some(all) => {
                let rest = many(all.saturating_sub(counts.messages), "message");
                write!(f, "; interrupted: {rest} not begun")
            }
            None => f.write_str("; interrupted: the rest was not begun"),
        }
    }
}

/// A number of things, in words.
fn many(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{} {what}s", HumanCount(count)),
    }
}
