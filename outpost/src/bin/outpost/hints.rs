//! Hints about command lines that are right, and yet may not do what is meant.

use std::{fs, net::IpAddr};

use smtp_policy::{
    Protocol,
    policy::Policy,
    route::{Destination, InetDestination},
    tls::TlsLevel,
};

use crate::output::complain;

const HOSTS: &str = "/etc/hosts";
/// The port that MTA-STS policies are about.
const SMTP_PORT: u16 = 25;

/// Says on standard error what a next hop has about it that is easily overlooked.
pub(crate) fn next_hop(policy: &Policy, protocol: Protocol, nexthop: &str, mta_sts: bool) {
    let hosts = fs::read(HOSTS).unwrap_or_default();
    let hosts = String::from_utf8_lossy(&hosts);
    // What makes no sense becomes the verdict.
    let destinations = policy.destinations(protocol, nexthop).unwrap_or_default();
    for destination in destinations {
        let sts = mta_sts.then(|| without_sts(policy, protocol, &destination));
        let hints = [
            sts.flatten(),
            unseen(policy, protocol, &destination, &hosts),
        ];
        for hint in hints.into_iter().flatten() {
            complain(hint);
        }
    }
}

/// Why MTA-STS has nothing to say about a destination.
fn without_sts(policy: &Policy, protocol: Protocol, destination: &Destination) -> Option<String> {
    let level = policy.settings(protocol).tls.level;
    let (name, why) = match destination {
        Destination::Unix(path) => (path.display().to_string(), "it is for SMTP, not LMTP"),
        Destination::Inet(inet) => (inet.text.to_string(), sts_obstacle(protocol, inet, level)?),
    };
    Some(format!("warning: --mta-sts has no effect on {name}: {why}"))
}

fn sts_obstacle(
    protocol: Protocol,
    inet: &InetDestination,
    level: TlsLevel,
) -> Option<&'static str> {
    if protocol == Protocol::Lmtp {
        Some("it is for SMTP, not LMTP")
    } else if inet.bracketed || is_address(&inet.domain) {
        Some("a policy is for a domain whose mail exchangers are looked up")
    } else if inet.port != SMTP_PORT {
        Some("a policy is for port 25")
    } else if matches!(
        level,
        TlsLevel::Secure | TlsLevel::Fingerprint | TlsLevel::DaneOnly
    ) {
        Some("smtp_tls_security_level asks for more already")
    } else {
        None
    }
}

/// A name that the machine knows, but not from where it is looked for.
fn unseen(
    policy: &Policy,
    protocol: Protocol,
    destination: &Destination,
    hosts: &str,
) -> Option<String> {
    let Destination::Inet(InetDestination { domain, .. }) = destination else {
        return None;
    };
    let is_seen = policy.settings(protocol).lookup.host_lookup.native;
    if is_seen || is_address(domain) || !names(hosts).any(|name| name.eq_ignore_ascii_case(domain))
    {
        return None;
    }
    let parameter = format!("{}_host_lookup", protocol.as_str());
    Some(format!(
        "hint: {domain} is in {HOSTS}, where nobody looks with {parameter} = dns; \
         '-o {parameter}=dns,native' does"
    ))
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// The names in a hosts file: all words of a line but the first, up to a comment.
fn names(hosts: &str) -> impl Iterator<Item = &str> {
    hosts.lines().flat_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_whitespace().skip(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_hosts_file_are_what_follows_the_address() {
        let hosts = "127.0.0.1 localhost\n# 192.0.2.1 old\n\n::1\tip6 Mail # not.this\n";
        let found: Vec<&str> = names(hosts).collect();
        assert_eq!(found, ["localhost", "ip6", "Mail"]);
    }
}
