//! The report for people.

use std::fmt::Write;

use smtp_policy::{
    report::{Outcome, Report, Status},
    request::Recipient,
};

use super::{Settled, stage_name};

/// How wide a block is at most before its text is wrapped.
const WIDTH: usize = 78;
/// Where the second column begins.
const COLUMN: usize = 10;

const UNCERTAIN: &str = "The connection was lost after the whole message had been sent and before \
    the server answered. It may have delivered a copy: a new attempt may deliver a second one.";

/// The whole report: a block for each recipient, then the sum.
pub(crate) fn render(requests: &[Settled]) -> String {
    let mut out = String::new();
    for (settled, number) in requests.iter().zip(1..) {
        if requests.len() > 1 {
            let _ = writeln!(out, "Request {number}\n");
        }
        match settled {
            Ok(report) => blocks(&mut out, report),
            Err(fault) => {
                let _ = writeln!(out, "not delivered: {fault}\n");
            }
        }
    }
    let _ = writeln!(out, "{}", sum(requests));
    out
}

/// A block for each recipient of one request, each followed by an empty line.
pub(crate) fn blocks(out: &mut String, report: &Report) {
    for (recipient, outcome) in &report.recipients {
        block(out, recipient, outcome);
        out.push('\n');
    }
}

/// How many recipients were sent, deferred and bounced.
pub(crate) fn sum(requests: &[Settled]) -> String {
    let mut counts = [
        (Status::Sent, "sent", 0),
        (Status::Deferred, "deferred", 0),
        (Status::Bounced, "bounced", 0),
    ];
    let reports = requests.iter().filter_map(|settled| settled.as_ref().ok());
    for (_, outcome) in reports.flat_map(|report| &report.recipients) {
        for (status, _, count) in &mut counts {
            *count += u32::from(*status == outcome.status);
        }
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|(_, word, count)| format!("{count} {word}"))
        .collect();
    match requests.iter().filter(|settled| settled.is_err()).count() {
        0 => {}
        1 => parts.push("1 request not understood".to_owned()),
        many => parts.push(format!("{many} requests not understood")),
    }
    parts.join(", ")
}

fn block(out: &mut String, recipient: &Recipient, outcome: &Outcome) {
    let _ = writeln!(out, "<{}>", recipient.address.as_str());
    row(
        out,
        "verdict",
        &format!("{} ({}){}", outcome.word, outcome.code, meaning(outcome)),
    );
    if let Some(original) = &recipient.original
        && original.as_str() != recipient.address.as_str()
    {
        row(out, "instead of", &format!("<{original}>"));
    }
    if outcome.relay != "none" {
        row(out, "server", &outcome.relay);
    }
    row(
        out,
        if outcome.reply.is_some() {
            "answer"
        } else {
            "reason"
        },
        &outcome.text,
    );
    if let (Some(stage), false) = (outcome.stage, outcome.status == Status::Sent) {
        row(out, "at", stage_name(stage));
    }
    if outcome.uncertain {
        row(out, "uncertain", UNCERTAIN);
    }
}

fn meaning(outcome: &Outcome) -> &'static str {
    match (outcome.status, outcome.word) {
        (Status::Deferred, "deferred") => ": not delivered now, worth another try later",
        (Status::Deferred, "SOFTBOUNCE") => ": would have bounced, but soft_bounce is set",
        (Status::Bounced, "bounced") => ": will not be delivered",
        _ => "",
    }
}

/// One line of a block, or several when the text is long.
fn row(out: &mut String, label: &str, text: &str) {
    let mut line = format!("  {label:COLUMN$}");
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = format!("  {:COLUMN$}", "");
        }
        line.push(' ');
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{line}");
}
