//! Smol as a runtime: time, tasks, and the ways to sockets and answers.

use std::{future::Future, io, task::Context, time::Instant};

use runtime_common::Runtime;
use smol::{Async, Timer};
use smtp_policy::driver::Interest;
use socket2::{SockRef, Socket};

use crate::reactor;

/// Smol, as a client of Outpost runs on it.
#[derive(Debug, Default)]
pub struct Smol;

impl Runtime for Smol {
    type Watched = Async<Socket>;
    type Sleep = Timer;

    fn sleep(until: Instant) -> Timer {
        Timer::at(until)
    }

    fn watch(socket: Socket) -> io::Result<Async<Socket>> {
        Async::new_nonblocking(socket)
    }

    fn system(socket: &Async<Socket>) -> SockRef<'_> {
        SockRef::from(socket)
    }

    fn is_ready(socket: &Async<Socket>, on: Interest, cx: &mut Context<'_>) -> bool {
        // Whoever waits has tried before: what was told since the last wait is old, and is asked
        // away. If it still holds, the system tells it again. Both are asked, so that either wakes.
        let readable = on.reads() && (0..2).all(|_| socket.poll_readable(cx).is_ready());
        on.writes() && (0..2).all(|_| socket.poll_writable(cx).is_ready()) || readable
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        Some(smol::unblock(work).await)
    }

    fn prepare() -> io::Result<()> {
        reactor::start_reactor()
    }
}
