//! The wait for a time that moves.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use smtp_proto::time::Time;

use crate::runtime::{Clocked, Runtime};

/// The longest time for which an alarm is set. Deadlines are minutes away and move all the
/// time: an alarm that rings too early now and then costs less than one that is set anew at
/// every step.
const ALARM: Duration = Duration::from_secs(60);

/// An alarm, and when it rings if it is set.
pub(crate) struct Alarm<R: Runtime>(Option<(Time, Pin<Box<R::Sleep>>)>);

impl<R: Runtime> Alarm<R> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Waits until a time. It is `now`.
    pub(crate) fn poll(
        &mut self,
        clock: &Clocked<R>,
        mut now: Time,
        until: Time,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if until <= now {
                return Poll::Ready(());
            }
            match &mut self.0 {
                Some((at, sleep)) if *at <= until => {
                    let _ = ready!(sleep.as_mut().poll(cx));
                    self.0 = None;
                    now = clock.time();
                }
                alarm => {
                    let at = until.min(now + ALARM);
                    *alarm = Some((at, Box::pin(clock.sleep(at))));
                }
            }
        }
    }
}
