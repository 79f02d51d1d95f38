//! Whether a certificate's names are the ones that were wanted
//! (`src/tls/tls_client.c`, add_namechecks, with the rules of OpenSSL's
//! X509_check_host that it relies on; RFC 6125 section 6.4).

use core::fmt;
use std::net::IpAddr;

use crate::{
    dns::names::{Wildcard, is_valid_hostname},
    route::idna::Idna,
};

/// A name that a certificate may have, or a domain whose subdomains it may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// In A-labels, without a leading or final dot.
    name: String,
    /// Whether names below the domain are meant, and not the domain itself.
    subdomains: bool,
    /// The address, if the name is one: it is compared with addresses only.
    address: Option<IpAddr>,
}

/// A word of a list of names that certificates may have (`smtp_tls_verify_cert_match`,
/// `smtp_tls_secure_cert_match`, `match=`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchName {
    /// `nexthop`: the domain of the destination.
    Nexthop,
    /// `dot-nexthop`: all names below the domain of the destination.
    DotNexthop,
    /// `hostname`: the name of the server.
    Hostname,
    /// `.domain`: all names below this domain.
    Below(String),
    /// This name.
    Name(String),
}

impl MatchName {
    /// Reads a word. The keywords count in any case.
    pub fn parse(word: &str) -> Self {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if is("nexthop") {
            Self::Nexthop
        } else if is("dot-nexthop") {
            Self::DotNexthop
        } else if is("hostname") {
            Self::Hostname
        } else if let Some(domain) = word.strip_prefix(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']) {
            Self::Below(domain.to_owned())
        } else {
            Self::Name(word.to_owned())
        }
    }
}

impl fmt::Display for MatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nexthop => f.write_str("nexthop"),
            Self::DotNexthop => f.write_str("dot-nexthop"),
            Self::Hostname => f.write_str("hostname"),
            Self::Below(domain) => write!(f, ".{domain}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The name that servers are asked for (RFC 6066 section 3; `smtp_tls_servername`, `servername=`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerName {
    /// None.
    #[default]
    None,
    /// `hostname`: the name of the server.
    Hostname,
    /// `nexthop`: the domain of the destination.
    Nexthop,
    /// This name.
    Name(String),
    /// A text that is no host name. Mail that needs TLS is deferred.
    Invalid(String),
}

impl ServerName {
    /// Reads a word.
    pub fn parse(word: &str) -> Self {
        match word {
            "" => Self::None,
            "hostname" => Self::Hostname,
            "nexthop" => Self::Nexthop,
            name if is_valid_hostname(name, Wildcard::Forbidden) => Self::Name(name.to_owned()),
            _ => Self::Invalid(word.to_owned()),
        }
    }

    /// Returns whether this is no host name.
    pub const fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid(_))
    }
}

/// What the words of a match list stand for at one server.
#[derive(Clone, Copy, Debug)]
pub struct MatchContext<'a> {
    /// The bare domain of the destination; `myhostname` for a UNIX-domain socket.
    pub nexthop: &'a str,
    /// The name of the server.
    pub host: &'a str,
    /// How internationalised names become A-labels.
    pub idna: Idna,
}

impl NamePattern {
    /// The names that a word means at one server. `None` for a lone dot.
    pub fn of(word: &MatchName, context: MatchContext<'_>) -> Option<Self> {
        let (name, subdomains) = match word {
            MatchName::Nexthop => (context.nexthop, false),
            MatchName::DotNexthop => (context.nexthop, true),
            MatchName::Hostname => (context.host, false),
            MatchName::Below(domain) => (domain.as_str(), true),
            MatchName::Name(name) => (name.as_str(), false),
        };
        Self::new(name, subdomains, context.idna)
    }

    /// One name as it is.
    pub fn exact(name: &str, idna: Idna) -> Option<Self> {
        Self::new(name, false, idna)
    }

    fn new(name: &str, subdomains: bool, idna: Idna) -> Option<Self> {
        let name = idna
            .to_ascii(name)
            .map_or_else(|| name.to_owned(), |ascii| ascii.into_owned());
        let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
        let address = name.parse().ok().filter(|_| !subdomains);
        (!name.is_empty()).then_some(Self {
            name,
            subdomains,
            address,
        })
    }

    /// Whether a name in a certificate is meant. It may begin with the label `*`,
    /// which stands for one label, and is believed only above two others.
    pub fn matches(&self, presented: &str) -> bool {
        if self.subdomains {
            // Here the star is as good as any other label.
            return split_suffix(presented, &self.name).is_some_and(|rest| !rest.is_empty());
        }
        if presented.eq_ignore_ascii_case(&self.name) {
            return true;
        }
        let Some(parent) = presented.strip_prefix("*.") else {
            return false;
        };
        if !parent.contains('.') || !is_valid_hostname(parent, Wildcard::Forbidden) {
            return false;
        }
        split_suffix(&self.name, parent).is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
    }
}

