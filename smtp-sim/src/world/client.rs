//! A client in a simulated world, for code that awaits its deliveries.

use std::{
    collections::BTreeMap,
    error, fmt,
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use smtp_policy::{
    delivery::Observer,
    report::{Outcome, Report, Status},
    request::Request,
    text::TextSource,
};
use smtp_proto::{EnhancedStatus, Time};

use super::World;

/// The most bytes that are read of a text at a time.
const CHUNK: usize = 64 * 1024;

/// A client in a [`World`], with the `deliver` of the runtimes' clients: the code under test awaits
/// reports and [sleeps](Self::sleep) as it does in production, and [`run`](Self::run) drives it under
/// the virtual clock. Clones are the same client.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use smtp_policy::{Protocol, policy::Policy, report::Status, request::{Recipient, Request}, settings::Settings};
/// use smtp_proto::{Address, ReversePath, Time};
/// use smtp_sim::{Client, World, peer::{Act, Fault, Moment, Temper}, world::Host};
///
/// // A server that refuses the first recipient of its first connection for now.
/// let busy = Fault { moment: Moment::Rcpt, nth: 0, connections: 1, act: Act::Code(450) };
/// let mut world = World::new(Arc::new(Policy::new(Settings::smtp().build()?)), 1);
/// world.host("192.0.2.1:25".parse()?, Host::new(Temper { faults: vec![busy], ..Temper::default() }));
///
/// let to = Recipient::new(Address::parse("user@example.com")?);
/// let request = Request::new(Protocol::Smtp, "[192.0.2.1]".parse()?, ReversePath::Null, vec![to]);
/// let client = Client::new(world);
/// let tries = client.run(async {
///     for tries in 1.. {
///         let text = bytes::Bytes::from("Subject: hi\n\nhello\n");
///         if client.deliver(request.clone(), text, ()).await.all(Status::Sent) {
///             return tries;
///         }
///         client.sleep(Duration::from_secs(3600)).await;
///     }
///     0
/// })?;
/// assert_eq!(tries, 2);
/// assert!(client.now() > Time::ZERO + Duration::from_secs(3600));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    world: World,
    /// The tasks that wait for the end of a delivery.
    waiting: BTreeMap<usize, Waker>,
    /// The tasks that sleep, by time and order.
    sleeping: BTreeMap<(Time, u64), Waker>,
    slept: u64,
}

/// The code under test waits for something that never happens in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingHappens;

impl fmt::Display for NothingHappens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the code waits, and nothing more happens in its world")
    }
}

impl error::Error for NothingHappens {}

impl Client {
    /// The client of this world.
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            world,
            waiting: BTreeMap::new(),
            sleeping: BTreeMap::new(),
            slept: 0,
        })))
    }

    /// Delivers one message to one next hop, as the `deliver` of the runtimes' clients does. Of the
    /// observer, `settled` and `note` are called; they must not use the client. A delivery whose future
    /// is dropped leaves nothing behind, as there.
    ///
    /// The text is read at the start, and all of it: one that cannot be read defers the message.
    pub fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        mut text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + use<T, O> {
        let client = self.clone();
        async move {
            match read(&mut text) {
                Ok(text) => {
                    let id = client.begin(request, text, Box::new(observer));
                    Delivering { client, id }.await
                }
                Err(error) => unreadable(request, observer, &error),
            }
        }
    }

    /// Waits for a time in this world.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        Sleep {
            until: self.now() + time,
            client: self.clone(),
        }
    }

    /// The time in this world.
    pub fn now(&self) -> Time {
        self.lock().world.now
    }

    /// Looks at the world, or changes it. The client must not be used in `look`.
    pub fn with_world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.lock().world)
    }

    /// Runs the code under test to its end, and lets time pass in this world while it waits. Deliveries
    /// that it has left under way stay where they are; [`World::run_out`] ends them.
    ///
    /// # Errors
    /// It waits for something that never happens.
    pub fn run<F: Future>(&self, code: F) -> Result<F::Output, NothingHappens> {
        let mut code = pin!(code);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            if woken.0.swap(false, Ordering::Relaxed) {
                if let Poll::Ready(output) = code.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Ok(output);
                }
            } else if !self.go_on() {
                return Err(NothingHappens);
            }
        }
    }

    /// Lets the next thing happen. False: there is none.
    fn go_on(&self) -> bool {
        let mut shared = self.lock();
        let due = shared.world.events.peek().map(|next| next.0.0);
        let sleeper = shared.sleeping.first_key_value();
        let sleeper = sleeper.map(|(at, _)| *at);
        let woken = match sleeper {
            Some(at) if due.is_none_or(|due| at.0 <= due) => {
                shared.world.now = shared.world.now.max(at.0);
                shared.sleeping.remove(&at)
            }
            _ if !shared.world.step() => return false,
            _ => None,
        };
        let mut woken: Vec<Waker> = woken.into_iter().collect();
        while let Some(id) = shared.world.finished.pop_front() {
            woken.extend(shared.waiting.remove(&id));
        }
        drop(shared);
        woken.into_iter().for_each(Waker::wake);
        true
    }

    fn begin(&self, request: Request, text: Bytes, observer: Box<dyn Observer>) -> usize {
        let world = &mut self.lock().world;
        let id = world.submit(Duration::ZERO, request, text);
        world.observers.0.insert(id, observer);
        id
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery under way.
struct Delivering {
    client: Client,
    id: usize,
}

impl Future for Delivering {
    type Output = Report;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        let mut shared = self.client.lock();
        let delivered = shared.world.deliveries.get(self.id);
        if let Some(report) = delivered.and_then(|delivered| delivered.report.clone()) {
            return Poll::Ready(report);
        }
        shared.waiting.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        let mut shared = self.client.lock();
        shared.waiting.remove(&self.id);
        shared.world.observers.0.remove(&self.id);
        shared.world.abandon(self.id);
    }
}

struct Sleep {
    client: Client,
    until: Time,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.client.lock();
        if shared.world.now >= self.until {
            return Poll::Ready(());
        }
        shared.slept += 1;
        let place = (self.until, shared.slept);
        shared.sleeping.insert(place, cx.waker().clone());
        Poll::Pending
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn read(text: &mut impl TextSource) -> io::Result<Bytes> {
    let mut whole = BytesMut::new();
    loop {
        let chunk = text.read(whole.len() as u64, CHUNK)?;
        if chunk.is_empty() {
            return Ok(whole.freeze());
        }
        whole.extend_from_slice(&chunk);
    }
}

fn unreadable(request: Request, mut observer: impl Observer, error: &io::Error) -> Report {
    let code = EnhancedStatus::new(4, 3, 0);
    let outcome = Outcome::new(Status::Deferred, code, error.to_string());
    for (index, recipient) in request.recipients.iter().enumerate() {
        observer.settled(index, recipient, &outcome);
    }
    let recipients = request.recipients.into_iter();
    Report::new(recipients.map(|to| (to, outcome.clone())).collect())
}
