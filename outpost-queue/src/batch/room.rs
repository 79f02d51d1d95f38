//! Room for bytes, of which there is only so much: whoever wants some waits for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_channel::oneshot;

/// Room for bytes. Clones are the same room.
#[derive(Clone, Debug)]
pub(super) struct Room {
    size: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// Those who wait for so many bytes. First come, first served.
    outside: VecDeque<(usize, oneshot::Sender<Seat>)>,
}

/// A part of the room, which comes back when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    bytes: usize,
    room: Room,
}

impl Room {
    pub(super) fn new(size: usize) -> Self {
        let state = State {
            left: size,
            outside: VecDeque::new(),
        };
        Self {
            size,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits for room for so many bytes. What is larger than the room gets all of it.
    pub(super) async fn enter(&self, bytes: usize) -> Seat {
        let bytes = bytes.min(self.size);
        let come = {
            let mut state = self.lock();
            if state.outside.is_empty() && bytes <= state.left {
                state.left -= bytes;
                return self.seat(bytes);
            }
            let (tell, come) = oneshot::channel();
            state.outside.push_back((bytes, tell));
            come
        };
        // The sender goes away with the room alone, which this borrows.
        come.await.unwrap_or_else(|_| self.seat(0))
    }

    fn seat(&self, bytes: usize) -> Seat {
        Seat {
            bytes,
            room: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self, bytes: usize) {
        let mut admitted = Vec::new();
        {
            let mut state = self.lock();
            state.left = state.left.saturating_add(bytes).min(self.size);
            while let Some((wanted, _)) = state.outside.front()
                && *wanted <= state.left
                && let Some((wanted, tell)) = state.outside.pop_front()
            {
                if !tell.is_canceled() {
                    state.left -= wanted;
                    admitted.push((wanted, tell));
                }
            }
        }
        for (bytes, tell) in admitted {
            // Whoever has gone away meanwhile drops the seat, which comes back here.
            let _ = tell.send(self.seat(bytes));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.take_back(self.bytes);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::{FutureExt, future::join};

    use super::*;

    #[test]
    fn who_comes_first_is_served_first_and_who_goes_away_leaves_no_hole() {
        let room = Room::new(10);
        let first = room.enter(6).now_or_never().unwrap();
        let mut second = Box::pin(room.enter(8));
        let mut third = Box::pin(room.enter(2));
        assert!((&mut second).now_or_never().is_none());
        assert!(
            (&mut third).now_or_never().is_none(),
            "not before the second"
        );
        drop(first);
        let (second, third) = join(second, third).now_or_never().unwrap();
        let mut fourth = Box::pin(room.enter(1));
        assert!((&mut fourth).now_or_never().is_none());
        drop(third);
        drop(fourth);
        drop(second);
        assert_eq!(room.lock().left, 10);
    }

    #[test]
    fn what_is_larger_than_the_room_goes_in_alone() {
        let room = Room::new(10);
        let small = room.enter(1).now_or_never().unwrap();
        let mut large = Box::pin(room.enter(1000));
        assert!((&mut large).now_or_never().is_none());
        drop(small);
        assert_eq!((&mut large).now_or_never().unwrap().bytes, 10);
    }
}
