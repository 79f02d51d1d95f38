//! The client: what a program holds to deliver messages on plain threads.

use std::sync::Arc;

use smtp_policy::{
    delivery::Observer,
    driver::Submission,
    policy::Policy,
    report::Report,
    request::Request,
    tables::{AsyncTable, Table},
    text::TextSource,
};

use crate::{runtime::Threads, threads::on_threads, wait::block_on};

/// Delivers messages, many at once. Clones are the same client: they share its
/// kept connections, its limits per destination and its clock.
///
/// A delivery runs on the thread that asks for it. To let running deliveries end
/// politely and with a verdict for each recipient, use [`cancel`](Self::cancel)
/// from another thread.
#[derive(Clone, Debug)]
pub struct Client(runtime_common::Client<Threads>);

impl Client {
    /// A client with a seed of the system's making.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self(runtime_common::Client::new(policy))
    }

    /// A client whose random choices, such as the order of addresses of equal
    /// preference, follow from `seed`.
    pub fn with_seed(policy: Arc<Policy>, seed: u64) -> Self {
        Self(runtime_common::Client::with_seed(policy, seed))
    }

    /// Answers look-ups in `external:NAME` from `table`. It is asked on a thread
    /// of its own, and may wait. Look-ups in a name that was not added fail, which defers
    /// the mail.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        self.0.add_table(name, table);
    }

    /// The same from a table that is awaited on the thread of the delivery that asks it. What wakes it must
    /// not need another runtime, unless that runs elsewhere.
    pub fn add_async_table(&self, name: impl Into<String>, table: Arc<dyn AsyncTable>) {
        self.0.add_async_table(name, table);
    }

    /// Delivers one message to one next hop. Returns when every recipient is
    /// settled; nothing but that ends it, so that there is no error besides the
    /// verdicts.
    ///
    /// More recipients than `transport_destination_recipient_limit` get the message
    /// in several deliveries, one after the other; the report is one, in the order
    /// of the request. Each delivery waits for its turn where
    /// `transport_destination_concurrency_limit` deliveries to the same next hop are
    /// running.
    pub fn deliver(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        block_on(self.0.deliver(request, text, observer))
    }

    /// The same in a single delivery, however many recipients there are: for requests
    /// that come from a queue, whose manager has looked at
    /// `transport_destination_recipient_limit` already, as it is in Postfix.
    pub fn deliver_whole(
        &self,
        request: Request,
        text: impl TextSource + 'static,
        observer: impl Observer + 'static,
    ) -> Report {
        block_on(self.0.deliver_whole(request, text, observer))
    }

    /// Delivers messages as they come on so many threads; zero counts as one. `report` is
    /// called on this thread as deliveries end, with the number of the submission, from
    /// zero on. Returns when all are over.
    ///
    /// No more submissions are taken than there are threads, until `report` has returned
    /// for one of them.
    pub fn deliver_all<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        submissions: impl IntoIterator<Item = Submission<T, O>, IntoIter: Send>,
        threads: usize,
        report: impl FnMut(usize, Report),
    ) {
        let deliver = |submission: Submission<T, O>| {
            self.deliver(submission.request, submission.text, submission.observer)
        };
        on_threads(submissions, threads, deliver, report);
    }

    /// Ends all running deliveries politely: recipients without a verdict are
    /// deferred, and the servers get a QUIT where the dialogue allows it. Later
    /// deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Says QUIT on the kept connections and closes them. No server is waited for: one
    /// that takes no more bytes does not hear it, and no reply is read. To be called when
    /// the deliveries are over, since each of them may keep a connection.
    pub fn close(&self) {
        block_on(self.0.close());
    }

    /// Closes the kept connections without a word, as scache(8) does when it ends. So
    /// does dropping the last clone of the client.
    pub fn hang_up(&self) {
        self.0.hang_up();
    }
}
