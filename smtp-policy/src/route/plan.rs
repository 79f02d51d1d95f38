//! One destination on its way to an ordered list of candidates: asks for MX
//! records and addresses and decides what the answers mean. Answers to
//! `smtp_domain_addr` and `smtp_host_addr` in Postfix's
//! `src/smtp/smtp_addr.c`.
//!
//! Questions for several hosts are out at the same time. The result is worked
//! out in the order of the hosts when the last answer is there, so the order
//! of answers makes no difference.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smtp_proto::EnhancedStatus;

use super::balance::{self, LIST_LIMIT};
use super::filter::{Filtered, filter_records};
use super::hosts::{
    HostAddress, HostLookup, Miss, Rank, can_be_asked, cut, filter_miss, kind_of, miss, plain,
    usable_address,
};
use super::loops::truncate_at;
use super::{
    Candidate, DnsSupport, InetDestination, MailExchange, Resolved, RouteFailure, RouteNote,
    RoutePolicy,
};
use crate::dns::names::{is_root, is_valid_address};
use crate::dns::{Answer, Failure, Query, QueryKind, RecordData};

/// So many questions are out at the same time, at most.
const OUTSTANDING_LIMIT: usize = 16;

/// The port of SMTP between mail exchangers: mail loops exist only there.
const SMTP_PORT: u16 = 25;

/// Names a question of one [`Resolution`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(u32);

/// One mail exchanger: preference and name.
type Exchanger = (u16, String);

#[derive(Debug)]
enum Stage {
    /// Waiting for the MX records.
    Exchangers,
    /// Waiting for the addresses of mail exchangers.
    ExchangerHosts {
        /// Of each host, best first.
        preferences: Vec<u16>,
        validated: bool,
    },
    /// Waiting for the addresses of the destination itself.
    Host,
    /// There is, or was, a result.
    Done,
}

/// Whom a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Exchangers,
    /// The host with this index.
    Host(usize, QueryKind),
}

/// One destination that is being resolved. Sans I/O: ask the
/// [`questions`](Self::questions), pass back each [`answer`](Self::answer), in
/// any order, until [`take`](Self::take) has the result.
///
/// ```
/// use std::sync::Arc;
/// use smtp_policy::route::{InetDestination, Resolution, RoutePolicy};
///
/// let destination = InetDestination {
///     text: "[192.0.2.1]".into(),
///     domain: "192.0.2.1".into(),
///     bracketed: true,
///     port: 25,
/// };
/// let mut resolution = Resolution::new(&destination, Arc::new(RoutePolicy::smtp()), 1);
/// assert!(resolution.questions().is_empty(), "an address needs no lookup");
/// let candidates = resolution.take().unwrap().result.unwrap();
/// assert_eq!(candidates[0].address.to_string(), "192.0.2.1");
/// ```
#[derive(Debug)]
pub struct Resolution {
    /// The domain as it is written.
    written: Arc<str>,
    bracketed: bool,
    port: u16,
    policy: Arc<RoutePolicy>,
    seed: u64,
    /// The domain in ASCII, if there is such a form.
    domain: Arc<str>,
    stage: Stage,
    hosts: Vec<HostLookup>,
    waiting: VecDeque<(QuestionId, Query)>,
    outstanding: BTreeMap<QuestionId, Purpose>,
    /// Questions handed out and not yet answered.
    out: usize,
    next_id: u32,
    notes: Vec<RouteNote>,
    exchange: Option<MailExchange>,
    resolved: Option<Resolved>,
}

impl Resolution {
    /// Begins with `destination`. The seed decides the order of candidates of
    /// the same preference if the policy says so.
    pub fn new(destination: &InetDestination, policy: Arc<RoutePolicy>, seed: u64) -> Self {
        let mut resolution = Self {
            domain: Arc::clone(&destination.domain),
            written: Arc::clone(&destination.domain),
            bracketed: destination.bracketed,
            port: destination.port,
            policy,
            seed,
            stage: Stage::Done,
            hosts: Vec::new(),
            waiting: VecDeque::new(),
            outstanding: BTreeMap::new(),
            out: 0,
            next_id: 0,
            notes: Vec::new(),
            exchange: None,
            resolved: None,
        };
        resolution.start();
        resolution
    }

