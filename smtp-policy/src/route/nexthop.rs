//! The syntax of a next hop: `domain`, `domain:port`, `[host]`,
//! `[host]:port`, lists of them, and for LMTP `unix:` and `inet:`. Nothing is
//! looked up here.
//!
//! Answers to `smtp_parse_destination` in Postfix's `src/smtp/smtp_connect.c`
//! and to `src/util/host_port.c`; the errors are its own texts.

use core::fmt;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::idna::Idna;
use crate::dns::names::{Wildcard, is_valid_address, is_valid_hostname};

/// Where mail is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A domain or host, over TCP.
    Inet(InetDestination),
    /// A UNIX-domain socket; a relative path is relative to the queue
    /// directory.
    Unix(PathBuf),
}

/// A domain or host, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InetDestination {
    /// The destination as written, without the `inet:` of LMTP.
    pub text: String,
    /// The domain, host or address, without brackets and `ipv6:`.
    pub domain: String,
    /// Written in brackets: no MX lookup.
    pub bracketed: bool,
    /// The port as written, or the default: a number or a service name.
    pub service: String,
    /// The port, 1 to 65535.
    pub port: u16,
}

/// A next hop that cannot be used. In Postfix this ends the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NexthopError {
    /// The error as Postfix words it.
    pub text: String,
}

impl fmt::Display for NexthopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for NexthopError {}

/// What a next hop may look like.
#[derive(Clone, Debug)]
pub struct NexthopRules {
    /// `unix:` and `inet:` have a meaning: LMTP.
    pub socket_prefixes: bool,
    /// Names of ports.
    pub ports: PortNames,
    /// The port if none is written (`smtp_tcp_port`, `lmtp_tcp_port`): a
    /// number or a name.
    pub default_service: String,
    /// How names beyond ASCII are checked; `None` forbids them
    /// (`smtputf8_enable = no`).
    pub idna: Option<Idna>,
}

impl NexthopRules {
    /// The destinations of a next hop, in order. One bad destination fails the
    /// whole list; a caller that wants to get as far as Postfix does, which
    /// reads a destination when its turn has come, takes
    /// [`split_nexthop`] and [`Self::destination`].
    pub fn parse(&self, nexthop: &str) -> Result<Vec<Destination>, NexthopError> {
        if self.socket_prefixes
            && let Some(path) = nexthop.strip_prefix("unix:")
        {
            return Ok(vec![Destination::Unix(PathBuf::from(path))]);
        }
        let list = self.without_prefix(nexthop);
        let destinations: Vec<Destination> = split_nexthop(list)
            .map(|text| self.destination(text).map(Destination::Inet))
            .collect::<Result<_, _>>()?;
        if destinations.is_empty() {
            let text = format!("null destination: \"{list}\"");
            return Err(NexthopError { text });
        }
        Ok(destinations)
    }

    /// The next hop without the `inet:` of LMTP, which may stand once before
    /// the whole list.
    pub fn without_prefix<'a>(&self, nexthop: &'a str) -> &'a str {
        match nexthop.strip_prefix("inet:") {
            Some(rest) if self.socket_prefixes => rest,
            _ => nexthop,
        }
    }

    /// One destination, which must not be a list and has no prefix.
    pub fn destination(&self, text: &str) -> Result<InetDestination, NexthopError> {
        let (domain, service, bracketed) = self.host_port(text).map_err(|error| NexthopError {
            text: format!("{error} in server description: {text}"),
        })?;
        Ok(InetDestination {
            text: text.to_owned(),
            domain: domain.to_owned(),
            bracketed,
            port: self.ports.port(service, text)?,
            service: service.to_owned(),
        })
    }

    fn host_port<'a>(&'a self, text: &'a str) -> Result<(&'a str, &'a str, bool), &'static str> {
        let (host, port, bracketed) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = in_brackets(rest)?;
                (host, port, true)
            }
            None => {
                let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
                if host.is_empty() {
                    return Err("missing host information");
                }
                (host, port, false)
            }
        };
        if !self.is_valid_host(host) {
            return Err(
                match cfg!(feature = "idna") || self.idna.is_none() || host.is_ascii() {
                    true => "valid hostname or network address required",
                    false => "ASCII hostname required, as built without the feature \"idna\"",
                },
            );
        }
        if port.starts_with(|c: char| c.is_ascii_digit()) && !is_number(port) {
            return Err("garbage after numerical service");
        }
        let service = if port.is_empty() {
            &self.default_service
        } else {
            port
        };
        Ok((host, service, bracketed))
    }

    fn is_valid_host(&self, host: &str) -> bool {
        match self.idna {
            Some(idna) if !host.is_ascii() => idna.to_ascii(host).is_some(),
            _ => is_valid_hostname(host, Wildcard::Forbidden) || is_valid_address(host),
        }
    }
}

