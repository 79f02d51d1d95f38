//! Facts about this machine that mail depends on: its name, its name servers, its addresses.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use smtp_policy::dns::ResolverConfig;
use smtp_proto::command::HelloName;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The files that hold the name of the machine, the first of which counts.
const HOST_NAMES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

/// The name servers of `/etc/resolv.conf`, and how they are asked. Without such a file, the server
/// on this machine.
pub fn resolver() -> ResolverConfig {
    let text = fs::read(RESOLV_CONF).unwrap_or_default();
    ResolverConfig::from_resolv_conf(&String::from_utf8_lossy(&text))
}

/// The name of this machine as far as a file tells it; otherwise `localhost.localdomain`.
pub fn name() -> HelloName {
    let read = |path: &&str| fs::read_to_string(Path::new(path)).ok();
    let mut names = HOST_NAMES.iter().filter_map(read);
    let name = names.find_map(|name| name.trim().parse().ok());
    name.unwrap_or_else(HelloName::localhost)
}

/// The addresses of this machine, for `inet_interfaces = all`.
///
/// The standard library cannot list them; on Linux the kernel does in /proc.
/// Elsewhere only the loopback addresses are known, which matters solely for
/// finding out that this machine is among a domain's mail exchangers.
pub fn addresses() -> Vec<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut found = from_fib_trie(&read("/proc/net/fib_trie"));
    found.extend(from_if_inet6(&read("/proc/net/if_inet6")));
    if found.is_empty() {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    found
}

/// In the kernel's routing trie an own address is a leaf (`|-- 192.0.2.1`) with
/// the line `/32 host LOCAL` below it.
fn from_fib_trie(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut leaf = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf.take()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Each line begins with an address of 32 hexadecimal digits.
fn from_if_inet6(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|digits| digits.len() == 32)
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_from_the_kernel_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.0\n        /8 host LOCAL\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 127.255.255.255\n        \
                    /32 link BROADCAST\n     |-- 192.0.2.7\n        /32 host LOCAL\nLocal:\n     \
                    |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(
            from_fib_trie(trie),
            [IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 7])]
        );
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(from_if_inet6(inet6), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
}
