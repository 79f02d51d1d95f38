//! Which domains are this machine's own (`myorigin`, `mydestination`; Postfix
//! `src/global/resolve_local.c`). It decides whether the local part of an address
//! alone is a key of address tables.

use std::{net::IpAddr, sync::Arc};

use smtp_proto::command::HelloName;

use crate::{
    route::OwnAddresses,
    settings::Groups,
    tables::{AddressRules, DomainKind, MatchList},
};

/// The domains of this machine.
#[derive(Clone, Debug)]
pub(crate) struct LocalDomains {
    origin: HelloName,
    destinations: MatchList,
    own: Arc<OwnAddresses>,
    delimiters: String,
    double_bounce: String,
}

impl LocalDomains {
    pub(crate) fn new(groups: &Groups) -> Self {
        let rewriting = &groups.content.rewriting;
        Self {
            origin: groups.identity.origin.clone(),
            destinations: rewriting.destinations.clone(),
            own: Arc::clone(&groups.connect.own),
            delimiters: rewriting.delimiters.clone(),
            double_bounce: groups.identity.double_bounce.clone(),
        }
    }

    /// The rules by which an address is looked up.
    pub(crate) fn rules(&self, address: &str) -> AddressRules<'_> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        AddressRules {
            recipient_delimiter: &self.delimiters,
            double_bounce_sender: &self.double_bounce,
            domain: self.kind(domain),
            ..AddressRules::default()
        }
    }

    /// A table that fails leaves the domain a stranger's.
    fn kind(&self, domain: &str) -> DomainKind {
        let local = !domain.is_empty()
            && (domain.eq_ignore_ascii_case(self.origin.as_str())
                || self.destinations.contains(domain).unwrap_or(false)
                || literal(domain).is_some_and(|address| self.own.contains(address)));
        if local {
            DomainKind::Local
        } else {
            DomainKind::Remote
        }
    }
}

/// The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
fn literal(domain: &str) -> Option<IpAddr> {
    let inside = domain.strip_prefix('[')?.strip_suffix(']')?;
    let is_tagged = inside
        .get(..5)
        .is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:"));
    let address = if is_tagged { inside.get(5..)? } else { inside };
    address.parse().ok()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn own_domains_are_the_origin_the_destinations_and_own_addresses() {
        let mut settings = Settings::smtp().host("a.example".parse().unwrap());
        settings.identity.origin = "b.example".parse().unwrap();
        let members = ["c.example", "!d.example"];
        settings.content.rewriting.destinations = MatchList::of_strings(members);
        settings.connect.own = Arc::new(OwnAddresses {
            interfaces: vec!["192.0.2.1".parse().unwrap()],
            proxies: vec!["2001:db8::1".parse().unwrap()],
        });
        let local = LocalDomains::new(&settings);
        for (address, expected) in [
            ("x@B.example", DomainKind::Local),
            ("x@c.example", DomainKind::Local),
            ("x@[192.0.2.1]", DomainKind::Local),
            ("x@[IPv6:2001:db8::1]", DomainKind::Local),
            ("x@[192.0.2.2]", DomainKind::Remote),
            ("x@a.example", DomainKind::Remote),
            ("x@d.example", DomainKind::Remote),
            ("x", DomainKind::Remote),
        ] {
            assert_eq!(local.rules(address).domain, expected, "{address}");
        }
    }
}
