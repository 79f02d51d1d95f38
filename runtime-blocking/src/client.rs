//! The client: what all deliveries share.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

use mio::Waker;
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

use crate::{drive, pool::Pool, wait::Asked};

/// Delivers messages, many at once. Clones are the same client: they share its
/// kept connections, its limits per destination and its clock.
///
/// A delivery runs on the thread that asks for it. To let running deliveries end
/// politely and with a verdict for each recipient, use [`cancel`](Self::cancel)
/// from another thread.
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
    turns: Mutex<Turns<Sender<()>>>,
    tables: Mutex<BTreeMap<String, Arc<dyn Table>>>,
    /// Set once the client is cancelled.
    stop: AtomicBool,
    /// The running deliveries, to be woken by that.
    running: Mutex<BTreeMap<u64, Arc<Waker>>>,
}

impl Client {
    /// A client with a seed of the system's making.
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
                stop: AtomicBool::new(false),
                running: Mutex::default(),
            }),
        }
    }

    /// Answers look-ups in `external:NAME` from `table`. It is asked on a thread
    /// of its own, and may wait. Look-ups in a name that was not added fail, which defers
    /// the mail.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        lock(&self.inner.tables).insert(name.into(), table);
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
    pub fn deliver(
        &self,
        request: Request,
        mut text: impl TextSource + 'static,
        mut observer: impl Observer + 'static,
    ) -> Report {
        let limits = self.inner.policy.settings(request.protocol).limits;
        let mut report = Report::default();
        for part in request.split(limits.recipients) {
            let observer = PartObserver::new(&mut observer, report.recipients.len());
            report.append(self.deliver_part(part, &mut text, observer));
        }
        report
    }

    /// The same in a single delivery, however many recipients there are: for requests
    /// that come from a queue, whose manager has looked at
    /// `transport_destination_recipient_limit` already, as it is in Postfix.
    pub fn deliver_whole(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        self.deliver_part(request, text, observer)
    }

    fn deliver_part(
        &self,
        request: Request,
        text: impl TextSource,
        observer: impl Observer,
    ) -> Report {
        let (turn, come) = Turn::enter(&self.inner, &request);
        // An error would mean that the turns are gone, and with them the limit.
        let _ = come.recv();
        let job = Delivery::new(request, Arc::clone(&self.inner.policy), self.inner.seed())
            .with_epoch(self.inner.epoch);
        let report = drive::run(&self.inner, job, text, observer);
        drop(turn);
        report
    }

    /// Ends all running deliveries politely: recipients without a verdict are
    /// deferred, and the servers get a QUIT where the dialogue allows it. Later
    /// deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.inner.stop.store(true, Ordering::SeqCst);
        for waker in lock(&self.inner.turns).open() {
            let _ = waker.send(());
        }
        for waker in lock(&self.inner.running).values() {
            let _ = waker.wake();
        }
    }

    /// Says QUIT on the kept connections and closes them. No server is waited for: one
    /// that takes no more bytes does not hear it, and no reply is read. To be called when
    /// the deliveries are over, since each of them may keep a connection.
    pub fn close(&self) {
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
        self.stop.load(Ordering::SeqCst)
    }

    /// Wakes `waker` when the client is cancelled, as long as what is returned lives.
    pub(crate) fn watch(&self, waker: Arc<Waker>) -> Watch<'_> {
        let id = self.seed();
        lock(&self.running).insert(id, waker);
        Watch { inner: self, id }
    }

    /// Looks up a key in a table that was added by name.
    pub(crate) fn look_up(
        &self,
        query: TableQuery,
        waker: Arc<Waker>,
    ) -> Asked<Result<Option<String>, TableFailure>> {
        let TableQuery { table: name, key } = query;
        let failure = |reason: &str| TableFailure {
            table: format!("external:{name}"),
            reason: reason.to_owned(),
        };
        let table = lock(&self.tables).get(&name).cloned();
        let missing = failure("no such table was added to the client");
        let lost = Err(failure("the table panicked"));
        Asked::new(waker, lost, move || {
            table.map_or(Err(missing), |table| table.lookup(&key))
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.pool.drain());
    }
}

/// A running delivery that wants to know when the client is cancelled.
pub(crate) struct Watch<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        lock(&self.inner.running).remove(&self.id);
    }
}

/// A turn at a destination, or the wait for it. Dropping it passes it on.
struct Turn<'a> {
    inner: &'a Inner,
    place: Place,
}

impl<'a> Turn<'a> {
    fn enter(inner: &'a Inner, request: &Request) -> (Self, Receiver<()>) {
        let limit = match inner.is_cancelled() {
            true => 0,
            false => inner.policy.settings(request.protocol).limits.concurrency,
        };
        let (waker, come) = mpsc::channel();
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
