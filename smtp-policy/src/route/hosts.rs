//! The addresses of one host: which questions to ask, and what the answers
//! come to. Answers to `smtp_addr_one` in Postfix's `src/smtp/smtp_addr.c` and
//! to `src/dns/dns_lookup_types.c`.

use std::{net::IpAddr, sync::Arc};

use smtp_proto::EnhancedStatus;

use super::balance::LIST_LIMIT;
use super::filter::{Filtered, filter_records};
use super::{DnsSupport, RouteNote, RoutePolicy};
use crate::dns::names::{Wildcard, is_valid_address, is_valid_hostname, numeric_address};
use crate::dns::{Answer, Failure, Family, NativeFailure, Query, QueryKind};

/// One address of a host.
#[derive(Clone, Debug)]
pub(super) struct HostAddress {
    pub(super) address: IpAddr,
    /// The owner name of the record.
    pub(super) canonical: Arc<str>,
    pub(super) validated: bool,
}

/// What a lookup came to, worst last (`src/dns/dns.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Filtered,
    Temporary,
    Invalid,
    NonRecoverable,
    NotFound,
}

/// Why a lookup gave nothing.
#[derive(Clone, Debug)]
pub(super) struct Miss {
    pub(super) rank: Rank,
    pub(super) text: String,
}

/// Judges the failure of the question for `name` and `kind`; warnings go to
/// `notes`.
pub(super) fn miss(
    failure: &Failure,
    name: &str,
    kind: QueryKind,
    notes: &mut Vec<RouteNote>,
) -> Miss {
    let (inner, at) = failure.at(name);
    let rank = match inner {
        Failure::NotFound
        | Failure::NoData
        | Failure::InvalidName
        | Failure::Unexpected
        | Failure::Loop => Rank::NotFound,
        Failure::NonRecoverable => Rank::NonRecoverable,
        Failure::Malformed(_) => Rank::Invalid,
        Failure::TryAgain
        | Failure::Garbled(_)
        | Failure::Native { .. }
        | Failure::Aliased { .. } => Rank::Temporary,
    };
    match inner {
        Failure::Malformed(warnings) | Failure::Garbled(warnings) => {
            notes.extend(
                warnings
                    .lines()
                    .map(|line| RouteNote::Warning(line.to_owned())),
            );
        }
        Failure::Loop => {
            let text = format!("dns_lookup: Name server loop for {at}");
            notes.push(RouteNote::Warning(text));
        }
        _ => {}
    }
    Miss {
        rank,
        text: failure.reason(name, kind),
    }
}

/// Whether DNS may be asked for `name` at all.
pub(super) fn can_be_asked(name: &str) -> bool {
    !is_valid_address(name) && (name == "." || is_valid_hostname(name, Wildcard::Allowed))
}

/// The reason that the filter, not DNS, left nothing of an answer.
pub(super) fn filter_miss(filtered: &Filtered, name: &str, kind: QueryKind) -> Option<Miss> {
    let (rank, why) = match filtered {
        Filtered::Kept(_) => return None,
        Filtered::AllDropped => (Rank::Filtered, "DNS reply filter drops all results"),
        Filtered::Failed => (Rank::Temporary, "Invalid DNS reply filter syntax"),
    };
    let text = format!("Error looking up name={name} type={kind}: {why}");
    Some(Miss { rank, text })
}

/// What one question of a host came to, with its lines for the log.
#[derive(Debug)]
struct Outcome {
    result: Result<Vec<HostAddress>, Miss>,
    notes: Vec<RouteNote>,
}

/// One question of a host.
#[derive(Debug)]
struct Part {
    query: Query,
    outcome: Option<Outcome>,
}

/// The lookup of one host.
#[derive(Debug)]
pub(super) struct HostLookup {
    pub(super) name: Arc<str>,
    numeric: Option<IpAddr>,
    /// The DNS questions, IPv4 first.
    dns: Vec<Part>,
    /// The question to the operating system, once it is asked.
    native: Option<Native>,
    native_allowed: bool,
}

#[derive(Debug)]
struct Native {
    query: Query,
    answer: Option<Result<Answer, Failure>>,
}

/// The verdict on a host.
pub(super) struct Verdict {
    /// The addresses; they may be many more than one list takes.
    pub(super) addresses: Vec<HostAddress>,
    /// No address, and why. `None` with no addresses: nothing was asked.
    pub(super) failure: Option<(EnhancedStatus, String)>,
}

/// The address that a name is, if it is one of a family in use.
pub(super) fn usable_address(name: &str, policy: &RoutePolicy) -> Option<IpAddr> {
    numeric_address(name).filter(|address| policy.families.allow(*address))
}

