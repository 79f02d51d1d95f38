//! Which domains are this machine's own (`myorigin`, `mydestination`; Postfix
//! `src/global/resolve_local.c`). It decides whether the local part of an address
//! alone is a key of address tables.

use std::{net::IpAddr, sync::Arc};

use smtp_proto::command::HelloName;

use crate::{
    route::OwnAddresses,
    tables::{AddressRules, DomainKind, MatchList, TableFailure},
};

/// The domains of this machine, and what else decides how an address is looked up.
#[derive(Clone, Debug)]
pub(crate) struct LocalDomains {
    /// `myorigin`.
    pub(crate) origin: HelloName,
    /// `mydestination`.
    pub(crate) destinations: MatchList,
    /// The addresses that this machine receives mail on.
    pub(crate) own: Arc<OwnAddresses>,
    /// `recipient_delimiter`.
    pub(crate) delimiters: String,
    /// `double_bounce_sender`.
    pub(crate) double_bounce: String,
}

impl LocalDomains {
    /// The rules by which an address with such a domain is looked up.
    pub(crate) fn rules(&self, domain: DomainKind) -> AddressRules<'_> {
        AddressRules {
            recipient_delimiter: &self.delimiters,
            double_bounce_sender: &self.double_bounce,
            domain,
            ..AddressRules::default()
        }
    }

    /// The kind of the domain of an address.
    pub(crate) fn kind(&self, address: &str) -> Result<DomainKind, TableFailure> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if domain.is_empty() || domain.ends_with('.') {
            return Ok(DomainKind::Remote);
        }
        let is_local = literal(domain).is_some_and(|address| self.own.contains(address))
            || domain.eq_ignore_ascii_case(self.origin.as_str())
            || self.destinations.contains(domain)?;
        Ok(match is_local {
            true => DomainKind::Local,
            false => DomainKind::Remote,
        })
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

    #[test]
    fn own_domains_are_the_origin_the_destinations_and_own_addresses() {
        let local = LocalDomains {
            origin: "b.example".parse().unwrap(),
            destinations: MatchList::of_strings(["c.example", "!d.example"]),
            own: Arc::new(OwnAddresses {
                interfaces: vec!["192.0.2.1".parse().unwrap()],
                proxies: vec!["2001:db8::1".parse().unwrap()],
            }),
            delimiters: String::new(),
            double_bounce: String::new(),
        };
        for (address, expected) in [
            ("x@B.example", DomainKind::Local),
            ("x@c.example", DomainKind::Local),
            ("x@c.example.", DomainKind::Local),
            ("x@c.example..", DomainKind::Remote),
            ("x@[192.0.2.1]", DomainKind::Local),
            ("x@[IPv6:2001:db8::1]", DomainKind::Local),
            ("x@[192.0.2.2]", DomainKind::Remote),
            ("x@a.example", DomainKind::Remote),
            ("x@d.example", DomainKind::Remote),
            ("x", DomainKind::Remote),
        ] {
            assert_eq!(local.kind(address).unwrap(), expected, "{address}");
        }
    }
}
