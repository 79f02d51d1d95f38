//! MTA-STS policies: one fetch for all workers (RFC 8461).

use core::{fmt, time::Duration};
use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use smtp_policy::sts::{
    FetchError, Fetched, Kept, MtaSts, PolicyFetch, PolicyShare, ShareFuture, StsPolicy, Turn,
};

use super::{Aged, PAGE, Put, Scan, age, damaged};
use crate::{
    model::{Shared, Timestamp, WorkerName},
    store::{Operation, Store, StoreError, Transaction},
};

const TOPIC: &str = "sts";
const FETCHES: &str = "sts-fetch";
/// The time for which a worker has a domain's policy for itself to fetch. A fetch can take longer; another worker then
/// fetches too, which does no harm.
const CLAIM: Duration = Duration::from_secs(20);
/// The age up to which a policy saves a fetch: `smtp-policy` fetches older ones again.
const FRESH: Duration = Duration::from_secs(86_400);
/// A policy of the same id that is younger by less than this is not worth taking over.
const SAME: Duration = Duration::from_secs(3600);
/// One of another id: times that went through the store differ by a little.
const OTHER: Duration = Duration::from_secs(10);

/// The value of a thing.
#[derive(Debug, Deserialize, Serialize)]
struct Value {
    /// The id in the domain's record.
    id: String,
    /// The file.
    policy: String,
}

fn read(thing: &Shared) -> Result<(String, StsPolicy), StoreError> {
    let value: Value = serde_json::from_str(&thing.value).map_err(|why| damaged(thing, &why))?;
    let policy = StsPolicy::parse(value.policy.as_bytes()).map_err(|why| damaged(thing, &why))?;
    Ok((value.id, policy))
}

fn written(domain: &str, id: &str, policy: &StsPolicy, age: Duration) -> Option<Aged> {
    let value = Value {
        id: id.to_owned(),
        policy: policy.to_string(),
    };
    Some(Aged {
        key: domain.to_owned(),
        value: serde_json::to_string(&value).ok()?,
        age,
        lifetime: policy.max_age,
    })
}

/// The MTA-STS policies of all workers, for one that is about to fetch.
pub struct SharedPolicies<S> {
    store: S,
    worker: WorkerName,
}

impl<S> SharedPolicies<S> {
    /// Those in a store, for a worker.
    pub const fn new(store: S, worker: WorkerName) -> Self {
        Self { store, worker }
    }
}

impl<S> fmt::Debug for SharedPolicies<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPolicies")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl<S: Store> PolicyShare for SharedPolicies<S> {
    fn turn<'a>(&'a self, wanted: &'a PolicyFetch) -> ShareFuture<'a, Turn> {
        Box::pin(async move {
            let ask = Ask {
                domain: wanted.domain.clone(),
                id: wanted.id.clone(),
                worker: self.worker.clone(),
            };
            // A store that is away, or that holds nonsense, is no reason to go without a policy.
            self.store.run(ask).await.unwrap_or(Turn::Ours)
        })
    }

    fn tell<'a>(
        &'a self,
        wanted: &'a PolicyFetch,
        result: &'a Result<Fetched, FetchError>,
    ) -> ShareFuture<'a, ()> {
        Box::pin(async move {
            let fetched = result.as_ref().ok();
            let policy = fetched.and_then(|answer| StsPolicy::from_answer(answer).ok());
            let put = policy
                .and_then(|policy| written(&wanted.domain, &wanted.id, &policy, Duration::ZERO));
            let told = self.store.run(Tell {
                domain: wanted.domain.clone(),
                worker: self.worker.clone(),
                put,
            });
            // What cannot be told now is told by the next exchange.
            told.await.unwrap_or_default();
        })
    }
}

/// Looks for a policy, or claims the right to fetch it.
#[derive(Debug)]
struct Ask {
    domain: String,
    id: String,
    worker: WorkerName,
}

impl Operation for Ask {
    type Output = Turn;

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Turn, StoreError> {
        let now = tx.now().await?;
        if let Some(theirs) = self.find(tx, now).await? {
            return Ok(theirs);
        }
        let claim = Shared {
            topic: FETCHES.to_owned(),
            key: self.domain.clone(),
            value: self.worker.to_string(),
            number: 0,
            until: now.after(CLAIM),
        };
        if tx.claim_shared(&[claim], now).await?.is_empty() {
            return Ok(Turn::Later);
        }
        // Whoever had the right may have used it just now.
        let Some(theirs) = self.find(tx, now).await? else {
            return Ok(Turn::Ours);
        };
        let keys = core::slice::from_ref(&self.domain);
        tx.delete_shared(FETCHES, keys).await?;
        Ok(theirs)
    }
}

