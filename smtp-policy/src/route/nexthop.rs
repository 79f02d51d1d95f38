//! The syntax of a next hop: `domain`, `domain:port`, `[host]`,
//! `[host]:port`, lists of them, and for LMTP `unix:` and `inet:`. Nothing is
//! looked up here.
//!
//! Answers to `smtp_parse_destination` in Postfix's `src/smtp/smtp_connect.c`
//! and to `src/util/host_port.c`; the errors are its own texts.

use core::fmt;
use std::{path::PathBuf, sync::Arc};

use super::{
    idna::Idna,
    ports::{PortNames, ServiceName, is_number},
};
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
    pub text: Arc<str>,
    /// The domain, host or address, without brackets and `ipv6:`.
    pub domain: Arc<str>,
    /// Written in brackets: no MX lookup.
    pub bracketed: bool,
    /// The port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Destination {
    /// The destination as a next hop names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(inet) => f.write_str(&inet.text),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
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
    pub default_service: ServiceName,
    /// How names beyond ASCII are checked; `None` forbids them
    /// (`smtputf8_enable = no`).
    pub idna: Option<Idna>,
}

impl NexthopRules {
    /// The destinations of a next hop, in order. One bad destination fails the
    /// whole list; a caller that wants to get as far as Postfix does, which
    /// reads a destination when its turn has come, takes
    /// [`split`](Self::split) and [`destination`](Self::destination).
    pub fn parse(&self, nexthop: &str) -> Result<Vec<Destination>, NexthopError> {
        let destinations: Vec<Destination> = self
            .split(nexthop)
            .map(|text| self.destination(text))
            .collect::<Result<_, _>>()?;
        if destinations.is_empty() {
            let list = self.without_prefix(nexthop);
            let text = format!("null destination: \"{list}\"");
            return Err(NexthopError { text });
        }
        Ok(destinations)
    }

    /// The texts of the destinations of a next hop, in order: its parts between commas and
    /// white space, or the socket that it names.
    pub fn split<'a>(&self, nexthop: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let (socket, list) = match self.socket(nexthop) {
            Some(_) => (Some(nexthop), ""),
            None => (None, self.without_prefix(nexthop)),
        };
        let parts = list.split(is_separator);
        socket
            .into_iter()
            .chain(parts.filter(|text| !text.is_empty()))
    }

    /// One destination, which must not be a list and has no `inet:` before it.
    pub fn destination(&self, text: &str) -> Result<Destination, NexthopError> {
        if let Some(path) = self.socket(text) {
            return Ok(Destination::Unix(PathBuf::from(path)));
        }
        let (domain, service, bracketed) = self.host_port(text).map_err(|error| NexthopError {
            text: format!("{error} in server description: {text}"),
        })?;
        Ok(Destination::Inet(InetDestination {
            text: text.into(),
            domain: domain.into(),
            bracketed,
            port: self.ports.port(service, text)?,
        }))
    }

    /// Returns whether a text names a socket.
    pub fn names_socket(&self, text: &str) -> bool {
        self.socket(text).is_some()
    }

    /// The path of the socket that a text names (LMTP).
    fn socket<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix("unix:").filter(|_| self.socket_prefixes)
    }

    /// The next hop without the `inet:` of LMTP, which may stand once before
    /// the whole list.
    fn without_prefix<'a>(&self, nexthop: &'a str) -> &'a str {
        match nexthop.strip_prefix("inet:") {
            Some(rest) if self.socket_prefixes => rest,
            _ => nexthop,
        }
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
            self.default_service.as_str()
        } else {
            port
        };
        Ok((host, service, bracketed))
    }

    fn is_valid_host(&self, host: &str) -> bool {
        match self.idna {
            Some(idna) if !host.is_ascii() => idna.to_ascii(host).is_some(),
            _ => is_valid_address(host) || is_valid_hostname(host, Wildcard::Forbidden),
        }
    }
}

/// Says whether a character stands between the destinations of a next hop.
const fn is_separator(c: char) -> bool {
    matches!(c, ',' | ' ' | '\t' | '\r' | '\n')
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
            default_service: if socket_prefixes { "24" } else { "smtp" }.parse().unwrap(),
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
    fn the_text_stays_as_written() {
        for (lmtp, text) in [(false, "[ipv6:::1]:submission"), (true, "unix:a, b")] {
            let destination = rules(lmtp).destination(text).unwrap();
            assert_eq!(destination.to_string(), text);
        }
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
}
