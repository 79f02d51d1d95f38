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
//!       └──────────────────────────── next address ◀────────────┘ ◀──┘
//! ```
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
mod dnssec;
mod encryption;
mod envelope;
mod feed;
mod greet;
mod hosts;
mod journal;
mod keep;
mod login;
mod observer;
mod prepare;
mod profile;
mod rest;
mod roll;
mod secure;
mod settle;
mod survey;
mod talk;
mod ticket;
mod tlsrpt;
mod verdict;

use core::time::Duration;
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use smtp_proto::{queue::SendQueue, session::Taken, time::Time};

pub use self::{
    ask::{Ask, ConnectError, Endpoint, Level, Note, Target},
    observer::Observer,
    ticket::{Cached, Dns, External, Https, Socket, Ticket},
};
use self::{
    dnssec::LookOut,
    hosts::{Hosts, Phase},
    prepare::Envelope,
    roll::Roll,
    survey::Surveying,
    verdict::Verdicts,
};
use crate::{
    channel::Channel,
    dns::{Answer, Failure},
    policy::Policy,
    report::trouble::{Judge, Reason},
    request::Request,
    settings::Settings,
    sts::{FetchError, Fetched},
    tables::TableFailure,
};
pub use crate::{route::Bind, tables::TableQuery};

/// The delivery of one request. See the [module](self).
#[derive(Debug)]
pub struct Delivery {
    request: Request,
    policy: Arc<Policy>,
    settings: Arc<Settings>,
    seed: u64,
    serial: u32,
    /// What is to be asked next, before anything else happens.
    asks: VecDeque<Ask>,
    roll: Roll,
    verdicts: Verdicts,
    /// For a survey, what it has seen so far.
    survey: Option<Box<Surveying>>,
    look_out: LookOut,
    judge: Judge,
    hosts: Hosts,
    phase: Phase,
    /// The moves of sessions that are no longer here.
    taken: Taken,
    /// The addresses as the servers see them, if that is not as they are in the
    /// request.
    envelope: Option<Box<Envelope>>,
    /// The last thing that went wrong: it is what left-over recipients are told.
    why: Option<Reason>,
    /// When the whole delivery is given up (`daemon_timeout`).
    give_up: Option<Time>,
    now: Time,
    /// What [`Time::ZERO`] is in Unix time.
    epoch: Option<Duration>,
    cancelled: bool,
}

impl Delivery {
    /// A delivery that has not begun. It never fails: a next hop that makes no
    /// sense becomes the verdict on every recipient.
    ///
    /// `seed` decides what Postfix leaves to chance: the order of equally
    /// preferred addresses, the identifiers of DNS questions.
    pub fn new(request: Request, policy: Arc<Policy>, seed: u64) -> Self {
        let settings = Arc::clone(policy.settings(request.protocol));
        let judge = Judge {
            soft_bounce: settings.verdict.soft_bounce,
            probe: request.probe,
        };
        Self {
            roll: Roll::new(request.recipients.len()),
            verdicts: Verdicts::default(),
            survey: request.survey.clone().map(Surveying::new).map(Box::new),
            hosts: Hosts::default(),
            phase: Phase::Start,
            taken: Taken::default(),
            envelope: None,
            asks: VecDeque::new(),
            look_out: LookOut::default(),
            why: None,
            give_up: None,
            now: Time::ZERO,
            epoch: None,
            cancelled: false,
            serial: 0,
            request,
            policy,
            settings,
            seed,
            judge,
        }
    }

    /// Tells the time of day: `epoch` is how long after the beginning of 1970 (UTC)
    /// the driver's [`Time::ZERO`] was. Without it no certificate is trusted for its
    /// issuer, since nobody could say whether it has expired.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Duration) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Moves the delivery on, and says what to do next. The only method in which
    /// state moves.
    pub fn poll(&mut self, now: Time) -> Ask {
        self.now = now;
        let give_up = *self
            .give_up
            .get_or_insert(now + self.settings.timeouts.delivery);
        loop {
            if let Some(ask) = self.asks.pop_front() {
                return self.watch_ask(ask);
            }
            if let Some(ask) = self.await_probe(give_up) {
                return ask;
            }
            if let Some(ask) = self.await_verdicts(give_up) {
                return ask;
            }
            if self.cancelled {
                self.settle_cancelled();
            }
            if let Some(ask) = self.advance(give_up) {
                return self.watch_ask(ask);
            }
        }
    }

    /// The request that is delivered.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The answer to [`Ask::Resolve`].
    pub fn resolved(&mut self, ticket: Ticket<Dns>, answer: Result<Answer, Failure>) {
        if self.watch_answer(&ticket, &answer) {
            return;
        }
        if let Phase::Resolving {
            resolution, open, ..
        } = &mut self.phase
            && let Some(id) = open.remove(&ticket.serial())
        {
            resolution.answer(id, answer);
        } else if let Phase::Securing(securing) = &mut self.phase {
            securing.resolved(ticket.serial(), answer);
        }
    }

