//! Turns of deliveries: the limit on deliveries to a destination at a time, as the
//! queue manager keeps it (`src/qmgr/qmgr_queue.c`). It wakes nobody
//! itself.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::Protocol;

/// The deliveries to each destination that may run, and those that wait for a turn
/// (`transport_destination_concurrency_limit`). First come, first served.
///
/// `W` wakes one waiting delivery; the driver chooses what that is.
#[derive(Debug)]
pub struct Turns<W> {
    /// The queue manager has a queue for each destination of each transport.
    lanes: BTreeMap<LaneKey, Lane<W>>,
    serial: u64,
}

/// The key of a lane: deliveries of one protocol to one destination wait for each other.
type LaneKey = (Protocol, String);

#[derive(Debug)]
struct Lane<W> {
    running: u32,
    waiting: BTreeMap<Serial, W>,
}

/// The number of a place, in the order of arrival.
#[derive(Clone, Copy, Debug, Eq)]
struct Serial(u64);

impl PartialEq for Serial {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Serial {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(test)]
        tests::COMPARED.fetch_add(1, tests::Relaxed);
        self.0.cmp(&other.0)
    }
}

/// A place in [`Turns`], running or waiting, to be given back with
/// [`Turns::leave`].
#[derive(Debug)]
pub struct Place {
    lane: LaneKey,
    id: Serial,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            serial: 0,
        }
    }
}

impl<W> Turns<W> {
    /// Asks for a turn on a destination where at most `limit` deliveries of the same
    /// protocol run at a time; zero is no limit. With `waker` given back the turn has come at once;
    /// otherwise `waker` comes out of a later [`leave`](Self::leave) or
    /// [`open`](Self::open).
    pub fn enter(
        &mut self,
        protocol: Protocol,
        destination: &str,
        limit: u32,
        waker: W,
    ) -> (Place, Option<W>) {
        self.serial += 1;
        let place = Place {
            lane: (protocol, destination.to_ascii_lowercase()),
            id: Serial(self.serial),
        };
        let lane = self
            .lanes
            .entry(place.lane.clone())
            .or_insert_with(|| Lane {
                running: 0,
                waiting: BTreeMap::new(),
            });
        if limit == 0 || lane.running < limit {
            lane.running += 1;
            return (place, Some(waker));
        }
        lane.waiting.insert(place.id, waker);
        (place, None)
    }

    /// Gives a place back, whether its turn had come or not. Returns whom to
    /// wake, if a turn is passed on.
    pub fn leave(&mut self, place: &Place) -> Option<W> {
        let lane = self.lanes.get_mut(&place.lane)?;
        if lane.waiting.remove(&place.id).is_some() {
            return None;
        }
        if let Some((_, next)) = lane.waiting.pop_first() {
            return Some(next);
        }
        lane.running = lane.running.saturating_sub(1);
        if lane.running == 0 {
            self.lanes.remove(&place.lane);
        }
        None
    }

    /// Gives everybody who waits a turn, for deliveries that are to end at once.
    /// Returns whom to wake.
    pub fn open(&mut self) -> Vec<W> {
        let mut wakers = Vec::new();
        for lane in self.lanes.values_mut() {
            for waker in std::mem::take(&mut lane.waiting).into_values() {
                lane.running = lane.running.saturating_add(1);
                wakers.push(waker);
            }
        }
        wakers
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    pub(super) use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    /// The number of times the numbers of two places were compared, by whatever test.
    pub(super) static COMPARED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn who_leaves_in_the_middle_of_a_long_queue_is_not_searched_for() {
        const MANY: usize = 10_000;
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..MANY)
            .map(|n| turns.enter(Protocol::Smtp, "a", 1, n).0)
            .collect();
        let before = COMPARED.load(Relaxed);
        // One in two, from the end.
        let leaving = places.iter().skip(1).step_by(2).rev();
        assert!(leaving.clone().all(|place| turns.leave(place).is_none()));
        let each = (COMPARED.load(Relaxed) - before) / (MANY / 2);
        assert!(each < 100, "{each} comparisons for each");
        let staying = places.iter().step_by(2);
        let next: Vec<usize> = staying.filter_map(|place| turns.leave(place)).collect();
        assert_eq!(next, (2..MANY).step_by(2).collect::<Vec<_>>());
        assert!(turns.lanes.is_empty());
    }

    #[test]
    fn turns_come_in_the_order_of_arrival_and_are_passed_on() {
        let mut turns = Turns::default();
        let (first, go) = turns.enter(Protocol::Smtp, "example.com", 1, "first");
        assert_eq!(go, Some("first"));
        let (second, go) = turns.enter(Protocol::Smtp, "Example.COM", 1, "second");
        assert_eq!(go, None);
        let (third, go) = turns.enter(Protocol::Smtp, "example.com", 1, "third");
        assert_eq!(go, None);
        assert_eq!(
            turns.enter(Protocol::Smtp, "example.net", 1, "other").1,
            Some("other")
        );
        assert_eq!(turns.leave(&first), Some("second"));
        assert_eq!(turns.leave(&second), Some("third"));
        assert_eq!(turns.leave(&third), None);
        assert_eq!(
            turns.enter(Protocol::Smtp, "example.com", 1, "fourth").1,
            Some("fourth")
        );
    }

    #[test]
    fn who_leaves_while_waiting_takes_no_turn() {
        let mut turns = Turns::default();
        let (first, _) = turns.enter(Protocol::Smtp, "a", 1, 1);
        let (second, _) = turns.enter(Protocol::Smtp, "a", 1, 2);
        let (_third, _) = turns.enter(Protocol::Smtp, "a", 1, 3);
        assert_eq!(turns.leave(&second), None);
        assert_eq!(turns.leave(&first), Some(3));
    }

    #[test]
    fn the_two_protocols_have_turns_of_their_own_at_a_name() {
        let mut turns = Turns::default();
        let (first, go) = turns.enter(Protocol::Smtp, "a", 1, "smtp");
        assert_eq!(go, Some("smtp"));
        assert_eq!(turns.enter(Protocol::Lmtp, "a", 1, "lmtp").1, Some("lmtp"));
        let (_, go) = turns.enter(Protocol::Smtp, "A", 1, "next");
        assert_eq!((go, turns.leave(&first)), (None, Some("next")));
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let mut turns = Turns::default();
        assert!((0..1000).all(|n| turns.enter(Protocol::Smtp, "a", 0, n).1.is_some()));
    }

    #[test]
    fn opening_wakes_everybody_and_forgets_nobody() {
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..4)
            .map(|n| turns.enter(Protocol::Smtp, "a", 1, n).0)
            .collect();
        assert_eq!(turns.open(), [1, 2, 3]);
        assert!(places.iter().all(|place| turns.leave(place).is_none()));
        assert!(turns.lanes.is_empty());
    }
}
