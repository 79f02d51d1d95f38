//! Logins that failed: what one worker has learned, the others need not find out (`smtp_sasl_auth_cache_name`).
//!
//! What goes through the store are digests of passwords, as in the memory of a worker, for
//! `smtp_sasl_auth_cache_time`. A login that works for one worker is forgotten by all.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smtp_policy::settings::{FailedLogin, FailedLogins};
use smtp_proto::EnhancedStatus;

use super::{Aged, PAGE, Put, Remove, Scan, age, damaged};
use crate::{
    model::Shared,
    store::{Store, StoreError},
};

/// The most pages that are read: a worker remembers a thousand logins.
const PAGES: usize = 2000 / PAGE;
/// The longest key. Logins with longer names stay with the worker.
const KEY_LIMIT: usize = 500;

/// The value of a thing.
#[derive(Debug, Deserialize, Serialize)]
struct Value {
    /// The digest of user and password, in hexadecimal digits.
    digest: String,
    /// The status in the server's reply.
    status: String,
    /// The reply.
    text: String,
}

/// The exchange of failed logins.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// The keys and digests that were in the store after the last exchange.
    there: BTreeSet<(String, [u8; 32])>,
}

impl Logins {
    /// Takes what others have learned, and tells them.
    pub(super) async fn exchange<S: Store>(
        &mut self,
        store: &S,
        topic: &str,
        memory: &FailedLogins,
        now: Duration,
    ) -> Result<(), StoreError> {
        let (mut theirs, fault) = read_all(store, topic, now).await?;
        let mut over = Vec::new();
        theirs.retain(|key, (number, login)| {
            let works = memory.has_worked_since(login);
            if works {
                over.push((key.clone(), *number));
            }
            !works
        });
        let own: BTreeMap<String, FailedLogin> = memory
            .all()
            .into_iter()
            .filter_map(|login| Some((key(&login)?, login)))
            .collect();
        for (key, (_, login)) in &theirs {
            let same = |own: &FailedLogin| own.fingerprint == login.fingerprint;
            if !own.get(key).is_some_and(same) {
                memory.learn(login.clone());
            }
        }
        let mut news = Vec::new();
        for (key, login) in &own {
            let known = theirs.get(key);
            if known.is_some_and(|(_, theirs)| {
                theirs.fingerprint == login.fingerprint || theirs.since > login.since
            }) {
                continue;
            }
            // Somebody has removed it: it works, or its time is over.
            if known.is_none() && self.there.contains(&(key.clone(), login.fingerprint)) {
                memory.forget(login);
            } else {
                news.push((key, login));
            }
        }
        let lifetime = memory.lifetime();
        let aged = |(key, login): &(&String, &FailedLogin)| written(key, login, now, lifetime);
        let things: Vec<Aged> = news.iter().filter_map(aged).collect();
        let topic = topic.to_owned();
        if !over.is_empty() {
            let (topic, things) = (topic.clone(), over);
            store.run(Remove { topic, things }).await?;
        }
        if !things.is_empty() {
            store.run(Put { topic, things }).await?;
        }
        let theirs = theirs
            .into_iter()
            .map(|(key, (_, login))| (key, login.fingerprint));
        let ours = news
            .into_iter()
            .map(|(key, login)| (key.clone(), login.fingerprint));
        self.there = theirs.chain(ours).collect();
        fault.map_or(Ok(()), Err)
    }
}

/// The logins in the store, with their numbers, and the first that is damaged.
async fn read_all<S: Store>(
    store: &S,
    topic: &str,
    now: Duration,
) -> Result<(BTreeMap<String, (i64, FailedLogin)>, Option<StoreError>), StoreError> {
    let (mut all, mut fault, mut after) = (BTreeMap::new(), None, String::new());
    for _ in 0..PAGES {
        let topic = topic.to_owned();
        let (time, page) = store.run(Scan { topic, after }).await?;
        for thing in &page {
            match read(thing, now.saturating_sub(age(thing, time))) {
                Ok(login) => _ = all.insert(thing.key.clone(), (thing.number, login)),
                Err(error) => _ = fault.get_or_insert(error),
            }
        }
        match page.last() {
            Some(last) if page.len() >= PAGE => after = last.key.clone(),
            _ => break,
        }
    }
    Ok((all, fault))
}

/// The key of a login: a list of server and user, in JSON.
fn key(login: &FailedLogin) -> Option<String> {
    let key = serde_json::to_string(&(&login.host, &login.user)).ok()?;
    (key.len() <= KEY_LIMIT).then_some(key)
}

fn written(key: &str, login: &FailedLogin, now: Duration, lifetime: Duration) -> Option<Aged> {
    let digest = login.fingerprint.iter().map(|byte| format!("{byte:02x}"));
    let value = Value {
        digest: digest.collect(),
        status: login.status.to_string(),
        text: login.text.clone(),
    };
    Some(Aged {
        key: key.to_owned(),
        value: serde_json::to_string(&value).ok()?,
        age: now.saturating_sub(login.since),
        lifetime,
    })
}

fn read(thing: &Shared, since: Duration) -> Result<FailedLogin, StoreError> {
    let (host, user) = serde_json::from_str(&thing.key).map_err(|why| damaged(thing, &why))?;
    let value: Value = serde_json::from_str(&thing.value).map_err(|why| damaged(thing, &why))?;
    let status = EnhancedStatus::parse(&value.status);
    let (status, _) = status.ok_or_else(|| damaged(thing, &"no status"))?;
    let fingerprint = digest(&value.digest).ok_or_else(|| damaged(thing, &"no digest"))?;
    Ok(FailedLogin {
        host,
        user,
        fingerprint,
        status,
        text: value.text,
        since,
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    bytes.try_into().ok().filter(|_| text.len() == 64)
}
