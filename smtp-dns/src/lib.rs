//! The stub resolver of Outpost: questions to the domain name system and their
//! answers, without sockets and clock. It is not a recursive resolver, it
//! caches nothing and it validates no signatures: like Postfix it trusts the AD
//! bit of the servers that it was told to use. It knows nothing of mail.
//!
//! [`Lookup`] asks one [`Query`] of the name servers in a [`ResolverConfig`]
//! and ends with an [`Answer`] or a [`Failure`]; the driver sends and receives
//! what [`DnsStep`] says. [`SocketLookup`] does the same in terms of sockets,
//! one at a time, and [`Carrier`] reads and writes them, so that a driver only
//! opens sockets and waits. A program with a resolver of its own can answer a
//! `Query` without any of them.
//!
//! Answers to Postfix's `src/dns/dns_lookup.c` on top of the C library's
//! `res_nsearch`.
//!
//! # Example
//!
//! A driver that waits by trying again. (One that is made to last waits until
//! the socket is ready, and takes a seed that nobody can guess.)
//!
//! ```no_run
//! use smtp_dns::{Answer, Carrier, Failure, Lookup, Progress, Query, QueryKind, ResolverConfig, Transport};
//! use smtp_proto::Time;
//! use socket2::{Domain, Socket, Type};
//! use std::{fs, io, net::SocketAddr, sync::Arc, thread, time::{Duration, Instant}};
//!
//! fn open(transport: Transport, server: SocketAddr) -> io::Result<Socket> {
//!     let kind = match transport {
//!         Transport::Udp => Type::DGRAM,
//!         Transport::Tcp => Type::STREAM,
//!     };
//!     let socket = Socket::new(Domain::for_address(server), kind, None)?;
//!     socket.connect(&server.into())?;
//!     socket.set_nonblocking(true)?;
//!     Ok(socket)
//! }
//!
//! fn mail_exchangers(domain: &str, seed: u64) -> io::Result<Result<Answer, Failure>> {
//!     let config = ResolverConfig::from_resolv_conf(&fs::read_to_string("/etc/resolv.conf")?);
//!     let query = Query::new(domain, QueryKind::Mx);
//!     let mut carrier = Carrier::new(Lookup::new(query, Arc::new(config), seed));
//!     let begun = Instant::now();
//!     loop {
//!         match carrier.step(Time::at(begun.elapsed()), open) {
//!             Progress::Until(_) => thread::sleep(Duration::from_millis(10)),
//!             Progress::Done(result) => return Ok(result),
//!         }
//!     }
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod carrier;
mod exchange;
mod lookup;
pub mod names;
pub mod probe;
mod resolv_conf;
mod search;
pub mod seed;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use answer::answer_dns_stub;
pub use carrier::{Carrier, Progress};
pub use lookup::{DnsStep, Lookup};
pub use resolv_conf::ResolverConfig;
pub use transport::{SocketLookup, SocketStep, Transport};

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// The name asked for: ASCII, without a final dot. `.` is the root.
    pub name: String,
    /// The type of record asked for.
    pub kind: QueryKind,
    /// Whether to ask for DNSSEC validation: the AD and DO bits of the question
    /// (`RES_USE_DNSSEC`). Without it the answer is never validated.
    pub validate: bool,
    /// Whether domains of the search list may be appended to the name. Only
    /// host lookups use this (`smtp_dns_resolver_options`).
    pub search: SearchMode,
}

impl Query {
    /// A question without validation and without a search list.
    pub fn new(name: impl Into<String>, kind: QueryKind) -> Self {
        Self {
            name: name.into(),
            kind,
            validate: false,
            search: SearchMode::default(),
        }
    }
}

/// The type of record that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryKind {
    /// Mail exchangers.
    Mx,
    /// The name servers of a zone.
    Ns,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The alias itself, not followed.
    Cname,
    /// DANE certificate associations, RFC 6698.
    Tlsa,
    /// Service locations, RFC 2782.
    Srv,
    /// Text.
    Txt,
    /// The operating system's host lookup (`getaddrinfo`, which also reads
    /// `/etc/hosts`). The driver answers it itself, with `A` and `Aaaa`
    /// records in the order of the system; it never reaches [`Lookup`].
    Native(Family),
}

