//! The part of the queue that runs: it claims tasks, has them delivered, and takes down how that ended. It opens no
//! connection itself, and decides nothing that [`rules`](crate::rules) decide.

use core::{future::Future, time::Duration};

use smtp_policy::{delivery::Observer, report::Report, request::Request, text::TextSource};

/// The outside of a worker: something that delivers, and time. A mailer with its runtime is one, and so is a simulated
/// world.
pub trait Courier: Clone + Send + Sync + 'static {
    /// Delivers one message to one next hop, in one delivery. Returns when each recipient has an outcome.
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + 'static;

    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Does something beside everything else.
    fn detach(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Ends running deliveries politely: recipients without a verdict are deferred.
    fn cancel(&self);
}
