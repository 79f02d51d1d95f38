//! TCP ports by number and by name: `known_tcp_ports`, services(5), and the port of a
//! destination that names none. Answers to Postfix's `src/util/known_tcp_ports.c`.

use core::str::FromStr;
use std::collections::BTreeMap;

use super::nexthop::NexthopError;

/// A port by number, or by a name that [`PortNames`] may know (`smtp_tcp_port`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    /// The port of this number.
    pub fn port(number: u16) -> Self {
        Self(number.to_string())
    }

    /// The port of SMTP, by its name.
    pub fn smtp() -> Self {
        Self("smtp".into())
    }

    /// The name or the number.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = NexthopError;

    fn from_str(text: &str) -> Result<Self, NexthopError> {
        let wrong = if text.is_empty() || text.contains(|c: char| c.is_control()) {
            "a port is a number or a name"
        } else if text.starts_with(|c: char| c.is_ascii_digit()) && !is_number(text) {
            "garbage after numerical service"
        } else {
            return Ok(Self(text.to_owned()));
        };
        let text = format!("{wrong}: {}", text.escape_debug());
        Err(NexthopError { text })
    }
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
    pub(super) fn port(&self, service: &str, text: &str) -> Result<u16, NexthopError> {
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

/// Returns whether a text is a number, and no name.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
