//! The times of a message on its way to the agent (`src/global/msg_stats.h`).

use core::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use smtp_policy::report::Times;

use crate::attr::{Attribute, Malformed};

/// A point in time, as gettimeofday(2) gives it. Zero is a point that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Seconds since the beginning of 1970 (UTC).
    pub seconds: i64,
    /// Microseconds on top of them.
    pub micros: i64,
}

impl Stamp {
    /// The point that was not reached.
    pub const NONE: Self = Self {
        seconds: 0,
        micros: 0,
    };

    /// A point so long after the beginning of 1970.
    pub fn at(since: Duration) -> Self {
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            micros: since.subsec_micros().into(),
        }
    }

    /// True if the point was reached.
    pub fn is_set(self) -> bool {
        self.seconds != 0
    }

    /// The time from `earlier` to here; zero if one of them was not reached, or if they are
    /// the other way round, as after a correction of the clock.
    pub fn since(self, earlier: Self) -> Duration {
        if !self.is_set() || !earlier.is_set() {
            return Duration::ZERO;
        }
        let micros = |stamp: Self| {
            let seconds = stamp.seconds.saturating_mul(1_000_000);
            seconds.saturating_add(stamp.micros)
        };
        let passed = micros(self).saturating_sub(micros(earlier));
        Duration::from_micros(u64::try_from(passed).unwrap_or(0))
    }
}

/// Postfix's `MSG_STATS`, with the layout of the C structure on a 64-bit machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageStats {
    /// The arrival of the message.
    pub incoming_arrival: Stamp,
    /// Its way into the active queue.
    pub active_arrival: Stamp,
    /// Its way to the agent. The queue manager leaves it open; another agent
    /// that passes a recipient on does not.
    pub agent_handoff: Stamp,
    /// The end of the preparations of a delivery.
    pub connection_ready: Stamp,
    /// The end of a delivery.
    pub delivered: Stamp,
    /// Earlier uses of the connection.
    pub reuse_count: i32,
    /// The padding at the end of the C structure.
    padding: [u8; 4],
}

impl MessageStats {
    /// The bytes of the structure.
    pub const SIZE: usize = 88;

    /// The time in the queue before this attempt, and the time between the queue
    /// manager's decision and the agent: `a` and `b` of `delays=a/b/c/d`.
    pub fn waits(&self) -> (Duration, Duration) {
        let queue = self.active_arrival.since(self.incoming_arrival);
        let handoff = self.agent_handoff.since(self.active_arrival);
        (queue, handoff)
    }

    /// The time from the arrival of the message to the agent.
    pub fn age(&self) -> Duration {
        self.agent_handoff.since(self.incoming_arrival)
    }

    /// The times of a verdict as Postfix splits them: the wait for the agent is part of the
    /// set-up, not of the queue.
    ///
    /// For a request whose age was [`age`](Self::age).
    pub fn times(&self, verdict: Times) -> Times {
        let (queue, handoff) = self.waits();
        let mut times = verdict;
        times.queue = queue;
        times.setup = times.setup.saturating_add(handoff);
        times
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([a, b, c, d, e, f, g, h, i, j, last], []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let stamp = |seconds: &[u8; 8], micros: &[u8; 8]| Stamp {
            seconds: i64::from_ne_bytes(*seconds),
            micros: i64::from_ne_bytes(*micros),
        };
        let [count, padding] = last.as_chunks::<4>().0 else {
            return None;
        };
        Some(Self {
            incoming_arrival: stamp(a, b),
            active_arrival: stamp(c, d),
            agent_handoff: stamp(e, f),
            connection_ready: stamp(g, h),
            delivered: stamp(i, j),
            reuse_count: i32::from_ne_bytes(*count),
            padding: *padding,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let stamps = [
            self.incoming_arrival,
            self.active_arrival,
            self.agent_handoff,
            self.connection_ready,
            self.delivered,
        ];
        let mut bytes = Vec::with_capacity(Self::SIZE);
        for number in stamps
            .iter()
            .flat_map(|stamp| [stamp.seconds, stamp.micros])
        {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        bytes.extend_from_slice(&self.reuse_count.to_ne_bytes());
        bytes.extend_from_slice(&self.padding);
        bytes
    }
}

impl Attribute for MessageStats {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let bytes = STANDARD.decode(text).map_err(|_| Malformed::Base64)?;
        let len = bytes.len();
        Self::decode(&bytes).ok_or(Malformed::Statistics { len })
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(STANDARD.encode(self.encode()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_may_go_back() {
        let at = |seconds, micros| Stamp { seconds, micros };
        let micros = Duration::from_micros;
        assert_eq!(at(10, 5).since(at(9, 999_999)), micros(6));
        assert_eq!(at(9, 0).since(at(10, 0)), Duration::ZERO);
        assert_eq!(at(9, 0).since(Stamp::NONE), Duration::ZERO);
        assert_eq!(Stamp::NONE.since(at(9, 0)), Duration::ZERO);
        let far = at(i64::MAX, i64::MAX);
        assert_eq!(far.since(at(i64::MIN, i64::MIN)), micros(i64::MAX as u64));
    }

    #[test]
    fn delays_are_split_as_postfix_splits_them() {
        let at = |seconds| Stamp { seconds, micros: 0 };
        let stats = MessageStats {
            incoming_arrival: at(100),
            active_arrival: at(130),
            agent_handoff: at(132),
            ..MessageStats::default()
        };
        let verdict = Times {
            queue: stats.age(),
            connection: Duration::from_secs(3),
            ..Times::default()
        };
        assert_eq!(verdict.to_string(), "32/0/3/0");
        assert_eq!(stats.times(verdict).to_string(), "30/2/3/0");
    }
}
