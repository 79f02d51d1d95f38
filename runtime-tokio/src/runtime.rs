//! Tokio as a runtime: time, tasks, and the ways to sockets and answers.

use std::{
    future::Future,
    io,
    panic::resume_unwind,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

#[cfg(feature = "dnssec")]
use runtime_common::carry;
use runtime_common::{Kind, Runtime, Spawn, watch};
#[cfg(feature = "dnssec")]
use smtp_policy::dns::{Answer, Failure, Lookup};
use smtp_policy::driver::{Hub, Interest};
use smtp_proto::time::Time;
use socket2::SockRef;
use tokio::{
    task::{self, JoinHandle},
    time::{Instant, Sleep, sleep_until},
};

use crate::net::Socket;

/// Tokio, as a client of Outpost runs on it.
#[derive(Debug)]
pub struct Tokio {
    start: Instant,
    #[cfg(feature = "dnssec")]
    pub(crate) validator: std::sync::OnceLock<crate::Validator>,
}

impl Tokio {
    /// Validates DNS answers here from now on, instead of taking the word of the
    /// DNS servers. To be called before the first delivery; a second call has no
    /// effect.
    #[cfg(feature = "dnssec")]
    pub fn validate_dns(&self, validator: crate::Validator) {
        let _ = self.validator.set(validator);
    }
}

impl Default for Tokio {
    /// For a client whose time begins now.
    fn default() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(feature = "dnssec")]
            validator: std::sync::OnceLock::new(),
        }
    }
}

impl Runtime for Tokio {
    type Socket = Socket;
    type Sleep = Sleep;

    fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }

    fn sleep(self: &Arc<Self>, until: Time) -> Sleep {
        sleep_until(self.start + until.as_duration())
    }

    fn poll_ready(
        self: &Arc<Self>,
        socket: &Socket,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        socket.poll_ready(interest, cx)
    }

    fn adopt(self: &Arc<Self>, socket: socket2::Socket, kind: Kind) -> io::Result<Socket> {
        Socket::new(socket, kind)
    }

    fn system(socket: &Socket) -> SockRef<'_> {
        socket.system()
    }

    /// Asks the validator instead of the servers, if there is one.
    #[cfg(feature = "dnssec")]
    async fn resolve(self: Arc<Self>, lookup: Lookup) -> Result<Answer, Failure> {
        match self.validator.get() {
            Some(validator) => validator.resolve(&self, lookup).await,
            None => carry(Arc::clone(&self), lookup).await,
        }
    }

    fn watch(self: &Arc<Self>, hub: Weak<Hub<Socket>>, from: Time) {
        task::spawn(watch(Arc::downgrade(self), hub, from));
    }
}

impl Spawn for Tokio {
    type Task<T: Send + 'static> = Task<T>;

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Self::Task<T> {
        Task(task::spawn(task))
    }
}

/// A task that ends when it is dropped.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(result) => Poll::Ready(result),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is being shut down, with everything that waits in it.
                Err(_) => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
