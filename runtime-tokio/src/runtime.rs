//! What tokio brings: time, tasks, and the ways to sockets and answers.

use std::{
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use runtime_common::{Runtime, Spawn, watch};
use smtp_policy::{
    delivery::{ConnectError, Target},
    dns::{Answer, Failure, Query},
    driver::{Hub, Interest},
    sts::{FetchError, Fetched, PolicyFetch},
};
use smtp_proto::time::Time;
use tokio::{
    task::{self, JoinHandle},
    time::{Instant, Sleep, sleep_until},
};

use crate::{dns, https, net, net::Socket};

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

    async fn connect(self: Arc<Self>, target: Target) -> Result<Socket, ConnectError> {
        net::connect(target).await
    }

    async fn resolve(&self, hub: &Hub<Socket>, query: Query) -> Result<Answer, Failure> {
        dns::resolve(self, hub, query).await
    }

    async fn fetch(&self, request: PolicyFetch) -> Result<Fetched, FetchError> {
        https::fetch(request).await
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
