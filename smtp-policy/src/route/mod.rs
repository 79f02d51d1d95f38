//! From a next hop to the addresses to connect to, in order.
//!
//! [`nexthop`] reads what the caller calls the destination. [`Resolution`]
//! turns one destination into an ordered list of [`Candidate`]s: it asks
//! questions of the domain name system and decides what the answers mean. It
//! opens no connections; limits on how many candidates are tried are not its
//! business.
//!
//! Answers to Postfix's `src/smtp/smtp_addr.c` and the parsing part of
//! `src/smtp/smtp_connect.c`.

mod balance;
mod filter;
mod hosts;
pub mod idna;
mod loops;
pub mod nexthop;
mod plan;
mod ports;

use core::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use smtp_proto::EnhancedStatus;

pub use self::filter::{FilterFailure, Filtered, RecordFilter, filter_records};
pub use self::loops::OwnAddresses;
pub use self::nexthop::{Destination, InetDestination, NexthopError, NexthopRules};
pub use self::plan::{QuestionId, Resolution};
pub use self::ports::{PortNames, ServiceName};

/// The address families that are looked up and connected to (`inet_protocols`). With neither, every
/// delivery is deferred with 4.4.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// IPv4 is used.
    pub ipv4: bool,
    /// IPv6 is used.
    pub ipv6: bool,
}

impl Families {
    /// Both families, the default of Postfix 3.
    pub const ALL: Self = Self {
        ipv4: true,
        ipv6: true,
    };

    /// Whether the family of `address` is in use.
    pub const fn allow(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }
}

/// Which family is tried first among candidates of the same preference
/// (`smtp_address_preference`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPreference {
    /// None: the order of the answers, or of chance.
    #[default]
    Any,
    /// IPv6 first.
    Ipv6,
    /// IPv4 first.
    Ipv4,
}

/// Where the addresses of a host come from (`smtp_host_lookup`): DNS first,
/// then, if DNS knows no such host, the operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLookup {
    /// Ask name servers.
    pub dns: bool,
    /// Ask the operating system, which also reads `/etc/hosts`.
    pub native: bool,
}

/// The use that is made of DNS (`smtp_dns_support_level`, with
/// `disable_dns_lookups` for the empty value).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsSupport {
    /// No MX lookups, hosts through the operating system only.
    Disabled,
    /// Lookups without validation.
    #[default]
    Enabled,
    /// Lookups that ask for DNSSEC validation; needed for the DANE levels.
    Dnssec,
}

/// A source address (`smtp_bind_address`, `smtp_bind_address6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The address, of the family of the endpoint.
    pub address: IpAddr,
    /// `smtp_bind_address_enforce`: a failure to bind is a failure to connect,
    /// instead of a warning.
    pub enforce: bool,
}

/// The settings that a [`Resolution`] depends on. The parameters have a
/// `smtp_` and an `lmtp_` form; these are those of the protocol in use.
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    /// Destinations without brackets are mail domains that are looked up as
    /// MX, and mail loops are detected on port 25: true for SMTP, false for
    /// LMTP.
    pub mail_domains: bool,
    /// `inet_protocols`.
    pub families: Families,
    /// `smtp_dns_support_level`.
    pub dns: DnsSupport,
    /// `smtp_host_lookup`.
    pub host_lookup: HostLookup,
    /// `smtp_dns_resolver_options`.
    pub search: crate::dns::SearchMode,
    /// `smtp_randomize_addresses`.
    pub randomize: bool,
    /// `smtp_address_preference`.
    pub preference: AddressPreference,
    /// `smtp_balance_inet_protocols`.
    pub balance: bool,
    /// `smtp_mx_address_limit`; zero is no limit. Only for balancing: the list
    /// is not cut otherwise.
    pub address_limit: u32,
    /// `ignore_mx_lookup_error`.
    pub ignore_mx_error: bool,
    /// `smtp_defer_if_no_mx_address_found`.
    pub defer_without_mx_address: bool,
    /// `smtp_cname_overrides_servername`.
    pub cname_overrides_name: bool,
    /// `smtp_tls_dane_insecure_mx_policy` is stronger than `may`: the
    /// addresses of mail exchangers are validated even if the MX records were
    /// not.
    pub validate_insecure_mx: bool,
    /// `enable_idna2003_compatibility`.
    pub idna: idna::Idna,
    /// `smtp_dns_reply_filter`.
    pub filter: Option<Arc<dyn RecordFilter>>,
    /// The addresses that this system receives mail on.
    pub own: Arc<OwnAddresses>,
}

impl RoutePolicy {
    /// The defaults of Postfix for SMTP, without own addresses.
    pub fn smtp() -> Self {
        Self {
            mail_domains: true,
            families: Families::ALL,
            dns: DnsSupport::Enabled,
            host_lookup: HostLookup {
                dns: true,
                native: false,
            },
            search: crate::dns::SearchMode::default(),
            randomize: true,
            preference: AddressPreference::Any,
            balance: true,
            address_limit: 5,
            ignore_mx_error: false,
            defer_without_mx_address: false,
            cname_overrides_name: false,
            validate_insecure_mx: false,
            idna: idna::Idna::NonTransitional,
            filter: None,
            own: Arc::default(),
        }
    }

    /// The defaults of Postfix for LMTP, without own addresses.
    pub fn lmtp() -> Self {
        Self {
            mail_domains: false,
            ..Self::smtp()
        }
    }
}

/// One address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The name of the host for log lines, DSN, TLS and SASL: the MX host or
    /// the destination itself, in ASCII.
    pub host: Arc<str>,
    /// Where to connect to.
    pub address: IpAddr,
    /// The port to connect to.
    pub port: u16,
    /// The MX preference; 0 if there was no MX record.
    pub preference: u16,
    /// The address was validated by DNSSEC.
    pub host_validated: bool,
    /// The MX records were validated by DNSSEC; false without MX records.
    pub mx_validated: bool,
    /// The name that was asked for the address, in ASCII.
    pub asked: Arc<str>,
    /// The owner name of the address record: differs from the name that was
    /// asked for if that is an alias.
    pub canonical: Arc<str>,
}

/// The MX records that led to a destination's candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailExchange {
    /// The domain that was asked for.
    pub asked: String,
    /// The domain that the records belong to: differs if the other is an alias.
    pub owner: String,
    /// The records were validated by DNSSEC.
    pub validated: bool,
}

/// No address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFailure {
    /// The status for the recipients. `x.4.6` is a mail loop.
    pub status: EnhancedStatus,
    /// The reason as Postfix words it.
    pub text: String,
}

impl RouteFailure {
    /// Mail for the destination comes back to this system: other destinations
    /// and fallback relays must not be tried.
    pub fn is_loop(&self) -> bool {
        (self.status.subject(), self.status.detail()) == (4, 6)
    }
}

impl fmt::Display for RouteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

/// What became of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The addresses in the order in which to try them, at least one, or why
    /// there is none.
    pub result: Result<Vec<Candidate>, RouteFailure>,
    /// This system is itself a mail exchanger for the domain: the list holds
    /// only better ones, and nothing else may be tried after them.
    pub i_am_mx: bool,
    /// The MX records by which the addresses were found; `None` if there were none,
    /// or none were asked for.
    pub exchange: Option<MailExchange>,
    /// What to log, as Postfix words it.
    pub notes: Vec<RouteNote>,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteNote {
    /// Something to know.
    Info(String),
    /// Something is wrong.
    Warning(String),
}

impl RouteNote {
    /// The line, without level.
    pub fn text(&self) -> &str {
        match self {
            Self::Info(text) | Self::Warning(text) => text,
        }
    }
}
