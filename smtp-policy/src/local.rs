//! Which domains are this machine's own (`myorigin`, `mydestination`; Postfix
//! `src/global/resolve_local.c`). It decides whether the local part of an address
//! alone is a key of address tables.

use std::{net::IpAddr, sync::Arc};

use crate::{
    config::Config,
    route::OwnAddresses,
    tables::{AddressRules, DomainKind, MatchKind, MatchList, TableContext, TableError},
};

/// The domains of this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalDomains {
    destinations: MatchList,
    own: Arc<OwnAddresses>,
}

impl LocalDomains {
    pub(crate) fn open(
        config: &Config,
        own: Arc<OwnAddresses>,
        context: &mut TableContext<'_>,
    ) -> Result<Self, TableError> {
        let list = &config.general.mydestination;
        let destinations = MatchList::open(list, MatchKind::Strings, context)?;
        Ok(Self { destinations, own })
    }

    /// The rules by which an address is looked up.
    pub(crate) fn rules<'a>(&self, config: &'a Config, address: &str) -> AddressRules<'a> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        AddressRules {
            recipient_delimiter: &config.general.recipient_delimiter,
            double_bounce_sender: &config.general.double_bounce_sender,
            domain: self.kind(config, domain),
            ..AddressRules::default()
        }
    }

    /// A table that fails leaves the domain a stranger's.
    fn kind(&self, config: &Config, domain: &str) -> DomainKind {
        let local = !domain.is_empty()
            && (domain.eq_ignore_ascii_case(&config.general.myorigin)
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
    use crate::config::{MainCf, Protocol};

    #[test]
    fn own_domains_are_the_origin_the_destinations_and_own_addresses() {
        let text =
            "myhostname = a.example\nmyorigin = b.example\nmydestination = c.example, !d.example\n";
        let main_cf = MainCf::parse(text, "main.cf", "/nowhere".as_ref()).unwrap();
        let config = main_cf.config(Protocol::Smtp).unwrap();
        let own = Arc::new(OwnAddresses {
            interfaces: vec!["192.0.2.1".parse().unwrap()],
            proxies: vec!["2001:db8::1".parse().unwrap()],
        });
        let mut context = TableContext::new("/nowhere".as_ref());
        let local = LocalDomains::open(&config, own, &mut context).unwrap();
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
            assert_eq!(local.rules(&config, address).domain, expected, "{address}");
        }
    }
}
