//! Batches: what is asked for while one transaction is under way goes together into the next (group commit).
//! They decide nothing about what is in them.

mod room;

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_channel::oneshot;
use futures_util::FutureExt;

use self::room::{Room, Seat};
use crate::store::{Operation, Store, StoreError};

/// Something that runs beside everything else.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Begins what runs beside everything else: that of a runtime.
pub type Spawn = Arc<dyn Fn(Task) + Send + Sync>;
/// Hears of transactions that have failed, with what they were for.
pub(crate) type OnError = Arc<dyn Fn(&'static str, &StoreError) + Send + Sync>;

/// The most times that an operation is run, all in all, of which nobody knows whether it was done.
const ATTEMPTS: u32 = 3;

/// Something that is done for many at once.
pub(crate) trait Group: Send + Sync + 'static {
    /// One of them.
    type Item: Send + 'static;
    /// The answer to one.
    type Answer: Send + 'static;
    /// The operation that does them in one transaction.
    type Operation: Operation + Clone;
    /// The name of it in events.
    const NAME: &'static str;
    /// An operation that was done and not answered has the same effect if it is done again.
    const CAN_REPEAT: bool = true;

    /// The operation for these.
    fn operation(&self, items: Vec<Self::Item>) -> Self::Operation;

    /// The items that an operation was made of.
    fn items(operation: Self::Operation) -> Vec<Self::Item>;

    /// The answer to each, in their order.
    fn answers(
        operation: &Self::Operation,
        output: <Self::Operation as Operation>::Output,
    ) -> Vec<Self::Answer>;
}

/// A failure: the item, unless it is lost, and the reason.
pub(crate) type Failed<I> = (Option<I>, StoreError);
type Answered<G> = Result<<G as Group>::Answer, Failed<<G as Group>::Item>>;

/// The limits of a batch, and of what waits for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most items of a batch.
    pub(crate) items: usize,
    /// The most bytes of a batch, unless one item has more.
    pub(crate) bytes: usize,
    /// The most bytes that wait and are under way, unless one item has more.
    pub(crate) waiting: usize,
}

/// Gathers items while the batch before is under way. Clones are the same.
pub(crate) struct Batcher<S, G: Group>(Arc<Inner<S, G>>);

struct Inner<S, G: Group> {
    store: S,
    group: G,
    limits: Limits,
    spawn: Spawn,
    on_error: OnError,
    room: Room,
    state: Mutex<State<G>>,
}

struct State<G: Group> {
    waiting: VecDeque<Entry<G>>,
    /// Somebody runs batches.
    running: bool,
}

struct Entry<G: Group> {
    item: G::Item,
    bytes: usize,
    caller: Caller<G>,
}

/// A caller who waits for an answer, with the room that its item has.
struct Caller<G: Group> {
    tell: oneshot::Sender<Answered<G>>,
    _seat: Seat,
}

impl<S, G: Group> Clone for Batcher<S, G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store, G: Group> Batcher<S, G> {
    pub(crate) fn new(store: S, group: G, limits: Limits, spawn: Spawn, on_error: OnError) -> Self {
        Self(Arc::new(Inner {
            store,
            group,
            limits,
            spawn,
            on_error,
            room: Room::new(limits.waiting),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: false,
            }),
        }))
    }

    /// Does something together with what else there is to do. An item whose future is dropped before its batch has begun
    /// is left out.
    pub(crate) async fn push(&self, item: G::Item, bytes: usize) -> Answered<G> {
        let seat = self.0.room.enter(bytes).await;
        let (tell, told) = oneshot::channel();
        let caller = Caller { tell, _seat: seat };
        let begin = {
            let mut state = self.0.lock();
            state.waiting.push_back(Entry {
                item,
                bytes,
                caller,
            });
            !std::mem::replace(&mut state.running, true)
        };
        if begin {
            let inner = Arc::clone(&self.0);
            let driver = Driver {
                inner,
                dismissed: false,
            };
            (self.0.spawn)(Box::pin(drive(driver)));
        }
        let gone = || StoreError::Other("a transaction was begun and not ended".to_owned());
        told.await.unwrap_or_else(|_| Err((None, gone())))
    }
}

