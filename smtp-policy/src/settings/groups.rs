//! The groups of settings; those about a connection, and their defaults.

use core::time::Duration;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use smtp_proto::{command::HelloName, reply::KeywordSet, session::HelloChoice};

use super::{
    Content, Login, Tls,
    mail::{Limits, Reuse, TimeLimits, Verdicts},
    words::{BestMx, PixWords},
};
use crate::{
    Protocol,
    dns::SearchMode,
    report::LogStyle,
    request::Nexthop,
    route::{
        AddressPreference, Bind, Destination, DnsSupport, Families, HostLookup, OwnAddresses,
        PortNames, ServiceName, idna::Idna,
    },
    tables::Maps,
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
    /// The places to connect to, and the addresses to connect from.
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
    pub log: LogStyle,
}

impl Groups {
    /// The defaults for a protocol: those of Postfix, but for opportunistic TLS.
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            identity: Identity::new(),
            hello: Hello::new(protocol),
            lookup: Lookup::default(),
            connect: Connect::new(protocol),
            tls: Tls::new(protocol),
            login: None,
            content: Content::default(),
            timeouts: TimeLimits::new(protocol),
            verdict: Verdicts::default(),
            reuse: Reuse::default(),
            limits: Limits::default(),
            log: LogStyle::default(),
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
    /// The recipient of notices (`error_notice_recipient`).
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
    /// The workarounds for PIX firewalls.
    pub pix: Pix,
    /// A 5xx greeting only means that the server is to be skipped (`smtp_skip_5xx_greeting`).
    pub skip_5xx_greeting: bool,
    /// The reply to QUIT is not waited for (`smtp_skip_quit_response`).
    pub skip_quit_response: bool,
    /// Passes on what is known of the original client (`smtp_send_xforward_command`).
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

/// The workarounds for servers behind a PIX firewall.
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
    /// The sources of the addresses of hosts (`smtp_host_lookup`).
    pub host_lookup: HostLookup,
    /// The completion of short host names (`smtp_dns_resolver_options`).
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
    /// The way from names beyond ASCII to A-labels (`enable_idna2003_compatibility`).
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

/// The places to connect to, and the addresses to connect from.
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
    /// The port where none is written (`smtp_tcp_port`).
    pub service: ServiceName,
    /// The relays for recipients whom no server of the destination could take for now (`smtp_fallback_relay`).
    pub fallback_relays: Vec<Destination>,
    /// The next hop for all mail (`relayhost`): a program's default, and a word in warnings.
    pub relayhost: Option<Nexthop>,
    /// The transport for domains whose best mail exchanger is this machine (`best_mx_transport`).
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
                Protocol::Smtp => ServiceName::smtp(),
                Protocol::Lmtp => ServiceName::port(24),
            },
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
