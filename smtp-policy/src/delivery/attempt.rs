//! One server that is about to be tried: where it is, what is to be looked up about it,
//! and under which keys connections to it are kept (`src/smtp/smtp_key.c`).

use std::sync::Arc;

use super::{
    Endpoint, Target,
    context::Context,
    hosts::{Place, Site},
    profile::AddressLookups,
    talking::{Tls, account_search},
};
use crate::{
    channel::Peer,
    report::LogText,
    reuse::key::{CacheKey, KeyOwner, KeyPlace},
    route::Candidate,
    server::Server,
    tls::{TlsLevel, policy::TlsPolicy},
};

/// One server that is about to be tried.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) peer: Arc<Peer>,
    pub(super) lookups: AddressLookups,
    pub(super) tls: Tls,
    /// The place of the server, which also says where to try again in plaintext.
    pub(super) place: Place,
}

impl Attempt {
    /// An attempt at a place under a policy. `failed` says why TLS failed in the session
    /// before, where this one is to be without.
    pub(super) fn new(
        cx: &Context,
        site: &Site,
        place: Place,
        policy: TlsPolicy,
        failed: Option<String>,
    ) -> Self {
        let peer = match &place {
            Place::Inet(candidate) => cx.hosts.peer(candidate, site.best),
            Place::Unix(path) => {
                let host = cx.settings.identity.host.to_string();
                let server = Server::new(host, Endpoint::Unix(path.clone()));
                Arc::new(Peer::new(server, Arc::clone(&cx.hosts.label), true))
            }
        };
        let account = account_search(cx, &peer);
        Self {
            lookups: AddressLookups::new(&cx.settings, &peer.server, account),
            tls: Tls::new(policy, Arc::clone(&site.domain), failed.map(LogText::from)),
            peer,
            place,
        }
    }

    /// The address with all that is known about it; `None` for a socket.
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        self.place.candidate()
    }

    /// The key of connections to the server.
    pub(super) fn key(&self, cx: &Context) -> CacheKey {
        endpoint_key(cx, &self.peer, self.tls.policy.level)
    }

    /// The place to connect to, and the way.
    pub(super) fn target(&self, cx: &Context) -> Target {
        let connect = &cx.settings.connect;
        let (endpoint, bind, window) = match &self.place {
            Place::Inet(candidate) => {
                let bind = connect.bind(candidate.address);
                let endpoint = Endpoint::Inet((candidate.address, candidate.port).into());
                (endpoint, bind, connect.window)
            }
            Place::Unix(path) => (Endpoint::Unix(path.clone()), None, 0),
        };
        Target {
            endpoint,
            bind,
            window,
            limit: cx.settings.timeouts.connect,
        }
    }
}

/// The key of connections that were made for a next hop.
pub(super) fn destination_key(cx: &Context, nexthop: Arc<str>) -> CacheKey {
    CacheKey::destination(key_owner(cx), nexthop)
}

/// The key of connections to an endpoint. Where a certificate must match, a
/// connection serves only the destination that it was made for.
pub(super) fn endpoint_key(cx: &Context, peer: &Peer, level: TlsLevel) -> CacheKey {
    let logs_in = cx.settings.reuse.by_destination;
    let place = KeyPlace {
        destination: (logs_in || level.must_match()).then_some(&peer.destination),
        host: logs_in.then_some(&peer.server.host),
        endpoint: &peer.server.endpoint,
        level,
    };
    CacheKey::endpoint(key_owner(cx), place)
}

fn key_owner(cx: &Context) -> KeyOwner<'_> {
    KeyOwner {
        protocol: cx.request.protocol,
        sender: login_sender(cx),
        tls: cx.request.tls,
        demand: cx.hosts.demand,
    }
}

/// The sender, where it decides who logs in at the server.
fn login_sender(cx: &Context) -> Option<&str> {
    cx.settings.reuse.by_sender.then(|| cx.sender())
}
