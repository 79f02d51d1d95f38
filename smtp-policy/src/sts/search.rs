//! The questions that a domain's policy takes: its record, the addresses of the web
//! server, the file. No I/O: they go to the driver.

use core::time::Duration;
use std::{net::IpAddr, sync::Arc};

use super::{
    FetchError, Fetched, MtaSts, PolicyFetch, StsError, StsPolicy,
    cache::Next,
    fetch::{PATH, SIZE_LIMIT, TIME_LIMIT},
    record::policy_id,
};
use crate::dns::{Answer, Failure, Query, QueryKind, RecordData};

/// The most addresses of a web server that are tried.
const ADDRESS_LIMIT: usize = 10;

/// The search for one domain's policy.
#[derive(Debug)]
pub(crate) struct StsSearch {
    sts: Arc<MtaSts>,
    domain: String,
    stage: Stage,
    /// The families of addresses that are still to be looked for, last first.
    families: Vec<QueryKind>,
    addresses: Vec<IpAddr>,
    id: String,
    /// The time of day, in Unix time.
    now: Duration,
}

#[derive(Debug)]
enum Stage {
    Record,
    Addresses(QueryKind),
    File,
    Done(Found),
}

/// What a search wants, or has found.
#[derive(Debug)]
pub(crate) enum StsStep {
    /// Find DNS records.
    Resolve(Query),
    /// Fetch the file.
    Fetch(PolicyFetch),
    /// The search is over.
    Done(Found),
}

/// What came of a search.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The policy that holds; `None` if there is none, also if it says so.
    pub(crate) policy: Option<Arc<StsPolicy>>,
    /// Why the newest policy could not be had, if that was tried.
    pub(crate) trouble: Option<StsError>,
}

impl StsSearch {
    /// For a domain in A-labels. Addresses are looked for in these families.
    pub(crate) fn new(
        sts: Arc<MtaSts>,
        domain: &str,
        ipv4: bool,
        ipv6: bool,
        now: Duration,
    ) -> Self {
        let domain = domain.to_ascii_lowercase();
        let stage = match sts.cache().consult(&domain, now) {
            Next::Known(policy) => Stage::Done(Found {
                policy,
                trouble: None,
            }),
            Next::Ask => Stage::Record,
        };
        let ipv6 = ipv6.then_some(QueryKind::Aaaa);
        let ipv4 = ipv4.then_some(QueryKind::A);
        Self {
            sts,
            domain,
            stage,
            families: ipv4.into_iter().chain(ipv6).collect(),
            addresses: Vec::new(),
            id: String::new(),
            now,
        }
    }

    /// The domain, in small letters.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    fn host(&self) -> String {
        format!("mta-sts.{}", self.domain)
    }

    /// What to do next.
    pub(crate) fn step(&mut self) -> StsStep {
        match &self.stage {
            Stage::Record => {
                let name = format!("_mta-sts.{}", self.domain);
                StsStep::Resolve(Query::new(name, QueryKind::Txt))
            }
            Stage::Addresses(kind) => StsStep::Resolve(Query::new(self.host(), *kind)),
            Stage::File => StsStep::Fetch(PolicyFetch {
                domain: self.domain.clone(),
                id: self.id.clone(),
                host: self.host(),
                path: PATH,
                addresses: self.addresses.clone(),
                port: self.sts.port,
                limit: TIME_LIMIT,
                size: SIZE_LIMIT,
                authorities: Arc::clone(&self.sts.authorities),
            }),
            Stage::Done(found) => StsStep::Done(found.clone()),
        }
    }

    /// The answer to [`StsStep::Resolve`].
    pub(crate) fn resolved(&mut self, answer: Result<Answer, Failure>) {
        match self.stage {
            Stage::Record => self.on_record(answer),
            Stage::Addresses(_) => {
                let records = answer.map(|answer| answer.records).unwrap_or_default();
                let found = records.iter().filter_map(|record| record.data.address());
                self.addresses.extend(found);
                self.addresses.truncate(ADDRESS_LIMIT);
                self.next_family();
            }
            Stage::File | Stage::Done(_) => {}
        }
    }

    fn on_record(&mut self, answer: Result<Answer, Failure>) {
        let records = answer.map(|answer| answer.records).unwrap_or_default();
        let texts = records.iter().filter_map(|record| match &record.data {
            RecordData::Txt(text) => Some(text.as_slice()),
            _ => None,
        });
        let id = policy_id(texts);
        let next = self
            .sts
            .cache()
            .on_record(&self.domain, id.as_deref(), self.now);
        match next {
            Next::Known(policy) => {
                self.stage = Stage::Done(Found {
                    policy,
                    trouble: None,
                });
            }
            Next::Ask => {
                self.id = id.unwrap_or_default();
                self.next_family();
            }
        }
    }

    fn next_family(&mut self) {
        match self.families.pop() {
            Some(kind) => self.stage = Stage::Addresses(kind),
            None if self.addresses.is_empty() => {
                let text = format!("no address of {}", self.host());
                self.settle(Err(FetchError::Other(text).into()), self.now);
            }
            None => self.stage = Stage::File,
        }
    }

    /// The answer to [`StsStep::Fetch`].
    pub(crate) fn fetched(&mut self, result: Result<Fetched, FetchError>) {
        if matches!(self.stage, Stage::File) {
            let age = result.as_ref().map_or(Duration::ZERO, |answer| answer.age);
            let policy = result.map_err(StsError::from);
            let policy = policy.and_then(|answer| StsPolicy::from_answer(&answer));
            self.settle(policy, self.now.saturating_sub(age));
        }
    }

    fn settle(&mut self, result: Result<StsPolicy, StsError>, fetched: Duration) {
        let (policy, trouble) = match result {
            Ok(policy) => (Some(policy), None),
            Err(trouble) => (None, Some(trouble)),
        };
        let policy = self
            .sts
            .cache()
            .on_policy(&self.domain, &self.id, policy, fetched, self.now);
        self.stage = Stage::Done(Found { policy, trouble });
    }
}
