//! The way out: the delivery client on tokio.

use std::{sync::Arc, time::Duration};

use outpost::{
    Observer, Report, TextSource,
    runtime_tokio::Client,
    smtp_policy::{policy::Policy, request::Request},
};
use outpost_queue::worker::Courier;

/// Delivers, and keeps connections for the next message. Clones are the same.
#[derive(Clone)]
pub(crate) struct Post(Client);

impl Post {
    /// A client of this policy.
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self(Client::new(policy))
    }

    /// The client itself.
    pub(crate) const fn client(&self) -> &Client {
        &self.0
    }

    /// Says QUIT on the kept connections.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

impl Courier for Post {
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + 'static {
        self.0.deliver_whole(request, text, observer)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(time)
    }

    fn detach(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn cancel(&self) {
        self.0.cancel();
    }
}