    /// Questions that are to be asked now and were not returned before. To be
    /// called at the beginning and after each answer. There are never more
    /// than sixteen without an answer.
    pub fn questions(&mut self) -> Vec<(QuestionId, Query)> {
        let room = OUTSTANDING_LIMIT.saturating_sub(self.out);
        let count = room.min(self.waiting.len());
        self.out += count;
        self.waiting.drain(..count).collect()
    }

    /// Takes the answer to a question. An answer to no question, or a second
    /// one, is ignored.
    pub fn answer(&mut self, id: QuestionId, answer: Result<Answer, Failure>) {
        let Some(purpose) = self.outstanding.remove(&id) else {
            return;
        };
        self.out = self.out.saturating_sub(1);
        match purpose {
            Purpose::Exchangers => self.exchangers(answer),
            Purpose::Host(index, kind) => {
                if let Some(host) = self.hosts.get_mut(index) {
                    host.answer(kind, answer, &self.policy);
                }
                self.ask_host(index);
                self.finish_hosts();
            }
        }
    }

    /// The result, once; `None` as long as answers are missing.
    pub fn take(&mut self) -> Option<Resolved> {
        self.resolved.take()
    }

    fn start(&mut self) {
        let families = self.policy.families;
        if !families.ipv4 && !families.ipv6 {
            let status = EnhancedStatus::new(4, 4, 4);
            return self.fail(status, "all network protocols are disabled".into());
        }
        self.convert_domain();
        if !self.is_by_exchanger() {
            return self.host_path();
        }
        if !can_be_asked(&self.domain) {
            return self.exchangers(Err(Failure::InvalidName));
        }
        self.stage = Stage::Exchangers;
        let query = Query {
            validate: self.policy.dns == DnsSupport::Dnssec,
            ..Query::new(&*self.domain, QueryKind::Mx)
        };
        self.ask(Purpose::Exchangers, query);
    }

    fn convert_domain(&mut self) {
        match self.policy.idna.to_ascii(&self.written) {
            Some(Cow::Owned(ascii)) => self.domain = ascii.into(),
            Some(Cow::Borrowed(_)) => {}
            None => self.warn(format!(
                "Problem translating domain \"{}\" to ASCII form",
                self.written.chars().take(100).collect::<String>()
            )),
        }
    }

    fn ask(&mut self, purpose: Purpose, query: Query) {
        let id = QuestionId(self.next_id);
        self.next_id += 1;
        self.outstanding.insert(id, purpose);
        self.waiting.push_back((id, query));
    }

    fn exchangers(&mut self, answer: Result<Answer, Failure>) {
        let owner = answer.as_ref().ok().map(|answer| answer.canonical.clone());
        let miss = match self.judge_exchangers(answer) {
            Ok(None) => {
                let text = format!("Domain {} does not accept mail (nullMX)", self.domain);
                return self.fail(EnhancedStatus::new(5, 1, 0), text);
            }
            Ok(Some((exchangers, validated))) => {
                let owner = owner.unwrap_or_else(|| self.domain.to_string());
                self.exchange = Some(MailExchange {
                    asked: self.domain.to_string(),
                    owner,
                    validated,
                });
                return self.mx_path(exchangers, validated);
            }
            Err(miss) => miss,
        };
        let status = match miss.rank {
            Rank::NotFound => return self.host_path(),
            Rank::Filtered => return self.fail(EnhancedStatus::new(4, 7, 0), miss.text),
            _ if self.policy.ignore_mx_error => return self.host_path(),
            Rank::Temporary => EnhancedStatus::new(4, 4, 3),
            Rank::NonRecoverable => EnhancedStatus::new(5, 4, 3),
            Rank::Invalid => EnhancedStatus::new(5, 4, 4),
        };
        self.fail(status, miss.text);
    }

