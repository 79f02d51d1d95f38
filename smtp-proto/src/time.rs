//! A point in time as the state machines see it: a duration since an epoch
//! that the driver chose. It is not a clock; nothing in this crate reads one.
//!
//! ```
//! use core::time::Duration;
//! use smtp_proto::Time;
//!
//! let start = Time::at(Duration::from_secs(5));
//! let deadline = start + Duration::from_secs(300);
//! assert_eq!(deadline.since(start), Duration::from_secs(300));
//! assert_eq!(start.since(deadline), Duration::ZERO);
//! ```

use core::ops::Add;
use core::time::Duration;

/// A point in time, counted from an epoch of the driver's choosing.
///
/// A driver usually takes the `Instant` at which it started as the epoch. Times of different epochs
/// must not meet in one state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The epoch itself.
    pub const ZERO: Time = Time(Duration::ZERO);

    /// The latest time there is. As a deadline it means "never".
    pub const FAR: Time = Time(Duration::MAX);

    /// The time that lies `since_epoch` after the epoch.
    pub const fn at(since_epoch: Duration) -> Time {
        Time(since_epoch)
    }

    /// The time that passed from `earlier` to this time; zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The distance from the epoch.
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// The time `wait` later; at most [`Time::FAR`].
    fn add(self, wait: Duration) -> Time {
        Time(self.0.saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_to_the_far_end_stays_there() {
        assert_eq!(Time::FAR + Duration::from_secs(1), Time::FAR);
        assert_eq!(
            Time::ZERO + Duration::from_secs(1),
            Time::at(Duration::from_secs(1))
        );
    }
}
