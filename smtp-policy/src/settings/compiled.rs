//! Settings as deliveries use them: the groups, and what is made of them once so that no delivery has to.

use core::ops::Deref;
use std::sync::Arc;

use smtp_proto::mime::MimeOptions;

use super::{build::SettingsBuilder, groups::Groups, mail::Limits};
use crate::{
    Protocol,
    content::ContentRules,
    local::LocalDomains,
    request::{CacheHints, Request},
    route::{DnsSupport, FilterFailure, NexthopRules, RecordFilter, RoutePolicy},
    sasl::Sasl,
    server::Server,
    sts::MtaSts,
    tables::Maps,
    tls::{TlsConnector, policy::TlsRules},
};

/// The settings of one client, checked and complete. See the [module](super).
///
/// It is read like its [`Groups`]; nothing in it can be changed any more. Clones share what is remembered of
/// failed logins.
#[derive(Clone, Debug)]
pub struct Settings {
    protocol: Protocol,
    groups: Groups,
    /// False where a policy was given none for the protocol.
    is_given: bool,
    warnings: Vec<String>,
    pub(crate) route: Arc<RoutePolicy>,
    pub(crate) nexthop: NexthopRules,
    pub(crate) tls_rules: Arc<TlsRules>,
    pub(crate) content_rules: Arc<ContentRules>,
    /// `None` if login is not turned on.
    pub(crate) sasl: Option<Sasl>,
}

impl Deref for Settings {
    type Target = Groups;

    fn deref(&self) -> &Groups {
        &self.groups
    }
}

impl Settings {
    /// The protocol that the client speaks.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Warnings: whatever is questionable about the settings, though not wrong enough to refuse them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Settings for a protocol that a policy was given none for: mail is deferred.
    pub(crate) fn missing(protocol: Protocol) -> Self {
        Self {
            is_given: false,
            ..Self::assemble(SettingsBuilder::new(protocol)).0
        }
    }

    /// Returns whether somebody has made these settings.
    pub(crate) const fn is_given(&self) -> bool {
        self.is_given
    }

    /// Puts together what follows from the groups; also why there is no TLS engine although there was to be one.
    pub(super) fn assemble(builder: SettingsBuilder) -> (Self, Option<String>) {
        let SettingsBuilder {
            protocol,
            groups,
            warnings,
        } = builder;
        let (lookup, connect) = (&groups.lookup, &groups.connect);
        let nexthop = NexthopRules {
            socket_prefixes: protocol == Protocol::Lmtp,
            ports: connect.ports.clone(),
            default_service: connect.service.clone(),
            idna: groups.content.smtputf8.then_some(lookup.idna),
        };
        let route = route_policy(protocol, &groups);
        let (tls_rules, trouble) = TlsRules::new(protocol, groups.tls.clone(), &route);
        let (local, limits) = (local_domains(&groups), mime_limits(&groups.limits));
        let content = ContentRules::new(protocol, &groups.content, limits, local.clone());
        let settings = Self {
            is_given: true,
            route: Arc::new(route),
            nexthop,
            tls_rules: Arc::new(tls_rules),
            content_rules: Arc::new(content),
            sasl: groups.login.as_ref().map(|login| Sasl::new(login, local)),
            protocol,
            groups,
            warnings,
        };
        (settings, trouble)
    }

    /// The groups for changes, which what was made of them does not follow.
    #[cfg(test)]
    pub(crate) fn groups_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The same with another TLS engine.
    pub(crate) fn set_engine(&mut self, connector: Arc<dyn TlsConnector>) {
        self.groups.tls.engine = Some(Arc::clone(&connector));
        self.tls_rules = Arc::new(self.tls_rules.with_connector(connector));
    }

    /// The same with MTA-STS.
    pub(crate) fn set_sts(&mut self, sts: &Arc<MtaSts>, warnings: &mut Vec<String>) {
        self.tls_rules = Arc::new(self.tls_rules.with_mta_sts(sts, warnings));
    }

    /// Returns whether the dialogue with a server goes to the log (`debug_peer_list`).
    pub(crate) fn is_debug_peer(&self, server: &Server) -> bool {
        let peers = &self.verdict.debug_peers;
        let is_in = || peers.contains_host(&server.host, &server.address());
        !peers.is_empty() && is_in().unwrap_or(false)
    }

    /// The use of kept connections to a destination
    /// (`smtp_connection_cache_destinations`, `smtp_connection_cache_on_demand`).
    pub(crate) fn cache_hints(&self, request: &Request, domain: &str) -> CacheHints {
        if self.reuse.destinations.contains(domain).unwrap_or(false) {
            CacheHints {
                load: true,
                store: true,
            }
        } else if self.reuse.on_demand {
            request.cache
        } else {
            CacheHints::default()
        }
    }
}

fn route_policy(protocol: Protocol, groups: &Groups) -> RoutePolicy {
    let (lookup, connect) = (&groups.lookup, &groups.connect);
    let smtp = protocol == Protocol::Smtp;
    let filter = (!lookup.filter.is_empty()).then(|| {
        Arc::new(MapsFilter {
            parameter: format!("{protocol}_dns_reply_filter"),
            maps: lookup.filter.clone(),
        }) as Arc<dyn RecordFilter>
    });
    RoutePolicy {
        mail_domains: smtp,
        families: lookup.families,
        dns: lookup.dns,
        host_lookup: lookup.host_lookup,
        search: lookup.search,
        randomize: lookup.randomize,
        preference: lookup.preference,
        balance: lookup.balance,
        address_limit: groups.limits.addresses,
        ignore_mx_error: lookup.ignore_mx_error,
        defer_without_mx_address: lookup.defer_without_mx_address,
        cname_overrides_name: lookup.cname_overrides_name,
        validate_insecure_mx: smtp
            && lookup.dns == DnsSupport::Dnssec
            && groups.tls.dane.insecure_mx > crate::tls::TlsLevel::May,
        idna: lookup.idna,
        filter,
        own: Arc::clone(&connect.own),
    }
}

fn local_domains(groups: &Groups) -> LocalDomains {
    let (identity, rewriting) = (&groups.identity, &groups.content.rewriting);
    LocalDomains {
        origin: identity.origin.clone(),
        destinations: rewriting.destinations.clone(),
        own: Arc::clone(&groups.connect.own),
        delimiters: rewriting.delimiters.clone(),
        double_bounce: identity.double_bounce.clone(),
    }
}

fn mime_limits(limits: &Limits) -> MimeOptions {
    let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    MimeOptions {
        structure: true,
        convert: false,
        header_limit: size(limits.header),
        boundary_limit: size(limits.boundary),
        nesting_limit: size(limits.nesting),
    }
}

/// `smtp_dns_reply_filter`: tables as a filter of records.
#[derive(Debug)]
struct MapsFilter {
    parameter: String,
    maps: Maps,
}

impl RecordFilter for MapsFilter {
    fn parameter(&self) -> &str {
        &self.parameter
    }

    fn action(&self, record: &str) -> Result<Option<String>, FilterFailure> {
        self.maps.lookup(record).map_err(|_| FilterFailure)
    }
}
