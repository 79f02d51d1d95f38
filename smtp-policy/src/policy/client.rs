//! One of the two clients: its configuration, and what is made of it once so that no
//! delivery has to.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::Arc,
};

use super::PolicyError;
use crate::{
    config::{Config, Protocol},
    content::ContentRules,
    delivery::Bind,
    request::{CacheHints, Request},
    route::{
        FilterFailure, NexthopRules, OwnAddresses, PortNames, RecordFilter, RoutePolicy, idna::Idna,
    },
    sasl::{Sasl, SetupError},
    tables::{KeyCase, Maps, MatchKind, MatchList, SecretMaps, TableContext, TableError, Tables},
    tls::{
        TlsLevel,
        policy::{TlsRules, insecure_mx},
    },
};

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
    /// Every peer is one.
    pub(crate) is_verbose: bool,
    bind: Option<Ipv4Addr>,
    bind6: Option<Ipv6Addr>,
}

impl Client {
    pub(super) fn new(
        config: Config,
        directory: &Path,
        system: &[IpAddr],
        warnings: &mut Vec<String>,
    ) -> Result<Self, PolicyError> {
        let mut context = TableContext::new(directory).with_key_case(key_case(&config));
        let tables = open_tables(&config, &mut context)?;
        let list = &config.cache.connection_cache_destinations;
        let cached = MatchList::open(list, MatchKind::Strings, &mut context)
            .map_err(|error| table_error(&config, "connection_cache_destinations", error))?;
        let debug_peers = debug_peers(&config, &mut context)?;
        let destinations = open_destinations(&config, &tables, &mut context)?;

        let families = config.connect.inet_protocols;
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
            is_verbose: false,
            bind,
            bind6,
        })
    }

    /// A client without tables and without addresses of its own.
    pub(super) fn plain(config: Config) -> Self {
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
            is_verbose: false,
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
        let listed = || self.debug_peers.contains_host(host, address);
        self.is_verbose || listed().unwrap_or(false)
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

/// The way in which keys are compared where case does not count.
fn key_case(config: &Config) -> KeyCase {
    match *config.general.smtputf8_enable {
        true => KeyCase::Unicode,
        false => KeyCase::Ascii,
    }
}

/// Opens the tables. The way in which the keys of a parameter are compared comes from the flags of
/// `maps_create` and `dict_open` in `src/smtp/smtp.c`, `src/smtp/smtp_tls_policy.c`,
/// `src/smtp/smtp_sasl_glue.c`, `src/global/header_body_checks.c`, `src/global/dsn_filter.c` and
/// `src/dns/dns_rr_filter.c`.
fn open_tables(config: &Config, context: &mut TableContext<'_>) -> Result<Tables, PolicyError> {
    let (helo, content, tls) = (&config.helo, &config.content, &config.tls);
    let mut checks = |name: &str, list: &str| {
        context
            .comparing(KeyCase::Exact, |context| Maps::open_bytes_in(list, context))
            .map_err(|error| table_error(config, name, error))
    };
    let header_checks = checks("header_checks", &content.header_checks)?;
    let mime_header_checks = checks("mime_header_checks", &content.mime_header_checks)?;
    let nested_header_checks = checks("nested_header_checks", &content.nested_header_checks)?;
    let body_checks = checks("body_checks", &content.body_checks)?;
    let mut maps = |case: KeyCase, name: &str, list: &str| {
        context
            .comparing(case, |context| Maps::open_in(list, context))
            .map_err(|error| table_error(config, name, error))
    };
    let (any, ascii, exact) = (KeyCase::Unicode, KeyCase::Ascii, KeyCase::Exact);
    let records = &config.lookup.dns_reply_filter;
    let words = &helo.discard_ehlo_keyword_address_maps;
    let verdicts = &config.verdict.delivery_status_filter;
    let mut tables = Tables {
        generic: maps(any, "generic_maps", &content.generic_maps)?,
        header_checks,
        mime_header_checks,
        nested_header_checks,
        body_checks,
        dns_reply_filter: maps(ascii, "dns_reply_filter", records)?,
        discard_ehlo: maps(exact, "discard_ehlo_keyword_address_maps", words)?,
        pix: maps(exact, "pix_workaround_maps", &helo.pix_workaround_maps)?,
        tls_policy: maps(any, "tls_policy_maps", &tls.tls_policy_maps)?,
        tls_per_site: maps(any, "tls_per_site", &tls.tls_per_site)?,
        delivery_status_filter: maps(exact, "delivery_status_filter", verdicts)?,
        ..Tables::default()
    };
    if let Some(table) = tables.dns_reply_filter.external() {
        let error = TableError {
            table: format!("external:{table}"),
            reason: "an external table cannot filter DNS records".into(),
        };
        return Err(table_error(config, "dns_reply_filter", error));
    }
    if config.sasl.sasl_auth_enable {
        let list = String::from_utf8_lossy(config.sasl.sasl_password_maps.expose());
        tables.sasl_passwords = SecretMaps::open_in(&list, context)
            .map_err(|error| table_error(config, "sasl_password_maps", error))?;
    }
    let filter = config.verdict.reply_filter.trim();
    if !filter.is_empty() {
        let table = context
            .comparing(KeyCase::Ascii, |context| {
                crate::tables::open_in(filter, context)
            })
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
    let address = crate::config::address(text, "a network address of the right family");
    address.map_err(|reason| PolicyError::Value {
        parameter: named(config, name),
        reason,
    })
}

fn idna(config: &Config) -> Idna {
    if config.general.enable_idna2003_compatibility {
        Idna::Transitional
    } else {
        Idna::NonTransitional
    }
}

fn route_policy(config: &Config) -> RoutePolicy {
    let lookup = &config.lookup;
    RoutePolicy {
        mail_domains: config.protocol == Protocol::Smtp,
        families: config.connect.inet_protocols,
        dns: *lookup.dns_support_level,
        host_lookup: lookup.host_lookup,
        search: lookup.dns_resolver_options,
        randomize: lookup.randomize_addresses,
        preference: lookup.address_preference,
        balance: lookup.balance_inet_protocols,
        address_limit: config.connect.mx_address_limit,
        ignore_mx_error: lookup.ignore_mx_lookup_error,
        defer_without_mx_address: lookup.defer_if_no_mx_address_found,
        cname_overrides_name: lookup.cname_overrides_servername,
        validate_insecure_mx: config.protocol == Protocol::Smtp
            && insecure_mx(config) > TlsLevel::May,
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use std::io::Write;

    use super::*;
    use crate::config::MainCf;

    fn client(folder: &Path, main_cf: &str) -> Result<Client, PolicyError> {
        let main_cf = MainCf::parse(main_cf, "main.cf", folder).unwrap();
        let config = main_cf.config(Protocol::Smtp).unwrap();
        Client::new(config, folder, &[], &mut Vec::new())
    }

    /// The parameters with tables, and how Postfix compares keys in them.
    const CASES: [(&str, KeyCase); 13] = [
        ("smtp_generic_maps", KeyCase::Unicode),
        ("smtp_tls_policy_maps", KeyCase::Unicode),
        ("smtp_tls_per_site", KeyCase::Unicode),
        ("smtp_sasl_password_maps", KeyCase::Unicode),
        ("smtp_reply_filter", KeyCase::Ascii),
        ("smtp_dns_reply_filter", KeyCase::Ascii),
        ("smtp_header_checks", KeyCase::Exact),
        ("smtp_mime_header_checks", KeyCase::Exact),
        ("smtp_nested_header_checks", KeyCase::Exact),
        ("smtp_body_checks", KeyCase::Exact),
        ("smtp_discard_ehlo_keyword_address_maps", KeyCase::Exact),
        ("smtp_pix_workaround_maps", KeyCase::Exact),
        ("smtp_delivery_status_filter", KeyCase::Exact),
    ];

    /// Returns whether a key is in the tables of a parameter.
    fn finds(client: &Client, parameter: &str, key: &str) -> bool {
        let tables = &client.tables;
        let maps = match parameter {
            "smtp_generic_maps" => &tables.generic,
            "smtp_tls_policy_maps" => &tables.tls_policy,
            "smtp_tls_per_site" => &tables.tls_per_site,
            "smtp_sasl_password_maps" => tables.sasl_passwords.expose(),
            "smtp_reply_filter" => {
                let table = tables.reply_filter.as_ref().unwrap();
                return table.lookup(key).unwrap().is_some();
            }
            "smtp_dns_reply_filter" => &tables.dns_reply_filter,
            "smtp_header_checks" => &tables.header_checks,
            "smtp_mime_header_checks" => &tables.mime_header_checks,
            "smtp_nested_header_checks" => &tables.nested_header_checks,
            "smtp_body_checks" => &tables.body_checks,
            "smtp_discard_ehlo_keyword_address_maps" => &tables.discard_ehlo,
            "smtp_pix_workaround_maps" => &tables.pix,
            "smtp_delivery_status_filter" => &tables.delivery_status_filter,
            other => panic!("{other}"),
        };
        maps.lookup(key).unwrap().is_some()
    }

    #[test]
    fn each_parameter_compares_keys_as_postfix_does() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"KEY x\nSTRASSE x\nlow x\n").unwrap();
        let file = file.path().display();
        for (parameter, case) in CASES {
            for table in [
                "inline:{KEY=x,STRASSE=x,low=x}".to_owned(),
                format!("texthash:{file}"),
                format!("hash:{file}"),
            ] {
                for utf8 in ["yes", "no"] {
                    let main_cf = format!(
                        "smtputf8_enable = {utf8}\nsmtp_sasl_auth_enable = yes\n\
                         smtp_sasl_password_maps = static:x\n{parameter} = {table}\n"
                    );
                    let client = client(Path::new("/"), &main_cf).unwrap();
                    let finds = |key: &str| finds(&client, parameter, key);
                    let about = format!("{parameter} = {table}, smtputf8_enable = {utf8}");
                    // What postmap(1) makes is in lower case.
                    let made = table.starts_with("hash:");
                    let folds = case != KeyCase::Exact;
                    assert_eq!(finds("KEY"), folds || !made, "{about}");
                    assert_eq!(finds("key"), folds || made, "{about}");
                    assert_eq!(finds("LOW"), folds, "{about}");
                    let all = case == KeyCase::Unicode && utf8 == "yes";
                    assert_eq!(finds("Straße"), all, "{about}");
                }
            }
        }
    }

    #[test]
    fn lists_ask_their_tables_in_lower_case() {
        let main_cf = "smtp_connection_cache_destinations = inline:{A.EXAMPLE=x,b.example=x}, C.EXAMPLE\n\
                       debug_peer_list = inline:{A.EXAMPLE=x,b.example=x}, C.EXAMPLE\n";
        let client = client(Path::new("/nonexistent"), main_cf).unwrap();
        for (name, found) in [
            ("a.example", false),
            ("A.EXAMPLE", false),
            ("B.Example", true),
            ("c.example", true),
        ] {
            assert_eq!(client.cached.contains(name), Ok(found), "{name}");
            assert_eq!(client.is_debug_peer(name, "192.0.2.1"), found, "{name}");
        }
    }

    #[test]
    fn an_external_table_is_refused_where_none_can_be_asked() {
        for (parameter, shown) in [
            ("smtp_dns_reply_filter", "external:records"),
            ("smtp_reply_filter", "external:records"),
        ] {
            let main_cf = format!("{parameter} = external:records\n");
            let error = client(Path::new("/nonexistent"), &main_cf)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("{parameter}: {shown}: ")),
                "{error}"
            );
        }
        let main_cf = "smtp_dns_reply_filter = inline:{a=IGNORE}, external:records\n";
        assert!(client(Path::new("/nonexistent"), main_cf).is_err());
    }
}
