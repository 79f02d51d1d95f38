//! The results of TLS, counted: in memory first, and every few seconds in the store. A worker that is killed takes the
//! counts of those seconds with it.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use smtp_policy::{
    dns::names::{Wildcard, is_valid_hostname},
    event::{Event, Note},
    policy::Policy,
    report::{PolicyType, TlsResult},
    sts::MtaSts,
};

use super::{counts_topic, day::Day, domains_topic, kept_until};
use crate::{
    model::Shared,
    store::{Operation, Store, StoreError, Transaction},
    worker::{Listener, QueueEvent},
};

/// The most different results between two flushes. What comes beyond is not counted.
const LIMIT: usize = 10_000;
/// The most results that are written in one transaction.
const BATCH: usize = 500;
/// The most lines of a policy that go into a report, and their length together.
const POLICY_LINES: usize = 100;
const POLICY_LENGTH: usize = 4000;
/// The time for which a flush is known, so that it is not counted twice.
const KNOWN: Duration = Duration::from_secs(3600);
const FLUSHES: &str = "tlsrpt-flush";

/// The unit that is counted: the sessions with one mail exchanger of a domain that ended alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub(super) struct Line {
    /// The kind of policy, as in a report.
    pub(super) policy: String,
    /// The mail exchanger.
    pub(super) mx_host: String,
    /// The kind of failure, as in a report; none is success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    /// The policy itself, line by line, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) text: Vec<String>,
}

impl Line {
    /// The key in the store. Only the policy is a digest, which is short and may differ from one build to another: two rows
    /// with the same line are added up.
    fn key(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        let failure = self.failure.as_deref().unwrap_or("success");
        let digest = hasher.finish();
        format!("{} {} {failure} {digest:x}", self.policy, self.mx_host)
    }
}

/// Counts by day, domain and line.
type Counts = BTreeMap<(Day, String, Line), i64>;

/// The results of TLS that a worker has seen and not yet told: a [`Listener`]. Results of messages that waive TLS, as these
/// reports do, are not noted by deliveries, so that no report causes another (RFC 8460 section 3).
#[derive(Debug)]
pub struct Tally {
    sts: Option<Arc<MtaSts>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// The flushes that are being written, or were and nobody knows whether they came to last.
    writing: Vec<Flush>,
    /// The flush that was the last to come to last; its mark is of no use any more.
    written: Option<u64>,
    /// Results that were not counted.
    left_out: u64,
}

impl Tally {
    /// A tally for the deliveries of a policy, which has to have
    /// [`with_tls_results`](smtp_policy::policy::Policy::with_tls_results).
    pub fn new(policy: &Policy) -> Self {
        Self {
            sts: policy.mta_sts().cloned(),
            state: Mutex::default(),
        }
    }

    /// Counts what a note says, if it is a result of TLS. `now` is Unix time.
    pub fn note(&self, note: &Note, now: Duration) {
        if let Event::TlsReport { result } = &note.event {
            self.count(result, now);
        }
    }

    /// Counts a result. Domains that are no names, such as addresses, have no reports.
    pub fn count(&self, result: &TlsResult, now: Duration) {
        let domain = result.domain.trim_end_matches('.').to_ascii_lowercase();
        if !is_valid_hostname(&domain, Wildcard::Forbidden) || result.mx_host.len() > 255 {
            return;
        }
        let line = Line {
            policy: result.policy.as_str().to_owned(),
            mx_host: result.mx_host.to_ascii_lowercase(),
            failure: result.failure.map(|failure| failure.as_str().to_owned()),
            text: self.policy_text(result.policy, &domain),
        };
        let mut state = self.state();
        let key = (Day::of(now), domain, line);
        if state.counts.len() >= LIMIT && !state.counts.contains_key(&key) {
            state.left_out = state.left_out.saturating_add(1);
            return;
        }
        *state.counts.entry(key).or_default() += 1;
    }

    /// The number of results that were not counted since there were too many different ones between two flushes.
    pub fn left_out(&self) -> u64 {
        self.state().left_out
    }

    /// Adds what was counted to the counts in the store. To be called every few seconds, and when a worker ends. If it
    /// fails it goes on where it was the next time; nothing is counted twice.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn flush<S: Store>(&self, store: &S) -> Result<(), StoreError> {
        loop {
            let Some(flush) = self.next_flush() else {
                return Ok(());
            };
            let key = flush.key;
            store.run(flush).await?;
            let mut state = self.state();
            state.writing.retain(|flush| flush.key != key);
            state.written = Some(key);
        }
    }

    /// A part to write, which stays in the memory until it is there.
    fn next_flush(&self) -> Option<Flush> {
        let mut state = self.state();
        if state.writing.is_empty() {
            let mut counts = core::mem::take(&mut state.counts).into_iter().peekable();
            while counts.peek().is_some() {
                let counts = counts.by_ref().take(BATCH).collect();
                let key = RandomState::new().hash_one(0);
                state.writing.push(Flush {
                    key,
                    before: None,
                    counts,
                });
            }
        }
        let before = state.written;
        let first = state.writing.first().cloned();
        first.map(|flush| Flush { before, ..flush })
    }

    fn policy_text(&self, policy: PolicyType, domain: &str) -> Vec<String> {
        let kept = self.sts.as_ref().filter(|_| policy == PolicyType::Sts);
        let Some(kept) = kept.and_then(|sts| sts.kept(domain)) else {
            return Vec::new();
        };
        let mut room = POLICY_LENGTH;
        let text = kept.policy.to_string();
        let fits = |line: &&str| {
            let left = room.checked_sub(line.len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let lines = text.lines().take(POLICY_LINES).take_while(fits);
        lines.map(str::to_owned).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Tally {
    /// Counts what deliveries note, at the time that it is.
    fn hear(&self, event: &QueueEvent<'_>) {
        if let QueueEvent::Note { note, .. } = event {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            self.note(note, now.unwrap_or_default());
        }
    }
}

/// The key of the mark of a flush.
fn mark(flush: u64) -> String {
    format!("{flush:016x}")
}

/// Adds counts to those in the store, once.
#[derive(Clone, Debug)]
struct Flush {
    key: u64,
    /// The flush before, which nobody runs again.
    before: Option<u64>,
    counts: Counts,
}

impl Operation for Flush {
    type Output = ();

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let thing = |topic: String, key: String, value: String, number: i64, until| Shared {
            topic,
            key,
            value,
            number,
            until,
        };
        let own = thing(
            FLUSHES.to_owned(),
            mark(self.key),
            String::new(),
            0,
            now.after(KNOWN),
        );
        if tx.claim_shared(&[own], now).await?.is_empty() {
            return Ok(());
        }
        if let Some(before) = self.before {
            tx.delete_shared(FLUSHES, &[mark(before)]).await?;
        }
        let (mut domains, mut counts) = (Vec::new(), Vec::new());
        for ((day, domain, line), count) in &self.counts {
            let (topic, until) = (domains_topic(*day, day.slot(domain)), kept_until(*day));
            domains.push(thing(topic, domain.clone(), String::new(), 0, until));
            let value = serde_json::to_string(line);
            let value = value.map_err(|why| StoreError::Other(why.to_string()))?;
            let topic = counts_topic(*day, domain);
            counts.push(thing(topic, line.key(), value, *count, until));
        }
        for things in [&mut domains, &mut counts] {
            let name = |one: &Shared| (one.topic.clone(), one.key.clone());
            things.sort_by_cached_key(name);
            things.dedup_by_key(|one| name(one));
        }
        tx.claim_shared(&domains, now).await?;
        tx.add_shared(&counts).await
    }
}
