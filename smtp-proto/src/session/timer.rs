//! The one deadline that is running, and what moves it.

use core::time::Duration;

use super::{profile::DeadlineRule, stage::Stage};
use crate::time::Time;

/// The deadline of the present stage.
#[derive(Debug)]
pub(super) struct Timer {
    rule: DeadlineRule,
    stage: Stage,
    limit: Duration,
    /// What is left of the limit when one counts for a whole request.
    left: Duration,
    /// When the last wait began; `None` until the first poll of the stage tells
    /// the time, and during a pause.
    since: Option<Time>,
    /// `None` until the first poll of the stage.
    until: Option<Time>,
}

impl Timer {
    pub(super) fn new(rule: DeadlineRule, stage: Stage, limit: Duration) -> Self {
        Self {
            rule,
            stage,
            limit,
            left: limit,
            since: None,
            until: None,
        }
    }

    /// Begins a stage with a limit of its own. The limit runs from the next
    /// [`start`](Self::start) on.
    pub(super) fn arm(&mut self, stage: Stage, limit: Duration) {
        self.stage = stage;
        self.limit = limit;
        self.left = limit;
        self.since = None;
        self.until = None;
    }

    /// Lets a limit run that was armed since the last call. One that is paused stays so.
    pub(super) fn start(&mut self, now: Time) {
        if self.until == Some(Time::FAR) {
            return;
        }
        self.since.get_or_insert(now);
        self.until.get_or_insert(now + whole_seconds(self.left));
    }

    /// Stops the limit while this side takes a decision. [`resume`](Self::resume)
    /// goes on with what is left of it.
    pub(super) fn pause(&mut self, now: Time) {
        if matches!(self.rule, DeadlineRule::PerRequest { .. }) {
            self.spend(now);
        }
        self.since = None;
        self.until = Some(Time::FAR);
    }

    /// Takes the time of the present wait off what is left.
    fn spend(&mut self, now: Time) {
        let waited = self.since.map_or(Duration::ZERO, |since| now.since(since));
        self.left = self.left.saturating_sub(waited);
    }

    /// Goes on, after a pause if there was one, in a stage that shares the limit of
    /// the one before.
    pub(super) fn resume(&mut self, stage: Stage) {
        self.stage = stage;
        if self.until == Some(Time::FAR) {
            self.until = None;
        }
    }

    /// Goes on to a stage that shares the limit of the one before, such as EHLO
    /// after the greeting.
    pub(super) fn rename(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Bytes came in or went out.
    pub(super) fn progress(&mut self, written: u64, now: Time) {
        match self.rule {
            DeadlineRule::PerOperation => self.until = Some(now + self.limit),
            DeadlineRule::PerRequest { min_data_rate } => {
                self.spend(now);
                if self.stage == Stage::Text {
                    self.left = (self.left + self.bonus(written, min_data_rate)).min(self.limit);
                }
                self.since = Some(now);
                self.until = Some(now + whole_seconds(self.left));
            }
        }
    }

    /// The time that bytes of text earn back.
    fn bonus(&self, written: u64, min_data_rate: u32) -> Duration {
        let rate = f64::from(min_data_rate.max(1));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a bonus in seconds needs no exact bytes"
        )]
        let bonus = Duration::try_from_secs_f64(written as f64 / rate);
        bonus.unwrap_or(self.limit)
    }

    /// No deadline runs: the session rests.
    pub(super) fn rest(&mut self) {
        self.until = Some(Time::FAR);
    }

    pub(super) fn is_over(&self, now: Time) -> bool {
        self.until() <= now
    }

    /// When the stage is over; far away while its limit does not run.
    pub(super) fn until(&self) -> Time {
        self.until.unwrap_or(Time::FAR)
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }
}

/// Postfix waits for whole seconds, so that the last wait of a request may take
/// longer than what is left of its time (`src/util/vstream.c`).
fn whole_seconds(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Time {
        Time::at(Duration::from_secs(seconds))
    }

    fn started(rule: DeadlineRule, stage: Stage) -> Timer {
        let mut timer = Timer::new(rule, stage, SECOND * 10);
        timer.start(Time::ZERO);
        timer
    }

    #[test]
    fn each_operation_gets_the_whole_limit() {
        let mut timer = started(DeadlineRule::PerOperation, Stage::Mail);
        timer.progress(1, at(9));
        assert!(!timer.is_over(at(18)));
        assert!(timer.is_over(at(19)));
    }

    #[test]
    fn a_request_as_a_whole_gets_the_limit_once() {
        let rule = DeadlineRule::PerRequest { min_data_rate: 500 };
        let mut timer = started(rule, Stage::Mail);
        timer.progress(1, at(9));
        assert!(timer.is_over(at(10)));
    }

    #[test]
    fn a_pause_costs_no_time() {
        let rule = DeadlineRule::PerRequest { min_data_rate: 500 };
        let mut timer = started(rule, Stage::Ehlo);
        timer.pause(at(4));
        timer.pause(at(100));
        assert!(!timer.is_over(at(1000)));
        timer.resume(Stage::Auth);
        timer.start(at(1000));
        assert_eq!((timer.until(), timer.stage()), (at(1006), Stage::Auth));
    }

    #[test]
    fn a_pause_goes_on_until_it_is_ended() {
        let rule = DeadlineRule::PerRequest { min_data_rate: 500 };
        let mut timer = started(rule, Stage::Text);
        for second in [4, 50, 100] {
            timer.pause(at(second));
            timer.start(at(second));
            assert_eq!(timer.until(), Time::FAR);
        }
        timer.resume(Stage::Text);
        timer.start(at(200));
        assert_eq!(timer.until(), at(206));
    }

    #[test]
    fn the_last_wait_of_a_request_is_for_a_whole_second() {
        let rule = DeadlineRule::PerRequest { min_data_rate: 500 };
        let tenths = |tenths| Time::at(SECOND / 10 * tenths);
        let mut timer = started(rule, Stage::Mail);
        timer.progress(1, tenths(92));
        assert_eq!(timer.until(), tenths(102));
        timer.progress(1, tenths(101));
        assert!(timer.is_over(tenths(101)));
    }

    #[test]
    fn text_that_goes_out_gives_time_back_up_to_the_limit() {
        let rule = DeadlineRule::PerRequest { min_data_rate: 500 };
        let mut timer = started(rule, Stage::Text);
        timer.progress(1000, at(5));
        assert_eq!(timer.until(), at(12));
        timer.progress(1_000_000, at(6));
        assert_eq!(timer.until(), at(16));
    }
}
