//! Under which name a connection is kept.

use std::sync::Arc;

use crate::{
    Protocol,
    channel::Peer,
    request::TlsWish,
    server::Endpoint,
    tls::{RequireTls, TlsLevel},
};

/// The key of a kept connection. It holds everything that must be equal for a
/// connection to serve another message: the client, and the next hop or the
/// endpoint (`src/smtp/smtp_key.c`). A clone shares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey(Arc<Fields>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fields {
    place: Place,
    protocol: Protocol,
    /// No sender at all is not the null sender.
    sender: Option<String>,
    tls: TlsWish,
    demand: Option<RequireTls>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The next hop that the connection was made for.
    Destination(Arc<str>),
    /// The place that it leads to.
    Endpoint {
        endpoint: Endpoint,
        level: TlsLevel,
        destination: Option<Arc<str>>,
        host: Option<String>,
    },
}

/// The two names of one kept connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKeys {
    /// The next hop that is bound to the endpoint from now on, unless the connection
    /// leads to a less preferred server of that next hop.
    pub(crate) destination: Option<Binding>,
    /// The endpoint that it leads to. A UNIX-domain socket has one too, by which nobody
    /// looks for it.
    pub(crate) endpoint: CacheKey,
}

/// A next hop that is bound to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) key: CacheKey,
    /// As what the next hop knows the server that it leads to.
    pub(crate) peer: Arc<Peer>,
}

/// On whose behalf a connection is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyOwner<'a> {
    /// The client.
    pub(crate) protocol: Protocol,
    /// The sender, where it decides who logs in.
    pub(crate) sender: Option<&'a str>,
    /// What the sender says about TLS, which decides which servers will do.
    pub(crate) tls: TlsWish,
    /// The consequence of that at the destination.
    pub(crate) demand: Option<RequireTls>,
}

/// Where a connection leads, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPlace<'a> {
    /// The destination as it is written, where passwords or certificates depend
    /// on it.
    pub(crate) destination: Option<&'a Arc<str>>,
    /// The host name, where passwords depend on it.
    pub(crate) host: Option<&'a String>,
    pub(crate) endpoint: &'a Endpoint,
    /// The TLS level that holds there.
    pub(crate) level: TlsLevel,
}

impl CacheKey {
    /// The label of a destination: which next hop the connection was made for.
    pub(crate) fn destination(owner: KeyOwner<'_>, nexthop: Arc<str>) -> Self {
        Self::new(owner, Place::Destination(nexthop))
    }

    /// The label of an endpoint: which address and port it leads to.
    pub(crate) fn endpoint(owner: KeyOwner<'_>, place: KeyPlace<'_>) -> Self {
        let place = Place::Endpoint {
            destination: place.destination.cloned(),
            host: place.host.cloned(),
            endpoint: place.endpoint.clone(),
            level: place.level,
        };
        Self::new(owner, place)
    }

    fn new(owner: KeyOwner<'_>, place: Place) -> Self {
        Self(Arc::new(Fields {
            place,
            protocol: owner.protocol,
            sender: owner.sender.map(str::to_owned),
            tls: owner.tls,
            demand: owner.demand,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYBODY: KeyOwner<'_> = KeyOwner {
        protocol: Protocol::Smtp,
        sender: None,
        tls: TlsWish::Unsaid,
        demand: None,
    };

    #[test]
    fn whatever_matters_to_a_connection_is_in_its_key() {
        let [one, other] = ["example.com", "[mx.example]"].map(Arc::<str>::from);
        let [host, other_host] = [&one, &other].map(ToString::to_string);
        let at = |address: [u8; 4], port| Endpoint::Inet((address, port).into());
        let endpoint = at([192, 0, 2, 1], 25);
        let place = KeyPlace {
            destination: Some(&one),
            host: Some(&host),
            endpoint: &endpoint,
            level: TlsLevel::None,
        };
        let somebody = |sender| KeyOwner {
            sender: Some(sender),
            ..ANYBODY
        };
        let lmtp = KeyOwner {
            protocol: Protocol::Lmtp,
            ..ANYBODY
        };
        let wish = |tls| KeyOwner { tls, ..ANYBODY };
        let demand = |demand| KeyOwner { demand, ..ANYBODY };
        let keys = [
            CacheKey::destination(wish(TlsWish::Required), Arc::clone(&one)),
            CacheKey::destination(wish(TlsWish::Waived), Arc::clone(&one)),
            CacheKey::endpoint(wish(TlsWish::Required), place),
            CacheKey::endpoint(demand(Some(RequireTls::Enforce)), place),
            CacheKey::endpoint(wish(TlsWish::Waived), place),
            CacheKey::destination(ANYBODY, Arc::clone(&one)),
            CacheKey::destination(ANYBODY, Arc::clone(&other)),
            CacheKey::destination(lmtp, Arc::clone(&one)),
            CacheKey::destination(somebody("a@example.org"), Arc::clone(&one)),
            CacheKey::destination(somebody(""), Arc::clone(&one)),
            CacheKey::endpoint(ANYBODY, place),
            CacheKey::endpoint(somebody("a@example.org"), place),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    destination: Some(&other),
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    destination: None,
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    host: Some(&other_host),
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    endpoint: &at([192, 0, 2, 2], 25),
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    endpoint: &at([192, 0, 2, 1], 26),
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    level: TlsLevel::Encrypt,
                    ..place
                },
            ),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
