//! Tokio as a runtime: time, tasks, and the ways to sockets and answers.

use std::{future::Future, io, task::Context, time::Instant};

use runtime_common::Runtime;
use smtp_policy::driver::Interest;
use socket2::{SockRef, Socket};
use tokio::time::{self, Sleep};

use crate::{apart::apart, net::Watched};

/// Tokio, as a client of Outpost runs on it.
#[derive(Debug, Default)]
pub struct Tokio {
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

impl Runtime for Tokio {
    type Watched = Watched;
    type Sleep = Sleep;

    /// The time of tokio, which can be paused.
    fn now() -> Instant {
        time::Instant::now().into_std()
    }

    fn sleep(until: Instant) -> Sleep {
        time::sleep_until(until.into())
    }

    fn watch(socket: Socket) -> io::Result<Watched> {
        Watched::new(socket)
    }

    fn system(watched: &Watched) -> SockRef<'_> {
        SockRef::from(&watched.inner)
    }

    fn is_ready(watched: &Watched, on: Interest, cx: &mut Context<'_>) -> bool {
        let reads = on.reads() && watched.inner.poll_read_ready(cx).is_ready();
        let writes = on.writes() && watched.inner.poll_write_ready(cx).is_ready();
        reads || writes
    }

    fn attempt(
        watched: &mut Watched,
        on: Interest,
        enough: usize,
        transfer: impl FnOnce(&Socket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        watched.attempt(on, enough, transfer)
    }

    fn detach(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn unblock<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Option<T>> + Send {
        apart(work)
    }

    /// Asks the validator instead of the servers, if there is one.
    #[cfg(feature = "dnssec")]
    async fn resolve(
        clock: std::sync::Arc<runtime_common::Clocked<Self>>,
        lookup: smtp_policy::dns::Lookup,
    ) -> Result<smtp_policy::dns::Answer, smtp_policy::dns::Failure> {
        match clock.validator.get() {
            Some(validator) => validator.resolve(&clock, lookup).await,
            None => runtime_common::carry(std::sync::Arc::clone(&clock), lookup).await,
        }
    }
}
