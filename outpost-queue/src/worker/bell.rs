//! A bell for one who sleeps.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::{future::poll_fn, task::AtomicWaker};
use std::task::Poll;

/// Wakes a worker that has nothing to do: something came into the queue. Clones are the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    /// Rings. Rung several times before it is heard, it is heard once.
    pub fn ring(&self) {
        self.0.rung.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Waits until it rings, or has rung since it was last heard. One at a time can wait.
    pub(super) fn heard(&self) -> impl Future<Output = ()> + Send + '_ {
        poll_fn(|cx| {
            self.0.waker.register(cx.waker());
            match self.0.rung.swap(false, Ordering::AcqRel) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    }
}
