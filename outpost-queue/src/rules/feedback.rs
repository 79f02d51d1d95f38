//! The number of deliveries that a destination gets at a time (qmgr(8): `src/qmgr/qmgr_queue.c`, `qmgr_feedback.c`,
//! `qmgr_entry.c`).
//!
//! In three things this is not what qmgr(8) does. Tasks of a dead destination are not deferred one by one with "delivery
//! temporarily suspended": they wait, due as they are, until it is tried again. A destination with a rate delay can be
//! dead as well; qmgr(8) cannot say both of one queue, and goes on at the rate. And what all workers know of a destination
//! outlives them.

mod step;
#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::model::{Dead, Destination, DestinationName, Timestamp};

pub use self::step::{Feedback, FeedbackError};

/// The limits of every destination.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Concurrency {
    /// The window of a destination of which nothing is known (`initial_destination_concurrency`): 5. At least one, and at
    /// most the limit.
    pub initial: u32,
    /// The largest window (`default_destination_concurrency_limit`): 20. Zero is no limit.
    pub limit: u32,
    /// The amount that a good delivery adds (`default_destination_concurrency_positive_feedback`): 1.
    pub positive: Feedback,
    /// The amount that a destination's failure takes away (`default_destination_concurrency_negative_feedback`): 1.
    pub negative: Feedback,
    /// The windows full of failures after which a destination is dead
    /// (`default_destination_concurrency_failed_cohort_limit`): 1. Zero: it never is.
    pub failed_cohorts: u32,
    /// The pause between two deliveries (`default_destination_rate_delay`): zero is none. With it there is one delivery
    /// at a time.
    pub rate_delay: Duration,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            initial: 5,
            limit: 20,
            positive: Feedback::Constant(1.0),
            negative: Feedback::Constant(1.0),
            failed_cohorts: 1,
            rate_delay: Duration::ZERO,
        }
    }
}

impl Concurrency {
    /// The limit that holds: one with a rate delay (`qmgr_transport.c`). Zero is none.
    const fn limit(&self) -> u32 {
        match self.rate_delay.is_zero() {
            true => self.limit,
            false => 1,
        }
    }

    /// The window of a destination of which nothing is known.
    fn initial(&self) -> u32 {
        self.limited(self.initial).max(1)
    }

    /// A window, no larger than the limit.
    fn limited(&self, window: u32) -> u32 {
        match self.limit() {
            0 => window,
            limit => window.min(limit),
        }
    }
}

impl Destination {
    /// A destination of which nothing is known.
    pub fn new(name: DestinationName, rules: &Concurrency) -> Self {
        Self {
            name,
            running: 0,
            window: rules.initial(),
            success: 0.0,
            failure: 0.0,
            fail_cohorts: 0.0,
            dead: None,
            next_start: Timestamp::default(),
            ready_at: Timestamp::NEVER,
        }
    }

    /// The number of deliveries that may begin now.
    pub fn free_turns(&self, rules: &Concurrency, now: Timestamp) -> u32 {
        if self.next_start > now {
            return 0;
        }
        let window = match &self.dead {
            None => self.window,
            Some(dead) if dead.until > now => return 0,
            Some(_) => self.window_after_rest(rules),
        };
        rules.limited(window).saturating_sub(self.running)
    }

    /// The window of a destination that was dead. It gets as many deliveries as one of which nothing is known, not a single
    /// one to try: "best concurrency is anyone's guess" (`qmgr_queue_unthrottle`). Where deliveries are under way still, no
    /// other begins until one of them ends.
    fn window_after_rest(&self, rules: &Concurrency) -> u32 {
        match self.running {
            0 => rules.initial(),
            running => running,
        }
    }

    /// Lets a destination whose rest is over be tried again.
    pub fn wake(&mut self, rules: &Concurrency, now: Timestamp) {
        if self.dead.as_ref().is_some_and(|dead| dead.until <= now) {
            self.revive(rules);
        }
    }

    fn revive(&mut self, rules: &Concurrency) {
        self.dead = None;
        self.window = self.window_after_rest(rules);
        (self.success, self.failure, self.fail_cohorts) = (0.0, 0.0, 0.0);
    }

    /// Takes turns for deliveries that begin.
    pub fn take_turns(&mut self, turns: u32) {
        self.running = self.running.saturating_add(turns);
    }

    /// Gives a turn back that was used: with a rate delay, the next delivery waits.
    pub fn give_back(&mut self, rules: &Concurrency, now: Timestamp) {
        self.give_back_unused();
        if !rules.rate_delay.is_zero() {
            self.next_start = now.after(rules.rate_delay);
        }
    }

    /// Gives a turn back with which nothing was done.
    pub fn give_back_unused(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// A delivery had nothing to say against the destination. Its turn is out still (`qmgr_queue_unthrottle`).
    pub fn succeeded(&mut self, rules: &Concurrency) {
        if self.dead.is_some() {
            self.revive(rules);
            return;
        }
        self.fail_cohorts = 0.0;
        let limit = rules.limit();
        let may_grow = limit == 0 || limit > self.window;
        // A window that is not used does not grow, or failures would have nothing to say.
        if !may_grow || self.window >= self.running.saturating_add(rules.initial()) {
            return;
        }
        let feedback = rules.positive.value(self.window);
        self.success += feedback;
        // Half a step ahead, for sums that miss it by a rounding error.
        while self.success + feedback / 2.0 >= 1.0 {
            self.window = self.window.saturating_add(1);
            self.success -= 1.0;
            self.failure = 0.0;
        }
        self.window = rules.limited(self.window);
    }

    /// A delivery failed for a reason that other mail would meet, too (`qmgr_queue_throttle`).
    pub fn failed(&mut self, rules: &Concurrency, rest: Duration, why: &str, now: Timestamp) {
        if self.dead.is_some() {
            return;
        }
        self.fail_cohorts += 1.0 / f64::from(self.window.max(1));
        if rules.failed_cohorts > 0 && self.fail_cohorts >= f64::from(rules.failed_cohorts) {
            self.dead = Some(Dead {
                until: now.after(rest),
                why: why.to_owned(),
            });
            return;
        }
        let feedback = rules.negative.value(self.window);
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 {
            self.window = self.window.saturating_sub(1);
            self.success = 0.0;
            self.failure += 1.0;
        }
        self.window = self.window.max(1);
    }

    /// Says when somebody is to look for tasks here again, if the next one is due at `next_due`. A destination whose turns
    /// are all out is looked at when one comes back. One with tasks that are due already goes behind those that wait for a
    /// longer time, so that a large one does not keep all others waiting.
    pub fn set_ready(&mut self, rules: &Concurrency, next_due: Timestamp, now: Timestamp) {
        let rest = self.dead.as_ref().map_or(now, |dead| dead.until);
        let open = now.max(rest).max(self.next_start);
        if next_due > now {
            self.forget(rules);
        }
        self.ready_at = match self.free_turns(rules, open) {
            0 => Timestamp::NEVER,
            _ => next_due.max(open),
        };
    }

    /// Forgets how a destination has fared that has nothing to do, as qmgr(8) does with a queue that is empty and not dead
    /// (`qmgr_entry_done`).
    fn forget(&mut self, rules: &Concurrency) {
        if self.running == 0 && self.dead.is_none() {
            self.window = rules.initial();
            (self.success, self.failure, self.fail_cohorts) = (0.0, 0.0, 0.0);
        }
    }
}