    /// The mail exchangers by preference and whether their records were
    /// validated; `None` is a null MX.
    fn judge_exchangers(
        &mut self,
        answer: Result<Answer, Failure>,
    ) -> Result<Option<(Vec<Exchanger>, bool)>, Miss> {
        let (name, kind) = (&self.domain, QueryKind::Mx);
        let notes = &mut self.notes;
        let answer = answer.map_err(|failure| miss(&failure, name, kind, notes))?;
        let mut records = answer.records;
        records.retain(|record| record.data.kind() == kind);
        if records.is_empty() {
            return Err(miss(&Failure::NoData, name, kind, notes));
        }
        cut(&mut records, || format!("qname={name} qtype={kind}"), notes);
        for record in &records {
            match &record.data {
                RecordData::Mx { host, .. } if is_root(host) => return Ok(None),
                RecordData::Mx { host, .. } if is_valid_address(host) => {
                    notes.push(RouteNote::Warning(format!(
                        "numeric domain name in resource data of MX record for {name}: {host}"
                    )));
                }
                _ => {}
            }
        }
        let filtered = filter_records(self.policy.filter.as_deref(), records, notes);
        if let Some(miss) = filter_miss(&filtered, name, kind) {
            return Err(miss);
        }
        let mut exchangers = Vec::new();
        if let Filtered::Kept(records) = filtered {
            for record in records {
                if let RecordData::Mx { preference, host } = record.data {
                    exchangers.push((preference, host, record.validated));
                }
            }
        }
        exchangers.sort_by_key(|(preference, ..)| *preference);
        let validated = exchangers.first().is_some_and(|(.., validated)| *validated);
        let exchangers = exchangers
            .into_iter()
            .map(|(p, host, _)| (p, host))
            .collect();
        Ok(Some((exchangers, validated)))
    }

    fn mx_path(&mut self, exchangers: Vec<Exchanger>, validated: bool) {
        let validate = validated || self.policy.validate_insecure_mx;
        let host =
            |(_, name): &Exchanger| HostLookup::new(name.as_str().into(), validate, &self.policy);
        let hosts = exchangers.iter().map(host).collect();
        self.stage = Stage::ExchangerHosts {
            preferences: exchangers
                .iter()
                .map(|(preference, _)| *preference)
                .collect(),
            validated,
        };
        self.look_up(hosts);
    }

    /// Returns whether mail exchangers are asked for.
    fn is_by_exchanger(&self) -> bool {
        self.policy.mail_domains && self.policy.dns != DnsSupport::Disabled && !self.bracketed
    }

    fn host_path(&mut self) {
        if let Some(address) = usable_address(&self.domain, &self.policy) {
            let found = plain(address, &self.domain);
            let only = self.candidate(found, &self.domain, 0, false);
            return self.finish_host(vec![only], None);
        }
        let validate = self.policy.dns == DnsSupport::Dnssec;
        let host = HostLookup::new(Arc::clone(&self.domain), validate, &self.policy);
        self.stage = Stage::Host;
        self.look_up(vec![host]);
    }

    fn look_up(&mut self, hosts: Vec<HostLookup>) {
        self.hosts = hosts;
        for index in 0..self.hosts.len() {
            self.ask_host(index);
        }
        self.finish_hosts();
    }

    /// Asks what is to be asked for a host and is not out yet.
    fn ask_host(&mut self, index: usize) {
        let Some(host) = self.hosts.get_mut(index) else {
            return;
        };
        for query in host.open_questions(&self.policy) {
            let purpose = Purpose::Host(index, query.kind);
            if !self.outstanding.values().any(|out| *out == purpose) {
                self.ask(purpose, query);
            }
        }
    }

    fn finish_hosts(&mut self) {
        if !self.outstanding.is_empty() {
            return;
        }
        match core::mem::replace(&mut self.stage, Stage::Done) {
            Stage::ExchangerHosts {
                preferences,
                validated,
            } => self.finish_exchangers(&preferences, validated),
            Stage::Host => {
                if let Some(host) = self.hosts.pop() {
                    let verdict = host.verdict(false, &self.policy, &mut self.notes);
                    let found = verdict.addresses.into_iter();
                    let list = found.map(|found| self.candidate(found, &self.domain, 0, false));
                    self.finish_host(list.collect(), verdict.failure);
                }
            }
            stage @ (Stage::Exchangers | Stage::Done) => self.stage = stage,
        }
    }

