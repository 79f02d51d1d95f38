//! The part of the queue that runs: it claims tasks, has them delivered, and takes down how that ended. It opens no
//! connection itself, and decides nothing that [`rules`](crate::rules) decide.
//!
//! ```text
//!            ┌────────── claims ──────────┐      each task:
//!  store ──▶ │ Claim and Admit in turn,   │ ──▶  text ─▶ the gate: Mark ─▶ the end of the text ─▶ verdicts ─▶ Conclude
//!            │ as many as slots are free  │
//!            └────────────────────────────┘      meanwhile: Renew, Reap, duties
//! ```
//!
//! Marks and conclusions of several deliveries go into one transaction. While the store is away, deliveries wait at
//! the gate for a while, ends wait to be taken down as long as the process lives, and nothing is claimed.

mod bell;
mod claims;
mod delivery;
mod duty;
mod event;
mod gate;
mod options;
mod pause;
mod rights;
mod stop;
mod summary;
mod upkeep;

use core::{future::Future, time::Duration};
use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::{Either, select};
use smtp_policy::{delivery::Observer, report::Report, request::Request, text::TextSource};

pub use self::{
    bell::Bell,
    duty::{Duty, Progress, Round},
    event::{Listener, QueueEvent},
    options::Options,
    stop::Stop,
    summary::Summary,
};
use self::{delivery::Conclusions, gate::Marks, rights::Rights};
use crate::{
    batch::{Batcher, Limits, OnError, Spawn},
    operation::Release,
    queue::Queue,
    store::{Store, StoreError},
};

/// The outside of a worker: something that delivers, and time. A mailer with its runtime is one, and so is a simulated
/// world.
pub trait Courier: Clone + Send + Sync + 'static {
    /// Delivers one message to one next hop, in one delivery. Returns when each recipient has an outcome.
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + 'static;

    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Does something beside everything else.
    fn detach(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Ends running deliveries politely: recipients without a verdict are deferred.
    fn cancel(&self);
}

/// A worker: it delivers what is in a store. Any number of them, on any number of machines, may have the same store.
pub struct Worker<S: Store, C: Courier> {
    shared: Arc<Shared<S, C>>,
    duties: Vec<Duty>,
}

/// The state that the parts of a worker have in common.
struct Shared<S: Store, C: Courier> {
    store: S,
    courier: C,
    options: Options,
    listener: Arc<dyn Listener>,
    bell: Bell,
    rights: Arc<Rights>,
    marks: Batcher<S, Marks>,
    conclusions: Batcher<S, Conclusions>,
    summary: Mutex<Summary>,
    stop: Stop,
}

impl<S: Store, C: Courier> Worker<S, C> {
    /// A worker that has not begun, and to which nobody listens.
    pub fn new(store: S, courier: C, options: Options) -> Self {
        Self::with_listener(store, courier, options, ())
    }

    /// The same with somebody who hears of what happens.
    pub fn with_listener(store: S, courier: C, options: Options, listener: impl Listener) -> Self {
        let listener: Arc<dyn Listener> = Arc::new(listener);
        let heard = Arc::clone(&listener);
        let on_error: OnError =
            Arc::new(move |doing, error| heard.hear(&QueueEvent::StoreFailed { doing, error }));
        let spawn = spawn(&courier);
        let limits = Limits {
            items: options.slots.clamp(1, 1000),
            bytes: 4 << 20,
            waiting: usize::MAX,
        };
        let bell = Bell::default();
        let shared = Shared {
            marks: Batcher::new(
                store.clone(),
                Marks,
                limits,
                Arc::clone(&spawn),
                Arc::clone(&on_error),
            ),
            conclusions: Batcher::new(
                store.clone(),
                Conclusions(options.rules.clone()),
                limits,
                spawn,
                on_error,
            ),
            rights: Arc::new(Rights::new(bell.clone())),
            summary: Mutex::default(),
            stop: Stop::new(),
            store,
            courier,
            options,
            listener,
            bell,
        };
        Self {
            shared: Arc::new(shared),
            duties: Vec::new(),
        }
    }

    /// Does this now and then besides deliveries.
    #[must_use]
    pub fn with_duty(mut self, duty: Duty) -> Self {
        self.duties.push(duty);
        self
    }

    /// Ends with this.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        // Nobody else has it before it runs.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.stop = stop;
        }
        self
    }

    /// The bell that wakes this worker when something came into the queue.
    pub fn bell(&self) -> Bell {
        self.shared.bell.clone()
    }

    /// A handle for programs that put messages into the queue, which wakes this worker.
    pub fn queue(&self) -> Queue<S> {
        let spawn = spawn(&self.shared.courier);
        Queue::new(self.shared.store.clone(), spawn).with_bell(self.bell())
    }

    /// Works until it is stopped, and returns what was done. To be called once.
    ///
    /// Where its future is dropped, deliveries go on, and their leases run out.
    pub async fn run(self) -> Summary {
        let shared = &self.shared;
        let work = pin!(shared.work());
        let upkeep = pin!(shared.upkeep(&self.duties));
        // Upkeep never ends.
        match select(work, upkeep).await {
            Either::Left(..) | Either::Right(..) => {}
        }
        let mut summary = shared.summary();
        summary.left = shared.rights.count();
        summary
    }
}

fn spawn<C: Courier>(courier: &C) -> Spawn {
    let courier = courier.clone();
    Arc::new(move |task| courier.detach(task))
}

impl<S: Store, C: Courier> Shared<S, C> {
    /// Claims until somebody wants it to stop, and sees to it that what runs comes to its end.
    async fn work(self: &Arc<Self>) {
        let unbegun = self.claim().await;
        self.release(unbegun).await;
        let running = self.rights.count();
        let grace = self.options.grace;
        self.hear(&QueueEvent::Stopping { running, grace });
        if self.drained().await {
            return;
        }
        self.courier.cancel();
        self.drained().await;
    }

    /// Waits until no delivery runs any more. Returns false where that takes too long.
    async fn drained(&self) -> bool {
        let none_left = pin!(self.rights.none_left());
        let limit = pin!(self.courier.sleep(self.options.grace));
        let at_once = pin!(self.stop.at_once());
        let enough = select(limit, at_once);
        matches!(select(none_left, enough).await, Either::Left(_))
    }

    /// Gives tasks back that were not begun.
    async fn release(&self, rights: Vec<crate::operation::Right>) {
        if rights.is_empty() {
            return;
        }
        let rules = self.options.rules.clone();
        if let Err(error) = self.store.run(Release { rights, rules }).await {
            self.failed("give tasks back", &error);
        }
    }

    /// Waits, unless somebody wants it to stop.
    async fn nap(&self, time: Duration) {
        let sleep = pin!(self.courier.sleep(time));
        select(sleep, pin!(self.stop.asked())).await;
    }

    fn hear(&self, event: &QueueEvent<'_>) {
        self.listener.hear(event);
    }

    fn failed(&self, doing: &str, error: &StoreError) {
        self.hear(&QueueEvent::StoreFailed { doing, error });
    }

    fn count(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn summary(&self) -> Summary {
        *self.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store, C: Courier> fmt::Debug for Worker<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.shared.options.name)
            .finish_non_exhaustive()
    }
}