impl HostLookup {
    pub(super) fn new(name: Arc<str>, validate: bool, policy: &RoutePolicy) -> Self {
        let numeric = usable_address(&name, policy);
        let use_dns = policy.host_lookup.dns && policy.dns != DnsSupport::Disabled;
        let native = policy.host_lookup.native || policy.dns == DnsSupport::Disabled;
        let kinds = [
            (policy.families.ipv4, QueryKind::A),
            (policy.families.ipv6, QueryKind::Aaaa),
        ];
        let part = |kind| Part {
            query: Query {
                name: name.to_string(),
                kind,
                validate,
                search: policy.search,
            },
            outcome: None,
        };
        let wanted = |used: bool| used && use_dns && numeric.is_none();
        let mut host = Self {
            dns: kinds
                .into_iter()
                .filter(|(used, _)| wanted(*used))
                .map(|(_, kind)| part(kind))
                .collect(),
            numeric,
            native: None,
            native_allowed: native && numeric.is_none(),
            name,
        };
        host.settle_unaskable();
        host
    }

    /// Names that are never sent to a server have their outcome at once.
    fn settle_unaskable(&mut self) {
        if self.dns.is_empty() || can_be_asked(&self.name) {
            return;
        }
        for part in &mut self.dns {
            let mut notes = Vec::new();
            let miss = miss(
                &Failure::InvalidName,
                &self.name,
                part.query.kind,
                &mut notes,
            );
            part.outcome = Some(Outcome {
                result: Err(miss),
                notes,
            });
        }
    }

    /// The questions that can be asked now. To be called again after each
    /// answer: a question to the operating system waits for those to DNS. The
    /// caller keeps track of what it has asked.
    pub(super) fn open_questions(&mut self, policy: &RoutePolicy) -> Vec<Query> {
        let open = |part: &&Part| part.outcome.is_none();
        let mut queries: Vec<Query> = self
            .dns
            .iter()
            .filter(open)
            .map(|p| p.query.clone())
            .collect();
        let unknown_to_dns = self.dns.iter().all(Part::is_not_found);
        if self.native_allowed && unknown_to_dns {
            let native = self.native.get_or_insert_with(|| Native {
                query: native_query(&self.name, policy),
                answer: None,
            });
            if native.answer.is_none() {
                queries.push(native.query.clone());
            }
        }
        queries
    }

    /// Takes the answer to one of the questions; a second one is ignored.
    pub(super) fn answer(
        &mut self,
        kind: QueryKind,
        answer: Result<Answer, Failure>,
        policy: &RoutePolicy,
    ) {
        if matches!(kind, QueryKind::Native(_)) {
            if let Some(native) = &mut self.native {
                native.answer.get_or_insert(answer);
            }
            return;
        }
        if let Some(part) = self.dns.iter_mut().find(|part| part.query.kind == kind) {
            part.outcome
                .get_or_insert_with(|| judge(&part.query, answer, policy));
        }
    }

    /// What the answers come to. `soft` says that a host before this one
    /// failed for now: then failures that would be final are not.
    pub(super) fn verdict(
        self,
        soft: bool,
        policy: &RoutePolicy,
        notes: &mut Vec<RouteNote>,
    ) -> Verdict {
        if let Some(address) = self.numeric {
            return Verdict {
                addresses: vec![plain(address, &self.name)],
                failure: None,
            };
        }
        let mut addresses = Vec::new();
        let mut worst: Option<Miss> = None;
        for outcome in self.dns.into_iter().filter_map(|part| part.outcome) {
            notes.extend(outcome.notes);
            match outcome.result {
                Ok(found) => {
                    let full = append_limited(&mut addresses, found, &self.name, notes);
                    if full || addresses.len() >= LIST_LIMIT {
                        break;
                    }
                }
                // The best outcome counts; among equals the text of the last.
                Err(miss) => match &worst {
                    Some(old) if old.rank < miss.rank => {}
                    _ => worst = Some(miss),
                },
            }
        }
        if !addresses.is_empty() {
            return Verdict {
                addresses,
                failure: None,
            };
        }
        if let Some(answer) = self.native.and_then(|native| native.answer) {
            return native_verdict(answer, &self.name, soft, policy, notes);
        }
        Verdict {
            addresses,
            failure: worst.map(|miss| (host_status(miss.rank, soft), miss.text)),
        }
    }
}

impl Part {
    fn is_not_found(&self) -> bool {
        let result = self.outcome.as_ref().map(|outcome| &outcome.result);
        matches!(result, Some(Err(miss)) if miss.rank == Rank::NotFound)
    }
}

fn native_query(name: &str, policy: &RoutePolicy) -> Query {
    let family = match (policy.families.ipv4, policy.families.ipv6) {
        (true, false) => Family::V4,
        (false, true) => Family::V6,
        _ => Family::Any,
    };
    Query::new(name, QueryKind::Native(family))
}

/// An address that nobody was asked for, or that no record has.
pub(super) fn plain(address: IpAddr, name: &Arc<str>) -> HostAddress {
    HostAddress {
        address,
        canonical: Arc::clone(name),
        validated: false,
    }
}

/// The kind of the records that hold such addresses, for the log.
pub(super) const fn kind_of(address: IpAddr) -> QueryKind {
    match address {
        IpAddr::V4(_) => QueryKind::A,
        IpAddr::V6(_) => QueryKind::Aaaa,
    }
}

