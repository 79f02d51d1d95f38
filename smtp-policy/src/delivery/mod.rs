//! The delivery engine: one message to one next hop, from the routing plan to a
//! verdict for every recipient. It is not a client: it opens no socket, reads no
//! clock and asks no name server, it says what is to be done.
//!
//! Like the session below it, it has one funnel, [`Delivery::poll`]. Questions
//! come with a [`Ticket`] that its answer consumes, so that no question is
//! answered twice or with something of another kind.
//!
//! The order of events, and who is to blame for a failure, are smtp(8)'s
//! (`src/smtp/smtp_connect.c`, `smtp_proto.c`, `smtp_trouble.c`):
//!
//! ```text
//!  next hop list ─▶ Resolving ─▶ LookingUp ─▶ Connecting ─▶ Talking ─┐
//!       ▲  │           │             ▲            │            │     │
//!       │  └─ none left: the rest is settled      │ failed     │     │
//!       └──────────────────── Choosing: next address ◀────────┘ ◀───┘
//! ```
//!
//! Each phase is a type with its own data. All of its ways to others are in one table,
//! [`PHASE_TRANSITIONS`], and each delivery knows which of them it has taken
//! ([`Delivery::phases_taken`]).
//!
//! ```
//! use std::sync::Arc;
//! use smtp_policy::{
//!     Protocol,
//!     delivery::{Ask, Delivery},
//!     policy::Policy,
//!     request::{Recipient, Request},
//!     settings::Settings,
//! };
//! use smtp_proto::{address::{Address, ReversePath}, time::Time};
//!
//! let policy = Arc::new(Policy::new(Settings::smtp().build()?));
//! let to = Recipient::new(Address::parse("user@example.com")?);
//! let request = Request::new(Protocol::Smtp, "example.com".parse()?, ReversePath::Null, vec![to]);
//! let mut delivery = Delivery::new(request, policy, 1);
//! let Ask::Resolve(_ticket, question) = delivery.poll(Time::ZERO) else { panic!() };
//! assert_eq!(question.name, "example.com");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod ask;
mod attempt;
mod choosing;
mod connecting;
mod context;
mod dnssec;
mod hosts;
mod looking_up;
mod observer;
mod phase;
mod preparing;
mod profile;
mod resolving;
mod rest;
mod reusing;
mod roll;
mod securing;
mod settle;
mod survey;
mod talking;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod testing;
mod ticket;
mod transitions;
mod verdict;
mod wanted;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::{queue::SendQueue, secret::Secret, session::Taken, time::Time};

pub use self::{
    ask::{Ask, Target},
    observer::Observer,
    ticket::{Cached, Dns, External, Https, Socket, Ticket, Token},
    transitions::{PHASE_TRANSITIONS, PhaseName, PhaseTransition, PhasesTaken},
};
use self::{
    context::Context,
    phase::{Answer, Course, Stop},
};
use crate::{
    channel::Channel,
    dns::{Answer as DnsAnswer, Failure},
    policy::Policy,
    request::{RcptIndex, Request},
    settings::TokenFailure,
    sts::{FetchError, Fetched},
    tables::TableFailure,
};
pub use crate::{
    event::{Level, Note},
    route::Bind,
    server::{ConnectError, Endpoint},
    tables::TableQuery,
};

/// The delivery of one request. See the [module](self).
#[derive(Debug)]
pub struct Delivery {
    cx: Context,
    course: Course,
}

impl Delivery {
    /// A delivery that has not begun. It never fails: a next hop that makes no
    /// sense becomes the verdict on every recipient.
    ///
    /// `seed` decides what Postfix leaves to chance: the order of equally
    /// preferred addresses, the identifiers of DNS questions.
    pub fn new(request: Request, policy: Arc<Policy>, seed: u64) -> Self {
        Self {
            cx: Context::new(request, policy, seed),
            course: Course::new(),
        }
    }

