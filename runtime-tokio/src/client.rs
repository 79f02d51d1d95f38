//! The client: what all deliveries share.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use smtp_policy::{
    delivery::{Delivery, Observer, TableQuery},
    driver::{self, PartObserver, Place, Seeds, Turns},
    policy::Policy,
    report::Report,
    request::Request,
    tables::{Table, TableFailure},
    text::TextSource,
};
use smtp_proto::time::Time;
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};

use crate::{drive, pool::Pool, wait::apart};

/// Delivers messages, many at once. Clones are the same client: they share its
/// kept connections, its limits per destination and its clock.
///
/// A delivery whose future is dropped leaves nothing behind: its connection is
/// closed and its turn goes to the next. To let running deliveries end politely
/// and with a verdict for each recipient, use [`cancel`](Self::cancel).
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What deliveries and their questions can reach.
pub(crate) struct Inner {
    pub(crate) policy: Arc<Policy>,
    pub(crate) pool: Arc<Pool>,
    start: Instant,
    /// The time of day at `start`, in Unix time.
    epoch: Duration,
    seeds: Mutex<Seeds>,
    turns: Mutex<Turns<oneshot::Sender<()>>>,
    tables: Mutex<BTreeMap<String, Arc<dyn Table>>>,
    #[cfg(feature = "dnssec")]
    pub(crate) validator: std::sync::OnceLock<crate::Validator>,
    /// Closed, and so open to all who wait, once the client is cancelled.
    stop: Semaphore,
}

impl Client {
    /// A client with a seed of the system's making. To be called inside a tokio
    /// runtime when that runtime's time is paused.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self::with_seed(policy, RandomState::new().hash_one(0))
    }

    /// A client whose random choices, such as the order of addresses of equal
    /// preference, follow from `seed`.
    pub fn with_seed(policy: Arc<Policy>, seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                policy,
                pool: Arc::default(),
                start: Instant::now(),
                epoch: SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default(),
                seeds: Mutex::new(Seeds::new(seed)),
                turns: Mutex::default(),
                tables: Mutex::default(),
                #[cfg(feature = "dnssec")]
                validator: std::sync::OnceLock::new(),
                stop: Semaphore::new(0),
            }),
        }
    }

    /// Answers look-ups in `external:NAME` from `table`. It is asked on a thread
    /// that may wait. Look-ups in a name that was not added fail, which defers
    /// the mail.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        lock(&self.inner.tables).insert(name.into(), table);
    }

    /// Validates DNS answers here from now on, instead of taking the word of the
    /// DNS servers. To be called before the first delivery; a second call has no
    /// effect.
    #[cfg(feature = "dnssec")]
    pub fn validate_dns(&self, validator: crate::Validator) {
        let _ = self.inner.validator.set(validator);
    }

    /// Delivers one message to one next hop. Returns when every recipient is
    /// settled; nothing but that ends it, so that there is no error besides the
    /// verdicts.
    ///
    /// More recipients than `transport_destination_recipient_limit` get the message
    /// in several deliveries, one after the other; the report is one, in the order
    /// of the request. Each delivery waits for its turn where
    /// `transport_destination_concurrency_limit` deliveries to the same next hop are
    /// running.
    pub async fn deliver(
        &self,
        request: Request,
        mut text: impl TextSource + 'static,
        mut observer: impl Observer + 'static,
    ) -> Report {
        let limits = self.inner.policy.settings(request.protocol).limits;
        let mut report = Report::default();
        for part in request.split(limits.recipients) {
            let observer = PartObserver::new(&mut observer, report.recipients.len());
            report.append(self.deliver_part(part, &mut text, observer).await);
        }
        report
    }

    /// The same in a single delivery, however many recipients there are: for requests
    /// that come from a queue, whose manager has looked at
    /// `transport_destination_recipient_limit` already, as it is in Postfix.
    pub async fn deliver_whole(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        self.deliver_part(request, text, observer).await
    }

    async fn deliver_part(
        &self,
        request: Request,
        text: impl TextSource,
        observer: impl Observer,
    ) -> Report {
        let (turn, come) = Turn::enter(&self.inner, &request);
        // An error would mean that the turns are gone, and with them the limit.
        let _ = come.await;
        let job = Delivery::new(request, Arc::clone(&self.inner.policy), self.inner.seed())
            .with_epoch(self.inner.epoch);
        let report = drive::run(&self.inner, job, text, observer).await;
        drop(turn);
        report
    }

    /// Ends all running deliveries politely: recipients without a verdict are
    /// deferred, and the servers get a QUIT where the dialogue allows it. Later
    /// deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.inner.stop.close();
        for waker in lock(&self.inner.turns).open() {
            let _ = waker.send(());
        }
    }

    /// Says QUIT on the kept connections and closes them. No server is waited for: one
    /// that takes no more bytes does not hear it, and no reply is read. To be called when
    /// the deliveries are over, since each of them may keep a connection.
    pub async fn close(&self) {
        for (socket, channel) in self.inner.pool.drain() {
            driver::say_quit(socket, channel, self.inner.now());
        }
    }

    /// Closes the kept connections without a word, as scache(8) does when it ends. So
    /// does dropping the last clone of the client.
    pub fn hang_up(&self) {
        drop(self.inner.pool.drain());
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Inner {
    /// The time since this client was made.
    pub(crate) fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }

    /// A seed for one delivery or one DNS lookup.
    pub(crate) fn seed(&self) -> u64 {
        lock(&self.seeds).draw()
    }

    /// Whether the client was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.stop.is_closed()
    }

    /// Waits until the client is cancelled.
    pub(crate) async fn cancelled(&self) {
        let _ = self.stop.acquire().await;
    }

    /// Looks up a key in a table that was added by name.
    pub(crate) async fn look_up(&self, query: TableQuery) -> Result<Option<String>, TableFailure> {
        let TableQuery { table: name, key } = query;
        let failure = |reason: &str| TableFailure {
            table: format!("external:{name}"),
            reason: reason.to_owned(),
        };
        let table = lock(&self.tables).get(&name).cloned();
        let table = table.ok_or_else(|| failure("no such table was added to the client"))?;
        let lost = Err(failure("the table panicked"));
        apart(lost, move || table.lookup(&key)).await
    }
}

/// A turn at a destination, or the wait for it. Dropping it passes it on.
struct Turn<'a> {
    inner: &'a Inner,
    place: Place,
}

impl<'a> Turn<'a> {
    fn enter(inner: &'a Inner, request: &Request) -> (Self, oneshot::Receiver<()>) {
        let limit = match inner.is_cancelled() {
            true => 0,
            false => inner.policy.settings(request.protocol).limits.concurrency,
        };
        let (waker, come) = oneshot::channel();
        let (place, now) =
            lock(&inner.turns).enter(request.protocol, &request.nexthop, limit, waker);
        if let Some(waker) = now {
            let _ = waker.send(());
        }
        (Self { inner, place }, come)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(waker) = lock(&self.inner.turns).leave(&self.place) {
            let _ = waker.send(());
        }
    }
}

/// Locks what cannot be left half-changed by a panic of another thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
