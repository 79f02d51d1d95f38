//! Mailers for runtimes with `async`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use runtime_common::{Client, Runtime};
use smtp_policy::{
    delivery::Observer,
    policy::Policy,
    report::Report,
    tables::{AsyncTable, Table},
};

use crate::{
    Envelope, Message,
    builder::{Builder, FromPolicy, Way},
    plan::Plan,
};

/// The number of next hops to which one message goes at the same time.
const HOPS: usize = 32;

/// Delivers messages on the runtime `R`, many at once. It keeps connections for the next message, and
/// limits how many there are to one destination. Clones are the same mailer.
///
/// A delivery whose future is dropped leaves nothing behind. To let running deliveries end politely
/// and with a verdict for each recipient, use [`cancel`](Self::cancel).
pub struct Mailer<R: Runtime> {
    client: Client<R>,
    policy: Arc<Policy>,
    plan: Arc<Plan>,
}

impl<R: Runtime + Default> Mailer<R> {
    /// Hands mail to a submission server, `host` or `host:port`: by default port 587 with STARTTLS;
    /// at port 465 TLS begins with the connection. The server's certificate has to be valid for its
    /// name.
    pub fn submission(server: impl AsRef<str>) -> Builder<Self> {
        Builder::submission(server.as_ref())
    }

    /// Delivers to the mail exchangers of each recipient's domain. The name of this machine should be
    /// the one that its address has in DNS, since many servers look. TLS is used where it is offered,
    /// and verified by DANE where the name servers validate.
    pub fn direct(hostname: impl AsRef<str>) -> Builder<Self> {
        Builder::direct(hostname.as_ref())
    }

    /// Hands all mail to one next hop, as `relayhost` has it: `domain`, `domain:port`, `[host]`,
    /// `[host]:port`.
    pub fn relay(nexthop: impl AsRef<str>) -> Builder<Self> {
        Builder::relay(nexthop.as_ref())
    }

    /// Hands all mail to a mailbox server that speaks LMTP: `unix:/path`, `inet:host:port`.
    pub fn lmtp(nexthop: impl AsRef<str>) -> Builder<Self> {
        Builder::lmtp(nexthop.as_ref())
    }

    /// Delivers as Postfix does with this main.cf: to its `relayhost`, or to the mail exchangers of each
    /// recipient's domain.
    #[cfg(feature = "postfix")]
    pub fn postfix(main_cf: impl AsRef<std::path::Path>) -> crate::postfix::PostfixBuilder<Self> {
        crate::postfix::PostfixBuilder::new(main_cf.as_ref())
    }
}

impl<R: Runtime + Default> FromPolicy for Mailer<R> {
    fn from_policy(policy: Arc<Policy>, Way(plan): Way) -> Self {
        Self {
            client: Client::new(Arc::clone(&policy)),
            policy,
            plan: Arc::new(plan),
        }
    }
}

impl<R: Runtime> Mailer<R> {
    /// Delivers a message to all recipients of an envelope. Returns when each of them is settled:
    /// nothing but that ends it, so that there is no error besides the verdicts.
    ///
    /// Recipients of different domains may be served at the same time. The report has them in the order
    /// of the envelope.
    pub fn send(&self, envelope: Envelope, message: impl Into<Message>) -> Sending {
        self.send_watched(envelope, message, ())
    }

    /// The same, watched by an observer. For it, a recipient is at its place in the envelope.
    pub fn send_watched(
        &self,
        envelope: Envelope,
        message: impl Into<Message>,
        observer: impl Observer + 'static,
    ) -> Sending {
        let (text, facts) = message.into().into_parts();
        let (parts, mut books) = self.plan.parts(envelope, &facts, observer);
        let client = self.client.clone();
        let begun = parts.into_iter().map(move |part| {
            let places = part.places;
            client
                .deliver(part.request, text.clone(), part.observer)
                .map(move |report| (places, report))
        });
        let mut ended = stream::iter(begun).buffer_unordered(HOPS);
        Sending(Box::pin(async move {
            while let Some((places, report)) = ended.next().await {
                books.enter(&places, report);
            }
            books.close()
        }))
    }

    /// Delivers messages as they come, at most `limit` of them at once; zero counts as one. Reports come
    /// as deliveries end, each with the number of its message, from zero on.
    ///
    /// No more than `limit` messages are taken whose reports were not. Dropping the stream ends the
    /// deliveries.
    pub fn send_all<I>(
        &self,
        messages: I,
        limit: usize,
    ) -> impl Stream<Item = (usize, Report)> + use<R, I>
    where
        I: Stream<Item = (Envelope, Message)>,
    {
        let mailer = self.clone();
        let begin = move |(number, (envelope, message))| {
            let report = mailer.send(envelope, message);
            let (task, report) = report.map(move |report| (number, report)).remote_handle();
            R::detach(task);
            report
        };
        let begun = messages.enumerate().map(begin);
        begun.buffer_unordered(limit.max(1))
    }

    /// Answers look-ups in `external:NAME` from `table`.
    pub fn add_table(&self, name: impl Into<String>, table: Arc<dyn Table>) {
        self.client.add_table(name, table);
    }

    /// The same from a table that is awaited, without a thread.
    pub fn add_async_table(&self, name: impl Into<String>, table: Arc<dyn AsyncTable>) {
        self.client.add_async_table(name, table);
    }

    /// The client below, for requests of one's own.
    pub const fn client(&self) -> &Client<R> {
        &self.client
    }

    /// Everything that decides on deliveries.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Ends all running deliveries politely: recipients without a verdict are deferred. Later
    /// deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.client.cancel();
    }

    /// Says QUIT on the kept connections and closes them, without waiting for a reply. To be called
    /// when the deliveries are over. Without it, they are closed without a word.
    pub async fn close(&self) {
        self.client.close().await;
    }
}

/// A message on its way: the future of its [`Report`]. Dropping it ends the deliveries.
#[must_use = "nothing is sent before it is polled"]
pub struct Sending(Pin<Box<dyn Future<Output = Report> + Send>>);

impl Future for Sending {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl<R: Runtime> Clone for Mailer<R> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            policy: Arc::clone(&self.policy),
            plan: Arc::clone(&self.plan),
        }
    }
}

impl<R: Runtime> fmt::Debug for Mailer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
