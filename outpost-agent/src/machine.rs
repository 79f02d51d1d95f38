//! Facts about the machine that main.cf takes for granted: its name, its addresses, its DNS servers, the names of ports.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use smtp_policy::dns::ResolverConfig;

/// The name of this machine.
pub(crate) fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The addresses of its network interfaces, each once.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    for interface in getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else {
            continue;
        };
        let four = address
            .as_sockaddr_in()
            .map(|address| IpAddr::from(address.ip()));
        let address = four.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()));
        if let Some(address) = address.filter(|address| !found.contains(address)) {
            found.push(address);
        }
    }
    found
}

/// The DNS servers of /etc/resolv.conf; the local one if there is no such file, as for the C library.
pub(crate) fn resolver() -> ResolverConfig {
    ResolverConfig::from_resolv_conf(&text("/etc/resolv.conf"))
}

/// The text of /etc/services.
pub(crate) fn services() -> String {
    text("/etc/services")
}

fn text(path: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