impl Ask {
    async fn find<T: Transaction>(
        &self,
        tx: &mut T,
        now: Timestamp,
    ) -> Result<Option<Turn>, StoreError> {
        let keys = core::slice::from_ref(&self.domain);
        let found = tx.shared(TOPIC, keys, now).await?;
        let Some(thing) = found.first() else {
            return Ok(None);
        };
        // One that is damaged is about to be replaced.
        let Ok((id, policy)) = read(thing) else {
            return Ok(None);
        };
        let age = age(thing, now);
        let fits = id == self.id && age < FRESH && age < policy.max_age;
        Ok(fits.then(|| {
            Turn::Theirs(Fetched {
                status: 200,
                content_type: "text/plain".to_owned(),
                body: policy.to_string().into(),
                age,
            })
        }))
    }
}

/// Gives the right to fetch back, with what was fetched.
#[derive(Debug)]
struct Tell {
    domain: String,
    worker: WorkerName,
    put: Option<Aged>,
}

impl Operation for Tell {
    type Output = ();

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        if let Some(put) = &self.put {
            let put = Put {
                topic: TOPIC.to_owned(),
                things: vec![put.clone()],
            };
            put.run(tx).await?;
        }
        let now = tx.now().await?;
        let keys = core::slice::from_ref(&self.domain);
        let claims = tx.shared(FETCHES, keys, now).await?;
        match claims.first() {
            Some(claim) if claim.value == *self.worker.0 => tx.delete_shared(FETCHES, keys).await,
            _ => Ok(()),
        }
    }
}

/// The exchange of policies: how far this worker has read, and what it knows to be there.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// The last domain that was read.
    after: String,
    /// The store was read once to its end.
    complete: bool,
    /// The times at which the policies in the store were fetched, by this machine's clock.
    there: BTreeMap<String, Duration>,
}

impl Policies {
    /// Takes a page of policies, or all of them the first time, and tells those that are news.
    pub(super) async fn exchange<S: Store>(
        &mut self,
        store: &S,
        sts: &MtaSts,
        now: Duration,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        loop {
            let scan = Scan {
                topic: TOPIC.to_owned(),
                after: core::mem::take(&mut self.after),
            };
            let (time, page) = store.run(scan).await?;
            for thing in &page {
                result = result.and(self.take(sts, thing, now.saturating_sub(age(thing, time))));
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => self.after.clone_from(&last.key),
                _ => self.complete = true,
            }
            if self.complete {
                break;
            }
        }
        result.and(self.tell(store, sts, now).await)
    }

    fn take(&mut self, sts: &MtaSts, thing: &Shared, fetched: Duration) -> Result<(), StoreError> {
        let (id, policy) = read(thing)?;
        self.there.insert(thing.key.clone(), fetched);
        let least = match sts.kept(&thing.key) {
            Some(own) if own.id == id => own.fetched + SAME,
            Some(own) => own.fetched + OTHER,
            None => Duration::ZERO,
        };
        if fetched >= least {
            let policy = Arc::new(policy);
            let kept = Kept {
                policy,
                id,
                fetched,
            };
            sts.take_over(&thing.key, kept);
        }
        Ok(())
    }

    async fn tell<S: Store>(
        &mut self,
        store: &S,
        sts: &MtaSts,
        now: Duration,
    ) -> Result<(), StoreError> {
        let known = sts.known();
        let is_news = |domain: &str, kept: &Kept| {
            let there = self.there.get(domain);
            there.is_none_or(|there| *there + OTHER < kept.fetched)
        };
        let news: Vec<(&str, &Kept)> = known
            .iter()
            .filter(|(domain, kept)| is_news(domain, kept))
            .take(PAGE)
            .collect();
        if !news.is_empty() {
            let aged = |(domain, kept): &(&str, &Kept)| {
                let age = now.saturating_sub(kept.fetched);
                written(domain, &kept.id, &kept.policy, age)
            };
            let things = news.iter().filter_map(aged).collect();
            let topic = TOPIC.to_owned();
            store.run(Put { topic, things }).await?;
        }
        let told = news
            .into_iter()
            .map(|(domain, kept)| (domain.to_owned(), kept.fetched));
        self.there.extend(told);
        // A domain that is forgotten here, and comes back, is told again.
        self.there.retain(|domain, _| known.get(domain).is_some());
        Ok(())
    }
}
