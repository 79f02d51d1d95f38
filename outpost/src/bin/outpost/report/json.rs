//! The report for programs: one object at the end, or one for each verdict as it falls. Its
//! entries are those of [`smtp_policy::schema`].

use serde::Serialize;
use smtp_policy::{
    report::{Outcome, Report, Status},
    request::Recipient,
    schema::Verdict,
};

use super::Settled;
use crate::{
    output::{json_line, json_lines},
    request::Fault,
};

#[derive(Serialize)]
struct File<'a> {
    requests: Vec<RequestEntry<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RequestEntry<'a> {
    Report(&'a Report),
    Fault {
        error: String,
        /// None.
        recipients: [(); 0],
    },
}

/// A line of the report that is written as verdicts fall.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Verdict {
        request: usize,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        recipient: usize,
        #[serde(flatten)]
        verdict: Verdict<'a>,
    },
    Request {
        request: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        sent: usize,
        deferred: usize,
        bounced: usize,
    },
}

/// The whole report as one JSON object.
pub(crate) fn render(requests: &[Settled]) -> serde_json::Result<String> {
    json_lines(&File {
        requests: requests.iter().map(RequestEntry::of).collect(),
    })
}

impl<'a> RequestEntry<'a> {
    fn of(settled: &'a Settled) -> Self {
        match settled {
            Ok(report) => Self::Report(report),
            Err(fault) => Self::Fault {
                error: fault.to_string(),
                recipients: [],
            },
        }
    }
}

/// A line about the verdict on one recipient, of a message with this id and source. Request and recipient count from 1.
pub(crate) fn verdict(
    request: usize,
    (id, source): (&str, Option<&str>),
    number: usize,
    (recipient, outcome): (&Recipient, &Outcome),
) -> serde_json::Result<String> {
    json_line(&Event::Verdict {
        request,
        id,
        source,
        recipient: number,
        verdict: Verdict { recipient, outcome },
    })
}

/// The last line about a request: how many recipients have which status.
pub(crate) fn end(
    request: usize,
    id: &str,
    source: Option<&str>,
    report: &Report,
) -> serde_json::Result<String> {
    let outcomes = report.recipients.iter().map(|(_, outcome)| outcome.status);
    let count = |status| outcomes.clone().filter(|found| *found == status).count();
    json_line(&Event::Request {
        request,
        id: Some(id),
        source,
        error: None,
        sent: count(Status::Sent),
        deferred: count(Status::Deferred),
        bounced: count(Status::Bounced),
    })
}

/// The only line about a request that could not be understood.
pub(crate) fn fault(request: usize, fault: &Fault) -> serde_json::Result<String> {
    json_line(&Event::Request {
        request,
        id: None,
        source: None,
        error: Some(fault.to_string()),
        sent: 0,
        deferred: 0,
        bounced: 0,
    })
}
