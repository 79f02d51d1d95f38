//! From the command line and the machine to a policy: main.cf, the DNS servers,
//! the addresses of this machine.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::anyhow;

use outpost::machine;
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
        addresses: &machine::addresses(),
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
pub(crate) fn resolver(servers: &[SocketAddr]) -> ResolverConfig {
    let mut config = machine::resolver();
    if !servers.is_empty() {
        config.servers = servers.to_vec();
    }
    config
}
