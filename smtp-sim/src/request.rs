//! From the requests and settings of a scenario to those of the engine, and from
//! the engine's report to what is compared. All drivers of scenarios share this;
//! it drives nothing itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postfix_config::{CompileError, MainCf, compile};
use smtp_policy::Protocol;
use smtp_policy::dns::ResolverConfig;
use smtp_policy::line_ends::StrayCr;
use smtp_policy::policy::Policy;
use smtp_policy::report::{Report, Status};
use smtp_policy::request::{
    CacheHints, ClientInfo, ClientSource, DeliveryFlags, Encoding, Recipient, Request,
};
use smtp_proto::address::{Address, ReversePath};
use smtp_proto::dsn::{Notify, Ret};

use crate::scenario::{
    ClientSpec, RecipientResult, RecipientSpec, RequestSpec, Scenario, ScenarioError, in_directory,
    main_cf,
};

/// How long a DNS server may take; the recordings were made with this value.
const DNS_TIMEOUT: Duration = Duration::from_secs(1);

/// The policy that the settings of a scenario describe. The tables must have been
/// written into `dir` ([`crate::scenario::write_inputs`]). The machine is taken to
/// have loopback addresses only, and `dns` is its only name server, asked once.
pub fn policy(
    scenario: &Scenario,
    dir: &Path,
    dns: SocketAddr,
) -> Result<Arc<Policy>, CompileError> {
    let main_cf = MainCf::parse(&main_cf(scenario), "main.cf", dir)?;
    let resolver = ResolverConfig {
        servers: vec![dns],
        timeout: DNS_TIMEOUT,
        attempts: 1,
        ..ResolverConfig::default()
    };
    let system: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    compile(&main_cf, resolver, &system).map(Arc::new)
}

/// The engine's request for one of a scenario. `dir` is the directory of
/// `main.cf`. An error names the value that is not acceptable.
pub fn to_request(
    spec: &RequestSpec,
    protocol: Protocol,
    dir: &Path,
) -> Result<Request, ScenarioError> {
    let sender = ReversePath::parse(&spec.sender).map_err(|_| bad("sender", &spec.sender))?;
    let recipients = spec
        .recipients
        .iter()
        .map(recipient)
        .collect::<Result<_, _>>()?;
    let nexthop = checked("nexthop", &in_directory(&spec.nexthop, dir))?;
    let mut request = Request::new(protocol, nexthop, sender, recipients);
    request.id = checked("id", "SCENARIO")?;
    request.envid = known("envid", &spec.envid)?;
    request.ret = match &spec.ret {
        Some(ret) => Some(Ret::parse(ret).ok_or_else(|| bad("ret", ret))?),
        None => None,
    };
    request.smtputf8 = spec.smtputf8;
    request.header_utf8 = spec.header_utf8();
    request.encoding = match spec.encoding.as_deref() {
        None => Encoding::Unknown,
        Some("7bit") => Encoding::SevenBit,
        Some("8bit") => Encoding::EightBit,
        Some(other) => return Err(bad("encoding", other)),
    };
    // What smtp(8) was recorded with came from a queue.
    request.stray_cr = StrayCr::Pass;
    request.size = Some(spec.wire_size());
    request.client = spec.client.as_ref().map(client).transpose()?;
    request.flags = flags(spec.flags.as_deref().unwrap_or_default())?;
    request.probe = spec.probe;
    request.cache = CacheHints {
        load: spec.connection_cache.iter().any(|hint| hint == "load"),
        store: spec.connection_cache.iter().any(|hint| hint == "store"),
    };
    request.age = Duration::from_secs(spec.age);
    Ok(request)
}

/// What is compared of a report.
pub fn results(report: &Report) -> Vec<RecipientResult> {
    report
        .recipients
        .iter()
        .map(|(recipient, outcome)| {
            let owed = outcome.status == Status::Sent && recipient.notify.contains(Notify::SUCCESS);
            RecipientResult {
                address: recipient.address.as_str().to_owned(),
                status: outcome.word.to_owned(),
                dsn: outcome.code.to_string(),
                relay: outcome.relay.to_string(),
                text: outcome.text.to_string(),
                report: owed.then(|| outcome.action.as_str().to_owned()),
            }
        })
        .collect()
}

fn bad(what: &str, value: &str) -> ScenarioError {
    ScenarioError::Request(format!("{what} \"{value}\" is not acceptable"))
}

fn recipient(spec: &RecipientSpec) -> Result<Recipient, ScenarioError> {
    let address = Address::parse(&spec.address).map_err(|_| bad("address", &spec.address))?;
    let mut recipient = Recipient::new(address);
    recipient.original = known("original", &spec.original)?;
    recipient.orcpt = known("orcpt", &spec.orcpt)?;
    if let Some(notify) = &spec.notify {
        recipient.notify = Notify::parse(notify).ok_or_else(|| bad("notify", notify))?;
    }
    Ok(recipient)
}

fn client(spec: &ClientSpec) -> Result<ClientInfo, ScenarioError> {
    Ok(ClientInfo {
        name: checked("name", &spec.name)?,
        address: checked("address", &spec.address)?,
        port: checked("port", &spec.port)?,
        proto: checked("proto", &spec.proto)?,
        helo: checked("helo", &spec.helo)?,
        ident: checked("ident", &spec.ident)?,
        source: match spec.source.as_str() {
            "" => None,
            "local" => Some(ClientSource::Local),
            "remote" => Some(ClientSource::Remote),
            other => return Err(bad("source", other)),
        },
    })
}

fn checked<T: FromStr>(what: &str, value: &str) -> Result<T, ScenarioError> {
    value.parse().map_err(|_| bad(what, value))
}

/// A text that may be left out, or empty, which says the same.
fn known<T: FromStr>(what: &str, value: &Option<String>) -> Result<Option<T>, ScenarioError> {
    let value = value.as_deref().filter(|value| !value.is_empty());
    value.map(|value| checked(what, value)).transpose()
}

fn flags(letters: &str) -> Result<DeliveryFlags, ScenarioError> {
    let mut flags = DeliveryFlags::default();
    for letter in letters.chars() {
        match letter {
            'D' => flags.delivered_to = true,
            'O' => flags.original_to = true,
            'R' => flags.return_path = true,
            'X' => flags.final_delivery = true,
            _ => return Err(bad("flags", letters)),
        }
    }
    Ok(flags)
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
    fn every_request_of_the_recordings_is_acceptable() {
        for scenario in crate::scenario::load_all(&crate::scenario::folder()).unwrap() {
            for spec in &scenario.requests {
                let request = to_request(spec, scenario.protocol, Path::new("/d")).unwrap();
                assert_eq!(request.recipients.len(), spec.recipients.len());
                assert!(!request.nexthop.contains("${"), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused_by_name() {
        let good = RequestSpec {
            nexthop: "a".into(),
            ..RequestSpec::default()
        };
        let cases = [
            RequestSpec {
                sender: "a\nb".into(),
                ..good.clone()
            },
            RequestSpec {
                ret: Some("SOME".into()),
                ..good.clone()
            },
            RequestSpec {
                encoding: Some("9bit".into()),
                ..good.clone()
            },
            RequestSpec {
                flags: Some("Z".into()),
                ..good
            },
        ];
        for spec in cases {
            let error = to_request(&spec, Protocol::Smtp, Path::new("/d")).unwrap_err();
            assert!(error.to_string().ends_with("is not acceptable"), "{error}");
        }
    }
}
