//! The way to end a worker.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures_channel::oneshot;
use futures_util::{
    FutureExt,
    future::{Shared, poll_fn},
};

/// Ends workers, in two steps. Clones are the same.
///
/// 1. Nothing is begun any more. What runs may end for a while ([`Options::grace`](super::Options::grace)), then it is ended
///    politely.
/// 2. The worker leaves everything as it is. Its leases run out, and others take over.
#[derive(Clone)]
pub struct Stop {
    senders: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
    soon: Step,
    now: Step,
}

type Step = Shared<oneshot::Receiver<()>>;

impl Stop {
    /// One that nobody has asked for.
    pub fn new() -> Self {
        let (soon, soon_rx) = oneshot::channel();
        let (now, now_rx) = oneshot::channel();
        Self {
            senders: Arc::new(Mutex::new(vec![now, soon])),
            soon: soon_rx.shared(),
            now: now_rx.shared(),
        }
    }

    /// Takes the next step: a first call asks to stop, a second one to stop at once.
    pub fn step(&self) {
        let next = {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            senders.pop()
        };
        if let Some(next) = next {
            // Nobody may be waiting.
            let _ = next.send(());
        }
    }

    /// Returns whether somebody wants it to stop.
    pub fn is_asked(&self) -> bool {
        self.soon.clone().now_or_never().is_some()
    }

    /// Waits until somebody wants it to stop.
    pub async fn asked(&self) {
        done(self.soon.clone()).await;
    }

    /// Waits until somebody wants it to stop at once.
    pub async fn at_once(&self) {
        done(self.now.clone()).await;
    }
}

/// Waits for a step.
async fn done(step: Step) {
    if step.await.is_err() {
        // Nobody is left who could take it; this cannot be, since whoever waits holds the senders.
        poll_fn(|_| std::task::Poll::<()>::Pending).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop")
            .field("asked", &self.is_asked())
            .finish_non_exhaustive()
    }
}
