//! The mailer for plain threads: the twin of [`mailer::Mailer`](crate::mailer::Mailer) without `async`.
//!
//! ```no_run
//! use outpost::{Envelope, blocking::Mailer};
//!
//! let mailer = Mailer::submission("smtp.example.com").credentials("me", "secret").build()?;
//! let envelope = Envelope::new("me@example.org", ["you@example.com"])?;
//! println!("{}", mailer.send(envelope, "Subject: hello\n\nHi.\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use runtime_blocking::{Client, on_threads};
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

/// Delivers messages, each on the thread that asks for it. It keeps connections for the next message,
/// and limits how many there are to one destination. Clones are the same mailer.
#[derive(Clone, Debug)]
pub struct Mailer {
    client: Client,
    policy: Arc<Policy>,
    plan: Arc<Plan>,
}

impl Mailer {
    /// Hands mail to a submission server, `host` or `host:port`: by default port 587 with STARTTLS;
    /// at port 465 TLS begins with the connection. The server's certificate has to be valid for its
    /// name.
    pub fn submission(server: impl AsRef<str>) -> Builder<Self> {
        Builder::submission(server.as_ref())
    }

    /// Delivers to the mail exchangers of each recipient's domain. The name of this machine should be
    /// the one that its address has in DNS, since many servers look.
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

    /// Delivers a message to all recipients of an envelope, one domain after the other. Returns when
    /// each of them is settled: nothing but that ends it, so that there is no error besides the
    /// verdicts. The report has the order of the envelope.
    pub fn send(&self, envelope: Envelope, message: impl Into<Message>) -> Report {
        self.send_watched(envelope, message, ())
    }

    /// The same, watched by an observer. For it, a recipient is at its place in the envelope.
    pub fn send_watched(
        &self,
        envelope: Envelope,
        message: impl Into<Message>,
        observer: impl Observer + 'static,
    ) -> Report {
        let (text, facts) = message.into().into_parts();
        let (parts, mut books) = self.plan.parts(envelope, &facts, observer);
        for part in parts {
            let report = self
                .client
                .deliver(part.request, text.clone(), part.observer);
            books.enter(&part.places, report);
        }
        books.close()
    }

    /// Delivers messages as they come on so many threads; zero counts as one. `report` is called on
    /// this thread as deliveries end, with the number of the message, from zero on. Returns when all
    /// are over.
    ///
    /// No more messages are taken than there are threads, until `report` has returned for one of
    /// them.
    pub fn send_all(
        &self,
        messages: impl IntoIterator<Item = (Envelope, Message), IntoIter: Send>,
        threads: usize,
        report: impl FnMut(usize, Report),
    ) {
        let send = |(envelope, message): (Envelope, Message)| self.send(envelope, message);
        on_threads(messages, threads, send, report);
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
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Everything that decides on deliveries.
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Ends all running deliveries politely, from any thread: recipients without a verdict are
    /// deferred. Later deliveries end at once. There is no way back.
    pub fn cancel(&self) {
        self.client.cancel();
    }

    /// Says QUIT on the kept connections and closes them, without waiting for a reply. To be called
    /// when the deliveries are over. Without it, they are closed without a word.
    pub fn close(&self) {
        self.client.close();
    }
}

impl FromPolicy for Mailer {
    fn from_policy(policy: Arc<Policy>, Way(plan): Way) -> Self {
        Self {
            client: Client::new(Arc::clone(&policy)),
            policy,
            plan: Arc::new(plan),
        }
    }
}
