//! The report for people.

use std::fmt::Write;

use smtp_policy::{
    report::{Encryption, Outcome, Relay, Report, Status},
    request::Recipient,
};

/// The greatest width of a block; longer text is wrapped.
const WIDTH: usize = 78;
/// The start of the second column.
const COLUMN: usize = 10;

const UNCERTAIN: &str = "The connection was lost after the whole message had been sent and before \
    the server answered. It may have delivered a copy: a new attempt may deliver a second one.";

/// A block for each recipient of one request.
pub(crate) fn blocks(report: &Report) -> String {
    let blocks = report
        .recipients
        .iter()
        .map(|(to, outcome)| block(to, outcome));
    blocks.collect()
}

/// A line with the verdict on one recipient, what else there is to say below it, and an
/// empty line.
pub(crate) fn block(recipient: &Recipient, outcome: &Outcome) -> String {
    let mut out = format!("{}{}\n", verdict(recipient, outcome), meaning(outcome));
    rows(&mut out, recipient, outcome);
    out.push('\n');
    out
}

/// All that matters of a verdict, in one line.
pub(crate) fn line(recipient: &Recipient, outcome: &Outcome) -> String {
    let mut line = format!("{}: {}", verdict(recipient, outcome), outcome.text);
    if let Some(why) = tls(outcome) {
        let _ = write!(line, "; TLS: {why}");
    }
    if outcome.uncertain {
        line.push_str("; a copy may have been delivered");
    }
    line
}

/// `<a@example.com>: sent (2.0.0, TLSv1.3, verified)`.
pub(crate) fn verdict(recipient: &Recipient, outcome: &Outcome) -> String {
    let mut line = format!(
        "<{}>: {} ({}",
        recipient.address.as_str(),
        outcome.word,
        outcome.code
    );
    if outcome.status == Status::Sent
        && let Some(encryption) = &outcome.encryption
    {
        let _ = match encryption.tls() {
            Some(_) => write!(line, ", {encryption}"),
            None => write!(line, ", plaintext"),
        };
    }
    line.push(')');
    line
}

/// Tells how TLS went, as far as there is more to say than the verdict does.
fn tls(outcome: &Outcome) -> Option<String> {
    match outcome.encryption.as_ref()? {
        Encryption::Failed(why) => Some(format!("failed: {why}")),
        Encryption::Plaintext { instead } => {
            let why = instead.as_ref()?;
            Some(format!("not used: {why}"))
        }
        Encryption::Tls(tls) => match (&tls.problem, outcome.status) {
            (Some(problem), _) => Some(format!("{}, {problem}", tls.cipher)),
            (None, Status::Sent) => Some(tls.cipher.clone()),
            (None, _) => None,
        },
        _ => None,
    }
}

fn rows(out: &mut String, recipient: &Recipient, outcome: &Outcome) {
    if let Some(original) = &recipient.original
        && original.as_str() != recipient.address.as_str()
    {
        row(out, "instead of", &format!("<{original}>"));
    }
    if outcome.relay != Relay::None {
        row(out, "server", &outcome.relay.to_string());
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
    if let Some(why) = tls(outcome) {
        row(out, "TLS", &why);
    }
    if let (Some(stage), false) = (outcome.stage, outcome.status == Status::Sent) {
        row(out, "at", stage.as_str());
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
