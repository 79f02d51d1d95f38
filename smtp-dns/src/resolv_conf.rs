//! The settings of the stub resolver and the text of `resolv.conf(5)`.

use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of name servers.
const DNS_PORT: u16 = 53;
/// As many servers, search domains, attempts, seconds and dots as the C
/// library takes (`MAXNS`, `RES_MAXRETRY`, `RES_MAXRETRANS`, `RES_MAXNDOTS`).
const MAX_SERVERS: usize = 3;
const MAX_ATTEMPTS: u32 = 5;
const MAX_TIMEOUT: u32 = 30;
const MAX_DOTS: u32 = 15;

/// Which name servers are asked, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// The servers in the order in which they are tried. Empty: every lookup
    /// fails for now.
    pub servers: Vec<SocketAddr>,
    /// How long the first server has for a reply.
    pub timeout: Duration,
    /// How many times all servers are tried; zero is taken as one.
    pub attempts: u32,
    /// Start with another server each time, to spread the load.
    pub rotate: bool,
    /// Domains that are appended to short names, see
    /// [`SearchMode`](super::SearchMode).
    pub search: Vec<String>,
    /// A name with at least so many dots is first tried as it is.
    pub ndots: u32,
}

impl Default for ResolverConfig {
    /// What the C library assumes without a file: the server on this machine,
    /// two attempts, five seconds.
    fn default() -> Self {
        Self {
            servers: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DNS_PORT)],
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            search: Vec::new(),
            ndots: 1,
        }
    }
}

impl ResolverConfig {
    /// Reads the text of a `resolv.conf` file. Unknown lines and options and
    /// malformed addresses are skipped, as the C library does; the last
    /// `search` or `domain` line counts.
    pub fn from_resolv_conf(text: &str) -> Self {
        let mut config = Self::default();
        let mut servers = Vec::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => servers.extend(words.next().and_then(server)),
                Some("domain") => config.search = words.take(1).map(search_domain).collect(),
                Some("search") => config.search = words.map(search_domain).collect(),
                Some("options") => words.for_each(|word| config.option(word)),
                _ => {}
            }
        }
        servers.truncate(MAX_SERVERS);
        if !servers.is_empty() {
            config.servers = servers;
        }
        config
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        match (name, value.parse::<u32>()) {
            ("rotate", _) => self.rotate = true,
            ("timeout", Ok(seconds)) => {
                self.timeout = Duration::from_secs(u64::from(seconds.clamp(1, MAX_TIMEOUT)));
            }
            ("attempts", Ok(attempts)) => self.attempts = attempts.clamp(1, MAX_ATTEMPTS),
            ("ndots", Ok(dots)) => self.ndots = dots.min(MAX_DOTS),
            _ => {}
        }
    }
}

fn server(word: &str) -> Option<SocketAddr> {
    // A link-local address with a zone (fe80::1%eth0) needs the index of the
    // interface, which only the system knows.
    let address: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(address, DNS_PORT))
}

fn search_domain(word: &str) -> String {
    word.strip_suffix('.').unwrap_or(word).to_owned()
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

    #[test]
    fn every_line_of_a_file_is_taken_as_the_c_library_takes_it() {
        let config = ResolverConfig::from_resolv_conf(
            "# comment\n; another\nnameserver 192.0.2.1\nnameserver nonsense\n\
             nameserver 2001:db8::1\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n\
             domain old.example\nsearch example.com. example.net\n\
             options timeout:99 attempts:3 rotate ndots:2 edns0 attempts:x\n",
        );
        assert_eq!(
            config,
            ResolverConfig {
                servers: vec![
                    "192.0.2.1:53".parse().unwrap(),
                    "[2001:db8::1]:53".parse().unwrap(),
                    "192.0.2.3:53".parse().unwrap(),
                ],
                timeout: Duration::from_secs(30),
                attempts: 3,
                rotate: true,
                search: vec!["example.com".into(), "example.net".into()],
                ndots: 2,
            }
        );
    }

    #[test]
    fn an_empty_file_means_the_server_on_this_machine() {
        let config = ResolverConfig::from_resolv_conf("");
        assert_eq!(config, ResolverConfig::default());
        assert_eq!(config.servers, ["127.0.0.1:53".parse().unwrap()]);
    }
}
