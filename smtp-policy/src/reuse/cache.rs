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

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use smtp_proto::time::Time;

use super::key::{Binding, CacheKey, CacheKeys};
use crate::channel::{Channel, Peer};

/// Kept connections with their sockets of type `S`.
///
/// A connection is found by its endpoint, or by a destination that is bound to that
/// endpoint: then it serves the destination whichever it was made for. It leaves the
/// cache when it is taken: two messages never share one. A binding stays behind, and
/// leads to other connections until its own time is over
/// (`src/global/scache_multi.c`).
#[derive(Debug)]
pub struct ConnectionCache<S> {
    entries: BTreeMap<u64, Entry<S>>,
    by_endpoint: BTreeSet<(CacheKey, u64)>,
    by_time: BTreeSet<(Time, u64)>,
    /// The endpoints that destinations are bound to, by the number that tells which was first.
    bindings: BTreeMap<(CacheKey, u64), Bound>,
    bindings_by_time: BTreeSet<(Time, CacheKey, u64)>,
    serial: u64,
}

#[derive(Debug)]
struct Entry<S> {
    endpoint: CacheKey,
    expires: Time,
    socket: S,
    channel: Box<Channel>,
}

/// An endpoint that a destination is bound to.
#[derive(Debug)]
struct Bound {
    endpoint: CacheKey,
    /// As what the destination knows the server.
    peer: Arc<Peer>,
    expires: Time,
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
            by_endpoint: BTreeSet::new(),
            by_time: BTreeSet::new(),
            bindings: BTreeMap::new(),
            bindings_by_time: BTreeSet::new(),
            serial: 0,
        }
    }

    /// Keeps a connection until `expires`.
    pub fn put(&mut self, keys: CacheKeys, socket: S, channel: Box<Channel>, expires: Time) {
        let CacheKeys {
            destination,
            endpoint,
        } = keys;
        if let Some(binding) = destination {
            self.bind(binding, &endpoint, expires);
        }
        let id = self.next_serial();
        self.by_endpoint.insert((endpoint.clone(), id));
        self.by_time.insert((expires, id));
        self.entries.insert(
            id,
            Entry {
                endpoint,
                expires,
                socket,
                channel,
            },
        );
    }

    /// Binds a destination to an endpoint, or gives the binding more time. It keeps its
    /// place among the others then.
    fn bind(&mut self, binding: Binding, endpoint: &CacheKey, expires: Time) {
        let Binding { key, peer } = binding;
        let known = self
            .bindings_of(&key)
            .find(|(_, bound)| bound.endpoint == *endpoint && bound.peer == peer);
        let (id, before) = match known {
            Some((id, bound)) => (id, Some(bound.expires)),
            None => (self.next_serial(), None),
        };
        if let Some(before) = before {
            self.bindings_by_time.remove(&(before, key.clone(), id));
        }
        self.bindings_by_time.insert((expires, key.clone(), id));
        let bound = Bound {
            endpoint: endpoint.clone(),
            peer,
            expires,
        };
        self.bindings.insert((key, id), bound);
    }

    /// Takes a connection whose time is not over. Of the endpoints that a destination is
    /// bound to, the one that was bound first comes first; of the connections to an
    /// endpoint, the one that has been kept longest.
    pub fn take(&mut self, key: &CacheKey, now: Time) -> Option<(S, Box<Channel>)> {
        let bound = self
            .bindings_of(key)
            .filter(|(_, bound)| bound.expires > now)
            .find_map(|(_, bound)| Some((self.oldest(&bound.endpoint, now)?, bound.peer.clone())));
        if let Some((id, peer)) = bound {
            let (socket, mut channel) = self.remove(id)?;
            channel.peer = peer;
            return Some((socket, channel));
        }
        let id = self.oldest(key, now)?;
        self.remove(id)
    }

    /// Takes out every connection whose time is over at `now`, for the driver to
    /// close. Nothing is said to the server: scache(8) says nothing either.
    pub fn expire(&mut self, now: Time) -> Vec<(S, Box<Channel>)> {
        while let Some((time, ..)) = self.bindings_by_time.first()
            && *time <= now
            && let Some((_, key, id)) = self.bindings_by_time.pop_first()
        {
            self.bindings.remove(&(key, id));
        }
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

    /// When there is something to be taken out with [`expire`](Self::expire) next.
    pub fn deadline(&self) -> Option<Time> {
        let connection = self.by_time.first().map(|(time, _)| *time);
        let binding = self.bindings_by_time.first().map(|(time, ..)| *time);
        connection.into_iter().chain(binding).min()
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The endpoints that a destination is bound to, in the order in which that was.
    fn bindings_of(&self, key: &CacheKey) -> impl Iterator<Item = (u64, &Bound)> {
        let of_key = self
            .bindings
            .range((key.clone(), 0)..=(key.clone(), u64::MAX));
        of_key.map(|((_, id), bound)| (*id, bound))
    }

    /// The connection that has been kept longest, of those to an endpoint.
    fn oldest(&self, endpoint: &CacheKey, now: Time) -> Option<u64> {
        let mut of_key = self
            .by_endpoint
            .range((endpoint.clone(), 0)..=(endpoint.clone(), u64::MAX));
        let (_, id) = of_key.find(|(_, id)| {
            let entry = self.entries.get(id);
            entry.is_some_and(|entry| entry.expires > now)
        })?;
        Some(*id)
    }

    fn remove(&mut self, id: u64) -> Option<(S, Box<Channel>)> {
        let entry = self.entries.remove(&id)?;
        self.by_endpoint.remove(&(entry.endpoint, id));
        self.by_time.remove(&(entry.expires, id));
        Some((entry.socket, entry.channel))
    }
}
