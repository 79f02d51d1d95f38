//! Plain threads as a runtime: time, and the ways to sockets and answers.

use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use mio::Registry;
use runtime_common::{Kind, Runtime};
use smtp_policy::driver::{Hub, Interest};
use smtp_proto::time::Time;
use socket2::SockRef;

use crate::{net::Socket, watch::Watcher};

/// A place where one delivery at a time waits, as its futures see it.
#[derive(Debug)]
pub(crate) struct Desk {
    start: Instant,
    /// Of the poll with which it waits.
    pub(crate) registry: Registry,
    watcher: Arc<Watcher>,
    /// When something has to go on, if nothing happens before.
    deadline: Mutex<Time>,
    /// Something has ended, of which nothing else tells: what came before its end was
    /// heard of in the same moment, and may be all that is read.
    ended: AtomicBool,
}

impl Desk {
    pub(crate) const fn new(start: Instant, registry: Registry, watcher: Arc<Watcher>) -> Self {
        Self {
            start,
            registry,
            watcher,
            deadline: Mutex::new(Time::FAR),
            ended: AtomicBool::new(false),
        }
    }

    /// Wakes the delivery at `until`, if nothing does before.
    pub(crate) fn look_again(&self, until: Time) {
        let mut deadline = self.deadline();
        *deadline = deadline.min(until);
    }

    /// Has the next wait for a socket look again, since one has come to its end.
    pub(crate) fn tell_end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Forgets when to look again.
    pub(crate) fn forget_deadline(&self) {
        *self.deadline() = Time::FAR;
    }

    /// The time until something has to go on.
    pub(crate) fn patience(&self) -> Duration {
        self.deadline().since(self.now())
    }

    fn deadline(&self) -> MutexGuard<'_, Time> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait for a moment.
#[derive(Debug)]
pub(crate) struct Sleep {
    desk: Arc<Desk>,
    until: Time,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.until <= self.desk.now() {
            return Poll::Ready(());
        }
        self.desk.look_again(self.until);
        Poll::Pending
    }
}

impl Runtime for Desk {
    type Socket = Socket;
    type Sleep = Sleep;

    fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }

    fn sleep(self: &Arc<Self>, until: Time) -> Sleep {
        let desk = Arc::clone(self);
        Sleep { desk, until }
    }

    fn poll_ready(self: &Arc<Self>, socket: &Socket, _: Interest, _: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = socket.register(self) {
            tracing::warn!(target: "outpost", "cannot watch a connection: {error}");
        }
        match self.ended.swap(false, Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    fn adopt(self: &Arc<Self>, socket: socket2::Socket, _: Kind) -> io::Result<Socket> {
        let socket = Socket::new(socket);
        socket.register(self)?;
        Ok(socket)
    }

    fn system(socket: &Socket) -> SockRef<'_> {
        socket.system()
    }

    fn watch(self: &Arc<Self>, hub: Weak<Hub<Socket>>, from: Time) {
        self.watcher.watch(self.start, hub, from);
    }
}
