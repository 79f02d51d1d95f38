//! The groups of settings, and their defaults.

use core::time::Duration;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use smtp_proto::{
    command::HelloName,
    reply::KeywordSet,
    session::{DeadlineRule, HelloChoice, Timeouts},
};

use super::{
    tls::Tls,
    words::{AddressFormat, BestMx, NotifyClasses, PixWords, ProbeTarget},
};
use crate::{
    Protocol,
    dns::SearchMode,
    request::Nexthop,
    route::{
        AddressPreference, Bind, Destination, DnsSupport, Families, HostLookup, OwnAddresses,
        PortNames, idna::Idna,
    },
    sasl::SecurityOptions,
    tables::{Maps, MatchList, SecretMaps, Table},
};

/// The settings of a client by subject.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Groups {
    /// Names of this machine.
    pub identity: Identity,
    /// Greeting, extensions, QUIT.
    pub hello: Hello,
    /// From names to addresses.
    pub lookup: Lookup,
    /// Where to connect to, and from which address.
    pub connect: Connect,
    /// Encryption.
    pub tls: Tls,
    /// Login at the server; none: no login.
    pub login: Option<Login>,
    /// The message text and the addresses on the wire.
    pub content: Content,
    /// Time limits.
    pub timeouts: TimeLimits,
    /// From replies to verdicts.
    pub verdict: Verdicts,
    /// Kept connections.
    pub reuse: Reuse,
    /// Numbers and sizes.
    pub limits: Limits,
    /// Log lines.
    pub log: LogFormat,
}

impl Groups {
    /// The defaults for a protocol: those of Postfix, but for opportunistic TLS.
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            identity: Identity::new(),
            hello: Hello::new(protocol),
            lookup: Lookup::default(),
            connect: Connect::new(protocol),
            tls: Tls::default(),
            login: None,
            content: Content::default(),
            timeouts: TimeLimits::new(protocol),
            verdict: Verdicts::default(),
            reuse: Reuse::default(),
            limits: Limits::default(),
            log: LogFormat::default(),
        }
    }
}

/// The names of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The full name (`myhostname`): a server that greets with it is a sign of a mail loop.
    pub host: HelloName,
    /// The domain of its own addresses (`myorigin`).
    pub origin: HelloName,
    /// The mail system, as notices name it (`mail_name`).
    pub mail_name: String,
    /// The local part of the sender of notices (`double_bounce_sender`).
    pub double_bounce: String,
    /// Who gets notices (`error_notice_recipient`).
    pub postmaster: String,
}

impl Identity {
    fn new() -> Self {
        Self {
            host: HelloName::localhost(),
            origin: HelloName::localhost(),
            mail_name: "Postfix".into(),
            double_bounce: "double-bounce".into(),
            postmaster: "postmaster".into(),
        }
    }
}

/// The beginning and the end of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hello {
    /// The name to send with EHLO, HELO or LHLO (`smtp_helo_name`, `lmtp_lhlo_name`).
    pub name: HelloName,
    /// EHLO or HELO first (`smtp_always_send_ehlo`, `smtp_never_send_ehlo`).
    pub choice: HelloChoice,
    /// Extensions that count as not offered (`smtp_discard_ehlo_keywords`).
    pub discard: KeywordSet,
    /// The same by the address of the server (`smtp_discard_ehlo_keyword_address_maps`).
    pub discard_by_address: Maps,
    /// What is done about PIX firewalls.
    pub pix: Pix,
    /// A 5xx greeting only means that the server is to be skipped (`smtp_skip_5xx_greeting`).
    pub skip_5xx_greeting: bool,
    /// The reply to QUIT is not waited for (`smtp_skip_quit_response`).
    pub skip_quit_response: bool,
    /// What is known of the original client is passed on (`smtp_send_xforward_command`).
    pub xforward: bool,
}

impl Hello {
    fn new(protocol: Protocol) -> Self {
        Self {
            name: HelloName::localhost(),
            choice: HelloChoice::Ehlo,
            discard: KeywordSet::EMPTY,
            discard_by_address: Maps::default(),
            pix: Pix::default(),
            skip_5xx_greeting: true,
            skip_quit_response: protocol == Protocol::Smtp,
            xforward: false,
        }
    }
}

