//! This system among the mail exchangers: its own addresses, and what is left
//! of a list once it was found there. Answers to Postfix's
//! `src/global/own_inet_addr.c` and to `smtp_find_self` and
//! `smtp_truncate_self` in `src/smtp/smtp_addr.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Candidate, Families};

/// The addresses that this system receives mail on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    /// Its own (`inet_interfaces`).
    pub interfaces: Vec<IpAddr>,
    /// Those of proxies and address translators in front of it
    /// (`proxy_interfaces`).
    pub proxies: Vec<IpAddr>,
}

impl OwnAddresses {
    /// Reads the values of `inet_interfaces` and `proxy_interfaces`: `all`,
    /// `loopback-only` (both only for the first, and only alone), or addresses
    /// separated by commas and white space, each perhaps in brackets. `system`
    /// is the addresses of the network interfaces. Addresses of families that
    /// are not in use are left out.
    ///
    /// Host names are not looked up, except `localhost`: each is left out with
    /// a text for the log.
    pub fn from_config(
        inet_interfaces: &str,
        proxy_interfaces: &str,
        system: &[IpAddr],
        families: Families,
    ) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let usable = |address: &&IpAddr| families.allow(**address);
        let interfaces = match inet_interfaces.trim() {
            "all" => system.iter().filter(usable).copied().collect(),
            "loopback-only" => system
                .iter()
                .filter(usable)
                .filter(|address| address.is_loopback())
                .copied()
                .collect(),
            list => listed("inet_interfaces", list, families, &mut notes),
        };
        let proxies = listed("proxy_interfaces", proxy_interfaces, families, &mut notes);
        let own = Self {
            interfaces,
            proxies,
        };
        (own, notes)
    }

    /// Whether mail to `address` comes back to this system.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.interfaces.contains(&address) || self.proxies.contains(&address)
    }

    /// The source address of connections to `remote` if none is configured:
    /// the only interface address of its family, unless that is a loopback
    /// address (`smtp_connect_addr`).
    pub fn source_for(&self, remote: IpAddr) -> Option<IpAddr> {
        let same = |address: &&IpAddr| address.is_ipv4() == remote.is_ipv4();
        let mut matching = self.interfaces.iter().filter(same);
        let only = *matching.next()?;
        (matching.next().is_none() && !only.is_loopback()).then_some(only)
    }

    /// Finds this system in a list sorted by preference.
    pub(super) fn find_in<'a>(&self, list: &'a [Candidate]) -> Option<&'a Candidate> {
        list.iter()
            .find(|candidate| self.contains(candidate.address))
    }
}

/// Cuts a list before the first entry of this preference.
pub(super) fn truncate_at(list: &mut Vec<Candidate>, preference: u16) {
    if let Some(index) = list.iter().position(|c| c.preference == preference) {
        list.truncate(index);
    }
}

fn listed(parameter: &str, list: &str, families: Families, notes: &mut Vec<String>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for word in list
        .split([',', ' ', '\t', '\r', '\n'])
        .filter(|w| !w.is_empty())
    {
        let bare = word.strip_prefix('[').and_then(|w| w.strip_suffix(']'));
        let bare = bare.unwrap_or(word);
        let found: Vec<IpAddr> = match bare.parse() {
            Ok(address) => vec![address],
            Err(_) if bare == "localhost" => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Err(_) => {
                notes.push(format!("{parameter}: host names are not looked up: {word}"));
                continue;
            }
        };
        for address in found {
            if families.allow(address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    addresses
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

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn interfaces_are_all_loopback_or_listed() {
        let system = addresses(&["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"]);
        let ipv4 = Families {
            ipv4: true,
            ipv6: false,
        };
        let cases = [
            ("all", Families::ALL, system.clone(), 0),
            ("all", ipv4, addresses(&["127.0.0.1", "192.0.2.1"]), 0),
            (
                "loopback-only",
                Families::ALL,
                addresses(&["127.0.0.1", "::1"]),
                0,
            ),
            (
                "192.0.2.7, [2001:db8::7] 192.0.2.7",
                Families::ALL,
                addresses(&["192.0.2.7", "2001:db8::7"]),
                0,
            ),
            ("localhost", ipv4, addresses(&["127.0.0.1"]), 0),
            (
                "mail.example.com 192.0.2.7",
                Families::ALL,
                addresses(&["192.0.2.7"]),
                1,
            ),
            ("", Families::ALL, vec![], 0),
        ];
        for (text, families, expected, noted) in cases {
            let (own, notes) = OwnAddresses::from_config(text, "", &system, families);
            assert_eq!(own.interfaces, expected, "{text}");
            assert_eq!(notes.len(), noted, "{text}");
        }
    }

    #[test]
    fn proxies_count_as_own_addresses() {
        let (own, _) = OwnAddresses::from_config("127.0.0.1", "192.0.2.9", &[], Families::ALL);
        assert!(own.contains("192.0.2.9".parse().unwrap()));
        assert!(!own.contains("192.0.2.8".parse().unwrap()));
    }

    #[test]
    fn the_only_address_of_a_family_is_the_source_of_connections() {
        let cases: [(&[&str], &str, Option<&str>); 5] = [
            (
                &["192.0.2.1", "2001:db8::1"],
                "198.51.100.1",
                Some("192.0.2.1"),
            ),
            (
                &["192.0.2.1", "2001:db8::1"],
                "2001:db8::9",
                Some("2001:db8::1"),
            ),
            (&["192.0.2.1", "192.0.2.2"], "198.51.100.1", None),
            (&["127.0.0.1"], "198.51.100.1", None),
            (&["192.0.2.1"], "2001:db8::9", None),
        ];
        for (interfaces, remote, expected) in cases {
            let own = OwnAddresses {
                interfaces: addresses(interfaces),
                proxies: vec![],
            };
            let source = own.source_for(remote.parse().unwrap());
            assert_eq!(
                source,
                expected.map(|e| e.parse().unwrap()),
                "{interfaces:?}"
            );
        }
    }
}