impl QueryKind {
    /// All that name servers are asked for.
    pub(crate) const ALL: [Self; 7] = [
        Self::Mx,
        Self::Ns,
        Self::A,
        Self::Aaaa,
        Self::Cname,
        Self::Tlsa,
        Self::Srv,
    ];

    /// The name of the type as it stands in log lines: `MX`, `AAAA`. A native
    /// lookup is `native`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Tlsa => "TLSA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
            Self::Native(_) => "native",
        }
    }
}

/// The record as a zone file has it, without its time to live.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.owner, self.data)
    }
}

/// The type and the data as a zone file has them; what is beyond ASCII in a text as in Rust.
impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "A {address}"),
            Self::Aaaa(address) => write!(f, "AAAA {address}"),
            Self::Mx { preference, host } => write!(f, "MX {preference} {host}."),
            Self::Cname(name) => write!(f, "CNAME {name}."),
            Self::Tlsa {
                usage,
                selector,
                matching,
                data,
            } => {
                write!(f, "TLSA {usage} {selector} {matching} ")?;
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Ns(name) => write!(f, "NS {name}."),
            Self::Srv {
                priority,
                weight,
                port,
                target,
            } => write!(f, "SRV {priority} {weight} {port} {target}."),
            Self::Txt(text) => write!(f, "TXT \"{}\"", text.escape_ascii()),
        }
    }
}

impl fmt::Display for QueryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The address families that a native lookup may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Both (`AF_UNSPEC`).
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Which names get domains of the search list appended. Both off: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchMode {
    /// Append the first search domain to a name without dots (`RES_DEFNAMES`).
    pub defnames: bool,
    /// Try all search domains, also for names with dots (`RES_DNSRCH`).
    pub dnsrch: bool,
}

/// One resource record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The name that the record stands at, without a final dot: the end of the
    /// alias chain if the name asked for is an alias.
    pub owner: String,
    /// Time to live in seconds.
    pub ttl: u32,
    /// The content.
    pub data: RecordData,
    /// The servers vouched for this record and all aliases on the way to it
    /// (AD bit).
    pub validated: bool,
}

/// The content of a resource record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A mail exchanger.
    Mx {
        /// The preference: lower is tried first.
        preference: u16,
        /// The name of the host, without a final dot. Empty is the root: the
        /// domain accepts no mail (RFC 7505).
        host: String,
    },
    /// An alias.
    Cname(String),
    /// A DANE certificate association, RFC 6698.
    Tlsa {
        /// Certificate usage.
        usage: u8,
        /// Which part of the certificate is matched.
        selector: u8,
        /// How it is matched.
        matching: u8,
        /// The data to match.
        data: Vec<u8>,
    },
    /// A name server of a zone, without a final dot.
    Ns(String),
    /// A service location, RFC 2782.
    Srv {
        /// The priority: lower is tried first.
        priority: u16,
        /// The share among records of the same priority.
        weight: u16,
        /// The port of the service.
        port: u16,
        /// The host, without a final dot. Empty is the root: no such service.
        target: String,
    },
    /// The character strings of a text record, joined without anything between.
    Txt(Vec<u8>),
}

impl RecordData {
    /// The address in an `A` or `Aaaa` record.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some(IpAddr::V4(*address)),
            Self::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        }
    }

    /// The type of the record.
    pub const fn kind(&self) -> QueryKind {
        match self {
            Self::A(_) => QueryKind::A,
            Self::Aaaa(_) => QueryKind::Aaaa,
            Self::Mx { .. } => QueryKind::Mx,
            Self::Cname(_) => QueryKind::Cname,
            Self::Ns(_) => QueryKind::Ns,
            Self::Tlsa { .. } => QueryKind::Tlsa,
            Self::Srv { .. } => QueryKind::Srv,
            Self::Txt(_) => QueryKind::Txt,
        }
    }
}

