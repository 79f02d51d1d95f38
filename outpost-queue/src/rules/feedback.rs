//! How many deliveries a destination gets at a time (qmgr(8): `src/qmgr/qmgr_queue.c`, `qmgr_feedback.c`).

use core::time::Duration;

use crate::model::{Dead, Destination, DestinationName, Timestamp};

/// The limits of every destination.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Concurrency {
    /// The window of a destination of which nothing is known (`initial_destination_concurrency`): 5.
    pub initial: u32,
    /// The largest window (`default_destination_concurrency_limit`): 20. Zero is no limit.
    pub limit: u32,
    /// What a good delivery adds (`default_destination_concurrency_positive_feedback`): 1.
    pub positive: Feedback,
    /// What a failure of the destination takes away (`default_destination_concurrency_negative_feedback`): 1.
    pub negative: Feedback,
    /// The windows full of failures after which a destination is dead
    /// (`default_destination_concurrency_failed_cohort_limit`): 1. Zero: it never is.
    pub failed_cohorts: f64,
    /// The pause between two deliveries (`default_destination_rate_delay`): zero is none. With it there is one delivery
    /// at a time.
    pub rate_delay: Duration,
}

/// The size of one step of feedback, by the size of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feedback {
    /// The same in each window.
    Constant(f64),
    /// This number over the window (`1/concurrency`).
    Inverse(f64),
    /// This number over the square root of the window (`1/sqrt_concurrency`).
    InverseRoot(f64),
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            initial: 5,
            limit: 20,
            positive: Feedback::Constant(1.0),
            negative: Feedback::Constant(1.0),
            failed_cohorts: 1.0,
            rate_delay: Duration::ZERO,
        }
    }
}

impl Feedback {
    fn value(self, window: u32) -> f64 {
        let window = f64::from(window.max(1));
        match self {
            Self::Constant(value) => value,
            Self::Inverse(value) => value / window,
            Self::InverseRoot(value) => value / window.sqrt(),
        }
    }

    /// The number of steps by which the window changes at a time, and after how much feedback.
    fn hysteresis(self) -> f64 {
        1.0
    }
}

impl Destination {
    /// A destination of which nothing is known.
    pub fn new(name: DestinationName, rules: &Concurrency) -> Self {
        Self {
            name,
            running: 0,
            window: rules.initial,
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
        let rests = self.dead.as_ref().is_some_and(|dead| dead.until > now);
        if rests || self.next_start > now {
            return 0;
        }
        let window = match (rules.rate_delay.is_zero(), self.dead.is_some()) {
            // A destination that was dead is tried by the first of them, as if nothing were known.
            (true, true) => rules.initial,
            (true, false) => self.window,
            (false, _) => 1,
        };
        window.saturating_sub(self.running)
    }

    /// Takes turns for deliveries that begin.
    pub fn take_turns(&mut self, turns: u32) {
        self.running = self.running.saturating_add(turns);
    }

    /// Gives a turn back.
    pub fn give_back(&mut self, rules: &Concurrency, now: Timestamp) {
        self.running = self.running.saturating_sub(1);
        if !rules.rate_delay.is_zero() {
            self.next_start = now.after(rules.rate_delay);
        }
    }

    /// A delivery had nothing to say against the destination.
    pub fn succeeded(&mut self, rules: &Concurrency) {
        self.fail_cohorts = 0.0;
        if self.dead.take().is_some() {
            self.window = match self.running {
                0 => rules.initial,
                running => running,
            };
            (self.success, self.failure) = (0.0, 0.0);
            return;
        }
        let may_grow = rules.limit == 0 || rules.limit > self.window;
        if !may_grow || self.window >= self.running.saturating_add(rules.initial) {
            return;
        }
        let feedback = rules.positive.value(self.window);
        let step = rules.positive.hysteresis();
        self.success += feedback;
        while self.success + feedback / 2.0 >= step {
            self.window = self.window.saturating_add(1);
            self.success -= step;
            self.failure = 0.0;
        }
        if rules.limit > 0 {
            self.window = self.window.min(rules.limit);
        }
    }

    /// A delivery failed for a reason that other mail would meet, too.
    pub fn failed(&mut self, rules: &Concurrency, rest: Duration, why: &str, now: Timestamp) {
        if self.dead.is_some() {
            return;
        }
        self.fail_cohorts += 1.0 / f64::from(self.window.max(1));
        if rules.failed_cohorts > 0.0 && self.fail_cohorts >= rules.failed_cohorts {
            self.dead = Some(Dead {
                until: now.after(rest),
                why: why.to_owned(),
            });
            return;
        }
        let feedback = rules.negative.value(self.window);
        let step = rules.negative.hysteresis();
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 {
            self.window = self.window.saturating_sub(1);
            self.success = 0.0;
            self.failure += step;
        }
        self.window = self.window.max(1);
    }
}

impl Destination {
    /// Says when somebody is to look for tasks here again, if the next one is due at `next_due`. A destination whose turns
    /// are all out is looked at when one comes back.
    pub fn set_ready(&mut self, rules: &Concurrency, next_due: Timestamp, now: Timestamp) {
        let rest = self
            .dead
            .as_ref()
            .map_or(Timestamp::default(), |dead| dead.until);
        let open = now.max(rest).max(self.next_start);
        self.ready_at = match self.free_turns(rules, open) {
            0 => Timestamp::NEVER,
            _ => next_due.max(rest).max(self.next_start),
        };
    }
}
