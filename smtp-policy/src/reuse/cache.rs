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
    collections::{BTreeMap, btree_map::Entry},
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
    /// The connections by their endpoints and numbers: of those to one endpoint, the one that
    /// has been kept longest comes first.
    connections: BTreeMap<(CacheKey, u64), Kept<S>>,
    /// The endpoints that each destination is bound to, the one that was bound first first.
    bindings: BTreeMap<CacheKey, Vec<Bound>>,
    /// All of them by their numbers and when their time is over; a binding that was given
    /// more time stands here as before.
    by_time: BTreeMap<(Time, u64), Item>,
    serial: u64,
}

#[derive(Debug)]
struct Kept<S> {
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
        let kept = Kept {
            expires,
            socket,
            channel,
        };
        self.connections.insert((endpoint, number), kept);
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
        if let Some(bound) = known {
            bound.expires = expires;
            return;
        }
        all.push(Bound {
            number,
            endpoint: endpoint.clone(),
            peer,
            expires,
        });
        self.by_time.insert((expires, number), item);
    }

    /// Takes a connection whose time is not over. Of the endpoints that a destination is
    /// bound to, the one that was bound first comes first; of the connections to an
    /// endpoint, the one that has been kept longest.
    pub fn take(&mut self, key: &CacheKey, now: Time) -> Option<(S, Box<Channel>)> {
        let bindings = self.bindings.get(key).into_iter().flatten();
        let bound = bindings
            .filter(|bound| bound.expires > now)
            .find_map(|bound| Some((self.oldest(&bound.endpoint, now)?, &bound.peer)));
        let (place, peer) = match bound {
            Some((place, peer)) => (place, Some(Arc::clone(peer))),
            None => (self.oldest(key, now)?, None),
        };
        let (socket, mut channel) = self.remove(&place)?;
        channel.peer = peer.unwrap_or(channel.peer);
        Some((socket, channel))
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
                Item::Connection(endpoint) => over.extend(self.remove(&(endpoint, number))),
                Item::Binding(destination) => self.unbind(destination, number, now),
            }
        }
        over
    }

    /// Takes out everything.
    pub fn drain(&mut self) -> Vec<(S, Box<Channel>)> {
        self.expire(Time::FAR)
    }

    /// When [`expire`](Self::expire) is to be called next.
    pub fn deadline(&self) -> Option<Time> {
        self.by_time.first_key_value().map(|((time, _), _)| *time)
    }

    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.connections.len()
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
    fn oldest(&self, endpoint: &CacheKey, now: Time) -> Option<(CacheKey, u64)> {
        let all = self.connections.range((endpoint.clone(), 0)..);
        let mut kept = all.take_while(|((key, _), _)| key == endpoint);
        let (place, _) = kept.find(|(_, kept)| kept.expires > now)?;
        Some(place.clone())
    }

    fn remove(&mut self, place: &(CacheKey, u64)) -> Option<(S, Box<Channel>)> {
        let kept = self.connections.remove(place)?;
        self.by_time.remove(&(kept.expires, place.1));
        Some((kept.socket, kept.channel))
    }

    /// Drops a binding, unless it was given more time.
    fn unbind(&mut self, destination: CacheKey, number: u64, now: Time) {
        let Entry::Occupied(mut all) = self.bindings.entry(destination.clone()) else {
            return;
        };
        let bound = all.get().iter().find(|bound| bound.number == number);
        if let Some(expires) = bound.map(|bound| bound.expires).filter(|at| *at > now) {
            let item = Item::Binding(destination);
            self.by_time.insert((expires, number), item);
            return;
        }
        all.get_mut().retain(|bound| bound.number != number);
        if all.get().is_empty() {
            all.remove();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use core::time::Duration;

    use smtp_proto::{
        Protocol,
        command::HelloName,
        session::{Profile, Session},
    };

    use super::*;
    use crate::{
        request::TlsWish,
        reuse::key::{KeyOwner, KeyPlace},
        server::Server,
        tls::TlsLevel,
    };

    const OWNER: KeyOwner<'_> = KeyOwner {
        protocol: Protocol::Smtp,
        sender: None,
        tls: TlsWish::Unsaid,
        demand: None,
    };

    fn at(second: u64) -> Time {
        Time::ZERO + Duration::from_secs(second)
    }

    fn by_nexthop() -> CacheKey {
        CacheKey::destination(OWNER, "example.com".into())
    }

    /// Keeps a connection that was made for the next hop.
    fn put(cache: &mut ConnectionCache<()>, expires: Time) {
        let server = Server::inet("mx.example", ([192, 0, 2, 1], 25).into());
        let peer = Arc::new(Peer::new(server, "example.com".into(), true));
        let place = KeyPlace {
            destination: None,
            host: None,
            endpoint: &peer.server.endpoint,
            level: TlsLevel::None,
        };
        let keys = CacheKeys {
            destination: Some(Binding {
                key: by_nexthop(),
                peer: Arc::clone(&peer),
            }),
            endpoint: CacheKey::endpoint(OWNER, place),
        };
        let profile = Profile::new(Protocol::Smtp, HelloName::localhost());
        let session = Session::new(profile, Time::ZERO);
        let channel = Box::new(Channel::new(session, peer, Time::FAR, TlsLevel::None));
        cache.put(keys, (), channel, expires);
    }

    #[test]
    fn a_destination_stays_bound_as_long_as_the_last_connection_is_kept() {
        let mut cache = ConnectionCache::new();
        put(&mut cache, at(10));
        put(&mut cache, at(20));
        assert_eq!(cache.deadline(), Some(at(10)));
        assert_eq!(cache.expire(at(10)).len(), 1);
        assert_eq!(cache.deadline(), Some(at(20)));
        assert!(cache.take(&by_nexthop(), at(20)).is_none());
        assert!(cache.take(&by_nexthop(), at(19)).is_some());
        assert!(cache.expire(at(20)).is_empty());
        assert!(cache.bindings.is_empty());
        assert_eq!((cache.len(), cache.deadline()), (0, None));
    }
}
