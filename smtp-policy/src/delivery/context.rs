//! The common ground of all phases of a delivery: the request and the settings that it is delivered
//! under, the recipients and their verdicts, the clock, and the way to the driver. It is
//! no phase and holds nothing that only one phase needs.

use core::time::Duration;
use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use smtp_proto::{address::ReversePath, session::Taken, time::Time};

use super::{
    Ask, Dns, Ticket,
    dnssec::{Heard, LookOut},
    hosts::Hosts,
    preparing::Envelope,
    roll::Roll,
    survey::{Learned, Surveying},
    verdict::Verdicts,
};
use crate::{
    dns::{Answer, Failure, Query},
    event::{Charset, Event, Note},
    policy::Policy,
    report::{
        Times,
        trouble::{Judge, Reason},
    },
    request::{Request, TlsWish},
    settings::Settings,
    tls::{RequireTls, policy::TlsRules},
};

/// The state that all phases of a delivery share.
#[derive(Debug)]
pub(super) struct Context {
    /// Its `tls` says what counts at the present destination.
    pub(super) request: Request,
    /// The sender's word about TLS, as far as it is heard here.
    wish: TlsWish,
    pub(super) policy: Arc<Policy>,
    pub(super) settings: Arc<Settings>,
    pub(super) seed: u64,
    serial: u32,
    /// The questions to be asked next, before anything else happens.
    asks: VecDeque<Ask>,
    pub(super) roll: Roll,
    pub(super) verdicts: Verdicts,
    /// For a survey, what it has heard so far.
    survey: Option<Box<Surveying>>,
    look_out: LookOut,
    pub(super) judge: Judge,
    /// The places that the mail may go to.
    pub(super) hosts: Hosts,
    /// The moves of sessions that are no longer here.
    pub(super) taken: Taken,
    /// The addresses as the servers see them, if that is not as they are in the
    /// request.
    pub(super) envelope: Option<Box<Envelope>>,
    pub(super) new_token: NewToken,
    /// The last thing that went wrong: it is what left-over recipients are told.
    pub(super) why: Option<Reason>,
    /// A session has come to a good end, whatever the server said to the mail. Whatever goes wrong
    /// with others, the destination is not dead (`SMTP_MISC_FLAG_COMPLETE_SESSION`).
    pub(super) served: bool,
    /// When the request came to whoever delivers it, if that was not when the delivery began.
    arrived: Option<Time>,
    /// When the delivery began; `None` before.
    begun: Option<Time>,
    /// When the whole delivery is given up (`daemon_timeout`); `None` before it begins.
    give_up: Option<Time>,
    pub(super) now: Time,
    /// [`Time::ZERO`] in Unix time.
    epoch: Option<Duration>,
    /// The delivery is to end as soon as that is polite.
    pub(super) cancelled: bool,
}

/// A new access token in place of one that a server has refused. There is one for each delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewToken {
    /// No server has refused one.
    Unneeded,
    /// The next login is to have it.
    Wanted,
    /// It was asked for.
    Asked,
}

impl Context {
    pub(super) fn new(mut request: Request, policy: Arc<Policy>, seed: u64) -> Self {
        let settings = Arc::clone(policy.settings(request.protocol));
        let wish = settings.tls.heeded(request.tls);
        request.tls = wish;
        let judge = Judge {
            soft_bounce: settings.verdict.soft_bounce,
            probe: request.probe,
        };
        let survey = request.survey.clone();
        Self {
            roll: Roll::new(request.recipients.len()),
            verdicts: Verdicts::default(),
            survey: survey.map(|survey| Box::new(Surveying::new(survey, judge))),
            hosts: Hosts::default(),
            taken: Taken::default(),
            envelope: None,
            // There will be notes, and a report at least.
            asks: VecDeque::with_capacity(4),
            look_out: LookOut::default(),
            new_token: NewToken::Unneeded,
            why: None,
            served: false,
            arrived: None,
            begun: None,
            give_up: None,
            now: Time::ZERO,
            epoch: None,
            cancelled: false,
            serial: 0,
            request,
            policy,
            settings,
            wish,
            seed,
            judge,
        }
    }

