//! Waiting for several things at once, on the thread that wants them: what executor and
//! reactor are in the other runtimes. Whatever happens, everything is looked at again,
//! since one delivery waits for few things.

use std::{
    future::{self, Future},
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use mio::{Events, Registry, Token};
use smtp_proto::time::Time;

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

/// Something that ends some time and does not hold up its thread.
pub(crate) trait Step: Sized {
    /// What comes of it.
    type Done;

    /// Goes on as far as possible without waiting.
    fn step(self, desk: &Desk, registry: &Registry) -> Progress<Self>;
}

/// How far a [`Step`] went.
pub(crate) enum Progress<S: Step> {
    /// To its end.
    Done(S::Done),
    /// Not yet there. It has to go on at the given time if nothing happens before.
    Until(S, Time),
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
        }
    }
}

/// Goes on with a step, whenever anything has happened, until it has ended.
pub(crate) async fn finish<S: Step>(desk: &Desk, step: S) -> S::Done {
    let mut state = Some(step);
    future::poll_fn(|_| {
        let step = state.take().map(|step| step.step(desk, &desk.registry));
        match step {
            Some(Progress::Done(done)) => return Poll::Ready(done),
            Some(Progress::Until(step, until)) => {
                desk.look_again(until);
                state = Some(step);
            }
            None => {}
        }
        Poll::Pending
    })
    .await
}
