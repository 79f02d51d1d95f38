//! The questions that the TLS policy of one server takes: the policy table, the
//! per-site table, TLSA records (`src/smtp/smtp_tls_policy.c`, policy_create and
//! dane_init; `src/tls/tls_dane.c`, tls_dane_resolve). No I/O: the questions go to
//! the driver.

use core::time::Duration;
use std::{collections::VecDeque, sync::Arc};

use smtp_proto::status::EnhancedStatus;

use super::{
    attributes::{self, Attributes},
    level::TlsLevel,
    policy::{DaneFinding, StsRule, TlsPolicy, TlsRules},
    result::{PolicyType, ResultType, TlsResult},
    story::{LevelSource, Story},
};
use crate::{
    dns::{
        Answer, Failure, Query, QueryKind,
        names::{Wildcard, is_valid_hostname},
    },
    route::{MailExchange, idna::Idna},
    sts::{
        FetchError, Fetched, PolicyFetch,
        search::{StsSearch, StsStep},
    },
    tables::{MapsSearch, MapsStep, TableFailure},
};

/// The server that is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The destination as it is written, or the path of the socket.
    pub(crate) destination: Arc<str>,
    /// The name of the server.
    pub(crate) host: Arc<str>,
    /// `None` for a UNIX-domain socket.
    pub(crate) port: Option<u16>,
    /// The name that was asked for its address.
    pub(crate) asked: Arc<str>,
    /// The name that the address record belongs to.
    pub(crate) canonical: Arc<str>,
    /// The address record was validated.
    pub(crate) validated: bool,
    /// The mail exchanger records that led here, if some did.
    pub(crate) exchange: Option<MailExchange>,
    /// The domain whose MTA-STS policy can hold here, in A-labels: that of the
    /// destination, if its mail exchangers were looked up.
    pub(crate) sts_domain: Option<String>,
    /// The sender waives what the domain publishes about TLS (RFC 8689 section 5).
    pub(crate) waived: bool,
    /// The time of day, in Unix time, as far as it is known.
    pub(crate) unix_time: Duration,
}

/// Why a server is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: EnhancedStatus,
    pub(crate) text: String,
}

/// What a search wants, or has found.
#[derive(Debug)]
pub(crate) enum SearchStep {
    /// Ask the external table for the key.
    Ask { table: String, key: String },
    /// Find DNS records.
    Resolve(Query),
    /// Fetch a file over HTTPS.
    Fetch(PolicyFetch),
    /// The search is over.
    Done(Result<TlsPolicy, Refusal>),
}

/// The search for one server's policy.
#[derive(Debug)]
pub(crate) struct PolicySearch {
    pub(super) rules: Arc<TlsRules>,
    pub(super) subject: Subject,
    pub(super) stage: Stage,
    pub(super) level: TlsLevel,
    pub(super) attributes: Attributes,
    pub(super) finding: DaneFinding,
    /// A table says what holds.
    pub(super) explicit: bool,
    /// The MTA-STS policy that was found.
    pub(super) sts: Option<StsRule>,
    /// What goes into the log.
    pub(crate) warnings: Vec<String>,
    /// What goes into reports on TLS.
    pub(crate) results: Vec<TlsResult>,
    /// How it came about.
    pub(crate) story: Story,
}

/// How far a search has come.
#[derive(Debug)]
pub(super) enum Stage {
    Policy {
        search: MapsSearch,
        key: String,
        parents: VecDeque<MapsSearchKey>,
    },
    Site {
        search: MapsSearch,
        class: &'static str,
        key: String,
        found: Option<TlsLevel>,
        host: Option<MapsSearch>,
    },
    Level,
    Alias,
    Records {
        base: Arc<str>,
        fallback: Option<Arc<str>>,
    },
    Sts(Box<StsSearch>),
    Done(Result<TlsPolicy, Refusal>),
}

/// A key that is looked up if the one before it is not found.
type MapsSearchKey = (String, MapsSearch);

impl PolicySearch {
    pub(crate) fn new(rules: Arc<TlsRules>, subject: Subject, utf8: Option<Idna>) -> Self {
        let destination = Arc::clone(&subject.destination);
        let stage = if !rules.tls.policy.is_empty() {
            let mut keys: VecDeque<MapsSearchKey> = policy_keys(&destination, utf8)
                .into_iter()
                .map(|key| (key.clone(), rules.tls.policy.search(&key)))
                .collect();
            match keys.pop_front() {
                Some((key, search)) => Stage::Policy {
                    search,
                    key,
                    parents: keys,
                },
                None => Stage::Level,
            }
        } else if !rules.tls.per_site.is_empty() {
            let search = |key: &str| rules.tls.per_site.search(key);
            let differs = !destination.eq_ignore_ascii_case(&subject.host);
            Stage::Site {
                search: search(&destination),
                class: "next-hop destination",
                host: differs.then(|| search(&subject.host)),
                key: destination.to_string(),
                found: None,
            }
        } else {
            Stage::Level
        };
        Self {
            level: rules.level,
            rules,
            subject,
            stage,
            attributes: Attributes::default(),
            finding: DaneFinding::default(),
            explicit: false,
            sts: None,
            warnings: Vec::new(),
            results: Vec::new(),
            story: Story::default(),
        }
    }