/// The runner of batches, until nothing waits.
struct Driver<S, G: Group> {
    inner: Arc<Inner<S, G>>,
    /// Nothing waited, and another may run already.
    dismissed: bool,
}

/// A driver that ends before its time, since its runtime does or a store panics, leaves nobody waiting.
impl<S, G: Group> Drop for Driver<S, G> {
    fn drop(&mut self) {
        if self.dismissed {
            return;
        }
        let mut state = self.inner.lock();
        state.running = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}

async fn drive<S: Store, G: Group>(mut driver: Driver<S, G>) {
    loop {
        let (items, callers) = driver.inner.take();
        if items.is_empty() {
            driver.dismissed = true;
            return;
        }
        let answers = driver.inner.run(items).await;
        for (caller, answer) in callers.into_iter().zip(answers) {
            // Whoever has gone away meanwhile does not want to know.
            let _ = caller.tell.send(answer);
        }
    }
}

impl<S, G: Group> Inner<S, G> {
    fn lock(&self) -> MutexGuard<'_, State<G>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch. After an empty one nobody runs batches any more.
    fn take(&self) -> (Vec<G::Item>, Vec<Caller<G>>) {
        let (mut items, mut callers, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut state = self.lock();
        while let Some(entry) = state.waiting.pop_front() {
            if entry.caller.tell.is_canceled() {
                left_out.push(entry);
                continue;
            }
            let full = items.len() >= self.limits.items
                || (!items.is_empty() && bytes + entry.bytes > self.limits.bytes);
            if full {
                state.waiting.push_front(entry);
                break;
            }
            bytes += entry.bytes;
            items.push(entry.item);
            callers.push(entry.caller);
        }
        state.running = !items.is_empty();
        drop(state);
        (items, callers)
    }
}

impl<S: Store, G: Group> Inner<S, G> {
    /// Does it for all, or, where one of them may be at fault, for each alone.
    async fn run(&self, items: Vec<G::Item>) -> Vec<Answered<G>> {
        let count = items.len();
        match self.attempt(items).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err((items, error)) if count == 1 || !may_be_of_one(&error) => {
                let failed = |item| Err((Some(item), error.clone()));
                items.into_iter().map(failed).collect()
            }
            Err((items, _)) => {
                let mut answers = Vec::with_capacity(count);
                for item in items {
                    answers.push(match self.attempt(vec![item]).await {
                        Ok(answer) => answer.into_iter().next().ok_or_else(|| {
                            let short = StoreError::Other("an answer is missing".to_owned());
                            (None, short)
                        }),
                        Err((items, error)) => Err((items.into_iter().next(), error)),
                    });
                }
                answers
            }
        }
    }

    async fn attempt(
        &self,
        items: Vec<G::Item>,
    ) -> Result<Vec<G::Answer>, (Vec<G::Item>, StoreError)> {
        let operation = Arc::new(self.group.operation(items));
        let mut uncertain = None;
        for _ in 0..ATTEMPTS {
            let run = AssertUnwindSafe(self.store.run(Arc::clone(&operation)));
            let panicked = |_| Err(StoreError::Other("an operation panicked".to_owned()));
            let error = match run.catch_unwind().await.unwrap_or_else(panicked) {
                Ok(output) => return Ok(G::answers(&operation, output)),
                Err(error) => error,
            };
            (self.on_error)(G::NAME, &error);
            match error {
                StoreError::Uncertain(_) if G::CAN_REPEAT => uncertain = Some(error),
                // It may have been done the first time.
                error => {
                    let error = uncertain.unwrap_or(error);
                    return Err((G::items(Arc::unwrap_or_clone(operation)), error));
                }
            }
        }
        let error = uncertain.unwrap_or_else(|| StoreError::Other("not tried".to_owned()));
        Err((G::items(Arc::unwrap_or_clone(operation)), error))
    }
}

/// Returns whether it may be one item alone that a store has stumbled over.
const fn may_be_of_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged(_) | StoreError::Other(_))
}
