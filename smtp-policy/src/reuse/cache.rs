//! The connections themselves, kept as a value: no socket is opened, read or
//! closed here, and time comes in as an argument.
//!
//! ```
//! use smtp_policy::reuse::ConnectionCache;
//! use smtp_proto::time::Time;
//!
//! let mut cache: ConnectionCache<std::net::TcpStream> = ConnectionCache::new();
//! assert!(cache.expire(Time::ZERO).is_empty());
//! assert_eq!(cache.deadline(), None);
//! ```

use std::collections::{BTreeMap, BTreeSet};

use smtp_proto::time::Time;

use super::key::{CacheKey, CacheKeys};
use crate::channel::Channel;

/// Kept connections with their sockets of type `S`.
///
/// A connection is found by the destination it was made for or by its endpoint,
/// and leaves the cache when it is taken: two messages never share one
/// (`src/scache/scache_multi.c`).
#[derive(Debug)]
pub struct ConnectionCache<S> {
    entries: BTreeMap<u64, Entry<S>>,
    by_key: BTreeSet<(CacheKey, u64)>,
    by_time: BTreeSet<(Time, u64)>,
    serial: u64,
}

#[derive(Debug)]
struct Entry<S> {
    keys: CacheKeys,
    expires: Time,
    socket: S,
    channel: Box<Channel>,
}

impl<S> Default for ConnectionCache<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> ConnectionCache<S> {
    /// An empty cache.
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: BTreeSet::new(),
            by_time: BTreeSet::new(),
            serial: 0,
        }
    }

    /// Keeps a connection until `expires`.
    pub fn put(&mut self, keys: CacheKeys, socket: S, channel: Box<Channel>, expires: Time) {
        let id = self.serial;
        self.serial += 1;
        for key in keys.iter() {
            self.by_key.insert((key.clone(), id));
        }
        self.by_time.insert((expires, id));
        self.entries.insert(
            id,
            Entry {
                keys,
                expires,
                socket,
                channel,
            },
        );
    }

    /// Takes the connection that has been kept longest under `key`, of those whose
    /// time is not over.
    pub fn take(&mut self, key: &CacheKey, now: Time) -> Option<(S, Box<Channel>)> {
        let ids: Vec<u64> = self
            .by_key
            .range((key.clone(), 0)..=(key.clone(), u64::MAX))
            .map(|(_, id)| *id)
            .collect();
        let id = ids.into_iter().find(|id| {
            self.entries
                .get(id)
                .is_some_and(|entry| entry.expires > now)
        })?;
        self.remove(id)
    }

    /// Takes out every connection whose time is over at `now`, for the driver to
    /// close. Nothing is said to the server: scache(8) says nothing either.
    pub fn expire(&mut self, now: Time) -> Vec<(S, Box<Channel>)> {
        let due: Vec<u64> = self
            .by_time
            .range(..=(now, u64::MAX))
            .map(|(_, id)| *id)
            .collect();
        due.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes out everything.
    pub fn drain(&mut self) -> Vec<(S, Box<Channel>)> {
        self.expire(Time::FAR)
    }

    /// When the next connection is to be taken out with [`expire`](Self::expire).
    pub fn deadline(&self) -> Option<Time> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remove(&mut self, id: u64) -> Option<(S, Box<Channel>)> {
        let entry = self.entries.remove(&id)?;
        for key in entry.keys.iter() {
            self.by_key.remove(&(key.clone(), id));
        }
        self.by_time.remove(&(entry.expires, id));
        Some((entry.socket, entry.channel))
    }
}
