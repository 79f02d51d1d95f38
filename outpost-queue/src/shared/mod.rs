//! The knowledge that the workers of a queue share besides mail: MTA-STS policies, each fetched once, and logins that
//! failed, each tried once. It is a saving and nothing more: a worker whose store is away goes on with what it knows,
//! and finds out the rest itself. No policy is ever weaker for it, and no look at a domain's record is left out.
//!
//! A worker [joins](join) when it begins, and [exchanges](Exchange::run) every few seconds.
//!
//! | topic | key | value | number |
//! |---|---|---|---|
//! | `sts` | domain | id and policy | when it was fetched |
//! | `sts-fetch` | domain | who fetches it | |
//! | `login-smtp`, `login-lmtp` | server and user | digest of the password, reply | when it was |
//!
//! Clocks of machines differ. What goes through the store has an age, by the store's clock, and no time of day.

mod login;
mod sts;

use core::time::Duration;
use std::sync::Arc;

use smtp_policy::{Protocol, policy::Policy};

use crate::{
    model::{Shared, Timestamp, WorkerName},
    store::{Operation, Store, StoreError, Transaction},
};

pub use self::sts::SharedPolicies;

/// The most things that are read or written in one transaction.
const PAGE: usize = 200;

/// Has the deliveries of a policy fetch MTA-STS policies in common with the other workers. Without MTA-STS it does
/// nothing.
pub fn join<S: Store>(store: &S, policy: &Policy, worker: &WorkerName) {
    if let Some(sts) = policy.mta_sts() {
        sts.share_with(Arc::new(SharedPolicies::new(store.clone(), worker.clone())));
    }
}

/// The memory of a worker from one exchange to the next.
#[derive(Debug, Default)]
pub struct Exchange {
    policies: sts::Policies,
    smtp: login::Logins,
    lmtp: login::Logins,
}

impl Exchange {
    /// The memory of a worker that has not exchanged anything. The first exchange brings all policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the other workers what this one has found out, and takes what they have. To be called when a worker
    /// begins and every few seconds. `now` is Unix time, by the clock of this machine.
    ///
    /// # Errors
    /// Those of the store. What is damaged there is passed over, and said when everything else is done.
    pub async fn run<S: Store>(
        &mut self,
        store: &S,
        policy: &Policy,
        now: Duration,
    ) -> Result<(), StoreError> {
        let mut result = Ok(());
        if let Some(sts) = policy.mta_sts() {
            result = self.policies.exchange(store, sts, now).await;
        }
        for (protocol, logins) in [
            (Protocol::Smtp, &mut self.smtp),
            (Protocol::Lmtp, &mut self.lmtp),
        ] {
            if let Some(failed) = policy.failed_logins(protocol) {
                let topic = format!("login-{protocol}");
                result = result.and(logins.exchange(store, &topic, failed, now).await);
            }
        }
        result
    }
}

/// A thing with its age, on its way to the store.
#[derive(Clone, Debug)]
struct Aged {
    key: String,
    value: String,
    age: Duration,
    lifetime: Duration,
}

impl Aged {
    fn at(&self, topic: &str, now: Timestamp) -> Shared {
        let since = now.before(self.age);
        Shared {
            topic: topic.to_owned(),
            key: self.key.clone(),
            value: self.value.clone(),
            number: since.micros(),
            until: since.after(self.lifetime),
        }
    }
}

/// The age of a thing whose number is a time; zero if it is from the future.
fn age(thing: &Shared, now: Timestamp) -> Duration {
    now.since(Timestamp::from_micros(thing.number))
}

/// Puts things where nobody has put a younger one.
#[derive(Debug)]
struct Put {
    topic: String,
    things: Vec<Aged>,
}

impl Operation for Put {
    type Output = ();

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let mut keys: Vec<String> = self.things.iter().map(|one| one.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let there = tx.shared(&self.topic, &keys, now).await?;
        let things = self.things.iter().map(|one| one.at(&self.topic, now));
        let is_news = |thing: &Shared| {
            let old = there.iter().find(|old| old.key == thing.key);
            thing.until > now && old.is_none_or(|old| old.number < thing.number)
        };
        let mut news: Vec<Shared> = things.filter(is_news).collect();
        news.sort_by(|one, other| one.key.cmp(&other.key));
        tx.put_shared(&news).await
    }
}

/// Reads a page of a topic, with the time.
#[derive(Debug)]
struct Scan {
    topic: String,
    after: String,
}

impl Operation for Scan {
    type Output = (Timestamp, Vec<Shared>);

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Self::Output, StoreError> {
        let now = tx.now().await?;
        let page = tx.scan_shared(&self.topic, &self.after, PAGE, now).await?;
        Ok((now, page))
    }
}

/// Removes things that are still the same.
#[derive(Debug)]
struct Remove {
    topic: String,
    /// Keys in order, with the number that each had.
    things: Vec<(String, i64)>,
}

impl Operation for Remove {
    type Output = ();

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let keys: Vec<String> = self.things.iter().map(|(key, _)| key.clone()).collect();
        let there = tx.shared(&self.topic, &keys, now).await?;
        let same = |one: &Shared| self.things.contains(&(one.key.clone(), one.number));
        let keys: Vec<String> = there.into_iter().filter(same).map(|one| one.key).collect();
        tx.delete_shared(&self.topic, &keys).await
    }
}

fn damaged(thing: &Shared, why: &impl core::fmt::Display) -> StoreError {
    StoreError::Damaged(format!(
        "shared {} \"{}\", value: {why}",
        thing.topic, thing.key
    ))
}
