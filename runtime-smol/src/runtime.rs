//! Smol as a runtime: time, tasks, and the ways to sockets and answers.

use std::{
    future::Future,
    io,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Instant,
};

use runtime_common::{Kind, Runtime, Spawn, watch};
use smol::{Async, Timer};
use smtp_policy::driver::{Hub, Interest};
use smtp_proto::time::Time;
use socket2::SockRef;

use crate::{net::Socket, reactor};

/// Smol, as a client of Outpost runs on it.
#[derive(Debug)]
pub struct Smol {
    start: Instant,
}

/// The wait for a moment.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Default for Smol {
    /// For a client whose time begins now.
    fn default() -> Self {
        let start = Instant::now();
        Self { start }
    }
}

impl Runtime for Smol {
    type Socket = Socket;
    type Sleep = Sleep;

    fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }

    fn sleep(self: &Arc<Self>, until: Time) -> Sleep {
        let at = self.start.checked_add(until.as_duration());
        Sleep(at.map_or_else(Timer::never, Timer::at))
    }

    fn poll_ready(
        self: &Arc<Self>,
        socket: &Socket,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        socket.poll_ready(interest, cx)
    }

    fn adopt(self: &Arc<Self>, socket: socket2::Socket, _: Kind) -> io::Result<Socket> {
        Async::new_nonblocking(socket).map(Socket)
    }

    fn system(socket: &Socket) -> SockRef<'_> {
        SockRef::from(socket.0.get_ref())
    }

    fn watch(self: &Arc<Self>, hub: Weak<Hub<Socket>>, from: Time) {
        smol::spawn(watch(Arc::downgrade(self), hub, from)).detach();
    }

    fn prepare(&self) -> io::Result<()> {
        reactor::start_reactor()
    }
}

impl Spawn for Smol {
    type Task<T: Send + 'static> = smol::Task<T>;

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Self::Task<T> {
        smol::spawn(task)
    }
}
