//! From the requests and settings of a scenario to those of the engine, and from
//! the engine's report to what is compared. All drivers of scenarios share this;
//! it drives nothing itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postfix_config::{CompileError, MainCf, compile};
use serde::Deserialize;
use serde_json::Value;
use smtp_policy::Protocol;
use smtp_policy::dns::ResolverConfig;
use smtp_policy::policy::Policy;
use smtp_policy::report::{Report, Status};
use smtp_policy::request::Request;
use smtp_proto::dsn::Notify;

use crate::scenario::{
    RecipientResult, RequestSpec, Scenario, ScenarioError, in_directory, main_cf,
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
    let mut fields = spec.request.clone();
    if let Some(Value::String(nexthop)) = fields.get_mut("nexthop") {
        *nexthop = in_directory(nexthop, dir);
    }
    let defaults = [
        ("protocol", protocol.as_str().into()),
        ("id", "SCENARIO".into()),
        ("size", spec.wire_size().into()),
        ("header_utf8", spec.header_utf8().into()),
        // What smtp(8) was recorded with came from a queue.
        ("stray_cr", "pass".into()),
    ];
    for (field, value) in defaults {
        fields.entry(field).or_insert(value);
    }
    Request::deserialize(Value::Object(fields)).map_err(ScenarioError::Request)
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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_request_of_the_recordings_is_acceptable() {
        for scenario in crate::scenario::load_all(&crate::scenario::folder()).unwrap() {
            for spec in &scenario.requests {
                let request = to_request(spec, scenario.protocol, Path::new("/d")).unwrap();
                assert!(!request.nexthop.contains("${"), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn values_that_mean_nothing_are_refused_by_name() {
        let cases = [
            ("sender", "a\nb"),
            ("ret", "SOME"),
            ("encoding", "9bit"),
            ("flags", "Z"),
        ];
        for (field, value) in cases {
            let error = read(json!({ field: value })).unwrap_err().to_string();
            assert!(error.contains(&format!("key \"{field}\"")), "{error}");
        }
    }

    #[test]
    fn what_a_request_says_itself_does_not_follow_from_the_text() {
        assert_eq!(read(json!({})).unwrap().size, Some(6));
        let request = read(json!({ "size": 7, "nexthop": "${config_directory}" })).unwrap();
        assert_eq!((request.size, request.nexthop.as_str()), (Some(7), "/d"));
    }

    /// A request with these fields besides the least that it needs.
    fn read(fields: Value) -> Result<Request, ScenarioError> {
        let mut all = json!({
            "nexthop": "a",
            "recipients": [{ "address": "user@example.com" }],
            "message_base64": "YQpiCg==",
        });
        let more = fields.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        let spec: RequestSpec = serde_json::from_value(all).unwrap();
        to_request(&spec, Protocol::Smtp, Path::new("/d"))
    }
}