    pub(super) fn set_epoch(&mut self, epoch: Duration) {
        self.epoch = Some(epoch);
    }

    pub(super) fn set_arrived(&mut self, arrived: Time) {
        self.arrived = Some(arrived);
    }

    /// The driver has looked at the clock. The first look begins the delivery.
    pub(super) fn set_now(&mut self, now: Time) {
        self.now = now;
        self.begun.get_or_insert(now);
        self.give_up
            .get_or_insert_with(|| now + self.settings.timeouts.delivery);
    }

    /// The time at which the delivery is given up.
    pub(super) fn give_up(&self) -> Time {
        self.give_up.unwrap_or(Time::FAR)
    }

    /// Returns whether the delivery has outlasted `daemon_timeout`.
    pub(super) fn is_overdue(&self) -> bool {
        self.now >= self.give_up()
    }

    /// The time that the source of the text has for each piece: that which a server has to take one
    /// (`smtp_data_xfer_timeout`).
    pub(super) fn source_limit(&self) -> Duration {
        self.settings.timeouts.session.data_xfer
    }

    /// The present time as Unix time; `None` if nobody has told.
    pub(super) fn unix_time(&self) -> Option<Duration> {
        self.epoch.map(|epoch| epoch + self.now.as_duration())
    }

    /// The present time as Unix time, where it is about the age of what is remembered.
    pub(super) fn known_unix_time(&self) -> Duration {
        self.epoch.unwrap_or_default() + self.now.as_duration()
    }

    pub(super) fn tls_rules(&self) -> Arc<TlsRules> {
        Arc::clone(&self.settings.tls_rules)
    }

    /// Goes on as another client, to which the request was passed.
    pub(super) fn adopt_client(&mut self) {
        self.settings = Arc::clone(self.policy.settings(self.request.protocol));
        self.wish = self.settings.tls.heeded(self.wish);
    }

    /// Finds out what REQUIRETLS of the message demands at a destination.
    ///
    /// # Errors
    /// The policy for it cannot be had, for the log.
    pub(super) fn require_tls_at(&mut self, domain: &str) -> Result<(), String> {
        self.hosts.demand = match self.wish {
            TlsWish::Required => Some(self.settings.tls.require.demand(domain)?),
            _ => None,
        };
        self.request.tls = match self.hosts.demand {
            Some(RequireTls::Disable) => TlsWish::Unsaid,
            _ => self.wish,
        };
        Ok(())
    }

    /// The sender as text; empty for the null sender.
    pub(super) fn sender(&self) -> &str {
        match &self.request.sender {
            ReversePath::Null => "",
            ReversePath::Mailbox(address) => address.as_str(),
        }
    }

    /// A ticket that no other question has.
    pub(super) fn ticket<K>(&mut self) -> Ticket<K> {
        self.serial = self.serial.wrapping_add(1);
        Ticket::new(self.serial)
    }

    /// A number that differs from one login to the next.
    pub(super) fn login_seed(&self) -> u64 {
        self.seed.wrapping_add(u64::from(self.serial) << 32)
    }