    /// Goes on as far as it can without an answer.
    pub(crate) fn step(&mut self) -> SearchStep {
        loop {
            match &mut self.stage {
                Stage::Policy { search, .. } => match search.next() {
                    MapsStep::Ask { table, key } => return SearchStep::Ask { table, key },
                    MapsStep::Done(result) => self.policy_entry(result),
                },
                Stage::Site { search, .. } => match search.next() {
                    MapsStep::Ask { table, key } => return SearchStep::Ask { table, key },
                    MapsStep::Done(result) => self.site_entry(result),
                },
                Stage::Level => self.level_is_known(),
                Stage::Alias => {
                    let name = self.subject.asked.to_string();
                    return SearchStep::Resolve(signed(name, QueryKind::Cname));
                }
                Stage::Records { base, .. } => {
                    let port = self.subject.port.unwrap_or_default();
                    let name = format!("_{port}._tcp.{base}");
                    return SearchStep::Resolve(signed(name, QueryKind::Tlsa));
                }
                Stage::Sts(search) => match search.step() {
                    StsStep::Resolve(query) => return SearchStep::Resolve(query),
                    StsStep::Fetch(fetch) => return SearchStep::Fetch(fetch),
                    StsStep::Done(found) => {
                        let domain = search.domain().to_owned();
                        self.on_sts(domain, found);
                    }
                },
                Stage::Done(result) => return SearchStep::Done(result.clone()),
            }
        }
    }

    /// The answer to [`SearchStep::Ask`].
    pub(crate) fn answered(&mut self, value: Result<Option<String>, TableFailure>) {
        if let Stage::Policy { search, .. } | Stage::Site { search, .. } = &mut self.stage {
            search.answered(value);
        }
    }

    /// The answer to [`SearchStep::Resolve`].
    pub(crate) fn resolved(&mut self, answer: Result<Answer, Failure>) {
        if let Stage::Sts(search) = &mut self.stage {
            return search.resolved(answer);
        }
        match core::mem::replace(&mut self.stage, Stage::Level) {
            Stage::Alias => self.on_alias(answer),
            Stage::Records { base, fallback } => self.on_records(base, fallback, answer),
            other => self.stage = other,
        }
    }

    /// The answer to [`SearchStep::Fetch`].
    pub(crate) fn fetched(&mut self, result: Result<Fetched, FetchError>) {
        if let Stage::Sts(search) = &mut self.stage {
            search.fetched(result);
        }
    }

    pub(super) fn fail(&mut self, status: EnhancedStatus, text: impl Into<String>) {
        self.stage = Stage::Done(Err(Refusal {
            status,
            text: text.into(),
        }));
    }

    /// A policy of the domain cannot be applied.
    pub(super) fn failed(&mut self, policy: PolicyType, failure: ResultType) {
        let domain = match (policy, &self.subject.sts_domain, &self.subject.exchange) {
            (PolicyType::Sts, Some(domain), _) => domain.to_ascii_lowercase(),
            (_, _, Some(exchange)) => exchange.asked.clone(),
            _ => self.subject.destination.to_string(),
        };
        self.results.push(TlsResult {
            policy,
            domain,
            mx_host: self.subject.host.to_string(),
            failure: Some(failure),
        });
    }

    pub(super) fn misconfigured(&mut self) {
        self.fail(
            EnhancedStatus::new(4, 7, 5),
            "client TLS configuration problem",
        );
    }