    fn finish_exchangers(&mut self, preferences: &[u16], validated: bool) {
        let mut failure: Option<(EnhancedStatus, String)> = None;
        let mut list = Vec::new();
        let hosts = core::mem::take(&mut self.hosts);
        for (host, preference) in hosts.into_iter().zip(preferences) {
            let soft = failure
                .as_ref()
                .is_some_and(|(status, _)| status.class() == 4);
            let name = Arc::clone(&host.name);
            let verdict = host.verdict(soft, &self.policy, &mut self.notes);
            failure = verdict.failure.or(failure);
            let full_host = verdict.addresses.len() >= LIST_LIMIT;
            let found = verdict.addresses.into_iter();
            list.extend(found.map(|found| self.candidate(found, &name, *preference, validated)));
            if limit(&mut list, &mut self.notes) || full_host {
                break;
            }
        }
        let Some(best_found) = list.first().map(|c: &Candidate| c.preference) else {
            return self.no_exchanger_address(failure);
        };
        let own = self
            .detects_loops()
            .then(|| self.policy.own.find_in(&list))
            .flatten();
        let own = own.map(|c| c.preference);
        if let Some(preference) = own {
            truncate_at(&mut list, preference);
        }
        let i_am_mx = own.is_some();
        if list.is_empty() {
            return self.loops(preferences.first() != Some(&best_found));
        }
        let list = balance::order(list, &self.policy, self.seed);
        self.finish(Ok(list), i_am_mx);
    }

    /// Nothing is left above this system. `hidden` says that a better mail
    /// exchanger exists, but has no address.
    fn loops(&mut self, hidden: bool) {
        let domain = &self.written;
        let (status, text) = if hidden {
            let text = format!("unable to find primary relay for {domain}");
            (EnhancedStatus::new(4, 4, 4), text)
        } else {
            let text = format!("mail for {domain} loops back to myself");
            (EnhancedStatus::new(5, 4, 6), text)
        };
        self.finish(Err(RouteFailure { status, text }), true);
    }

    fn no_exchanger_address(&mut self, failure: Option<(EnhancedStatus, String)>) {
        self.warn(format!(
            "no MX host for {} has a valid address record",
            self.written
        ));
        let (mut status, text) = failure.unwrap_or_else(unavailable);
        if self.policy.defer_without_mx_address && status.class() == 5 {
            status = status.with_class(4);
        }
        self.fail(status, text);
    }

    /// The destination itself is the host. Where it has no address, `failure` says why.
    fn finish_host(&mut self, mut list: Vec<Candidate>, failure: Option<(EnhancedStatus, String)>) {
        limit(&mut list, &mut self.notes);
        if list.is_empty() {
            let (status, text) = failure.unwrap_or_else(unavailable);
            return self.fail(status, text);
        }
        if self.detects_loops() && self.policy.own.find_in(&list).is_some() {
            let name = match self.is_by_exchanger() {
                true => &self.domain,
                false => &self.written,
            };
            let text = format!("mail for {name} loops back to myself");
            return self.fail(EnhancedStatus::new(5, 4, 6), text);
        }
        let list = balance::order(list, &self.policy, self.seed);
        self.finish(Ok(list), false);
    }

    /// A candidate from an address of a host.
    fn candidate(
        &self,
        found: HostAddress,
        name: &Arc<str>,
        preference: u16,
        mx_validated: bool,
    ) -> Candidate {
        let host = match self.policy.cname_overrides_name {
            true => &found.canonical,
            false => name,
        };
        Candidate {
            host: Arc::clone(host),
            address: found.address,
            port: self.port,
            preference,
            host_validated: found.validated,
            mx_validated,
            asked: Arc::clone(name),
            canonical: found.canonical,
        }
    }

    fn detects_loops(&self) -> bool {
        self.policy.mail_domains && self.port == SMTP_PORT
    }

    fn warn(&mut self, text: String) {
        self.notes.push(RouteNote::Warning(text));
    }

    fn fail(&mut self, status: EnhancedStatus, text: String) {
        self.finish(Err(RouteFailure { status, text }), false);
    }

    fn finish(&mut self, result: Result<Vec<Candidate>, RouteFailure>, i_am_mx: bool) {
        self.stage = Stage::Done;
        self.resolved = Some(Resolved {
            result,
            i_am_mx,
            exchange: self.exchange.take(),
            notes: core::mem::take(&mut self.notes),
        });
    }
}

/// The excuse if nothing could be asked at all.
fn unavailable() -> (EnhancedStatus, String) {
    let text = "server unavailable or unable to receive mail".to_owned();
    (EnhancedStatus::new(4, 3, 0), text)
}

/// Cuts the list of a destination; true if it was too long.
fn limit(list: &mut Vec<Candidate>, notes: &mut Vec<RouteNote>) -> bool {
    let last = list
        .get(LIST_LIMIT - 1)
        .filter(|_| list.len() > LIST_LIMIT)
        .map(|last| format!("qname={} qtype={}", last.asked, kind_of(last.address)));
    cut(list, || last.unwrap_or_default(), notes)
}
