//! The report for programs: one object at the end, or one for each verdict as it falls.

use serde::Serialize;
use smtp_policy::{
    report::{Encryption, Outcome, Report, Scope, Status},
    request::Recipient,
    tls::Trust,
};
use smtp_proto::reply::Reply;

use super::{Settled, stage_name};
use crate::{
    fields::Fault,
    output::{json_line, json_lines},
};

#[derive(Serialize)]
struct File<'a> {
    requests: Vec<RequestEntry<'a>>,
}

#[derive(Serialize)]
struct RequestEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    recipients: Vec<RecipientEntry<'a>>,
}

/// `address` to `report` are Postfix's; what follows is ours.
#[derive(Serialize)]
struct RecipientEntry<'a> {
    address: &'a str,
    status: &'a str,
    dsn: String,
    relay: &'a str,
    text: &'a str,
    /// The action of the success report that this client owes the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
    action: &'a str,
    scope: &'a str,
    uncertain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<ReplyEntry<'a>>,
    tls: Option<TlsEntry<'a>>,
}

/// The result of TLS; `null` where nothing was tried. The same names as for a probe.
#[derive(Serialize)]
struct TlsEntry<'a> {
    established: bool,
    error: Option<&'a str>,
    version: Option<&'a str>,
    cipher: Option<&'a str>,
    bits: Option<u16>,
    trust: Option<&'a str>,
    problem: Option<&'a str>,
}

/// A line of the report that is written as verdicts fall.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Verdict {
        request: usize,
        id: &'a str,
        recipient: usize,
        #[serde(flatten)]
        entry: Box<RecipientEntry<'a>>,
    },
    Request {
        request: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        sent: usize,
        deferred: usize,
        bounced: usize,
    },
}

#[derive(Serialize)]
struct ReplyEntry<'a> {
    code: u16,
    dsn: String,
    lines: Vec<&'a str>,
}

/// The whole report as one JSON object.
pub(crate) fn render(requests: &[Settled]) -> serde_json::Result<String> {
    json_lines(&File {
        requests: requests.iter().map(request).collect(),
    })
}

/// A line about the verdict on one recipient. Request and recipient count from 1.
pub(crate) fn verdict(
    request: usize,
    id: &str,
    recipient: usize,
    (to, outcome): (&Recipient, &Outcome),
) -> serde_json::Result<String> {
    let entry = Box::new(entry(to, outcome));
    line(&Event::Verdict {
        request,
        id,
        recipient,
        entry,
    })
}

/// The last line about a request: how many recipients have which status.
pub(crate) fn end(request: usize, id: &str, report: &Report) -> serde_json::Result<String> {
    let outcomes = report.recipients.iter().map(|(_, outcome)| outcome.status);
    let count = |status| outcomes.clone().filter(|found| *found == status).count();
    line(&Event::Request {
        request,
        id: Some(id),
        error: None,
        sent: count(Status::Sent),
        deferred: count(Status::Deferred),
        bounced: count(Status::Bounced),
    })
}

/// The only line about a request that could not be understood.
pub(crate) fn fault(request: usize, fault: &Fault) -> serde_json::Result<String> {
    line(&Event::Request {
        request,
        id: None,
        error: Some(fault.to_string()),
        sent: 0,
        deferred: 0,
        bounced: 0,
    })
}

fn line(event: &Event<'_>) -> serde_json::Result<String> {
    json_line(event)
}

fn request(settled: &Settled) -> RequestEntry<'_> {
    match settled {
        Ok(report) => RequestEntry {
            error: None,
            recipients: report
                .recipients
                .iter()
                .map(|(r, outcome)| entry(r, outcome))
                .collect(),
        },
        Err(fault) => RequestEntry {
            error: Some(fault.to_string()),
            recipients: Vec::new(),
        },
    }
}

fn entry<'a>(recipient: &'a Recipient, outcome: &'a Outcome) -> RecipientEntry<'a> {
    RecipientEntry {
        address: recipient.address.as_str(),
        status: outcome.word,
        dsn: outcome.code.to_string(),
        relay: &outcome.relay,
        text: &outcome.text,
        report: outcome
            .owes_success_report(recipient)
            .then(|| outcome.action.as_str()),
        original: recipient.original.as_deref(),
        action: outcome.action.as_str(),
        scope: match outcome.scope {
            Scope::Session => "session",
            Scope::Site => "site",
            Scope::Message => "message",
            Scope::Recipient => "recipient",
        },
        uncertain: outcome.uncertain,
        host: outcome.relay.split_once('[').map(|(host, _)| host),
        stage: outcome.stage.map(stage_name),
        reply: outcome.reply.as_ref().map(reply),
        tls: outcome.encryption.as_ref().and_then(tls),
    }
}

fn tls(encryption: &Encryption) -> Option<TlsEntry<'_>> {
    let (failure, tls) = (encryption.failure(), encryption.tls());
    (failure.is_some() || tls.is_some()).then(|| TlsEntry {
        established: tls.is_some(),
        error: failure,
        version: tls.map(|tls| tls.version),
        cipher: tls.map(|tls| tls.cipher.as_str()),
        bits: tls.map(|tls| tls.bits),
        trust: tls.map(|tls| Trust::as_str(tls.trust)),
        problem: tls.and_then(|tls| tls.problem.as_deref()),
    })
}

fn reply(reply: &Reply) -> ReplyEntry<'_> {
    ReplyEntry {
        code: reply.code(),
        dsn: reply.status().to_string(),
        lines: reply.lines().collect(),
    }
}
