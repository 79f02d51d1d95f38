//! Under which name a connection is kept.

use std::sync::Arc;

use crate::{channel::Peer, request::TlsWish, tls::TlsLevel};

/// The key of a kept connection. It holds everything that must be equal for a
/// connection to serve another message: the client, and the next hop or the
/// endpoint (`src/smtp/smtp_key.c`). A clone shares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey(Arc<Fields>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fields {
    place: Place,
    service: &'static str,
    /// No sender at all is not the null sender.
    sender: Option<String>,
    tls: TlsWish,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The next hop that the connection was made for.
    Destination(String),
    /// The place that it leads to.
    Endpoint {
        destination: Option<String>,
        host: Option<String>,
        address: String,
        port: u16,
        level: TlsLevel,
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
    pub(crate) service: &'static str,
    /// The sender, where it decides who logs in.
    pub(crate) sender: Option<&'a str>,
    /// What the sender says about TLS, which decides which servers will do.
    pub(crate) tls: TlsWish,
}

/// Where a connection leads, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPlace<'a> {
    /// The destination as it is written, where passwords or certificates depend
    /// on it.
    pub(crate) destination: Option<&'a String>,
    /// The host name, where passwords depend on it.
    pub(crate) host: Option<&'a String>,
    pub(crate) address: &'a str,
    pub(crate) port: u16,
    /// The TLS level that holds there.
    pub(crate) level: TlsLevel,
}

impl CacheKey {
    /// The label of a destination: which next hop the connection was made for.
    pub(crate) fn destination(owner: KeyOwner<'_>, nexthop: &str) -> Self {
        Self::new(owner, Place::Destination(nexthop.into()))
    }

    /// The label of an endpoint: which address and port it leads to.
    pub(crate) fn endpoint(owner: KeyOwner<'_>, place: KeyPlace<'_>) -> Self {
        let place = Place::Endpoint {
            destination: place.destination.cloned(),
            host: place.host.cloned(),
            address: place.address.into(),
            port: place.port,
            level: place.level,
        };
        Self::new(owner, place)
    }

    fn new(owner: KeyOwner<'_>, place: Place) -> Self {
        Self(Arc::new(Fields {
            place,
            service: owner.service,
            sender: owner.sender.map(str::to_owned),
            tls: owner.tls,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYBODY: KeyOwner<'_> = KeyOwner {
        service: "smtp",
        sender: None,
        tls: TlsWish::Unsaid,
    };

    #[test]
    fn whatever_matters_to_a_connection_is_in_its_key() {
        let (one, other) = ("example.com".to_owned(), "[mx.example]".to_owned());
        let place = KeyPlace {
            destination: Some(&one),
            host: Some(&one),
            address: "192.0.2.1",
            port: 25,
            level: TlsLevel::None,
        };
        let somebody = |sender| KeyOwner {
            sender: Some(sender),
            ..ANYBODY
        };
        let lmtp = KeyOwner {
            service: "lmtp",
            ..ANYBODY
        };
        let wish = |tls| KeyOwner { tls, ..ANYBODY };
        let keys = [
            CacheKey::destination(wish(TlsWish::Required), "example.com"),
            CacheKey::destination(wish(TlsWish::Waived), "example.com"),
            CacheKey::endpoint(wish(TlsWish::Required), place),
            CacheKey::endpoint(wish(TlsWish::Waived), place),
            CacheKey::destination(ANYBODY, "example.com"),
            CacheKey::destination(ANYBODY, "[example.com]"),
            CacheKey::destination(lmtp, "example.com"),
            CacheKey::destination(somebody("a@example.org"), "example.com"),
            CacheKey::destination(somebody(""), "example.com"),
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
                    host: Some(&other),
                    ..place
                },
            ),
            CacheKey::endpoint(
                ANYBODY,
                KeyPlace {
                    address: "192.0.2.2",
                    ..place
                },
            ),
            CacheKey::endpoint(ANYBODY, KeyPlace { port: 26, ..place }),
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
