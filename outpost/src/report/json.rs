//! The report for programs.

use serde::Serialize;
use smtp_policy::{
    report::{Outcome, Scope},
    request::Recipient,
};
use smtp_proto::reply::Reply;

use super::{Settled, stage_name};

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
}

#[derive(Serialize)]
struct ReplyEntry<'a> {
    code: u16,
    dsn: String,
    lines: Vec<&'a str>,
}

/// The whole report as one JSON object.
pub(crate) fn file(requests: &[Settled]) -> impl Serialize + '_ {
    File {
        requests: requests.iter().map(request).collect(),
    }
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
    }
}

fn reply(reply: &Reply) -> ReplyEntry<'_> {
    ReplyEntry {
        code: reply.code(),
        dsn: reply.status().to_string(),
        lines: reply.lines().collect(),
    }
}
