//! From the command line and the machine to a policy: main.cf, the DNS servers,
//! the addresses of this machine.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::anyhow;

use postfix_config::{Machine, MainCf, compile};
use smtp_policy::{
    dns::ResolverConfig, policy::Policy, request::Request, settings::Settings, sts::MtaSts,
    tls::TrustAnchors,
};

use crate::{
    cli::{ParameterArgs, StsArgs, SurroundingsArgs},
    exit::{Exit, Failure, OrExit},
    output::complain,
    trace,
};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const SERVICES: &str = "/etc/services";

/// The parameters that main.cf and `-o` set.
pub(crate) fn main_cf(args: &ParameterArgs) -> Result<MainCf, Failure> {
    let mut main_cf = match &args.config {
        Some(path) if path.is_dir() => MainCf::read(path.join("main.cf")),
        Some(path) => MainCf::read(path),
        None => Ok(MainCf::default()),
    }
    .or_exit(Exit::Config)?;
    main_cf.set_host_name(&host_name());
    for setting in &args.set {
        main_cf.set(setting).or_exit(Exit::Config)?;
    }
    Ok(main_cf)
}

/// Everything that decides on deliveries. Warnings go to standard error.
pub(crate) fn policy(args: &SurroundingsArgs) -> Result<Arc<Policy>, Failure> {
    let main_cf = main_cf(&args.parameters)?;
    let services = std::fs::read(SERVICES).unwrap_or_default();
    let machine = Machine {
        addresses: &own_addresses(),
        services: &String::from_utf8_lossy(&services),
    };
    let mut policy = match compile(&main_cf, resolver(&args.dns), machine) {
        Ok(policy) => policy,
        Err(wrong) => {
            let mut errors = wrong.errors().to_vec();
            let last = errors.pop();
            errors.iter().for_each(complain);
            return Err(last.map_or_else(|| anyhow::Error::new(wrong), anyhow::Error::new))
                .or_exit(Exit::Config);
        }
    };
    if let Some(sts) = mta_sts(&args.sts)? {
        policy = policy.with_mta_sts(sts);
    }
    if trace::shows_dialogue() {
        policy = policy.with_dialogue();
    }
    for warning in policy.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    Ok(Arc::new(policy))
}

/// Warns that requests go without SMTPUTF8 only because main.cf does not say which defaults apply:
/// those of Postfix before 3.0 do then.
pub(crate) fn complain_without_smtputf8<'a>(
    args: &ParameterArgs,
    client: &Settings,
    mut requests: impl Iterator<Item = &'a Request>,
) -> Result<(), Failure> {
    let Some(file) = &args.config else {
        return Ok(());
    };
    let needs_it = |request: &Request| {
        let mut able = request.clone();
        able.smtputf8 = true;
        able.needs_smtputf8()
    };
    if client.content.smtputf8 || !requests.any(needs_it) {
        return Ok(());
    }
    let config = main_cf(args)?.config(client.protocol());
    let general = config.or_exit(Exit::Config)?.general;
    if !general.smtputf8_enable.is_set() {
        complain(format_args!(
            "warning: {}: smtputf8_enable is no, the default of compatibility_level = {}: the \
             message goes out without SMTPUTF8",
            file.display(),
            general.compatibility_level
        ));
    }
    Ok(())
}

/// MTA-STS, if the command line turns it on.
fn mta_sts(args: &StsArgs) -> Result<Option<MtaSts>, Failure> {
    if !args.mta_sts {
        return Ok(None);
    }
    let sts = MtaSts::default();
    let Some(file) = &args.mta_sts_ca else {
        return Ok(Some(sts));
    };
    let authorities = authorities(file).or_exit(Exit::Config)?;
    Ok(Some(sts.with_authorities(authorities)))
}

/// The certificates in a PEM file.
fn authorities(file: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let name = file.display();
    let pem = std::fs::read(file)
        .map_err(|error| anyhow!("error opening trust anchor file: {name}: {error}"))?;
    let anchors =
        TrustAnchors::from_pem(&pem).map_err(|why| anyhow!("error reading: {name}: {why}"))?;
    match anchors.certificates.is_empty() {
        true => Err(anyhow!("{name}: no certificate")),
        false => Ok(anchors.certificates),
    }
}

/// The name of this machine, for the default of `myhostname`.
pub(crate) fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The given DNS servers, or those of /etc/resolv.conf.
fn resolver(servers: &[SocketAddr]) -> ResolverConfig {
    let text = std::fs::read(RESOLV_CONF).unwrap_or_default();
    let mut config = ResolverConfig::from_resolv_conf(&String::from_utf8_lossy(&text));
    if !servers.is_empty() {
        config.servers = servers.to_vec();
    }
    config
}

/// The addresses of this machine, for `inet_interfaces = all`.
///
/// The standard library cannot list them; on Linux the kernel does in /proc.
/// Elsewhere only the loopback addresses are known, which matters solely for
/// finding out that this machine is among a domain's mail exchangers.
fn own_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
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
