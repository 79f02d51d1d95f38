//! One question from asking to answer, without sockets and clock: the driver
//! sends and receives what [`Lookup`] tells it to. Follows aliases as
//! Postfix's `dns_lookup_x` does (`src/dns/dns_lookup.c`).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smtp_proto::Time;

use super::answer::{Found, read_answers};
use super::names::{Wildcard, is_same_name, is_valid_address, is_valid_hostname};
use super::search::{Search, SearchStep};
use super::seed::SplitMix;
use super::wire::{Head, record_type};
use super::{Answer, Failure, Query, ResolverConfig};

/// So many questions are asked before a chain of aliases counts as a loop.
const ALIAS_LIMIT: u32 = 10;

/// What the driver has to do next.
#[derive(Clone, Debug)]
#[must_use = "the lookup stands still until the driver does what it asks for"]
pub enum DnsStep {
    /// Send this datagram, then poll again. Replies go to
    /// [`Lookup::datagram`], also those that come later.
    Datagram {
        /// The server.
        to: SocketAddr,
        /// The question.
        bytes: Bytes,
    },
    /// Ask over TCP, then pass what came of it to [`Lookup::stream`]. Poll
    /// again at `until` if nothing came.
    Stream {
        /// The server.
        to: SocketAddr,
        /// The question, without the two bytes of length that precede it.
        bytes: Bytes,
        /// When to give up connecting, writing and reading.
        until: Time,
    },
    /// Wait for a reply, at most to `until`, then poll again.
    Wait {
        /// When the patience with this server ends.
        until: Time,
    },
    /// The lookup is over.
    Done(Result<Answer, Failure>),
}

/// One [`Query`] on its way.
///
/// ```
/// use std::sync::Arc;
/// use smtp_dns::{DnsStep, Lookup, Query, QueryKind, ResolverConfig};
/// use smtp_proto::Time;
///
/// let query = Query::new("example.com", QueryKind::Mx);
/// let config = Arc::new(ResolverConfig::default());
/// let mut lookup = Lookup::new(query, config, 42);
/// let DnsStep::Datagram { to, bytes } = lookup.poll(Time::ZERO) else {
///     panic!("the first step is to ask");
/// };
/// assert_eq!(to, "127.0.0.1:53".parse().unwrap());
/// assert!(bytes.windows(8).any(|part| part == b"\x07example"));
/// ```
#[derive(Debug)]
pub struct Lookup {
    query: Query,
    config: Arc<ResolverConfig>,
    seeds: SplitMix,
    /// The name asked for now: an alias target after the first question.
    name: String,
    questions: u32,
    /// The servers vouched for all aliases so far.
    trusted: bool,
    search: Option<Search>,
    notes: Vec<String>,
    finished: Option<Result<Answer, Failure>>,
}

impl Lookup {
    /// A lookup of `query` with the servers of `config`. The seed decides the
    /// ids of the questions and with
    /// [`rotate`](ResolverConfig::rotate) the first server; it should be
    /// unpredictable.
    ///
    /// A [`QueryKind::Native`](super::QueryKind::Native) query fails with
    /// [`Failure::NonRecoverable`]: it is not for name servers.
    pub fn new(query: Query, config: Arc<ResolverConfig>, seed: u64) -> Self {
        let name = query.name.clone();
        let valid = name == "." || is_valid_hostname(&name, Wildcard::Allowed);
        let finished = if record_type(query.kind).is_none() {
            Some(Err(Failure::NonRecoverable))
        } else if is_valid_address(&name) || !valid {
            Some(Err(Failure::InvalidName))
        } else {
            None
        };
        Self {
            query,
            config,
            seeds: SplitMix::new(seed),
            name,
            questions: 0,
            trusted: true,
            search: None,
            notes: Vec::new(),
            finished,
        }
    }

    /// What to do next. To be called after every step, after everything that
    /// was received, and when a time is over.
    pub fn poll(&mut self, now: Time) -> DnsStep {
        loop {
            if let Some(result) = &self.finished {
                return DnsStep::Done(result.clone());
            }
            let Some(search) = &mut self.search else {
                self.ask();
                continue;
            };
            match search.poll(now) {
                SearchStep::Driver(step) => return step,
                SearchStep::Done(result) => {
                    self.search = None;
                    self.settle(result);
                }
            }
        }
    }

    /// A datagram came in. Anything but the reply to the last question from
    /// the server that was asked is ignored.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        if let Some(exchange) = self.search.as_mut().and_then(Search::exchange) {
            exchange.datagram(from, bytes);
        }
    }

    /// The last datagram could not be sent, or the system reports that nothing
    /// listens there: on to the next server.
    pub fn datagram_failed(&mut self) {
        if let Some(exchange) = self.search.as_mut().and_then(Search::exchange) {
            exchange.datagram_failed();
        }
    }

    /// The exchange over TCP ended: with the message, without its two bytes of
    /// length, or with an error of any kind.
    pub fn stream(&mut self, answer: Result<&[u8], ()>) {
        if let Some(exchange) = self.search.as_mut().and_then(Search::exchange) {
            exchange.stream(answer);
        }
    }

    /// Warnings about records that were rejected although the lookup
    /// succeeded, as Postfix words them. Those of a failed lookup are in the
    /// failure.
    pub fn take_notes(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notes)
    }

    fn ask(&mut self) {
        if self.questions >= ALIAS_LIMIT {
            self.finish(Err(Failure::Loop));
            return;
        }
        self.questions += 1;
        // Behind an alias that nobody vouched for, validation is of no use.
        let validate = self.query.validate && self.trusted;
        self.search = Some(Search::new(
            &self.name,
            self.query.kind,
            validate,
            self.query.search,
            Arc::clone(&self.config),
            self.seeds.next_u64(),
        ));
    }

    fn settle(&mut self, result: Result<Vec<u8>, Failure>) {
        match result.and_then(|packet| self.read(&packet)) {
            Ok(Found::Records(answer)) => self.finish(Ok(answer)),
            Ok(Found::Alias { target, validated }) => {
                self.trusted = validated;
                self.name = target;
            }
            Err(failure) => self.finish(Err(failure)),
        }
    }

    fn read(&mut self, packet: &[u8]) -> Result<Found, Failure> {
        let head = Head::read(packet).ok_or(Failure::TryAgain)?;
        // The servers may set the bit without having been asked to.
        let trusted = self.trusted && self.query.validate;
        let (name, kind) = (&self.name, self.query.kind);
        let mut warnings = Vec::new();
        let found = read_answers(packet, &head, name, kind, trusted, &mut warnings)?;
        self.notes.append(&mut warnings);
        Ok(found)
    }

    fn finish(&mut self, result: Result<Answer, Failure>) {
        let aliased = !is_same_name(&self.name, &self.query.name);
        self.finished = Some(result.map_err(|failure| match failure {
            failure if aliased => Failure::Aliased {
                name: self.name.clone(),
                failure: Box::new(failure),
            },
            failure => failure,
        }));
    }
}
