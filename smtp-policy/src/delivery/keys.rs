//! Under which names the connections of a delivery are kept
//! (`src/smtp/smtp_key.c`, and the masks in `src/smtp/smtp.h`).

use super::Delivery;
use crate::{
    channel::Peer,
    reuse::{CacheKey, CacheKeys},
};

impl Delivery {
    /// The key of a connection that was made for a next hop.
    pub(super) fn destination_key(&self, nexthop: &str) -> CacheKey {
        CacheKey::destination(self.request.protocol.as_str(), self.key_sender(), nexthop)
    }

    /// The key of a connection to a server; a UNIX-domain socket has none.
    pub(super) fn endpoint_key(&self, peer: &Peer) -> Option<CacheKey> {
        // Credentials can depend on both names.
        let names = (!self.config.sasl.sasl_password_maps.is_empty())
            .then_some((peer.destination.as_str(), peer.host.as_str()));
        let service = self.request.protocol.as_str();
        peer.port
            .map(|port| CacheKey::endpoint(service, self.key_sender(), names, &peer.address, port))
    }

    /// Both keys of the connection that is being put by, which is found by the next
    /// hop only once.
    pub(super) fn keys_for(&mut self, peer: &Peer) -> CacheKeys {
        let nexthop = self.hosts.request_nexthop.take();
        CacheKeys {
            destination: nexthop.map(|nexthop| self.destination_key(&nexthop)),
            endpoint: self.endpoint_key(peer),
        }
    }

    /// The sender of the message as text; empty for the null sender.
    pub(super) fn sender(&self) -> &str {
        match &self.request.sender {
            smtp_proto::address::ReversePath::Null => "",
            smtp_proto::address::ReversePath::Mailbox(address) => address.as_str(),
        }
    }

    /// The sender, where credentials can depend on it.
    fn key_sender(&self) -> Option<&str> {
        let sasl = &self.config.sasl;
        let depends = sasl.sender_dependent_authentication && !sasl.sasl_password_maps.is_empty();
        depends.then(|| self.sender())
    }
}
