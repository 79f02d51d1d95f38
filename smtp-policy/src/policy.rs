//! What all deliveries share: the configuration of both clients, their tables,
//! the name servers, the addresses of this machine. A value that is made once and
//! handed around behind an `Arc`; nothing in it changes but what is remembered of
//! failed logins, and of whether the name servers validate.
//!
//! ```
//! use smtp_policy::{config::{MainCf, Protocol}, dns::ResolverConfig, policy::Policy};
//!
//! let main_cf = MainCf::parse("smtp_helo_timeout = 1m\n", "main.cf", "/etc/outpost".as_ref())?;
//! let policy = Policy::new(&main_cf, ResolverConfig::default(), &[])?;
//! assert_eq!(policy.config(Protocol::Smtp).timeout.helo_timeout.as_secs(), 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
};

use crate::{
    config::{Config, ConfigError, MainCf, Protocol},
    content::ContentRules,
    delivery::Bind,
    dns::{ResolverConfig, SearchMode, probe::DnssecProbe},
    request::{CacheHints, Request},
    route::{
        DnsSupport, Families, FamilyPreference, FilterFailure, HostLookup, NexthopRules,
        OwnAddresses, PortNames, RecordFilter, RoutePolicy, idna::Idna,
    },
    sasl::{Sasl, SetupError},
    sts::MtaSts,
    tables::{Maps, MatchKind, MatchList, SecretMaps, TableContext, TableError, Tables},
    tls::{TlsConnector, TlsLevel, policy::TlsRules},
};

/// Everything a [`Delivery`](crate::delivery::Delivery) is decided by.
///
/// The default is Postfix's defaults, with name servers as
/// [`ResolverConfig::default`] has them.
#[derive(Debug)]
pub struct Policy {
    smtp: Client,
    lmtp: Client,
    resolver: Arc<ResolverConfig>,
    sts: Option<Arc<MtaSts>>,
    tls_results: bool,
    dnssec_probe: DnssecProbe,
    warnings: Vec<String>,
}

/// One of the two clients, with what follows from its configuration.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) config: Arc<Config>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) route: Arc<RoutePolicy>,
    pub(crate) nexthop: NexthopRules,
    pub(crate) tls: Arc<TlsRules>,
    pub(crate) content: Arc<ContentRules>,
    /// `None` if login is not turned on.
    pub(crate) sasl: Option<Sasl>,
    cached: MatchList,
    debug_peers: MatchList,
    bind: Option<Ipv4Addr>,
    bind6: Option<Ipv6Addr>,
}

