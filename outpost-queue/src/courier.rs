//! Mailers as couriers: the queue delivers with the mailers of `outpost`.
//!
//! The queue counts the deliveries to a destination itself, on all machines together
//! ([`Concurrency`](crate::rules::Concurrency)). The limit of a mailer, `limits.concurrency`, should be 0, which is none: a
//! delivery that waits for its turn inside the mailer holds one of the queue's meanwhile.
//!
//! ```
//! use outpost::Mailer;
//!
//! let mailer = Mailer::direct("mail.example.org")
//!     .configure(|settings| settings.limits.concurrency = 0)
//!     .build()?;
//! # Ok::<(), outpost::BuildError>(())
//! ```

use core::time::Duration;

use outpost::mailer::Mailer;
use runtime_common::Runtime;
use smtp_policy::{delivery::Observer, report::Report, request::Request, text::TextSource};

use crate::worker::Courier;

impl<R: Runtime> Courier for Mailer<R> {
    fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + 'static {
        self.client().deliver_whole(request, text, observer)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        let sleep = R::sleep(R::now() + time);
        async move {
            sleep.await;
        }
    }

    fn detach(&self, task: impl Future<Output = ()> + Send + 'static) {
        R::detach(task);
    }

    fn cancel(&self) {
        // The mailer has a method of this name.
        Mailer::cancel(self);
    }
}
