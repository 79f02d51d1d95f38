//! Network blocks, in lists of hosts and in `cidr:` tables (Postfix `src/util/cidr_match.c`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A network block, or all addresses of the same family outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    net: IpNet,
    inside: bool,
}

impl Block {
    /// Reads `address`, `address/length`, `[address]`, `[address/length]` or `[address]/length`.
    /// The bits after the length must be zero.
    ///
    /// # Errors
    ///
    /// Postfix's words for what is wrong.
    pub fn parse(pattern: &str, inside: bool) -> Result<Self, String> {
        let (address, length) = dissect(pattern)?;
        let parsed = parse_address(address);
        let Some(length) = length else {
            let net = parsed
                .map(IpNet::from)
                .ok_or_else(|| format!("bad address pattern: \"{address}\""))?;
            return Ok(Block { net, inside });
        };
        let error = |what: &str| format!("{what} in \"{address}/{length}\"");
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error("bad mask value"));
        }
        let room = if address.contains(':') { 128 } else { 32 };
        let bits = length
            .parse::<u8>()
            .ok()
            .filter(|&bits| bits <= room)
            .ok_or_else(|| error("bad mask length"))?;
        let net = parsed
            .and_then(|address| IpNet::new(address, bits).ok())
            .ok_or_else(|| error("bad network value"))?;
        if net.addr() != net.network() {
            return Err(format!(
                "non-null host address bits in \"{address}/{length}\", \
                 perhaps you should use \"{}/{bits}\" instead",
                net.network()
            ));
        }
        Ok(Block { net, inside })
    }

    /// Whether the address meets the condition. An address of the other family never does, not even
    /// the condition "outside".
    pub fn holds(&self, address: IpAddr) -> bool {
        let same_family = self.net.addr().is_ipv4() == address.is_ipv4();
        same_family && self.net.contains(&address) == self.inside
    }
}

/// Takes a pattern apart into address and length.
fn dissect(pattern: &str) -> Result<(&str, Option<&str>), String> {
    let split = |text| match str::split_once(text, '/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Some(rest) = pattern.strip_prefix('[') else {
        return Ok(split(pattern));
    };
    let (inside, after) = rest
        .split_once(']')
        .ok_or_else(|| format!("missing ']' character after \"[{rest}\""))?;
    match after.strip_prefix('/') {
        Some(length) => Ok((inside, Some(length))),
        None if after.is_empty() => Ok(split(inside)),
        None => Err(format!("garbage after \"[{inside}]\"")),
    }
}

/// Reads an address as `inet_pton` does: IPv6 if there is a colon in it.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::from)
    } else {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::from)
    }
}
