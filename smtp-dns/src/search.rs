//! One name with the domains of the search list, as `res_nsearch` of the C
//! library tries them.

use std::collections::VecDeque;
use std::sync::Arc;

use smtp_proto::Time;

use super::answer::failure_of;
use super::exchange::{Exchange, ExchangeStep, Silence};
use super::lookup::DnsStep;
use super::seed::SplitMix;
use super::wire::Head;
use super::{Failure, QueryKind, ResolverConfig, SearchMode};

/// How a name is tried.
#[derive(Debug)]
enum Attempt {
    /// As it is. What comes of it is the result if nothing else succeeds.
    AsIs(String),
    /// With a domain of the search list.
    Extended(String),
}

/// What a search wants next.
pub(super) enum SearchStep {
    /// Something for the driver.
    Driver(DnsStep),
    /// The reply with records, or why there is none.
    Done(Result<Vec<u8>, Failure>),
}

/// The question for one name, until a reply has records.
#[derive(Debug)]
pub(super) struct Search {
    kind: QueryKind,
    validate: bool,
    config: Arc<ResolverConfig>,
    seeds: SplitMix,
    attempts: VecDeque<Attempt>,
    running: Option<(Attempt, Exchange)>,
    /// The failure of the name as it is.
    as_is: Option<Failure>,
    /// The failures of extended names, as they matter for the result.
    no_data: bool,
    server_failure: bool,
    last: Failure,
    finished: Option<Result<Vec<u8>, Failure>>,
}

impl Search {
    pub(super) fn new(
        name: &str,
        kind: QueryKind,
        validate: bool,
        mode: SearchMode,
        config: Arc<ResolverConfig>,
        seed: u64,
    ) -> Self {
        Self {
            kind,
            validate,
            attempts: attempts(name, mode, &config),
            config,
            seeds: SplitMix::new(seed),
            running: None,
            as_is: None,
            no_data: false,
            server_failure: false,
            last: Failure::NotFound,
            finished: None,
        }
    }

    /// The running exchange, for what the driver received.
    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.running.as_mut().map(|(_, exchange)| exchange)
    }

    pub(super) fn poll(&mut self, now: Time) -> SearchStep {
        loop {
            if let Some(result) = &self.finished {
                return SearchStep::Done(result.clone());
            }
            let Some((_, exchange)) = &mut self.running else {
                self.start_next();
                continue;
            };
            match exchange.poll(now) {
                ExchangeStep::Datagram { to, bytes } => {
                    return SearchStep::Driver(DnsStep::Datagram { to, bytes });
                }
                ExchangeStep::Stream { to, bytes, until } => {
                    return SearchStep::Driver(DnsStep::Stream { to, bytes, until });
                }
                ExchangeStep::Wait { until } => {
                    return SearchStep::Driver(DnsStep::Wait { until });
                }
                ExchangeStep::Done(outcome) => self.settle(outcome),
            }
        }
    }

    fn start_next(&mut self) {
        let Some(attempt) = self.attempts.pop_front() else {
            self.finished = Some(Err(self.verdict()));
            return;
        };
        let (Attempt::AsIs(name) | Attempt::Extended(name)) = &attempt;
        let seed = self.seeds.next_u64();
        let config = Arc::clone(&self.config);
        let exchange = Exchange::new(name.clone(), self.kind, self.validate, config, seed);
        self.running = Some((attempt, exchange));
    }

    fn settle(&mut self, outcome: Result<Vec<u8>, Silence>) {
        let Some((attempt, _)) = self.running.take() else {
            return;
        };
        let silence = outcome.as_ref().err().copied();
        let failure = match outcome {
            Ok(packet) => match Head::read(&packet).as_ref().map(failure_of) {
                Some(None) => {
                    self.finished = Some(Ok(packet));
                    return;
                }
                Some(Some(failure)) => failure,
                None => Failure::TryAgain,
            },
            Err(_) => Failure::TryAgain,
        };
        match attempt {
            Attempt::AsIs(_) => self.as_is = Some(failure),
            Attempt::Extended(_) => self.settle_extended(failure, silence),
        }
    }

    fn settle_extended(&mut self, failure: Failure, silence: Option<Silence>) {
        if silence.is_some_and(|silence| silence.refused) {
            // Nobody is there to ask about the other names either.
            self.finished = Some(Err(Failure::TryAgain));
            return;
        }
        let server_failure = silence.is_some_and(|silence| silence.server_failure);
        match &failure {
            Failure::NoData => self.no_data = true,
            Failure::NotFound => {}
            Failure::TryAgain if server_failure => self.server_failure = true,
            // Anything else ends the list.
            _ => self
                .attempts
                .retain(|next| matches!(next, Attempt::AsIs(_))),
        }
        self.last = failure;
    }

    fn verdict(&self) -> Failure {
        match &self.as_is {
            Some(failure) => failure.clone(),
            None if self.no_data => Failure::NoData,
            None if self.server_failure => Failure::TryAgain,
            None => self.last.clone(),
        }
    }
}

/// The names to try, in order.
fn attempts(name: &str, mode: SearchMode, config: &ResolverConfig) -> VecDeque<Attempt> {
    let dots = name.bytes().filter(|b| *b == b'.').count();
    let enough_dots = dots >= usize::try_from(config.ndots).unwrap_or(usize::MAX);
    let extend = if dots == 0 {
        mode.defnames
    } else {
        mode.dnsrch
    };
    // The whole list needs RES_DNSRCH; RES_DEFNAMES alone takes the first one.
    let length = if mode.dnsrch { usize::MAX } else { 1 };
    let domains = config.search.iter().take(if extend { length } else { 0 });
    let mut list = VecDeque::new();
    let mut tried_as_is = enough_dots;
    if enough_dots {
        list.push_back(Attempt::AsIs(name.to_owned()));
    }
    for domain in domains {
        if domain.is_empty() {
            tried_as_is = true;
            list.push_back(Attempt::Extended(name.to_owned()));
        } else {
            list.push_back(Attempt::Extended(format!("{name}.{domain}")));
        }
    }
    if !tried_as_is {
        list.push_back(Attempt::AsIs(name.to_owned()));
    }
    list
}