    /// The answer to [`Ask::LookUp`].
    pub fn looked_up(
        &mut self,
        ticket: Ticket<External>,
        value: Result<Option<String>, TableFailure>,
    ) {
        if self.verdicts.asked(&ticket) {
            self.verdicts.answer(value);
            return;
        }
        match &mut self.phase {
            Phase::LookingUp(lookups) => lookups.answer(ticket.serial(), value),
            Phase::Securing(securing) => securing.looked_up(ticket.serial(), value),
            Phase::Preparing(preparation) => preparation.answer(ticket.serial(), value),
            Phase::Talking(talk) => talk.answer(ticket.serial(), value),
            _ => {}
        }
    }

    /// The answer to [`Ask::Fetch`].
    pub fn fetched(&mut self, ticket: Ticket<Https>, result: Result<Fetched, FetchError>) {
        if let Phase::Securing(securing) = &mut self.phase {
            securing.fetched(ticket.serial(), result);
        }
    }

    /// The answer to [`Ask::Reuse`]. With a hit, the driver has made the socket
    /// that belongs to the channel the open one of this delivery.
    pub fn reused(&mut self, ticket: Ticket<Cached>, hit: Option<Box<Channel>>) {
        if let Phase::Reusing { serial, answer, .. } = &mut self.phase
            && *serial == ticket.serial()
        {
            *answer = Some(hit);
        }
    }

    /// The answer to [`Ask::Connect`]. After success the driver holds the open
    /// socket of this delivery.
    pub fn connected(&mut self, ticket: Ticket<Socket>, result: Result<(), ConnectError>) {
        if let Phase::Connecting { serial, answer, .. } = &mut self.phase
            && *serial == ticket.serial()
        {
            *answer = Some(result);
        }
    }

    /// What is to be written to the open connection, if there is one. Advancing it
    /// acknowledges.
    pub fn output(&mut self) -> Option<&mut SendQueue> {
        match &mut self.phase {
            Phase::Talking(talk) => Some(talk.channel.output()),
            _ => None,
        }
    }

    /// Takes what was read from the open connection, in any chunking.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.channel.receive(bytes);
        }
    }

    /// The peer sends nothing more: end of file, or an error while reading. The
    /// driver reads no more; it may still be asked to write.
    pub fn disconnected(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.channel.disconnected();
        }
    }

    /// Nothing can be written any more. What could still be read has been given to
    /// [`receive`](Self::receive) before.
    pub fn write_failed(&mut self) {
        if let Phase::Talking(talk) = &mut self.phase {
            talk.channel.write_failed();
        }
    }

    /// The answer to [`Ask::Text`]. An empty chunk is the end of the message.
    pub fn text(&mut self, chunk: Bytes) {
        match &mut self.phase {
            Phase::Talking(talk) => talk.text(chunk),
            Phase::Preparing(preparation) => preparation.text(chunk),
            _ => {}
        }
    }

    /// The answer to [`Ask::Text`] when the text cannot be read. The message is
    /// deferred; nobody takes the part that was sent for the whole.
    pub fn text_failed(&mut self, why: String) {
        self.settle_unreadable(&why);
    }

    /// The driver cannot do its work. Before anything is begun, so that there is no
    /// connection: whoever is to get the message is deferred.
    pub fn driver_failed(&mut self, why: &str) {
        self.settle_undriven(why);
    }

    /// Ends the delivery politely: nothing new is begun, whoever has no verdict is
    /// deferred, and the server hears QUIT where the dialogue allows it. If the
    /// text is complete and its verdict on the way, that is still waited for.
    ///
    /// The driver goes on polling until [`Ask::Done`].
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// Which moves the sessions of this delivery have made so far, also those whose
    /// connections are closed or kept by now, and what a kept connection had made before.
    /// It is for measuring what tests and simulations reach.
    pub fn taken(&self) -> Taken {
        match &self.phase {
            Phase::Talking(talk) => self.taken.union(&talk.channel.session.taken()),
            _ => self.taken,
        }
    }

    fn ticket<K>(&mut self) -> Ticket<K> {
        self.serial = self.serial.wrapping_add(1);
        Ticket::new(self.serial)
    }

    /// A line for the log, in ASCII where there is to be nothing else
    /// (`smtputf8_enable = no`; `src/util/msg_output.c`).
    fn note(&mut self, mut note: Note) {
        if !self.settings.content.smtputf8 && !note.text.is_ascii() {
            let shown = |byte: u8| {
                if byte.is_ascii() {
                    char::from(byte)
                } else {
                    '?'
                }
            };
            note.text = note.text.bytes().map(shown).collect::<String>().into();
        }
        self.asks.push_back(Ask::Note(note));
    }

    /// A log line with the message's name in front, where it has one.
    fn message_note(&mut self, text: &str) {
        let note = Note::info(self.about_message(text));
        self.note(note);
    }

    /// The same as a warning.
    fn message_warning(&mut self, text: &str) {
        let note = Note::warning(self.about_message(text));
        self.note(note);
    }

    fn about_message(&self, text: &str) -> String {
        let id = &self.request.id;
        if id.is_empty() {
            text.to_owned()
        } else {
            format!("{id}: {text}")
        }
    }
}