    /// Tells the time of day: `epoch` is how long after the beginning of 1970 (UTC)
    /// the driver's [`Time::ZERO`] was. Without it no certificate is trusted for its
    /// issuer, since nobody could say whether it has expired.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Duration) -> Self {
        self.cx.set_epoch(epoch);
        self
    }

    /// Tells when the request came to whoever delivers it, by the clock of
    /// [`poll`](Self::poll): the time until the first poll is [`Times::setup`]. Without it
    /// there is none.
    ///
    /// [`Times::setup`]: crate::report::Times::setup
    #[must_use]
    pub fn with_arrival(mut self, arrived: Time) -> Self {
        self.cx.set_arrived(arrived);
        self
    }

    /// Moves the delivery on, and says what to do next. The only method in which
    /// state moves.
    pub fn poll(&mut self, now: Time) -> Ask {
        self.cx.set_now(now);
        loop {
            if let Some(ask) = self.cx.next_ask() {
                return ask;
            }
            if self.cx.cancelled && !self.course.is_near_verdict() {
                self.cx.cancelled = false;
                self.course.stop(&mut self.cx, &Stop::Cancelled);
            }
            if let Some(ask) = self.course.poll(&mut self.cx) {
                return ask;
            }
        }
    }

    /// The request that is delivered.
    pub fn request(&self) -> &Request {
        &self.cx.request
    }

    /// The answer to [`Ask::Resolve`].
    pub fn resolved(&mut self, ticket: Ticket<Dns>, answer: Result<DnsAnswer, Failure>) {
        self.cx.tell_answer(&answer);
        if self.cx.hear(&ticket, &answer) {
            self.course.answer(Answer::Dns(ticket.serial(), answer));
        }
    }

    /// The answer to [`Ask::LookUp`].
    pub fn looked_up(
        &mut self,
        ticket: Ticket<External>,
        value: Result<Option<String>, TableFailure>,
    ) {
        if self.cx.verdicts.asked(&ticket) {
            self.cx.verdicts.answer(value);
        } else {
            self.course.answer(Answer::Table(ticket.serial(), value));
        }
    }

    /// The answer to [`Ask::Token`].
    pub fn token(&mut self, ticket: Ticket<Token>, token: Result<Secret, TokenFailure>) {
        self.course.answer(Answer::Token(ticket.serial(), token));
    }

    /// The answer to [`Ask::Fetch`].
    pub fn fetched(&mut self, ticket: Ticket<Https>, result: Result<Fetched, FetchError>) {
        self.course.answer(Answer::Web(ticket.serial(), result));
    }

    /// The answer to [`Ask::Reuse`]. With a hit, the driver has made the socket
    /// that belongs to the channel the open one of this delivery.
    pub fn reused(&mut self, ticket: Ticket<Cached>, hit: Option<Box<Channel>>) {
        self.course.answer(Answer::Cache(ticket.serial(), hit));
    }

    /// The answer to [`Ask::Connect`]. After success the driver holds the open
    /// socket of this delivery.
    pub fn connected(&mut self, ticket: Ticket<Socket>, result: Result<(), ConnectError>) {
        self.course.answer(Answer::Socket(ticket.serial(), result));
    }

    /// What is to be written to the open connection, if there is one. Advancing it
    /// acknowledges.
    pub fn output(&mut self) -> Option<&mut SendQueue> {
        self.course.channel().map(Channel::output)
    }

    /// Takes what was read from the open connection, in any chunking. Without one it is
    /// dropped: it comes from a connection that the delivery has closed or kept.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(channel) = self.course.channel() {
            channel.receive(bytes);
        }
    }

    /// The peer sends nothing more: end of file, or an error while reading. The
    /// driver reads no more; it may still be asked to write.
    pub fn disconnected(&mut self) {
        if let Some(channel) = self.course.channel() {
            channel.disconnected();
        }
    }

    /// Nothing can be written any more. What could still be read has been given to
    /// [`receive`](Self::receive) before.
    pub fn write_failed(&mut self) {
        if let Some(channel) = self.course.channel() {
            channel.write_failed();
        }
    }

    /// The answer to [`Ask::Text`]. An empty chunk is the end of the message.
    pub fn text(&mut self, chunk: Bytes) {
        self.course.answer(Answer::Text(chunk));
    }

    /// The answer to [`Ask::Text`] when the source has no text yet: it is not asked for again, and
    /// [`text`](Self::text) follows when there is some. Meanwhile the delivery writes and
    /// listens. A source that gives none for as long as a server may take for it
    /// (`smtp_data_xfer_timeout`) is given up, and the message is deferred.
    pub fn text_pending(&mut self) {
        let until = self.cx.now + self.cx.source_limit();
        self.course.answer(Answer::TextBy(until));
    }

    /// Returns whether text was asked for and is still wanted. A delivery that has gone on
    /// without it, since the server refused it for instance, drops it.
    pub const fn wants_text(&self) -> bool {
        self.course.wants_text()
    }

    /// The answer to [`Ask::Text`] when the text cannot be read. The message is
    /// deferred; nobody takes the part that was sent for the whole.
    pub fn text_failed(&mut self, why: String) {
        self.course.stop(&mut self.cx, &Stop::Unreadable(why));
    }

    /// The text is damaged for good: the message is returned (Postfix: a corrupt queue file).
    pub fn text_corrupt(&mut self) {
        self.course.stop(&mut self.cx, &Stop::Corrupt);
    }

    /// The driver cannot do its work. Before anything is begun, so that there is no
    /// connection: whoever is to get the message is deferred.
    pub fn driver_failed(&mut self, why: &str) {
        let why = Stop::Undriven(why.to_owned());
        self.course.stop(&mut self.cx, &why);
    }

    /// Ends the delivery politely: nothing new is begun, whoever has no verdict is
    /// deferred, and the server hears QUIT where the dialogue allows it. If the
    /// text is complete and its verdict on the way, that is still waited for.
    ///
    /// The driver goes on polling until [`Ask::Done`].
    pub fn cancel(&mut self) {
        self.cx.cancelled = true;
    }

    /// Whose message may have been accepted although the verdict is not told yet, in
    /// order: the end of the text is on its way or unanswered, an earlier server was lost
    /// there, or the verdict waits for a table.
    pub fn in_doubt(&self) -> Vec<RcptIndex> {
        let (roll, sent) = (&self.cx.roll, self.course.has_sent_text());
        let left = roll.left();
        let doubtful = left.filter(|rcpt| (sent && roll.is_open(*rcpt)) || roll.is_doubtful(*rcpt));
        let all = doubtful.chain(self.cx.verdicts.waiting());
        let mut all: Vec<RcptIndex> = all.map(|rcpt| rcpt.0).collect();
        all.sort_unstable();
        all
    }

    /// Something that changes when others get into doubt, or nobody is in doubt any more,
    /// and that costs nothing to look at: whether the text is complete, and how many
    /// recipients earlier servers have left in doubt.
    pub(crate) fn doubt_mark(&self) -> (bool, usize) {
        (self.course.has_sent_text(), self.cx.roll.doubts())
    }

    /// Which moves the sessions of this delivery have made so far, also those whose
    /// connections are closed or kept by now, and what a kept connection had made before.
    /// It is for measuring what tests and simulations reach.
    pub fn taken(&self) -> Taken {
        self.cx.taken.union(&self.course.session_taken())
    }

    /// The moves between phases that this delivery has made so far. It is for measuring
    /// what tests and simulations reach.
    pub fn phases_taken(&self) -> PhasesTaken {
        self.course.taken()
    }
}
