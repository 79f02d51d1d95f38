//! When which message begins: the limits on number and time, the rate, and the end.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::values::Rate;

/// The steps of the timer. A message is woken for so much early, not late.
const STEP: Duration = Duration::from_millis(1);

/// Hands out the messages of a run to its sessions, each at its time.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    /// The number of messages, if it is limited.
    messages: Option<u64>,
    /// The end of the time in which messages begin, if it is limited.
    until: Option<Instant>,
    rate: Option<Rate>,
    /// Messages that were handed out.
    next: AtomicU64,
    stop: watch::Sender<bool>,
}

/// Leave to send a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The number of the message, from one on.
    pub(super) number: u64,
    /// The moment from which its response counts.
    pub(super) due: Instant,
}

impl Pace {
    /// A run that begins now.
    pub(super) fn start(
        messages: Option<u64>,
        duration: Option<Duration>,
        rate: Option<Rate>,
    ) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            messages,
            until: duration.map(|time| begun + time),
            rate,
            next: AtomicU64::new(0),
            stop: watch::Sender::new(false),
        }
    }

    /// Begins no further message, and wakes whoever waits for one.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The next message, as soon as it is due; none at the end.
    pub(super) async fn next(&self) -> Option<Turn> {
        if *self.stop.borrow() || self.is_over(Instant::now()) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if self.messages.is_some_and(|most| number >= most) {
            return None;
        }
        let due = self.due(number);
        if self.is_over(due) || !self.sleep_until(due).await || self.is_over(Instant::now()) {
            return None;
        }
        Some(Turn {
            number: number + 1,
            due: due.min(Instant::now()),
        })
    }

    /// Pauses a session. Returns whether it may go on.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        self.sleep_until(Instant::now() + time).await
    }

    /// The time since the begin.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The number of messages that were due by `now`; none where there is no rate.
    pub(super) fn were_due(&self, now: Instant) -> u64 {
        let Some(Rate(rate)) = self.rate else {
            return 0;
        };
        let end = self.until.map_or(now, |until| until.min(now));
        let count = (end - self.begun).as_secs_f64() * rate;
        // Not negative; what is too large becomes the largest number.
        let count = count.ceil() as u64;
        self.messages.map_or(count, |most| most.min(count))
    }

    fn due(&self, number: u64) -> Instant {
        match self.rate {
            Some(Rate(rate)) => {
                let after = Duration::try_from_secs_f64(number as f64 / rate);
                // Further away than the clock can say: never.
                let at = after.ok().and_then(|after| self.begun.checked_add(after));
                at.unwrap_or_else(|| self.begun + Duration::from_secs(1 << 32))
            }
            None => Instant::now(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Sleeps; returns whether it was not told to stop.
    async fn sleep_until(&self, at: Instant) -> bool {
        let mut stopped = self.stop.subscribe();
        if at > Instant::now() + STEP {
            tokio::select! {
                () = time::sleep_until(at - STEP) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        }
        let stop = *stopped.borrow();
        !stop
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(test)
    }

    #[test]
    fn messages_are_numbered_up_to_their_limit() {
        run(async {
            let pace = Pace::start(Some(2), None, None);
            assert_eq!(pace.next().await.unwrap().number, 1);
            assert_eq!(pace.next().await.unwrap().number, 2);
            assert!(pace.next().await.is_none());
        });
    }

    #[test]
    fn nothing_begins_after_the_end() {
        run(async {
            let pace = Pace::start(None, Some(Duration::ZERO), None);
            assert!(pace.next().await.is_none());
            let pace = Pace::start(None, None, None);
            pace.stop();
            assert!(pace.next().await.is_none());
            assert!(!pace.pause(Duration::ZERO).await);
        });
    }

    #[test]
    fn a_late_message_counts_from_the_moment_when_it_was_due() {
        run(async {
            let mut pace = Pace::start(None, None, Some(Rate(10.0)));
            // As if the server had held up all sessions for a second.
            pace.begun -= Duration::from_secs(1);
            let begun = pace.begun;
            for number in 0..10 {
                let turn = pace.next().await.unwrap();
                assert_eq!(turn.due - begun, Duration::from_millis(100) * number);
            }
        });
    }

    #[test]
    fn a_wait_for_the_next_moment_ends_with_the_run() {
        run(async {
            // The second message is due in an hour.
            let pace = Pace::start(None, None, Some(Rate(1.0 / 3600.0)));
            assert!(pace.next().await.is_some());
            let (next, ()) = tokio::join!(pace.next(), async { pace.stop() });
            assert!(next.is_none());
        });
    }

    #[test]
    fn messages_that_were_due_are_counted_up_to_the_limits() {
        run(async {
            let second = Duration::from_secs(1);
            let due = |messages, duration, rate| {
                let pace = Pace::start(messages, duration, rate);
                pace.were_due(pace.begun + 10 * second)
            };
            assert_eq!(due(None, None, Some(Rate(2.0))), 20);
            assert_eq!(due(None, Some(second), Some(Rate(2.0))), 2);
            assert_eq!(due(Some(7), None, Some(Rate(2.0))), 7);
            assert_eq!(due(Some(7), None, None), 0);
        });
    }
}