/// What is done about servers behind a PIX firewall.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pix {
    /// The workarounds (`smtp_pix_workarounds`).
    pub words: PixWords,
    /// The same by the address of the server (`smtp_pix_workaround_maps`).
    pub by_address: Maps,
    /// The pause before the final dot (`smtp_pix_workaround_delay_time`).
    pub delay: Duration,
    /// The age from which a message is worth the pause (`smtp_pix_workaround_threshold_time`).
    pub threshold: Duration,
}

impl Default for Pix {
    fn default() -> Self {
        Self {
            words: PixWords::ALL,
            by_address: Maps::default(),
            delay: Duration::from_secs(10),
            threshold: Duration::from_secs(500),
        }
    }
}

/// From names to addresses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lookup {
    /// The address families in use (`inet_protocols`).
    pub families: Families,
    /// The use that is made of DNS (`smtp_dns_support_level`).
    pub dns: DnsSupport,
    /// Where the addresses of hosts come from (`smtp_host_lookup`).
    pub host_lookup: HostLookup,
    /// How short host names are completed (`smtp_dns_resolver_options`).
    pub search: SearchMode,
    /// Addresses of equal preference are shuffled (`smtp_randomize_addresses`).
    pub randomize: bool,
    /// The family that comes first (`smtp_address_preference`).
    pub preference: AddressPreference,
    /// Both families keep a fair share (`smtp_balance_inet_protocols`).
    pub balance: bool,
    /// An MX look-up that fails for now is as good as none (`ignore_mx_lookup_error`).
    pub ignore_mx_error: bool,
    /// Mail is deferred where no mail exchanger has an address (`smtp_defer_if_no_mx_address_found`).
    pub defer_without_mx_address: bool,
    /// A server has the name at the end of its aliases (`smtp_cname_overrides_servername`).
    pub cname_overrides_name: bool,
    /// How names beyond ASCII become A-labels (`enable_idna2003_compatibility`).
    pub idna: Idna,
    /// Tables that see each DNS record and may drop it (`smtp_dns_reply_filter`).
    pub filter: Maps,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            families: Families::ALL,
            dns: DnsSupport::Enabled,
            host_lookup: HostLookup {
                dns: true,
                native: false,
            },
            search: SearchMode::default(),
            randomize: true,
            preference: AddressPreference::Any,
            balance: true,
            ignore_mx_error: false,
            defer_without_mx_address: false,
            cname_overrides_name: false,
            idna: Idna::NonTransitional,
            filter: Maps::default(),
        }
    }
}

/// Where to connect to, and from which address.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connect {
    /// The source address of IPv4 connections (`smtp_bind_address`).
    pub source4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections (`smtp_bind_address6`).
    pub source6: Option<Ipv6Addr>,
    /// An address is passed over rather than connected to from another source (`smtp_bind_address_enforce`).
    pub enforce_source: bool,
    /// The bytes that the buffers of a socket get (`tcp_windowsize`); 0 leaves them to the system.
    pub window: u32,
    /// The addresses at which this machine receives mail (`inet_interfaces`, `proxy_interfaces`).
    pub own: Arc<OwnAddresses>,
    /// Names of ports (`known_tcp_ports`).
    pub ports: PortNames,
    /// The name or number of the port where none is written (`smtp_tcp_port`).
    pub service: String,
    /// Where recipients go whom no server of the destination could take for now (`smtp_fallback_relay`).
    pub fallback_relays: Vec<Destination>,
    /// The next hop for all mail (`relayhost`): a program's default, and a word in warnings.
    pub relayhost: Option<Nexthop>,
    /// Where mail goes for domains whose best mail exchanger is this machine (`best_mx_transport`).
    pub best_mx: Option<BestMx>,
}

impl Connect {
    fn new(protocol: Protocol) -> Self {
        Self {
            source4: None,
            source6: None,
            enforce_source: false,
            window: 0,
            own: Arc::default(),
            ports: PortNames::default(),
            service: match protocol {
                Protocol::Smtp => "smtp",
                Protocol::Lmtp => "24",
            }
            .into(),
            fallback_relays: Vec::new(),
            relayhost: None,
            best_mx: None,
        }
    }

    /// The source address for connections to `remote`: what is configured, or the only address of this machine
    /// that mail comes in on.
    pub(crate) fn bind(&self, remote: IpAddr) -> Option<Bind> {
        let configured = match remote {
            IpAddr::V4(_) => self.source4.map(IpAddr::V4),
            IpAddr::V6(_) => self.source6.map(IpAddr::V6),
        };
        match configured {
            Some(address) => Some(Bind {
                address,
                enforce: self.enforce_source,
            }),
            None => self.own.source_for(remote).map(|address| Bind {
                address,
                enforce: false,
            }),
        }
    }
}

