//! The times of a task (qmgr(8): `src/qmgr/qmgr_active.c`).

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::model::{Kind, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The rules for when a task is tried again, and when no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// The shortest time between two attempts, and the time for which a dead destination rests
    /// (`minimal_backoff_time`): 5 minutes.
    pub minimal_backoff: Duration,
    /// The longest time between two attempts (`maximal_backoff_time`): 4,000 seconds.
    pub maximal_backoff: Duration,
    /// The age from which mail is given up (`maximal_queue_lifetime`): 5 days. Zero: after one attempt. An attempt that ends
    /// later is the last one.
    pub maximal_lifetime: Duration,
    /// The same for mail of the null sender (`bounce_queue_lifetime`): 5 days. At most as long as that of other mail.
    pub bounce_lifetime: Duration,
    /// The age from which the sender hears that mail is still in the queue (`delay_warning_time`); none or zero:
    /// never.
    pub delay_warning: Option<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            minimal_backoff: 5 * MINUTE,
            maximal_backoff: Duration::from_secs(4000),
            maximal_lifetime: 5 * DAY,
            bounce_lifetime: 5 * DAY,
            delay_warning: None,
        }
    }
}

impl Schedule {
    /// The time at which a message is tried again that was deferred now: the pause is as long as it has been here,
    /// within the limits.
    pub fn next_attempt(&self, arrived: Timestamp, now: Timestamp) -> Timestamp {
        let age = now.since(arrived);
        now.after(age.min(self.maximal_backoff).max(self.minimal_backoff))
    }

    /// The time at which a message becomes too old.
    pub fn expires(&self, null_sender: bool, arrived: Timestamp) -> Timestamp {
        arrived.after(match null_sender {
            // As qmgr(8) adjusts it when it starts.
            true => self.bounce_lifetime.min(self.maximal_lifetime),
            false => self.maximal_lifetime,
        })
    }

    /// The time at which its sender is to hear that it takes long.
    pub fn warns(&self, null_sender: bool, arrived: Timestamp) -> Timestamp {
        match self.delay_warning {
            Some(time) if !null_sender && !time.is_zero() => arrived.after(time),
            _ => Timestamp::NEVER,
        }
    }

    /// The time at which somebody has to look at a task though it is not due. Mail whose lifetime is shorter than a
    /// back-off gets one in which to find a turn, since it is to be tried once whatever its lifetime.
    pub fn watch(&self, null_sender: bool, arrived: Timestamp, warned: bool) -> Timestamp {
        let tried = arrived.after(self.maximal_backoff.max(self.minimal_backoff));
        let expires = self.expires(null_sender, arrived).max(tried);
        match warned {
            true => expires,
            false => expires.min(self.warns(null_sender, arrived)),
        }
    }
}

/// Returns whether it is the null sender that a message came from, or the queue itself.
pub fn is_null(kind: Kind, sender: &str) -> bool {
    kind == Kind::Report || sender.is_empty()
}
