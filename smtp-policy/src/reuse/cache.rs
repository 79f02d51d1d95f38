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
    collections::{BTreeMap, VecDeque, btree_map::Entry},
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
    /// The connections to each endpoint, the one that has been kept longest first. None of
    /// the lists is empty.
    connections: BTreeMap<CacheKey, VecDeque<Kept<S>>>,
    /// The endpoints that each destination is bound to, the one that was bound first first.
    bindings: BTreeMap<CacheKey, Vec<Bound>>,
    /// All of them by when their time is over, and by their numbers.
    by_time: BTreeMap<(Time, u64), Item>,
    serial: u64,
}

#[derive(Debug)]
struct Kept<S> {
    number: u64,
    expires: Time,
    socket: S,
    channel: Box<Channel>,
}

/// An endpoint that a destination is bound to.
#[derive(Debug)]
struct Bound {
    number: u64,
    endpoint: CacheKey,
    /// As what the destination knows the server.
    peer: Arc<Peer>,
    expires: Time,
}

/// Something whose time will be over, by its key.
#[derive(Debug)]
enum Item {
    Connection(CacheKey),
    Binding(CacheKey),
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
            connections: BTreeMap::new(),
            bindings: BTreeMap::new(),
            by_time: BTreeMap::new(),
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
        let number = self.next_number();
        let item = Item::Connection(endpoint.clone());
        self.by_time.insert((expires, number), item);
        self.connections
            .entry(endpoint)
            .or_default()
            .push_back(Kept {
                number,
                expires,
                socket,
                channel,
            });
    }

    /// Binds a destination to an endpoint, or gives the binding more time. It keeps its
    /// place among the others then.
    fn bind(&mut self, binding: Binding, endpoint: &CacheKey, expires: Time) {
        let Binding { key, peer } = binding;
        let number = self.next_number();
        let item = Item::Binding(key.clone());
        let all = self.bindings.entry(key).or_default();
        let known = all
            .iter_mut()
            .find(|bound| bound.endpoint == *endpoint && bound.peer == peer);
        match known {
            Some(bound) => {
                self.by_time.remove(&(bound.expires, bound.number));
                (bound.expires, bound.number) = (expires, number);
            }
            None => all.push(Bound {
                number,
                endpoint: endpoint.clone(),
                peer,
                expires,
            }),
        }
        self.by_time.insert((expires, number), item);
    }

    /// Takes a connection whose time is not over. Of the endpoints that a destination is
    /// bound to, the one that was bound first comes first; of the connections to an
    /// endpoint, the one that has been kept longest.
    pub fn take(&mut self, key: &CacheKey, now: Time) -> Option<(S, Box<Channel>)> {
        let bindings = self.bindings.get(key).into_iter().flatten();
        let bound = bindings
            .filter(|bound| bound.expires > now)
            .find_map(|bound| Some((bound, self.oldest(&bound.endpoint, now)?)));
        if let Some((bound, number)) = bound {
            let (endpoint, peer) = (bound.endpoint.clone(), Arc::clone(&bound.peer));
            let (socket, mut channel) = self.remove(&endpoint, number)?;
            channel.peer = peer;
            return Some((socket, channel));
        }
        let number = self.oldest(key, now)?;
        self.remove(key, number)
    }

    /// Takes out every connection whose time is over at `now`, for the driver to
    /// close. Nothing is said to the server: scache(8) says nothing either.
    pub fn expire(&mut self, now: Time) -> Vec<(S, Box<Channel>)> {
        let mut over = Vec::new();
        while let Some(first) = self.by_time.first_entry()
            && first.key().0 <= now
        {
            let ((_, number), item) = first.remove_entry();
            match item {
                Item::Connection(endpoint) => over.extend(self.remove(&endpoint, number)),
                Item::Binding(destination) => self.unbind(&destination, number),
            }
        }
        over
    }

    /// Takes out everything.
    pub fn drain(&mut self) -> Vec<(S, Box<Channel>)> {
        self.expire(Time::FAR)
    }

    /// When there is something to be taken out with [`expire`](Self::expire) next.
    pub fn deadline(&self) -> Option<Time> {
        self.by_time.first_key_value().map(|((time, _), _)| *time)
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.connections.values().map(VecDeque::len).sum()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    fn next_number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The connection that has been kept longest, of those to an endpoint.
    fn oldest(&self, endpoint: &CacheKey, now: Time) -> Option<u64> {
        let mut kept = self.connections.get(endpoint)?.iter();
        let found = kept.find(|kept| kept.expires > now)?;
        Some(found.number)
    }

    fn remove(&mut self, endpoint: &CacheKey, number: u64) -> Option<(S, Box<Channel>)> {
        let Entry::Occupied(mut all) = self.connections.entry(endpoint.clone()) else {
            return None;
        };
        let position = all.get().iter().position(|kept| kept.number == number)?;
        let kept = all.get_mut().remove(position)?;
        if all.get().is_empty() {
            all.remove();
        }
        self.by_time.remove(&(kept.expires, number));
        Some((kept.socket, kept.channel))
    }

    fn unbind(&mut self, destination: &CacheKey, number: u64) {
        if let Some(all) = self.bindings.get_mut(destination) {
            all.retain(|bound| bound.number != number);
            if all.is_empty() {
                self.bindings.remove(destination);
            }
        }
    }
}
