//! Who may deliver when: the limit on deliveries to a destination at a time, as the
//! queue manager keeps it (`src/qmgr/qmgr_queue.c`). It wakes nobody
//! itself.

use std::collections::{BTreeMap, VecDeque};

/// Who may deliver to which destination, and who waits for a turn
/// (`transport_destination_concurrency_limit`). First come, first served.
///
/// `W` wakes one waiting delivery; the driver chooses what that is.
#[derive(Debug)]
pub struct Turns<W> {
    lanes: BTreeMap<String, Lane<W>>,
    serial: u64,
}

#[derive(Debug)]
struct Lane<W> {
    running: u32,
    waiting: VecDeque<(u64, W)>,
}

/// A place in [`Turns`], running or waiting, to be given back with
/// [`Turns::leave`].
#[derive(Debug)]
pub struct Place {
    lane: String,
    id: u64,
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
    /// Asks for a turn on a destination where at most `limit` deliveries run at
    /// a time; zero is no limit. With `waker` given back the turn has come at once;
    /// otherwise `waker` comes out of a later [`leave`](Self::leave) or
    /// [`open`](Self::open).
    pub fn enter(&mut self, destination: &str, limit: u32, waker: W) -> (Place, Option<W>) {
        self.serial += 1;
        let place = Place {
            lane: destination.to_ascii_lowercase(),
            id: self.serial,
        };
        let lane = self
            .lanes
            .entry(place.lane.clone())
            .or_insert_with(|| Lane {
                running: 0,
                waiting: VecDeque::new(),
            });
        if limit == 0 || lane.running < limit {
            lane.running += 1;
            return (place, Some(waker));
        }
        lane.waiting.push_back((place.id, waker));
        (place, None)
    }

    /// Gives a place back, whether its turn had come or not. Returns whom to
    /// wake, if a turn is passed on.
    pub fn leave(&mut self, place: &Place) -> Option<W> {
        let lane = self.lanes.get_mut(&place.lane)?;
        let waited = lane.waiting.iter().position(|(id, _)| *id == place.id);
        if let Some(at) = waited {
            lane.waiting.remove(at);
            return None;
        }
        if let Some((_, next)) = lane.waiting.pop_front() {
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
            for (_, waker) in lane.waiting.drain(..) {
                lane.running = lane.running.saturating_add(1);
                wakers.push(waker);
            }
        }
        wakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_the_order_of_arrival_and_are_passed_on() {
        let mut turns = Turns::default();
        let (first, go) = turns.enter("example.com", 1, "first");
        assert_eq!(go, Some("first"));
        let (second, go) = turns.enter("Example.COM", 1, "second");
        assert_eq!(go, None);
        let (third, go) = turns.enter("example.com", 1, "third");
        assert_eq!(go, None);
        assert_eq!(turns.enter("example.net", 1, "other").1, Some("other"));
        assert_eq!(turns.leave(&first), Some("second"));
        assert_eq!(turns.leave(&second), Some("third"));
        assert_eq!(turns.leave(&third), None);
        assert_eq!(turns.enter("example.com", 1, "fourth").1, Some("fourth"));
    }

    #[test]
    fn who_leaves_while_waiting_takes_no_turn() {
        let mut turns = Turns::default();
        let (first, _) = turns.enter("a", 1, 1);
        let (second, _) = turns.enter("a", 1, 2);
        let (_third, _) = turns.enter("a", 1, 3);
        assert_eq!(turns.leave(&second), None);
        assert_eq!(turns.leave(&first), Some(3));
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let mut turns = Turns::default();
        assert!((0..1000).all(|n| turns.enter("a", 0, n).1.is_some()));
    }

    #[test]
    fn opening_wakes_everybody_and_forgets_nobody() {
        let mut turns = Turns::default();
        let places: Vec<Place> = (0..4).map(|n| turns.enter("a", 1, n).0).collect();
        assert_eq!(turns.open(), [1, 2, 3]);
        assert!(places.iter().all(|place| turns.leave(place).is_none()));
        assert!(turns.lanes.is_empty());
    }
}
