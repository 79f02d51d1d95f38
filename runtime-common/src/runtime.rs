//! The part of a runtime: sockets, time and tasks.

use std::{
    fmt, io,
    ops::Deref,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use smtp_policy::{
    dns::{Answer, Failure, Lookup},
    driver::Interest,
};
use smtp_proto::time::Time;
use socket2::{SockRef, Socket};

use crate::dns::carry;

/// The part of a runtime: sockets, time and tasks. They are those of the thread or task that
/// asks for them. A value holds what one client has told its runtime.
pub trait Runtime: Send + Sync + Sized + 'static {
    /// A socket of the system, with what the runtime knows of it.
    type Watched: fmt::Debug + Send + Sync + 'static;
    /// The wait for a moment.
    type Sleep: Future + Send;

    /// The time that it is now.
    fn now() -> Instant {
        Instant::now()
    }

    /// Waits until a time.
    fn sleep(until: Instant) -> Self::Sleep;

    /// Begins to watch a socket that does not block, and is connected or about to be.
    ///
    /// # Errors
    /// The system refuses what waiting for it takes.
    fn watch(socket: Socket) -> io::Result<Self::Watched>;

    /// The socket as the system knows it.
    fn system(watched: &Self::Watched) -> SockRef<'_>;

    /// Returns whether a socket is ready, and otherwise wakes the task when it is. Asked by those
    /// who have found nothing to do just now. It may say so too early, and may wake the task
    /// without being ready.
    fn is_ready(watched: &Self::Watched, on: Interest, cx: &mut Context<'_>) -> bool;

    /// Reads or writes without waiting. Less than `enough` bytes are all there is for now, or
    /// all there is room for. A runtime that knows of it does not have to ask the system.
    ///
    /// # Errors
    /// Those of the system, and [`WouldBlock`](io::ErrorKind::WouldBlock).
    fn attempt(
        watched: &mut Self::Watched,
        _: Interest,
        _enough: usize,
        transfer: impl FnOnce(&Socket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        transfer(&Self::system(watched))
    }

    /// Runs a task beside everything else. It need not end when the program does.
    fn detach(task: impl Future<Output = ()> + Send + 'static);

    /// Does work that can only wait on a thread that nobody waits for: not those who end a delivery, and
    /// not the end of the runtime. The answer is none where there is no such thread. `work` does not panic.
    fn unblock<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send;

    /// Finds DNS records.
    fn resolve(
        clock: Arc<Clocked<Self>>,
        lookup: Lookup,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        carry(clock, lookup)
    }

    /// Gets ready for a delivery, which is driven by whoever calls this.
    ///
    /// # Errors
    /// The system refuses what waiting takes, such as file descriptors. Whoever is to get
    /// the message is deferred.
    fn prepare() -> io::Result<()> {
        Ok(())
    }
}

/// The runtime of a client, and the moment at which the client's time began.
#[derive(Debug)]
pub struct Clocked<R> {
    runtime: R,
    start: Instant,
}

impl<R: Runtime> Clocked<R> {
    /// A runtime whose time begins now.
    pub(crate) fn new(runtime: R) -> Self {
        let start = R::now();
        Self { runtime, start }
    }

    /// The time since the client was made.
    pub fn time(&self) -> Time {
        Time::at(R::now().saturating_duration_since(self.start))
    }

    /// Waits until a time, or for a day.
    pub(crate) fn sleep(&self, until: Time) -> R::Sleep {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let until = until.as_duration().min(self.time().as_duration() + DAY);
        R::sleep(self.start + until)
    }
}

impl<R> Deref for Clocked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.runtime
    }
}