/// Login at the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// User and password, `user:password`, by sender, server name or destination (`smtp_sasl_password_maps`).
    pub passwords: SecretMaps,
    /// What mechanisms must be like without TLS (`smtp_sasl_security_options`).
    pub plaintext: SecurityOptions,
    /// The same inside TLS with a server that is not verified (`smtp_sasl_tls_security_options`).
    pub tls: SecurityOptions,
    /// The same inside TLS with a server that is verified (`smtp_sasl_tls_verified_security_options`).
    pub verified_tls: SecurityOptions,
    /// The mechanisms that count (`smtp_sasl_mechanism_filter`); none: all.
    pub mechanisms: Option<MatchList>,
    /// Passwords are looked up by the sender first (`smtp_sender_dependent_authentication`).
    pub by_sender: bool,
    /// How long a rejected login is remembered (`smtp_sasl_auth_cache_time`); none: not at all.
    pub memory: Option<Duration>,
    /// A rejected login defers mail rather than return it (`smtp_sasl_auth_soft_bounce`).
    pub soft_bounce: bool,
    /// MAIL FROM says `AUTH=<>` (`smtp_send_dummy_mail_auth`).
    pub dummy_mail_auth: bool,
    /// The authorisation identity is sent (`send_cyrus_sasl_authzid`).
    pub authzid: bool,
}

impl Login {
    /// A login with these passwords. Passwords go out inside TLS only.
    pub fn new(passwords: SecretMaps) -> Self {
        let noanonymous = SecurityOptions::NOANONYMOUS;
        Self {
            passwords,
            plaintext: SecurityOptions::NOPLAINTEXT.and(noanonymous),
            tls: noanonymous,
            verified_tls: noanonymous,
            mechanisms: None,
            by_sender: false,
            memory: None,
            soft_bounce: true,
            dummy_mail_auth: false,
            authzid: false,
        }
    }
}

/// The message text and the addresses on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Content {
    /// Names and addresses beyond ASCII are supported (`smtputf8_enable`).
    pub smtputf8: bool,
    /// Local parts are quoted where RFC 5321 asks for it (`smtp_quote_rfc821_envelope`).
    pub quote_envelope: bool,
    /// 8-bit text is converted for servers without 8BITMIME (`disable_mime_output_conversion`).
    pub convert: bool,
    /// Checks of header fields of the message (`smtp_header_checks`).
    pub header_checks: Maps,
    /// Checks of MIME header fields (`smtp_mime_header_checks`).
    pub mime_header_checks: Maps,
    /// Checks of header fields of attached messages (`smtp_nested_header_checks`).
    pub nested_header_checks: Maps,
    /// Checks of lines of bodies (`smtp_body_checks`).
    pub body_checks: Maps,
    /// Addresses of this place as the world knows them (`smtp_generic_maps`).
    pub generic: Maps,
    /// How addresses are completed and looked up.
    pub rewriting: Rewriting,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            smtputf8: true,
            quote_envelope: true,
            convert: true,
            header_checks: Maps::default(),
            mime_header_checks: Maps::default(),
            nested_header_checks: Maps::default(),
            body_checks: Maps::default(),
            generic: Maps::default(),
            rewriting: Rewriting::default(),
        }
    }
}

/// How addresses are completed and looked up in tables.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewriting {
    /// Domains of this machine, whose addresses may match by their local part alone (`mydestination`).
    pub destinations: MatchList,
    /// The characters between a user name and its extension (`recipient_delimiter`).
    pub delimiters: String,
    /// An extension that the key did not contain is added to the result of generic maps
    /// (`propagate_unmatched_extensions`).
    pub propagate_extension: bool,
    /// What addresses without a domain get (`myorigin`, if `append_at_myorigin`).
    pub origin: Option<HelloName>,
    /// What domains without a dot get (`mydomain`, if `append_dot_mydomain`).
    pub domain: Option<HelloName>,
    /// `host!user` is `user@host` (`swap_bangpath`).
    pub swap_bangpath: bool,
    /// `user%domain` is `user@domain` (`allow_percent_hack`).
    pub percent_hack: bool,
}