/// Why no policy can be made of a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PolicyError {
    /// main.cf itself.
    Config(ConfigError),
    /// A table that a parameter names.
    Table {
        /// The parameter.
        parameter: String,
        /// What is wrong with the table.
        error: TableError,
    },
    /// A value that makes no sense.
    Value {
        /// The parameter.
        parameter: String,
        /// What is wrong with its value.
        reason: String,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Table { parameter, error } => write!(f, "{parameter}: {error}"),
            Self::Value { parameter, reason } => write!(f, "{parameter}: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl From<ConfigError> for PolicyError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl Policy {
    /// The policy that a main.cf describes. `system` is the addresses of this
    /// machine's network interfaces, for `inet_interfaces = all`.
    ///
    /// # Errors
    /// A value that cannot be read, or a table that cannot be opened.
    pub fn new(
        main_cf: &MainCf,
        resolver: ResolverConfig,
        system: &[IpAddr],
    ) -> Result<Self, PolicyError> {
        let mut warnings: Vec<String> = main_cf
            .warnings()
            .into_iter()
            .map(|warning| warning.to_string())
            .collect();
        let mut client = |protocol| {
            let config = main_cf.config(protocol)?;
            Client::new(config, main_cf.directory(), system, &mut warnings)
        };
        let (smtp, lmtp) = (client(Protocol::Smtp)?, client(Protocol::Lmtp)?);
        Self::of(smtp, lmtp, resolver, warnings)
    }

    /// Adds the TCP services of this machine, from the text of `/etc/services`, to
    /// the names that a port can have in a destination. `known_tcp_ports` goes
    /// before them.
    #[must_use]
    pub fn with_services(mut self, text: &str) -> Self {
        for client in [&mut self.smtp, &mut self.lmtp] {
            client.nexthop.ports.add_services(text);
        }
        self
    }

    /// A policy from configurations that were made in code. Tables are named
    /// relative to `directory`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn from_configs(
        smtp: Config,
        lmtp: Config,
        directory: &Path,
        resolver: ResolverConfig,
        system: &[IpAddr],
    ) -> Result<Self, PolicyError> {
        let mut warnings = Vec::new();
        let smtp = Client::new(smtp, directory, system, &mut warnings)?;
        let lmtp = Client::new(lmtp, directory, system, &mut warnings)?;
        Self::of(smtp, lmtp, resolver, warnings)
    }

    fn of(
        smtp: Client,
        lmtp: Client,
        resolver: ResolverConfig,
        mut warnings: Vec<String>,
    ) -> Result<Self, PolicyError> {
        // Both clients open the tables that they share, and say the same of them.
        let mut seen = std::collections::BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let probe = &smtp.config.lookup.dnssec_probe;
        let dnssec_probe = DnssecProbe::parse(probe).map_err(|reason| PolicyError::Value {
            parameter: "dnssec_probe".into(),
            reason: format!("{probe}: {reason}"),
        })?;
        Ok(Self {
            smtp,
            lmtp,
            resolver: Arc::new(resolver),
            sts: None,
            tls_results: false,
            dnssec_probe,
            warnings,
        })
    }

    /// The configuration of a client.
    pub fn config(&self, protocol: Protocol) -> &Arc<Config> {
        &self.client(protocol).config
    }

    /// The name servers and how they are asked.
    pub fn resolver(&self) -> &Arc<ResolverConfig> {
        &self.resolver
    }

    /// What is questionable about the configuration and its tables, though not
    /// wrong enough to refuse it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Takes another TLS engine for both clients. It decides alone which authorities
    /// it trusts and which certificate it shows; what the parameters say about
    /// that was for the engine that it replaces.
    #[must_use]
    pub fn with_tls(mut self, connector: Arc<dyn TlsConnector>) -> Self {
        for client in [&mut self.smtp, &mut self.lmtp] {
            client.tls = Arc::new(client.tls.with_connector(Arc::clone(&connector)));
        }
        self
    }

    /// Turns on MTA-STS for mail over SMTP; see [`sts`](crate::sts).
    #[must_use]
    pub fn with_mta_sts(mut self, sts: MtaSts) -> Self {
        let sts = Arc::new(sts);
        let rules = crate::tls::load::rules_with_sts(&self.smtp.tls, &sts, &mut self.warnings);
        self.smtp.tls = Arc::new(rules);
        self.sts = Some(sts);
        self
    }

    /// Has each delivery note what becomes of TLS in the terms of RFC 8460:
    /// [`Note::tls`](crate::delivery::Note::tls).
    #[must_use]
    pub fn with_tls_results(mut self) -> Self {
        self.tls_results = true;
        self
    }

    pub(crate) fn reports_tls(&self) -> bool {
        self.tls_results
    }

    /// MTA-STS as it was turned on, with what is known by now.
    pub fn mta_sts(&self) -> Option<&Arc<MtaSts>> {
        self.sts.as_ref()
    }

    /// Whether the name servers validate, as far as anybody knows.
    pub(crate) const fn dnssec_probe(&self) -> &DnssecProbe {
        &self.dnssec_probe
    }

    pub(crate) fn client(&self, protocol: Protocol) -> &Client {
        match protocol {
            Protocol::Smtp => &self.smtp,
            Protocol::Lmtp => &self.lmtp,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let client = |protocol| Client::plain(Config::default_for(protocol));
        Self {
            smtp: client(Protocol::Smtp),
            lmtp: client(Protocol::Lmtp),
            resolver: Arc::default(),
            sts: None,
            tls_results: false,
            dnssec_probe: DnssecProbe::default(),
            warnings: Vec::new(),
        }
    }
}

impl Client {
    fn new(
        config: Config,
        directory: &Path,
        system: &[IpAddr],
        warnings: &mut Vec<String>,
    ) -> Result<Self, PolicyError> {
        let mut context = TableContext::new(directory);
        let tables = open_tables(&config, &mut context)?;
        let list = &config.cache.connection_cache_destinations;
        let cached = MatchList::open(list, MatchKind::Strings, &mut context)
            .map_err(|error| table_error(&config, "connection_cache_destinations", error))?;
        let debug_peers = debug_peers(&config, &mut context)?;
        let destinations = open_destinations(&config, &tables, &mut context)?;

        let families = families(&config);
        let connect = &config.connect;
        let (own, notes) = OwnAddresses::from_config(
            &connect.inet_interfaces,
            &connect.proxy_interfaces,
            system,
            families,
        );
        warnings.extend(notes);
        let own = Arc::new(own);
        let content = ContentRules::new(&config, &tables, destinations, Arc::clone(&own));
        let sasl =
            Sasl::open(&config, &own, &mut context).map_err(|error| setup_error(&config, error))?;
        warnings.extend(context.take_warnings());
        let (ports, notes) = PortNames::from_known_tcp_ports(&connect.known_tcp_ports);
        warnings.extend(notes);
        let bind = bind_address(&config, "bind_address", &connect.bind_address)?;
        let bind6 = bind_address(&config, "bind_address6", &connect.bind_address6)?;
        let plain = Self::plain(config);
        let filter = record_filter(&plain.config, &tables);
        let tls = crate::tls::load::rules(
            &plain.config,
            idna(&plain.config),
            &tables,
            directory,
            warnings,
        );
        Ok(Self {
            tls: Arc::new(tls),
            tables: Arc::new(tables),
            route: Arc::new(RoutePolicy {
                filter,
                own,
                ..route_policy(&plain.config)
            }),
            nexthop: NexthopRules {
                ports,
                ..plain.nexthop
            },
            config: plain.config,
            content: Arc::new(content),
            sasl,
            cached,
            debug_peers,
            bind,
            bind6,
        })
    }

    /// A client without tables and without addresses of its own.
    fn plain(config: Config) -> Self {
        let config = Arc::new(config);
        Self {
            tables: Arc::default(),
            route: Arc::new(route_policy(&config)),
            nexthop: NexthopRules {
                socket_prefixes: config.protocol == Protocol::Lmtp,
                ports: PortNames::default(),
                default_service: config.connect.tcp_port.clone(),
                idna: config.general.smtputf8_enable.then(|| idna(&config)),
            },
            tls: Arc::new(TlsRules::new(&config, idna(&config), &mut Vec::new())),
            config,
            content: Arc::default(),
            sasl: None,
            cached: MatchList::default(),
            debug_peers: MatchList::default(),
            bind: None,
            bind6: None,
        }
    }

    /// The source address for connections to `remote`: what is configured, or the
    /// only address of this machine that mail comes in on.
    pub(crate) fn bind(&self, remote: IpAddr) -> Option<Bind> {
        let configured = match remote {
            IpAddr::V4(_) => self.bind.map(IpAddr::V4),
            IpAddr::V6(_) => self.bind6.map(IpAddr::V6),
        };
        match configured {
            Some(address) => Some(Bind {
                address,
                enforce: self.config.connect.bind_address_enforce,
            }),
            None => self.route.own.source_for(remote).map(|address| Bind {
                address,
                enforce: false,
            }),
        }
    }

    /// Whether the dialogue with a server goes to the log (`debug_peer_list`).
    pub(crate) fn is_debug_peer(&self, host: &str, address: &str) -> bool {
        self.debug_peers
            .contains_host(host, address)
            .unwrap_or(false)
    }

    /// Whether connections to a destination are reused
    /// (`smtp_connection_cache_destinations`, `smtp_connection_cache_on_demand`).
    pub(crate) fn cache_hints(&self, request: &Request, domain: &str) -> CacheHints {
        if self.cached.contains(domain).unwrap_or(false) {
            CacheHints {
                load: true,
                store: true,
            }
        } else if self.config.cache.connection_cache_on_demand {
            request.cache
        } else {
            CacheHints::default()
        }
    }
}

/// The name of a parameter for this client.
fn named(config: &Config, name: &str) -> String {
    format!("{}_{name}", config.protocol.as_str())
}

fn table_error(config: &Config, name: &str, error: TableError) -> PolicyError {
    PolicyError::Table {
        parameter: named(config, name),
        error,
    }
}

fn open_tables(config: &Config, context: &mut TableContext<'_>) -> Result<Tables, PolicyError> {
    let (helo, content) = (&config.helo, &config.content);
    let mut checks = |name: &str, list: &str| {
        Maps::open_bytes_in(list, context).map_err(|error| table_error(config, name, error))
    };
    let header_checks = checks("header_checks", &content.header_checks)?;
    let mime_header_checks = checks("mime_header_checks", &content.mime_header_checks)?;
    let nested_header_checks = checks("nested_header_checks", &content.nested_header_checks)?;
    let body_checks = checks("body_checks", &content.body_checks)?;
    let mut maps = |name: &str, list: &str| {
        Maps::open_in(list, context).map_err(|error| table_error(config, name, error))
    };
    let mut tables = Tables {
        generic: maps("generic_maps", &content.generic_maps)?,
        header_checks,
        mime_header_checks,
        nested_header_checks,
        body_checks,
        dns_reply_filter: maps("dns_reply_filter", &config.lookup.dns_reply_filter)?,
        discard_ehlo: maps(
            "discard_ehlo_keyword_address_maps",
            &helo.discard_ehlo_keyword_address_maps,
        )?,
        pix: maps("pix_workaround_maps", &helo.pix_workaround_maps)?,
        tls_policy: maps("tls_policy_maps", &config.tls.tls_policy_maps)?,
        tls_per_site: maps("tls_per_site", &config.tls.tls_per_site)?,
        delivery_status_filter: maps(
            "delivery_status_filter",
            &config.verdict.delivery_status_filter,
        )?,
        ..Tables::default()
    };
    if config.sasl.sasl_auth_enable {
        let list = config.sasl.sasl_password_maps.expose();
        tables.sasl_passwords = SecretMaps::open_in(list, context)
            .map_err(|error| table_error(config, "sasl_password_maps", error))?;
    }
    let filter = config.verdict.reply_filter.trim();
    if !filter.is_empty() {
        let table = crate::tables::open_in(filter, context)
            .map_err(|error| table_error(config, "reply_filter", error))?;
        tables.reply_filter = Some(table);
    }
    Ok(tables)
}

fn setup_error(config: &Config, error: SetupError) -> PolicyError {
    match error {
        SetupError::Table(name, error) => table_error(config, name, error),
        SetupError::Value(name, reason) => PolicyError::Value {
            parameter: named(config, name),
            reason,
        },
    }
}

fn debug_peers(config: &Config, context: &mut TableContext<'_>) -> Result<MatchList, PolicyError> {
    let parents = &config.general.parent_domain_matches_subdomains;
    let kind = if parents.iter().any(|name| name == "debug_peer_list") {
        MatchKind::HostsWithSubdomains
    } else {
        MatchKind::Hosts
    };
    MatchList::open(&config.verdict.debug_peer_list, kind, context).map_err(|error| {
        PolicyError::Table {
            parameter: "debug_peer_list".into(),
            error,
        }
    })
}

/// `mydestination`, which decides about the keys of generic maps.
fn open_destinations(
    config: &Config,
    tables: &Tables,
    context: &mut TableContext<'_>,
) -> Result<MatchList, PolicyError> {
    if tables.generic.is_empty() {
        return Ok(MatchList::default());
    }
    let list = &config.general.mydestination;
    MatchList::open(list, MatchKind::Strings, context).map_err(|error| PolicyError::Table {
        parameter: "mydestination".into(),
        error,
    })
}

fn bind_address<A: std::str::FromStr>(
    config: &Config,
    name: &str,
    text: &str,
) -> Result<Option<A>, PolicyError> {
    let bare = text.trim();
    let bare = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(bare);
    if bare.is_empty() {
        return Ok(None);
    }
    bare.parse().map(Some).map_err(|_| PolicyError::Value {
        parameter: named(config, name),
        reason: format!("\"{text}\" is not a network address of the right family"),
    })
}

fn families(config: &Config) -> Families {
    let protocols = config.connect.inet_protocols;
    Families {
        ipv4: protocols.ipv4,
        ipv6: protocols.ipv6,
    }
}

fn idna(config: &Config) -> Idna {
    if config.general.enable_idna2003_compatibility {
        Idna::Transitional
    } else {
        Idna::NonTransitional
    }
}

fn route_policy(config: &Config) -> RoutePolicy {
    use crate::config;
    let lookup = &config.lookup;
    RoutePolicy {
        mail_domains: config.protocol == Protocol::Smtp,
        families: families(config),
        dns: match lookup.dns_support_level {
            config::DnsSupport::Disabled => DnsSupport::Disabled,
            config::DnsSupport::Enabled => DnsSupport::Enabled,
            config::DnsSupport::Dnssec => DnsSupport::Dnssec,
        },
        host_lookup: HostLookup {
            dns: lookup.host_lookup.dns,
            native: lookup.host_lookup.native,
        },
        search: SearchMode {
            defnames: lookup.dns_resolver_options.defnames,
            dnsrch: lookup.dns_resolver_options.dnsrch,
        },
        randomize: lookup.randomize_addresses,
        preference: match lookup.address_preference {
            config::AddressPreference::Any => FamilyPreference::Any,
            config::AddressPreference::Ipv6 => FamilyPreference::Ipv6,
            config::AddressPreference::Ipv4 => FamilyPreference::Ipv4,
        },
        balance: lookup.balance_inet_protocols,
        address_limit: config.connect.mx_address_limit,
        ignore_mx_error: lookup.ignore_mx_lookup_error,
        defer_without_mx_address: lookup.defer_if_no_mx_address_found,
        cname_overrides_name: lookup.cname_overrides_servername,
        validate_insecure_mx: config.protocol == Protocol::Smtp
            && TlsLevel::parse(&config.tls.tls_dane_insecure_mx_policy) > Some(TlsLevel::May),
        idna: idna(config),
        filter: None,
        own: Arc::default(),
    }
}

fn record_filter(config: &Config, tables: &Tables) -> Option<Arc<dyn RecordFilter>> {
    (!tables.dns_reply_filter.is_empty()).then(|| {
        Arc::new(MapsFilter {
            parameter: named(config, "dns_reply_filter"),
            maps: tables.dns_reply_filter.clone(),
        }) as Arc<dyn RecordFilter>
    })
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