/// The host and the port, empty if there is none, after an opening bracket.
fn in_brackets(rest: &str) -> Result<(&str, &str), &'static str> {
    let is_ipv6 = rest
        .get(..5)
        .is_some_and(|p| p.eq_ignore_ascii_case("ipv6:"));
    let rest = rest.get(5..).filter(|_| is_ipv6).unwrap_or(rest);
    let (host, after) = rest.split_once(']').ok_or("missing \"]\"")?;
    let port = match after.strip_prefix(':') {
        Some(port) => port,
        None if after.is_empty() => "",
        None => return Err("garbage after \"]\""),
    };
    if is_ipv6 && !(host.contains(':') && is_valid_address(host)) {
        return Err("malformed IPv6 address");
    }
    Ok((host, port))
}

/// The destinations of a list, separated by commas and white space.
pub fn split_nexthop(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t', '\r', '\n'])
        .filter(|text| !text.is_empty())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Services that every system knows, for names that `known_tcp_ports` lacks.
const SERVICES: &[(&str, u16)] = &[
    ("lmtp", 24),
    ("mail", 25),
    ("smtp", 25),
    ("smtps", 465),
    ("ssmtp", 465),
    ("submission", 587),
    ("submissions", 465),
    ("urd", 465),
];

/// The names of TCP ports: `known_tcp_ports`, then the services of the system.
#[derive(Clone, Debug)]
pub struct PortNames {
    known: BTreeMap<String, String>,
    services: BTreeMap<String, u16>,
}

impl Default for PortNames {
    /// The default of `known_tcp_ports` and a few well-known services.
    fn default() -> Self {
        Self::from_known_tcp_ports("lmtp=24, smtp=25, smtps=submissions=465, submission=587").0
    }
}

impl PortNames {
    /// Reads the value of `known_tcp_ports`, `name=port` or `name=name=port`
    /// separated by commas. Entries that are malformed are left out; for each
    /// there is a warning as Postfix words it.
    pub fn from_known_tcp_ports(value: &str) -> (Self, Vec<String>) {
        let services = SERVICES
            .iter()
            .map(|(name, port)| ((*name).to_owned(), *port));
        let mut names = Self {
            known: BTreeMap::new(),
            services: services.collect(),
        };
        let mut warnings = Vec::new();
        for entry in value.split(',').filter(|entry| !entry.is_empty()) {
            if let Err(error) = names.add(entry) {
                warnings.push(format!("known_tcp_ports: in \"{entry}\"{error}"));
            }
        }
        (names, warnings)
    }

    /// Adds a service of the system (`/etc/services`), which counts only if
    /// `known_tcp_ports` lacks the name.
    pub fn add_service(&mut self, name: impl Into<String>, port: u16) {
        self.services.insert(name.into(), port);
    }

    /// Adds the TCP services in the text of a services(5) file. Of two entries for
    /// a name the first counts, as for getservbyname(3).
    pub fn add_services(&mut self, text: &str) {
        for line in text.lines().rev() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            if let (Some(name), Some(place)) = (words.next(), words.next())
                && let Some(port) = place
                    .strip_suffix("/tcp")
                    .and_then(|port| port.parse().ok())
            {
                self.add_service(name, port);
                words.for_each(|alias| self.add_service(alias, port));
            }
        }
    }

    fn add(&mut self, entry: &str) -> Result<(), &'static str> {
        let Some((names, port)) = entry.rsplit_once('=') else {
            return Err(" is not in \"name = value\" form");
        };
        let port = one_word(
            port,
            ": missing port value after \"=\"",
            ": whitespace in port number",
        )?;
        let mut first_error = Ok(());
        for name in names.split('=') {
            let added = one_word(
                name,
                ": missing service name before \"=\"",
                ": whitespace in service name",
            )
            .and_then(|name| self.add_known(name, port));
            first_error = first_error.and(added);
        }
        first_error
    }

    fn add_known(&mut self, name: &str, port: &str) -> Result<(), &'static str> {
        if is_number(name) {
            return Err(": numerical service name");
        }
        if !is_number(port) {
            return Err(": non-numerical service port");
        }
        if port.parse::<u16>().is_err() {
            return Err(": port number out of range");
        }
        if self.known.contains_key(name) {
            return Err(": duplicate service name");
        }
        self.known.insert(name.to_owned(), port.to_owned());
        Ok(())
    }

    /// The port that `service` stands for, in a destination `text`.
    fn port(&self, service: &str, text: &str) -> Result<u16, NexthopError> {
        let known = self.known.get(service).filter(|_| !is_number(service));
        let service = known.map_or(service, String::as_str);
        let error = |text| Err(NexthopError { text });
        if is_number(service) {
            return match service.parse() {
                Ok(port) if port > 0 => Ok(port),
                _ => error(format!(
                    "bad network port: {service} for destination: {text}"
                )),
            };
        }
        match self.services.get(service) {
            Some(port) => Ok(*port),
            None => error(format!("unknown service: {service}/tcp")),
        }
    }
}

