//! The report itself: JSON, compressed (RFC 8460 sections 4.4 and 5.2).

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use flate2::{Compression, write::GzEncoder};
use serde::Serialize;

use super::{Reporter, day::Day, tally::Line};

/// The most failures of one policy that are told one by one. All are in its total.
const DETAILS_LIMIT: usize = 1000;

/// A report about a day.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Document {
    organization_name: String,
    date_range: DateRange,
    contact_info: String,
    pub(super) report_id: String,
    policies: Vec<PolicyPart>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct PolicyPart {
    policy: PolicyFacts,
    summary: Summary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failure_details: Vec<Details>,
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
struct PolicyFacts {
    policy_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy_string: Vec<String>,
    policy_domain: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mx_host: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    total_successful_session_count: i64,
    total_failure_session_count: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Details {
    result_type: String,
    receiving_mx_hostname: String,
    failed_session_count: i64,
}

impl Document {
    /// The report on a domain. It says the same whoever makes it, and when.
    pub(super) fn new(
        reporter: &Reporter,
        day: Day,
        domain: &str,
        lines: &BTreeMap<Line, i64>,
    ) -> Self {
        let mut policies: BTreeMap<PolicyFacts, Vec<(&Line, i64)>> = BTreeMap::new();
        for (line, count) in lines {
            let part = policies.entry(PolicyFacts::new(line, domain)).or_default();
            part.push((line, *count));
        }
        let second = |second: i64| jiff::Timestamp::from_second(second).unwrap_or_default();
        Self {
            organization_name: reporter.organization.clone(),
            date_range: DateRange {
                start_datetime: second(day.start()).to_string(),
                end_datetime: second(day.last()).to_string(),
            },
            contact_info: reporter.contact.clone(),
            report_id: format!("{day}.{domain}@{}", reporter.submitter),
            policies: policies.into_iter().map(PolicyPart::new).collect(),
        }
    }

    /// The file, compressed.
    pub(super) fn gzip(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&json)?;
        encoder.finish()
    }
}

impl PolicyFacts {
    fn new(line: &Line, domain: &str) -> Self {
        // The domain of TLSA records is the mail exchanger's name (RFC 8460 section 1.1).
        let policy_domain = match line.policy.as_str() {
            "tlsa" => &line.mx_host,
            _ => domain,
        };
        let patterns = line.text.iter().filter_map(|one| one.strip_prefix("mx: "));
        Self {
            policy_type: line.policy.clone(),
            policy_string: line.text.clone(),
            policy_domain: policy_domain.to_owned(),
            mx_host: patterns.map(str::to_owned).collect(),
        }
    }
}

impl PolicyPart {
    fn new((policy, lines): (PolicyFacts, Vec<(&Line, i64)>)) -> Self {
        let (mut summary, mut failure_details) = (Summary::default(), Vec::new());
        for (line, count) in lines {
            let total = match &line.failure {
                None => &mut summary.total_successful_session_count,
                Some(_) => &mut summary.total_failure_session_count,
            };
            *total = total.saturating_add(count);
            failure_details.extend(line.failure.as_ref().map(|failure| Details {
                result_type: failure.clone(),
                receiving_mx_hostname: line.mx_host.clone(),
                failed_session_count: count,
            }));
        }
        failure_details.truncate(DETAILS_LIMIT);
        Self {
            policy,
            summary,
            failure_details,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use serde_json::{Value, json};

    use super::*;

    fn line(policy: &str, host: &str, failure: Option<&str>, text: &[&str]) -> Line {
        Line {
            policy: policy.to_owned(),
            mx_host: host.to_owned(),
            failure: failure.map(str::to_owned),
            text: text.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn unpacked(document: &Document) -> Value {
        let gzip = document.gzip().unwrap();
        let mut json = String::new();
        GzDecoder::new(gzip.as_slice())
            .read_to_string(&mut json)
            .unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_report_has_the_form_of_the_example_in_the_standard() {
        let mut reporter = Reporter::new("mta.company-x.example", |_| unreachable!());
        reporter.organization = "Company-X".into();
        reporter.contact = "sts-reporting@company-x.example".into();
        // RFC 8460 appendix B, as far as it is known here.
        let policy = [
            "version: STSv1",
            "mode: testing",
            "mx: *.mail.company-y.example",
            "max_age: 86400",
        ];
        let (one, other) = ("mx1.mail.company-y.example", "mx2.mail.company-y.example");
        let lines = BTreeMap::from([
            (line("sts", one, None, &policy), 5000),
            (line("sts", other, None, &policy), 326),
            (line("sts", one, Some("certificate-expired"), &policy), 100),
            (
                line("sts", other, Some("starttls-not-supported"), &policy),
                203,
            ),
        ]);
        let day = Day::of(core::time::Duration::from_secs(1_459_468_800));
        let document = Document::new(&reporter, day, "company-y.example", &lines);
        let expected = json!({
            "organization-name": "Company-X",
            "date-range": {
                "start-datetime": "2016-04-01T00:00:00Z",
                "end-datetime": "2016-04-01T23:59:59Z"
            },
            "contact-info": "sts-reporting@company-x.example",
            "report-id": "2016-04-01.company-y.example@mta.company-x.example",
            "policies": [{
                "policy": {
                    "policy-type": "sts",
                    "policy-string": policy,
                    "policy-domain": "company-y.example",
                    "mx-host": ["*.mail.company-y.example"]
                },
                "summary": {
                    "total-successful-session-count": 5326,
                    "total-failure-session-count": 303
                },
                "failure-details": [{
                    "result-type": "certificate-expired",
                    "receiving-mx-hostname": one,
                    "failed-session-count": 100
                }, {
                    "result-type": "starttls-not-supported",
                    "receiving-mx-hostname": other,
                    "failed-session-count": 203
                }]
            }]
        });
        assert_eq!(unpacked(&document), expected);
    }

    #[test]
    fn each_policy_has_its_part_and_its_domain() {
        let reporter = Reporter::new("mta.example.org", |_| unreachable!());
        let lines = BTreeMap::from([
            (line("no-policy-found", "mx.example.net", None, &[]), 3),
            (
                line("sts", "mx.example.net", Some("sts-policy-fetch-error"), &[]),
                2,
            ),
            (line("sts", "mx.example.net", None, &["mode: testing"]), 5),
            (line("sts", "mx.example.net", None, &["mode: enforce"]), 7),
            (line("tlsa", "mx.example.net", None, &[]), 11),
        ]);
        let day = Day::of(core::time::Duration::ZERO);
        let value = unpacked(&Document::new(&reporter, day, "example.com", &lines));
        let part = |part: &Value| {
            let (policy, summary) = (&part["policy"], &part["summary"]);
            format!(
                "{} {} {} {}",
                policy["policy-type"].as_str().unwrap(),
                policy["policy-domain"].as_str().unwrap(),
                summary["total-successful-session-count"],
                summary["total-failure-session-count"],
            )
        };
        let parts: Vec<String> = value["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(part)
            .collect();
        let expected = [
            "no-policy-found example.com 3 0",
            "sts example.com 0 2",
            "sts example.com 7 0",
            "sts example.com 5 0",
            "tlsa mx.example.net 11 0",
        ];
        assert_eq!(parts, expected);
    }
}
