//! Waiting for several things at once, on the thread that wants them: what executor and
//! reactor are in the other runtimes. Whatever happens, everything is looked at again,
//! since one delivery waits for few things.

use std::{
    cell::RefCell,
    future::Future,
    io, mem,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use mio::{Events, Registry, Token, event::Event};

/// The token of everything that is waited for.
pub(crate) const TOKEN: Token = Token(1);

/// A poll with which a thread waits. It serves one delivery after another: making one takes
/// several system calls.
#[derive(Debug)]
struct Reactor {
    poll: mio::Poll,
    events: Events,
    waker: Waker,
    registry: Arc<Registry>,
}

/// The wait of a thread, as the futures see it that are polled there.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// Of the poll with which it waits.
    pub(crate) registry: Option<Arc<Registry>>,
    /// When something has to go on, if nothing happens before.
    pub(crate) deadline: Option<Instant>,
    /// Something has ended, of which nothing else tells: what came before its end was
    /// heard of in the same moment, and may be all that is read.
    pub(crate) ended: bool,
}

thread_local! {
    /// The polls with which nobody waits.
    static IDLE: RefCell<Vec<Reactor>> = const { RefCell::new(Vec::new()) };
    static WAIT: RefCell<Wait> = RefCell::default();
}

/// Wakes a poll.
struct Ring(mio::Waker);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        let _ = self.0.wake();
    }
}

/// Wakes a thread that waits without a poll.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Sees to it that the next [`block_on`] of this thread can wait for sockets.
///
/// # Errors
/// The system has no file descriptors left.
pub(crate) fn prepare() -> io::Result<()> {
    IDLE.with_borrow_mut(|idle| {
        if idle.is_empty() {
            idle.push(Reactor::new()?);
        }
        Ok(())
    })
}

/// Reads from or writes to what the wait of this thread is about.
pub(crate) fn here<T>(look: impl FnOnce(&mut Wait) -> T) -> T {
    WAIT.with_borrow_mut(look)
}

/// Waits for a future on this thread: for sockets, if that was [prepared](prepare), for time
/// and wakers in any case.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut reactor = IDLE.with_borrow_mut(Vec::pop);
    let waker = match &reactor {
        Some(reactor) => reactor.waker.clone(),
        None => Waker::from(Arc::new(Unpark(thread::current()))),
    };
    let registry = reactor
        .as_ref()
        .map(|reactor| Arc::clone(&reactor.registry));
    // An observer may deliver while it is called by a delivery.
    let outer = here(|wait| {
        mem::replace(
            wait,
            Wait {
                registry,
                ..Wait::default()
            },
        )
    });
    let mut future = pin!(future);
    let done = loop {
        here(|wait| wait.deadline = None);
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            break done;
        }
        let deadline = here(|wait| wait.deadline);
        let patience = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match (&mut reactor, patience) {
            (Some(Reactor { poll, events, .. }), _) => {
                // An interrupted wait is a short one, and everything is looked at again.
                let _ = poll.poll(events, patience);
                if events.iter().any(Event::is_read_closed) {
                    here(|wait| wait.ended = true);
                }
            }
            (None, Some(patience)) => thread::park_timeout(patience),
            (None, None) => thread::park(),
        }
    };
    here(|wait| *wait = outer);
    IDLE.with_borrow_mut(|idle| idle.extend(reactor));
    done
}

impl Reactor {
    fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let ring = Ring(mio::Waker::new(poll.registry(), TOKEN)?);
        let registry = Arc::new(poll.registry().try_clone()?);
        Ok(Self {
            poll,
            events: Events::with_capacity(16),
            waker: Waker::from(Arc::new(ring)),
            registry,
        })
    }
}
