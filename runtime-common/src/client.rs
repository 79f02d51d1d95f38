//! The client: what a program holds to deliver messages.

use std::{
    fmt,
    future::Future,
    hash::{BuildHasher, RandomState},
    ops::Deref,
    sync::Arc,
    time::SystemTime,
};

use futures_util::{FutureExt, Stream, StreamExt};
use smtp_policy::{
    delivery::Observer,
    dns::{Answer, Failure, Lookup, Query},
    driver::{Hub, Job, Submission},
    policy::Policy,
    report::Report,
    request::Request,
    tables::{AsyncTable, Table},
    text::TextSource,
};

#[cfg(feature = "mta-sts")]
use smtp_policy::sts::FetchError;

#[cfg(feature = "mta-sts")]
use crate::https::post_apart;
use crate::{
    drive::drive,
    runtime::{Clocked, Runtime},
    socket::Socket,
};

/// Delivers messages on the runtime `R`, many at once. Clones are the same client: they
/// share its kept connections, its limits per destination and its clock.
///
/// A delivery whose future is dropped leaves nothing behind: its connection is
/// closed and its turn goes to the next. To let running deliveries end politely
/// and with a verdict for each recipient, use [`cancel`](Self::cancel).
///
/// It dereferences to its runtime, for what only that one can do.
pub struct Client<R: Runtime> {
    hub: Arc<Hub<Socket<R>>>,
    clock: Arc<Clocked<R>>,
}

impl<R: Runtime + Default> Client<R> {
    /// A client with a seed of the system's making. To be called inside a tokio
    /// runtime when that runtime's time is paused.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self::with_seed(policy, RandomState::new().hash_one(0))
    }

    /// A client whose random choices, such as the order of addresses of equal
    /// preference, follow from `seed`.
    pub fn with_seed(policy: Arc<Policy>, seed: u64) -> Self {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            hub: Arc::new(Hub::new(policy, seed, epoch.unwrap_or_default())),
            clock: Arc::new(Clocked::new(R::default())),
        }
    }
}

impl<R: Runtime> Client<R> {
    /// Answers look-ups in `external:NAME` from `table`. It is asked on a thread
    /// that may wait. Look-ups in a name that was not added fail, which defers
    /// the mail.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        self.hub.add_table(name, table);
    }

    /// The same from a table that is awaited by the delivery that asks it, without a thread.
    pub fn add_async_table(&self, name: impl Into<String>, table: Arc<dyn AsyncTable>) {
        self.hub.add_async_table(name, table);
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
    pub fn deliver<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + use<R, T, O> {
        let job = Job::new(Arc::clone(&self.hub), request, text, observer);
        drive(&self.clock, &self.hub, job)
    }

    /// The same in a single delivery, however many recipients there are: for requests
    /// that come from a queue, whose manager has looked at
    /// `transport_destination_recipient_limit` already, as it is in Postfix.
    pub fn deliver_whole<T: TextSource + 'static, O: Observer + 'static>(
        &self,
        request: Request,
        text: T,
        observer: O,
    ) -> impl Future<Output = Report> + Send + use<R, T, O> {
        let job = Job::whole(Arc::clone(&self.hub), request, text, observer);
        drive(&self.clock, &self.hub, job)
    }

    /// Delivers messages as they come, at most `limit` of them at once; zero counts as one.
    /// Reports come as deliveries end, each with the number of its submission, from zero on.
    ///
    /// No more than `limit` submissions are taken whose reports were not: whoever lets
    /// reports lie holds up the submissions, not the deliveries, which are tasks of the
    /// runtime. Dropping the stream drops them.
    pub fn deliver_all<I, T, O>(
        &self,
        submissions: I,
        limit: usize,
    ) -> impl Stream<Item = (usize, Report)> + use<R, I, T, O>
    where
        I: Stream<Item = Submission<T, O>>,
        T: TextSource + 'static,
        O: Observer + 'static,
    {
        let client = self.clone();
        let begin = move |(number, submission)| {
            let Submission {
                request,
                text,
                observer,
            } = submission;
            let report = client.deliver(request, text, observer);
            let (task, report) = report.map(move |report| (number, report)).remote_handle();
            R::detach(task);
            report
        };
        let begun = submissions.enumerate().map(begin);
        begun.buffer_unordered(limit.max(1))
    }

    /// Everything that decides on deliveries.
    pub fn policy(&self) -> &Arc<Policy> {
        self.hub.policy()
    }

    /// Finds DNS records, as the deliveries do: from the name servers of the policy.
    pub fn resolve(
        &self,
        query: Query,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send + use<R> {
        let config = Arc::clone(self.hub.policy().resolver());
        R::resolve(
            Arc::clone(&self.clock),
            Lookup::new(query, config, self.hub.seed()),
        )
    }

    /// Sends a file to a web server over HTTPS: a report about TLS (RFC 8460). Returns the status of the answer.
    #[cfg(feature = "mta-sts")]
    pub fn upload(
        &self,
        upload: sts_fetch::Upload,
    ) -> impl Future<Output = Result<u16, FetchError>> + Send + use<R> {
        post_apart::<R>(upload)
    }

    /// Ends all running deliveries politely: recipients without a verdict are
    /// deferred, and the servers get a QUIT where the dialogue allows it. Later
    /// deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.hub.cancel();
    }

    /// Says QUIT on the kept connections and closes them. No server is waited for: one
    /// that takes no more bytes does not hear it, and no reply is read. To be called when
    /// the deliveries are over, since each of them may keep a connection.
    pub async fn close(&self) {
        self.hub.close(self.clock.time());
    }

    /// Closes the kept connections without a word, as scache(8) does when it ends. So
    /// does dropping the last clone of the client.
    pub fn hang_up(&self) {
        self.hub.hang_up();
    }
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            hub: Arc::clone(&self.hub),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<R: Runtime> Deref for Client<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.clock
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