/// What stands before `.suffix`.
fn split_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (rest, tail) = name.split_at_checked(at)?;
    if tail.eq_ignore_ascii_case(suffix) {
        rest.strip_suffix('.')
    } else {
        None
    }
}

/// The names in a certificate that count: its DNS alternative names, or its common
/// name if it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// DNS names among the alternative names.
    pub dns: Vec<String>,
    /// Addresses among the alternative names.
    pub addresses: Vec<IpAddr>,
    /// The common name of the subject.
    pub common: Option<String>,
}

impl CertificateNames {
    /// Whether the certificate is for what the patterns mean. One name that fits is
    /// enough; where an address is among the patterns, it must fit too, as OpenSSL
    /// has it. Without any pattern nothing fits.
    pub fn fit(&self, patterns: &[NamePattern]) -> bool {
        self.fitting(patterns).is_some()
    }

    /// The first of the certificate's names that is meant, if the certificate is for
    /// what the patterns mean; an address where only addresses are meant.
    pub fn fitting(&self, patterns: &[NamePattern]) -> Option<String> {
        let (addresses, names): (Vec<_>, Vec<_>) = patterns
            .iter()
            .partition(|pattern| pattern.address.is_some());
        let common = self.common.as_slice();
        let own = if self.dns.is_empty() {
            common
        } else {
            self.dns.as_slice()
        };
        let named = own
            .iter()
            .find(|name| names.iter().any(|pattern| pattern.matches(name)));
        let addressed = addresses
            .iter()
            .filter_map(|pattern| pattern.address)
            .find(|address| self.addresses.contains(address));
        if (!names.is_empty() && named.is_none()) || (!addresses.is_empty() && addressed.is_none())
        {
            return None;
        }
        named
            .cloned()
            .or_else(|| addressed.map(|address| address.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: MatchContext<'static> = MatchContext {
        nexthop: "example.com",
        host: "mx1.example.net",
        idna: Idna::NonTransitional,
    };

    #[test]
    fn words_stand_for_names() {
        let table = [
            // word, presented, matches
            ("nexthop", "example.com", true),
            ("NextHop", "EXAMPLE.com", true),
            ("nexthop", "mx.example.com", false),
            ("dot-nexthop", "mx.example.com", true),
            ("dot-nexthop", "a.b.example.com", true),
            ("dot-nexthop", "example.com", false),
            ("dot-nexthop", "*.example.com", true),
            ("dot-nexthop", "badexample.com", false),
            ("hostname", "mx1.example.net", true),
            ("hostname", "*.example.net", true),
            ("hostname", "*.net", false),
            ("hostname", "mx*.example.net", false),
            ("hostname", "*1.example.net", false),
            ("hostname", "*", false),
            (".example.org", "x.example.org", true),
            (".example.org", "example.org", false),
            ("example.org", "example.org", true),
            ("b\u{fc}cher.example", "xn--bcher-kva.example", true),
            (
                "\u{3002}b\u{fc}cher.example",
                "mx.xn--bcher-kva.example",
                true,
            ),
            ("a.b.example.net", "*.example.net", false),
            ("example.net", "*.example.net", false),
        ];
        for (word, presented, matches) in table {
            let pattern = NamePattern::of(&MatchName::parse(word), CONTEXT).unwrap();
            assert_eq!(
                pattern.matches(presented),
                matches,
                "{word} and {presented}"
            );
        }
        assert_eq!(NamePattern::of(&MatchName::parse("."), CONTEXT), None);
    }

    #[test]
    fn the_common_name_counts_only_without_alternative_names() {
        let patterns = [NamePattern::of(&MatchName::Hostname, CONTEXT).unwrap()];
        let common = Some("mx1.example.net".to_owned());
        let alone = CertificateNames {
            common: common.clone(),
            ..CertificateNames::default()
        };
        assert!(alone.fit(&patterns));
        let beside = CertificateNames {
            dns: vec!["other.example".into()],
            common,
            ..CertificateNames::default()
        };
        assert!(!beside.fit(&patterns));
        assert!(!beside.fit(&[]));
    }

    #[test]
    fn an_address_is_compared_with_addresses_only() {
        let pattern = |word| NamePattern::of(&MatchName::parse(word), CONTEXT).unwrap();
        let names = CertificateNames {
            dns: vec!["192.0.2.2".into(), "example.com".into()],
            addresses: vec!["192.0.2.1".parse().unwrap()],
            common: None,
        };
        assert!(names.fit(&[pattern("192.0.2.1")]));
        assert!(!names.fit(&[pattern("192.0.2.2")]));
        assert!(names.fit(&[pattern("192.0.2.1"), pattern("nexthop")]));
        assert!(!names.fit(&[pattern("192.0.2.1"), pattern("hostname")]));
    }
}