fn judge(query: &Query, answer: Result<Answer, Failure>, policy: &RoutePolicy) -> Outcome {
    let mut notes = Vec::new();
    let result = judge_records(query, answer, policy, &mut notes);
    Outcome { result, notes }
}

fn judge_records(
    query: &Query,
    answer: Result<Answer, Failure>,
    policy: &RoutePolicy,
    notes: &mut Vec<RouteNote>,
) -> Result<Vec<HostAddress>, Miss> {
    let (name, kind) = (&query.name, query.kind);
    let answer = answer.map_err(|failure| miss(&failure, name, kind, notes))?;
    let mut records = answer.records;
    records.retain(|record| record.data.kind() == kind);
    if records.is_empty() {
        return Err(miss(&Failure::NoData, name, kind, notes));
    }
    cut(&mut records, || format!("qname={name} qtype={kind}"), notes);
    let filtered = filter_records(policy.filter.as_deref(), records, notes);
    if let Some(miss) = filter_miss(&filtered, name, kind) {
        return Err(miss);
    }
    let Filtered::Kept(records) = filtered else {
        return Ok(Vec::new());
    };
    let address = |record: crate::dns::Record| {
        Some(HostAddress {
            address: record.data.address()?,
            canonical: record.owner.into(),
            validated: record.validated,
        })
    };
    Ok(records.into_iter().filter_map(address).collect())
}

fn host_status(rank: Rank, soft: bool) -> EnhancedStatus {
    let class = if soft { 4 } else { 5 };
    match rank {
        Rank::Filtered => EnhancedStatus::new(4, 7, 0),
        Rank::Temporary => EnhancedStatus::new(4, 4, 3),
        Rank::NonRecoverable => EnhancedStatus::new(class, 4, 3),
        Rank::Invalid | Rank::NotFound => EnhancedStatus::new(class, 4, 4),
    }
}

fn native_verdict(
    answer: Result<Answer, Failure>,
    name: &Arc<str>,
    soft: bool,
    policy: &RoutePolicy,
    notes: &mut Vec<RouteNote>,
) -> Verdict {
    let addresses = match answer {
        Ok(answer) => usable(&answer, name, policy, notes),
        Err(failure) => {
            return Verdict {
                addresses: Vec::new(),
                failure: Some(native_failure(&failure, name, soft)),
            };
        }
    };
    let class = if soft { 4 } else { 5 };
    let failure = addresses.is_empty().then(|| {
        let status = EnhancedStatus::new(class, 4, 4);
        (status, format!("{name}: host not found"))
    });
    Verdict { addresses, failure }
}

fn usable(
    answer: &Answer,
    name: &Arc<str>,
    policy: &RoutePolicy,
    notes: &mut Vec<RouteNote>,
) -> Vec<HostAddress> {
    let mut addresses = Vec::new();
    for address in answer
        .records
        .iter()
        .filter_map(|record| record.data.address())
    {
        if policy.families.allow(address) {
            addresses.push(plain(address, name));
        } else {
            // The numbers of AF_INET and AF_INET6 on Linux.
            let family = if address.is_ipv4() { 2 } else { 10 };
            let text = format!("skipping address family {family} for host {name}");
            notes.push(RouteNote::Info(text));
        }
    }
    addresses
}

fn native_failure(failure: &Failure, name: &str, soft: bool) -> (EnhancedStatus, String) {
    let (retry, kind) = match failure {
        Failure::Native { retry, kind, .. } => (*retry || kind.is_temporary(), *kind),
        Failure::TryAgain => (true, NativeFailure::Again),
        _ => (false, NativeFailure::NoName),
    };
    let class = if soft || retry { 4 } else { 5 };
    let status = if kind.is_no_host() {
        EnhancedStatus::new(class, 4, 4)
    } else {
        EnhancedStatus::new(class, 3, 0)
    };
    let text = match failure {
        Failure::Native { message, .. } => format!("unable to look up host {name}: {message}"),
        other => other.reason(name, QueryKind::A),
    };
    (status, text)
}

/// Cuts a list of records at the limit, with a warning that names the question
/// of the last record that fits.
pub(super) fn cut<T>(
    list: &mut Vec<T>,
    question: impl FnOnce() -> String,
    notes: &mut Vec<RouteNote>,
) -> bool {
    let too_many = list.len() > LIST_LIMIT;
    if too_many {
        list.truncate(LIST_LIMIT);
        notes.push(RouteNote::Warning(format!(
            "DNS record count limit ({LIST_LIMIT}) exceeded -- dropping excess record(s) after {}",
            question()
        )));
    }
    too_many
}

/// Appends to the addresses of a host; true if the list is full.
fn append_limited(
    list: &mut Vec<HostAddress>,
    more: Vec<HostAddress>,
    name: &str,
    notes: &mut Vec<RouteNote>,
) -> bool {
    list.extend(more);
    let kind = list
        .get(LIST_LIMIT - 1)
        .map_or(QueryKind::A, |last| kind_of(last.address));
    cut(list, || format!("qname={name} qtype={kind}"), notes)
}