    fn policy_entry(&mut self, result: Result<Option<String>, TableFailure>) {
        let Stage::Policy { key, parents, .. } = &mut self.stage else {
            return;
        };
        let place = format!(
            "{}_tls_policy_maps, next-hop destination \"{key}\"",
            self.rules.prefix
        );
        let mut notes = Vec::new();
        let parsed = match result {
            Ok(None) => {
                self.stage = match parents.pop_front() {
                    Some((key, search)) => {
                        let parents = core::mem::take(parents);
                        Stage::Policy {
                            search,
                            key,
                            parents,
                        }
                    }
                    None => Stage::Level,
                };
                return;
            }
            Ok(Some(entry)) => {
                let parsed = attributes::parse(&entry, &mut notes);
                let key = key.clone();
                self.story.source = LevelSource::PolicyMap { key, entry };
                parsed
            }
            Err(_) => Err("policy table lookup error".into()),
        };
        let notes = notes.into_iter().chain(parsed.as_ref().err().cloned());
        self.warnings
            .extend(notes.map(|note| format!("{place}: {note}")));
        match parsed {
            Ok((level, mut attributes)) => {
                let enforced = self.rules.tls.enforce_sts_patterns;
                let host = &self.subject.host;
                if enforced && !attributes.enforce_sts(host) {
                    let domain = attributes.published_by();
                    let text =
                        format!("MTA-STS policy of {domain} does not name mail exchanger {host}");
                    return self.fail(EnhancedStatus::new(4, 7, 5), text);
                }
                (self.level, self.attributes) = (level, attributes);
                self.explicit = true;
                self.stage = Stage::Level;
            }
            Err(_) => self.misconfigured(),
        }
    }

    /// An entry of the obsolete per-site table. NONE is more than not found and
    /// MAY, MAY is more than not found, the others raise the level.
    fn site_entry(&mut self, result: Result<Option<String>, TableFailure>) {
        let Stage::Site {
            class,
            key,
            found,
            host,
            ..
        } = &mut self.stage
        else {
            return;
        };
        let title = format!("{}_tls_per_site", self.rules.prefix);
        let word = match result {
            Ok(None) => None,
            Ok(Some(entry)) => {
                let word = entry.to_ascii_uppercase();
                let key = key.clone();
                self.story.source = LevelSource::PerSite { key, entry };
                Some(word)
            }
            Err(_) => {
                self.warnings.push(format!(
                    "{title}: {class} \"{key}\": per-site table lookup error"
                ));
                return self.fail(EnhancedStatus::new(4, 3, 0), "Temporary lookup error");
            }
        };
        *found = match word.as_deref() {
            None => *found,
            Some("NONE") if *found <= Some(TlsLevel::May) => Some(TlsLevel::None),
            Some("MAY") => Some(found.unwrap_or(TlsLevel::May)),
            Some("MUST_NOPEERMATCH") => (*found).max(Some(TlsLevel::Encrypt)),
            Some("MUST") => (*found).max(Some(TlsLevel::Verify)),
            Some("NONE") => *found,
            Some(word) => {
                self.warnings.push(format!(
                    "{title}: unknown TLS policy '{word}' for {class} {key}"
                ));
                return self.misconfigured();
            }
        };
        if let Some(search) = host.take() {
            let found = *found;
            let key = self.subject.host.to_string();
            self.stage = Stage::Site {
                search,
                class: "server hostname",
                key,
                found,
                host: None,
            };
            return;
        }
        self.explicit = found.is_some();
        self.level = match *found {
            None => self.level,
            // A wildcard does not lower what holds for everybody.
            Some(TlsLevel::May) => self.level.max(TlsLevel::May),
            Some(level) => level,
        };
        self.stage = Stage::Level;
    }

    fn level_is_known(&mut self) {
        self.story.configured = self.level;
        if self.subject.waived && self.level == TlsLevel::Dane {
            self.level = TlsLevel::May;
        }
        if self.level.is_dane() && self.finding == DaneFinding::default() {
            self.begin_dane();
        } else {
            self.conclude();
        }
    }

    pub(super) fn finish(&mut self) {
        let attributes = core::mem::take(&mut self.attributes);
        let finding = core::mem::take(&mut self.finding);
        let destination = &self.subject.destination;
        let sts = self.sts.take();
        let mut policy = self.rules.policy(
            destination,
            self.level,
            attributes,
            finding,
            &mut self.warnings,
        );
        if let (Ok(found), Some(rule)) = (&policy, sts) {
            policy = self.rules.with_sts(found.clone(), rule, &mut self.warnings);
        }
        match policy {
            Ok(policy) => self.stage = Stage::Done(Ok(policy)),
            Err(_) => self.misconfigured(),
        }
    }
}

/// The keys of the policy table: the destination, and if that is a bare domain, its
/// parents with a dot in front.
fn policy_keys(destination: &str, utf8: Option<Idna>) -> Vec<String> {
    let ascii = match utf8 {
        Some(idna) => idna.to_ascii(destination),
        None => Some(destination.into()),
    };
    let domain = ascii.is_some_and(|name| is_valid_hostname(&name, Wildcard::Forbidden));
    let mut keys = vec![destination.to_owned()];
    if domain {
        let dots = destination.match_indices('.').filter(|(at, _)| *at > 0);
        keys.extend(
            dots.filter_map(|(at, _)| destination.get(at..))
                .map(str::to_owned),
        );
    }
    keys
}

fn signed(name: String, kind: QueryKind) -> Query {
    Query {
        validate: true,
        ..Query::new(name, kind)
    }
}
