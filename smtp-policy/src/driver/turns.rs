//! Turns of deliveries: the limit on deliveries to a destination at a time, as the
//! queue manager keeps it (`src/qmgr/qmgr_queue.c`). It wakes nobody
//! itself.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::config::Protocol;

/// The deliveries to each destination that run, and those that wait for a turn
/// (`transport_destination_concurrency_limit`). First come, first served.
///
/// `W` is how one of them is told something.
#[derive(Debug)]
pub(super) struct Turns<W> {
    lanes: BTreeMap<Destination, Lane<W>>,
    serial: u64,
}

/// A destination of a transport, for each of which the queue manager has a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Destination {
    protocol: Protocol,
    name: String,
}

impl Destination {
    /// The destination of deliveries to a next hop.
    pub(super) fn new(protocol: Protocol, nexthop: &str) -> Self {
        Self {
            protocol,
            name: nexthop.to_ascii_lowercase(),
        }
    }
}

#[derive(Debug)]
struct Lane<W> {
    running: BTreeMap<Serial, W>,
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
pub(super) struct Place {
    pub(super) destination: Destination,
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

impl<W: Clone> Turns<W> {
    /// Asks for a turn on a destination where at most `limit` deliveries run at a time;
    /// zero is no limit. The second is whether it has come at once; otherwise `who` comes
    /// out of a later [`leave`](Self::leave).
    pub(super) fn enter(&mut self, destination: Destination, limit: u32, who: W) -> (Place, bool) {
        self.serial += 1;
        let id = Serial(self.serial);
        let lane = self
            .lanes
            .entry(destination.clone())
            .or_insert_with(|| Lane {
                running: BTreeMap::new(),
                waiting: BTreeMap::new(),
            });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let come = limit == 0 || lane.running.len() < limit;
        let list = match come {
            true => &mut lane.running,
            false => &mut lane.waiting,
        };
        list.insert(id, who);
        (Place { destination, id }, come)
    }

    /// Gives a place back, whether its turn had come or not. Returns who is next, if a
    /// turn is passed on.
    pub(super) fn leave(&mut self, place: &Place) -> Option<W> {
        let lane = self.lanes.get_mut(&place.destination)?;
        if lane.waiting.remove(&place.id).is_some() {
            return None;
        }
        lane.running.remove(&place.id)?;
        if let Some((id, next)) = lane.waiting.pop_first() {
            lane.running.insert(id, next.clone());
            return Some(next);
        }
        if lane.running.is_empty() {
            self.lanes.remove(&place.destination);
        }
        None
    }

    /// Everybody who runs or waits.
    pub(super) fn everybody(&self) -> Vec<W> {
        let lanes = self.lanes.values();
        let all = lanes.flat_map(|lane| lane.running.values().chain(lane.waiting.values()));
        all.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    pub(super) use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    /// The number of times the numbers of two places were compared, by whatever test.
    pub(super) static COMPARED: AtomicUsize = AtomicUsize::new(0);

    fn smtp(name: &str) -> Destination {
        Destination::new(Protocol::Smtp, name)
    }

    #[test]
    fn who_leaves_in_the_middle_of_a_long_queue_is_not_searched_for() {
        const MANY: usize = 10_000;
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..MANY).map(|n| turns.enter(smtp("a"), 1, n).0).collect();
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
        let (first, come) = turns.enter(smtp("example.com"), 1, "first");
        assert!(come);
        let (second, come) = turns.enter(smtp("Example.COM"), 1, "second");
        assert!(!come);
        let (third, come) = turns.enter(smtp("example.com"), 1, "third");
        assert!(!come);
        assert!(turns.enter(smtp("example.net"), 1, "other").1);
        assert_eq!(turns.leave(&first), Some("second"));
        assert_eq!(turns.leave(&second), Some("third"));
        assert_eq!(turns.leave(&third), None);
        assert!(turns.enter(smtp("example.com"), 1, "fourth").1);
    }

    #[test]
    fn who_leaves_while_waiting_takes_no_turn() {
        let mut turns = Turns::default();
        let (first, _) = turns.enter(smtp("a"), 1, 1);
        let (second, _) = turns.enter(smtp("a"), 1, 2);
        let (_third, _) = turns.enter(smtp("a"), 1, 3);
        assert_eq!(turns.leave(&second), None);
        assert_eq!(turns.leave(&first), Some(3));
    }

    #[test]
    fn a_place_that_is_given_back_twice_passes_one_turn_on() {
        let mut turns = Turns::default();
        let places = [1, 2, 3].map(|n| turns.enter(smtp("a"), 1, n).0);
        assert_eq!(turns.leave(&places[0]), Some(2));
        assert_eq!(turns.leave(&places[0]), None);
        assert_eq!(turns.leave(&places[1]), Some(3));
    }

    #[test]
    fn the_two_protocols_have_turns_of_their_own_at_a_name() {
        let mut turns = Turns::default();
        let (first, come) = turns.enter(smtp("a"), 1, "smtp");
        assert!(come);
        let lmtp = Destination::new(Protocol::Lmtp, "a");
        assert!(turns.enter(lmtp, 1, "lmtp").1);
        let (_, come) = turns.enter(smtp("A"), 1, "next");
        assert_eq!((come, turns.leave(&first)), (false, Some("next")));
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let mut turns = Turns::default();
        assert!((0..1000).all(|n| turns.enter(smtp("a"), 0, n).1));
    }

    #[test]
    fn everybody_who_runs_or_waits_can_be_told_something() {
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..4).map(|n| turns.enter(smtp("a"), 2, n).0).collect();
        assert_eq!(turns.everybody(), [0, 1, 2, 3]);
        let last = places.iter().rev();
        let next: Vec<_> = last.filter_map(|place| turns.leave(place)).collect();
        assert!(next.is_empty() && turns.lanes.is_empty());
    }
}