impl Default for Rewriting {
    /// Postfix's defaults, but that nothing is completed.
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            delimiters: String::new(),
            propagate_extension: false,
            origin: None,
            domain: None,
            swap_bangpath: true,
            percent_hack: true,
        }
    }
}

/// How long everything may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeLimits {
    /// Setting up a connection (`smtp_connect_timeout`); none leaves it to the operating system.
    pub connect: Option<Duration>,
    /// The stages of a session.
    pub session: Timeouts,
    /// What the limits of the stages limit (`smtp_per_request_deadline`, `smtp_min_data_rate`).
    pub deadline: DeadlineRule,
    /// A delivery altogether (`daemon_timeout`).
    pub delivery: Duration,
}

impl TimeLimits {
    fn new(protocol: Protocol) -> Self {
        Self {
            connect: (protocol == Protocol::Smtp).then_some(Duration::from_secs(30)),
            session: Timeouts::default(),
            deadline: DeadlineRule::PerOperation,
            delivery: Duration::from_secs(18_000),
        }
    }
}

/// From replies to verdicts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verdicts {
    /// A table that sees each line of a reply and may replace it (`smtp_reply_filter`).
    pub reply_filter: Option<Arc<dyn Table>>,
    /// Tables that see each verdict and may replace it (`smtp_delivery_status_filter`).
    pub status_filter: Maps,
    /// Every 5xx verdict becomes a temporary one (`soft_bounce`).
    pub soft_bounce: bool,
    /// LMTP: the server is the final destination (`lmtp_assume_final`).
    pub assume_final: bool,
    /// Where an address probe stops (`smtp_address_verify_target`).
    pub probe_target: ProbeTarget,
    /// What the postmaster wants to hear of (`notify_classes`).
    pub notify: NotifyClasses,
    /// Servers whose dialogue goes to the log (`debug_peer_list`).
    pub debug_peers: MatchList,
}

/// Kept connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reuse {
    /// Destinations whose connections are always kept (`smtp_connection_cache_destinations`).
    pub destinations: MatchList,
    /// Connections are also kept when a request says that more mail follows
    /// (`smtp_connection_cache_on_demand`).
    pub on_demand: bool,
    /// How long a kept connection may be idle (`smtp_connection_cache_time_limit`, at most
    /// `connection_cache_ttl_limit`).
    pub idle: Duration,
    /// How old a connection may be and still be kept (`smtp_connection_reuse_time_limit`).
    pub age: Duration,
    /// How often a connection may be used again (`smtp_connection_reuse_count_limit`); 0 is no limit.
    pub uses: u32,
    /// Connections serve only the server name and the destination that they were made for: there are
    /// passwords by these.
    pub by_destination: bool,
    /// Connections serve only the sender that they were made for: there are passwords by the sender.
    pub by_sender: bool,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            on_demand: true,
            idle: Duration::from_secs(2),
            age: Duration::from_secs(300),
            uses: 0,
            by_destination: false,
            by_sender: false,
        }
    }
}

/// Numbers and sizes. 0 is no limit where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Addresses of one destination that are tried (`smtp_mx_address_limit`).
    pub addresses: u32,
    /// Sessions of one destination that get as far as a transaction (`smtp_mx_session_limit`).
    pub sessions: u32,
    /// Deliveries to one destination at the same time (`smtp_destination_concurrency_limit`).
    pub concurrency: u32,
    /// Recipients of one delivery (`smtp_destination_recipient_limit`).
    pub recipients: u32,
    /// Bytes of a line of text (`smtp_line_length_limit`).
    pub line: u32,
    /// Bytes of a header field (`header_size_limit`); at least 1.
    pub header: u32,
    /// Bytes of a MIME boundary (`mime_boundary_length_limit`); at least 1.
    pub boundary: u32,
    /// Multiparts inside each other (`mime_nesting_limit`); at least 1.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: 5,
            sessions: 2,
            concurrency: 20,
            recipients: 50,
            line: 998,
            header: 102_400,
            boundary: 2048,
            nesting: 100,
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFormat {
    /// The digits behind the point of delays (`delay_logging_resolution_limit`), at most 6.
    pub resolution: u32,
    /// The form of addresses.
    pub addresses: AddressFormat,
}

impl Default for LogFormat {
    fn default() -> Self {
        Self {
            resolution: 2,
            addresses: AddressFormat::External,
        }
    }
}
