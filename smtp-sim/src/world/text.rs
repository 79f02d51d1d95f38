//! The text of a message as a delivery reads it: at once, or at the pace of its source.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use smtp_policy::text::TextSource;

/// The pace of a source that has to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The most bytes that come at a time; zero counts as one.
    pub piece: usize,
    /// The time that each piece takes, and the end of the text.
    pub pause: Duration,
}

/// A text, and its flow if it has a pace.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Bytes,
    flow: Option<Flow>,
}

/// The flow of a text, for both of its ends.
#[derive(Clone, Debug)]
pub(super) struct Flow(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    pace: Pace,
    /// The piece that is waited for begins there.
    asked: Option<u64>,
    /// The world knows of it.
    known: bool,
    /// The piece that has come begins there.
    here: Option<u64>,
    waker: Option<Waker>,
}

impl Text {
    /// A text whose pieces come at this pace, or at once.
    pub(super) fn new(bytes: Bytes, pace: Option<Pace>) -> Self {
        let flow = pace.map(|pace| {
            Flow(Arc::new(Mutex::new(State {
                pace,
                asked: None,
                known: false,
                here: None,
                waker: None,
            })))
        });
        Self { bytes, flow }
    }

    pub(super) fn flow(&self) -> Option<Flow> {
        self.flow.clone()
    }
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that a piece takes that was asked for since the last call.
    pub(super) fn begun(&self) -> Option<Duration> {
        let mut state = self.lock();
        let begun = state.asked.is_some() && !state.known;
        state.known = true;
        begun.then_some(state.pace.pause)
    }

    /// The piece has come.
    pub(super) fn come(&self) {
        let mut state = self.lock();
        state.here = state.asked.take();
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl TextSource for Text {
    fn read(&mut self, offset: u64, room: usize) -> io::Result<Bytes> {
        self.bytes.read(offset, room)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        room: usize,
    ) -> Poll<io::Result<Bytes>> {
        let Some(flow) = &self.flow else {
            return Poll::Ready(self.bytes.read(offset, room));
        };
        let mut state = flow.lock();
        if state.here.take() == Some(offset) {
            let room = room.min(state.pace.piece.max(1));
            return Poll::Ready(self.bytes.read(offset, room));
        }
        if state.asked != Some(offset) {
            state.asked = Some(offset);
            state.known = false;
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
