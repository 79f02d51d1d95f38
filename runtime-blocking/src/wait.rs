//! Waiting for several things at once, on the thread that wants them: what executor and
//! reactor are in the other runtimes. Whatever happens, everything is looked at again,
//! since one delivery waits for few things.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use mio::{Events, Token, event::Event};

use crate::{runtime::Desk, watch::Watcher};

/// The token of everything that is waited for.
pub(crate) const TOKEN: Token = Token(1);

/// A poll, and whoever waits with it. It serves one delivery after another: making one
/// takes several system calls.
#[derive(Debug)]
pub(crate) struct Reactor {
    poll: mio::Poll,
    events: Events,
    waker: Waker,
    desk: Arc<Desk>,
}

/// Wakes a poll.
struct Ring(mio::Waker);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        let _ = self.0.wake();
    }
}

impl Reactor {
    /// # Errors
    /// The system has no file descriptors left.
    pub(crate) fn new(start: Instant, watcher: &Arc<Watcher>) -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let ring = Ring(mio::Waker::new(poll.registry(), TOKEN)?);
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(16),
            waker: Waker::from(Arc::new(ring)),
            desk: Arc::new(Desk::new(start, registry, Arc::clone(watcher))),
        })
    }

    /// The side that the futures see.
    pub(crate) const fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Waits for a future.
    pub(crate) fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            self.desk.forget_deadline();
            let mut cx = Context::from_waker(&self.waker);
            if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
                return done;
            }
            // An interrupted wait is a short one, and everything is looked at again.
            let _ = self.poll.poll(&mut self.events, Some(self.desk.patience()));
            if self.events.iter().any(Event::is_read_closed) {
                self.desk.tell_end();
            }
        }
    }
}