/// What was found. An answer without records is no answer but
/// [`Failure::NoData`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The records of the type asked for, in the order of the reply.
    pub records: Vec<Record>,
    /// The owner name at the end of the alias chain; the name asked for if it
    /// is no alias. Without a final dot.
    pub canonical: String,
    /// The servers vouched for the whole chain (AD bit of every reply).
    pub validated: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist (`NXDOMAIN`).
    NotFound,
    /// The name exists, but has no record of this type.
    NoData,
    /// No useful reply for now: time out, `SERVFAIL`, no server reachable.
    TryAgain,
    /// A server said that it will not or cannot answer.
    NonRecoverable,
    /// The reply has records of the type, but all are invalid, or an alias with
    /// an invalid name. The text is the warnings to log, one a line.
    Malformed(String),
    /// The reply ends in the middle or contradicts itself. The text is the
    /// warnings to log, one a line.
    Garbled(String),
    /// The reply has records, but none of the type and no alias.
    Unexpected,
    /// The name was not asked for because it is an address or no valid host
    /// name.
    InvalidName,
    /// More than ten aliases in a row.
    Loop,
    /// The operating system's host lookup failed.
    Native {
        /// Whether trying again later may help: `EAI_AGAIN`, `EAI_MEMORY` and
        /// `EAI_SYSTEM`.
        retry: bool,
        /// Which error.
        kind: NativeFailure,
        /// The error as the C library words it (`gai_strerror`).
        message: String,
    },
    /// The failure inside came after following an alias to `name`, which took
    /// a question of its own.
    Aliased {
        /// The name that was asked for last.
        name: String,
        /// What happened there.
        failure: Box<Failure>,
    },
}

/// The errors of the operating system's host lookup that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeFailure {
    /// `EAI_AGAIN`.
    Again,
    /// `EAI_NODATA`.
    NoData,
    /// `EAI_NONAME`.
    NoName,
    /// `EAI_MEMORY`.
    Memory,
    /// `EAI_SYSTEM`.
    System,
    /// Any other.
    Other,
}

impl NativeFailure {
    /// Whether Postfix takes the error to say that there is no such host, for now
    /// or for good. `EAI_NODATA` is not among them: the C library hides it from
    /// programs that keep to the standard, as Postfix does.
    pub const fn is_no_host(self) -> bool {
        matches!(self, Self::Again | Self::NoName)
    }

    /// Whether trying again later may help.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Again | Self::Memory | Self::System)
    }
}

impl Failure {
    /// The failure itself and the name that was asked for last, given the name
    /// that was asked for first.
    pub fn at<'a>(&'a self, name: &'a str) -> (&'a Failure, &'a str) {
        match self {
            Self::Aliased { name, failure } => failure.at(name),
            other => (other, name),
        }
    }

    /// The reason as Postfix words it (`src/dns/dns_lookup.c`), for a question
    /// for `name` and `kind`.
    pub fn reason(&self, name: &str, kind: QueryKind) -> String {
        let (failure, name) = self.at(name);
        let error = match failure {
            Self::NotFound => "Host not found",
            Self::NoData => "Host found but no data record of requested type",
            Self::TryAgain => "Host not found, try again",
            Self::NonRecoverable => "Non-recoverable error",
            Self::Malformed(_) | Self::Garbled(_) | Self::Unexpected => {
                return format!(
                    "Name service error for name={name} type={kind}: \
                     Malformed or unexpected name server reply"
                );
            }
            Self::InvalidName => {
                return format!("Name service error for {name}: invalid host or domain name");
            }
            Self::Loop => return format!("Name server loop for {name}"),
            Self::Native { message, .. } => {
                return format!("unable to look up host {name}: {message}");
            }
            Self::Aliased { .. } => "Host not found, try again",
        };
        format!(
            "Host or domain name not found. \
             Name service error for name={name} type={kind}: {error}"
        )
    }
}

/// The failure in a few words, without the name that was asked for: the words of Postfix's
/// log are those of [`Failure::reason`].
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such name"),
            Self::NoData => f.write_str("no record of this type"),
            Self::TryAgain => f.write_str("no useful reply for now"),
            Self::NonRecoverable => f.write_str("the servers cannot answer"),
            Self::Malformed(_) => f.write_str("all records are invalid"),
            Self::Garbled(_) => f.write_str("the reply is broken"),
            Self::Unexpected => f.write_str("the reply has other records"),
            Self::InvalidName => f.write_str("an invalid host or domain name"),
            Self::Loop => f.write_str("too many aliases"),
            Self::Native { message, .. } => f.write_str(message),
            Self::Aliased { name, failure } => write!(f, "alias of {name}: {failure}"),
        }
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Aliased { failure, .. } => Some(failure.as_ref()),
            _ => None,
        }
    }
}

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
