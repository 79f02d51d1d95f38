//! Plain threads as a runtime: time, and the ways to sockets and answers.

use std::{
    future::Future,
    io, mem,
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::Instant,
};

use runtime_common::Runtime;
use smtp_policy::driver::Interest;
use socket2::{SockRef, Socket};

use crate::{
    net::Watched,
    wait::{self, block_on, here},
};

/// Plain threads. Everything happens on the thread that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Threads;

/// The wait for a moment.
#[derive(Debug)]
pub(crate) struct Alarm(Instant);

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 <= Instant::now() {
            return Poll::Ready(());
        }
        here(|wait| {
            let sooner = wait.deadline.is_none_or(|deadline| self.0 < deadline);
            if sooner {
                wait.deadline = Some(self.0);
            }
        });
        Poll::Pending
    }
}

impl Runtime for Threads {
    type Watched = Watched;
    type Sleep = Alarm;

    fn sleep(until: Instant) -> Alarm {
        Alarm(until)
    }

    fn watch(inner: Socket) -> io::Result<Watched> {
        let socket = Watched::new(inner)?;
        // Most sockets are only ever waited for to be read from.
        register(&socket, Interest::Read).map(|()| socket)
    }

    fn system(watched: &Watched) -> SockRef<'_> {
        SockRef::from(&watched.inner)
    }

    /// Whatever happens to the socket, everything is looked at again.
    fn is_ready(socket: &Watched, on: Interest, _: &mut Context<'_>) -> bool {
        socket.wait_for();
        if let Err(error) = register(socket, on) {
            tracing::warn!(target: "outpost", "cannot watch a connection: {error}");
        }
        here(|wait| mem::take(&mut wait.ended))
    }

    /// Refuses to read before the first wait, without asking the system: bytes that have come by
    /// then end that wait.
    fn attempt(
        socket: &mut Watched,
        on: Interest,
        _enough: usize,
        transfer: impl FnOnce(&Socket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if on == Interest::Read && !socket.was_waited_for() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        socket.attempt(transfer)
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        let thread = thread::Builder::new().name("outpost".to_owned());
        if let Err(error) = thread.spawn(|| block_on(task)) {
            tracing::warn!(target: "outpost", "cannot start a thread: {error}");
        }
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        Some(blocking::unblock(work).await)
    }

    fn prepare() -> io::Result<()> {
        wait::prepare()
    }
}

/// Has this thread hear of what happens to a socket.
fn register(socket: &Watched, on: Interest) -> io::Result<()> {
    let registry = here(|wait| wait.registry.clone());
    let registry = registry.ok_or(io::ErrorKind::NotConnected)?;
    socket.register(&registry, interest(on))
}

/// Returns the readiness that a poll reports: that there is something to read, or the end, in any case.
fn interest(on: Interest) -> mio::Interest {
    let read = mio::Interest::READABLE;
    match on {
        Interest::Nothing | Interest::Read => read,
        Interest::Write | Interest::Either => read | mio::Interest::WRITABLE,
    }
}