    /// Asks the driver for something, behind all that was asked before.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.asks.push_back(ask);
    }

    /// Asks for DNS records. Returns the number of the ticket.
    pub(super) fn resolve(&mut self, query: Query) -> u32 {
        let ticket = self.ticket();
        let serial = ticket.serial();
        self.look_out.asks(&ticket, &query);
        self.ask(Ask::Resolve(ticket, query));
        serial
    }

    /// Returns whether a phase may go on at once: nothing waits to be asked or answered before it,
    /// and nobody has called the delivery off.
    pub(super) fn is_free(&self) -> bool {
        self.asks.is_empty()
            && !self.cancelled
            && !self.look_out.is_probing()
            && self.verdicts.are_given()
    }

    /// The next thing to ask before any phase goes on.
    pub(super) fn next_ask(&mut self) -> Option<Ask> {
        if let Some(ask) = self.asks.pop_front() {
            return Some(ask);
        }
        if self.look_out.is_probing() {
            if !self.is_overdue() && !self.cancelled {
                let until = self.give_up();
                return Some(Ask::Wait { until });
            }
            self.look_out.forget_probe();
        }
        self.await_verdicts()
    }

    /// The oldest question that waits to be asked.
    pub(super) fn pop_ask(&mut self) -> Option<Ask> {
        self.asks.pop_front()
    }

    /// Looks at an answer about a name. Returns whether a phase is to have it: the answer to
    /// the probe is for nobody else.
    pub(super) fn hear(&mut self, ticket: &Ticket<Dns>, answer: &Result<Answer, Failure>) -> bool {
        match self.look_out.hears(&self.policy, ticket, answer) {
            Heard::Answer => true,
            Heard::Suspicion(query) => {
                let ticket = self.ticket();
                self.look_out.probes(&ticket);
                self.ask(Ask::Resolve(ticket, query));
                true
            }
            Heard::Probe(warnings) => {
                for warning in warnings {
                    let text = warning.into();
                    self.note(Event::DnssecUnavailable { text });
                }
                false
            }
        }
    }

    /// Tells an answer of the name servers to those who follow the dialogue.
    pub(super) fn tell_answer(&mut self, answer: &Result<Answer, Failure>) {
        if !self.policy.tells_dialogue() {
            return;
        }
        let (answer, validated) = match answer {
            Ok(found) => {
                let records: Vec<_> = found.records.iter().map(ToString::to_string).collect();
                (records.join(", "), found.validated)
            }
            Err(failure) => (failure.to_string(), false),
        };
        let answer = answer.into();
        self.note(Event::Answered { answer, validated });
    }

    /// Hands an event to the driver. Its line is in ASCII where there is to be nothing else.
    pub(super) fn note(&mut self, note: impl Into<Note>) {
        let charset = match self.settings.content.smtputf8 {
            true => Charset::Utf8,
            false => Charset::Ascii,
        };
        self.ask(Ask::Note(note.into().in_charset(charset)));
    }

    /// The times up to now, where MAIL was said at `set_up`. A verdict before that has no
    /// transmission (`src/smtp/smtp_trouble.c`).
    pub(super) fn times(&self, set_up: Option<Time>) -> Times {
        let begun = self.begun.unwrap_or(self.now);
        let set_up = set_up.unwrap_or(self.now);
        Times {
            queue: self.request.age,
            setup: self
                .arrived
                .map_or(Duration::ZERO, |arrived| begun.since(arrived)),
            connection: set_up.since(begun),
            transmission: self.now.since(set_up),
        }
    }

    /// Tells a fact to whoever listens.
    #[inline]
    pub(super) fn learn(&mut self, fact: &Learned<'_>) {
        if self.is_survey() {
            self.tell_survey(fact);
        }
    }

    /// Out of the way of deliveries, which are no survey.
    #[cold]
    fn tell_survey(&mut self, fact: &Learned<'_>) {
        let survey = self.survey.as_mut();
        if let Some(note) = survey.and_then(|survey| survey.learn(fact)) {
            self.note(note);
        }
    }

    /// Returns whether this is a survey, which takes another course in some places
    /// ([`survey`](super::survey) lists them).
    pub(super) const fn is_survey(&self) -> bool {
        self.survey.is_some()
    }

    /// The only address to which the delivery is to go, if there is such a wish.
    pub(super) fn only_address(&self) -> Option<IpAddr> {
        self.survey.as_ref()?.only()
    }

    /// Returns whether nothing is left to be done: every recipient has a verdict, or
    /// everything was seen.
    pub(super) fn is_over(&self) -> bool {
        match &self.survey {
            Some(survey) => survey.is_over(),
            None => self.roll.all_settled(),
        }
    }

    /// Returns whether this is a survey that has seen everything and found a server, so that
    /// nobody is to blame.
    pub(super) fn ends_well(&mut self) -> bool {
        let survey = self.survey.as_mut();
        survey.is_some_and(|survey| survey.ends_well())
    }
}