fn one_word<'a>(
    text: &'a str,
    missing: &'static str,
    several: &'static str,
) -> Result<&'a str, &'static str> {
    let mut words = text.split_ascii_whitespace();
    let word = words.next().ok_or(missing)?;
    if words.next().is_some() {
        Err(several)
    } else {
        Ok(word)
    }
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

    fn rules(socket_prefixes: bool) -> NexthopRules {
        NexthopRules {
            socket_prefixes,
            ports: PortNames::default(),
            default_service: if socket_prefixes { "24" } else { "smtp" }.into(),
            idna: Some(Idna::NonTransitional),
        }
    }

    /// The destinations as `domain port bracketed`, or the error.
    fn shown(rules: &NexthopRules, nexthop: &str) -> String {
        match rules.parse(nexthop) {
            Err(error) => error.to_string(),
            Ok(list) => {
                let one = |destination: &Destination| match destination {
                    Destination::Unix(path) => format!("unix {}", path.display()),
                    Destination::Inet(inet) => {
                        let brackets = if inet.bracketed { " direct" } else { "" };
                        format!("{} {}{brackets}", inet.domain, inet.port)
                    }
                };
                list.iter().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn smtp_next_hops_are_read_as_postfix_reads_them() {
        let cases = [
            ("example.com", "example.com 25"),
            ("example.com:", "example.com 25"),
            ("example.com:2525", "example.com 2525"),
            ("example.com:submissions", "example.com 465"),
            ("[mx.example.com]", "mx.example.com 25 direct"),
            ("[mx.example.com]:", "mx.example.com 25 direct"),
            ("[mx.example.com]:submission", "mx.example.com 587 direct"),
            ("[127.0.0.1]:10025", "127.0.0.1 10025 direct"),
            ("127.0.0.1", "127.0.0.1 25"),
            ("[ipv6:::1]:10025", "::1 10025 direct"),
            ("[IPv6:::1]", "::1 25 direct"),
            ("[::1]", "::1 25 direct"),
            (
                "a.example, [b.example]:26\tc.example",
                "a.example 25; b.example 26 direct; c.example 25",
            ),
            ("[a", "missing \"]\" in server description: [a"),
            ("[a]b", "garbage after \"]\" in server description: [a]b"),
            (
                "[ipv6:1.2.3.4]",
                "malformed IPv6 address in server description: [ipv6:1.2.3.4]",
            ),
            (":25", "missing host information in server description: :25"),
            (
                "[]",
                "valid hostname or network address required in server description: []",
            ),
            (
                "::1",
                "valid hostname or network address required in server description: ::1",
            ),
            (
                "inet:a.example",
                "valid hostname or network address required in server description: inet:a.example",
            ),
            (
                "unix:/some/path",
                "valid hostname or network address required in server description: unix:/some/path",
            ),
            (
                "a_b!.example",
                "valid hostname or network address required in server description: a_b!.example",
            ),
            (
                "a.example:25x",
                "garbage after numerical service in server description: a.example:25x",
            ),
            (
                "a.example:0",
                "bad network port: 0 for destination: a.example:0",
            ),
            (
                "a.example:65536",
                "bad network port: 65536 for destination: a.example:65536",
            ),
            ("a.example:gopher", "unknown service: gopher/tcp"),
            (" , ", "null destination: \" , \""),
        ];
        for (nexthop, expected) in cases {
            let expected = match nexthop {
                // In SMTP `inet` and `unix` are host names with a service.
                "inet:a.example" => "unknown service: a.example/tcp",
                "unix:/some/path" => "unknown service: /some/path/tcp",
                _ => expected,
            };
            assert_eq!(shown(&rules(false), nexthop), expected, "{nexthop}");
        }
    }

    #[test]
    fn internationalised_next_hops_take_the_feature_idna() {
        let cases = [
            ("bücher.example", "bücher.example 25"),
            (
                "ü..example",
                "valid hostname or network address required in server description: ü..example",
            ),
        ];
        for (nexthop, expected) in cases {
            let expected = match cfg!(feature = "idna") {
                true => expected.to_owned(),
                false => format!(
                    "ASCII hostname required, as built without the feature \"idna\" \
                     in server description: {nexthop}"
                ),
            };
            assert_eq!(shown(&rules(false), nexthop), expected);
        }
    }

    #[test]
    fn lmtp_next_hops_may_name_sockets() {
        let cases = [
            ("unix:private/lmtp, x", "unix private/lmtp, x"),
            ("inet:a.example:10024", "a.example 10024"),
            ("inet:[::1], b.example", "::1 24 direct; b.example 24"),
            ("a.example", "a.example 24"),
            (
                "a.example, inet:b.example",
                "unknown service: b.example/tcp",
            ),
        ];
        for (nexthop, expected) in cases {
            assert_eq!(shown(&rules(true), nexthop), expected, "{nexthop}");
        }
    }

    #[test]
    fn the_text_and_service_stay_as_written() {
        let destination = rules(false).destination("[ipv6:::1]:submission").unwrap();
        assert_eq!(destination.text, "[ipv6:::1]:submission");
        assert_eq!(destination.service, "submission");
        assert_eq!(rules(true).destination("a.example").unwrap().service, "24");
    }

    #[test]
    fn without_smtputf8_a_next_hop_is_ascii() {
        let rules = NexthopRules {
            idna: None,
            ..rules(false)
        };
        let error = rules.parse("bücher.example").unwrap_err();
        assert!(error.text.starts_with("valid hostname"), "{error}");
    }

    #[test]
    fn known_ports_come_before_services_and_bad_entries_are_reported() {
        let (mut ports, warnings) =
            PortNames::from_known_tcp_ports("smtp = 2525, a = b = 7, c, =9, d=, e f=1, g=x, a=8");
        assert_eq!(
            warnings,
            [
                "known_tcp_ports: in \" c\" is not in \"name = value\" form",
                "known_tcp_ports: in \" =9\": missing service name before \"=\"",
                "known_tcp_ports: in \" d=\": missing port value after \"=\"",
                "known_tcp_ports: in \" e f=1\": whitespace in service name",
                "known_tcp_ports: in \" g=x\": non-numerical service port",
                "known_tcp_ports: in \" a=8\": duplicate service name",
            ]
        );
        ports.add_service("gopher", 70);
        ports.add_services(
            "# services\nsmtp 25/tcp mail\nhttps\t443/tcp\thttp-tls # web\nhttps 443/udp\n\
             https 444/tcp\nbad tcp\n",
        );
        for (service, port) in [
            ("smtp", 2525),
            ("b", 7),
            ("lmtp", 24),
            ("gopher", 70),
            ("https", 443),
            ("http-tls", 443),
        ] {
            assert_eq!(ports.port(service, "x").unwrap(), port, "{service}");
        }
    }
}
