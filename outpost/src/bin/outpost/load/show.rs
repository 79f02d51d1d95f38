//! The summary of a run, for people and for programs.

use std::{
    fmt::{Display, Write},
    time::Duration,
};

use serde::Serialize;

use super::{
    chart::{self, Charset, chart},
    tally::{Latencies, Tally},
};

/// A run as it was asked for, and how it ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'a> {
    pub(super) server: &'a str,
    pub(super) protocol: &'static str,
    pub(super) sessions: u16,
    pub(super) per_connection: Option<u32>,
    pub(super) rate: Option<f64>,
    pub(super) interrupted: bool,
    pub(super) gave_up: bool,
    /// Messages that were due and did not begin.
    pub(super) late: u64,
    pub(super) time: Duration,
}

/// The parts of all latencies that are told.
const PARTS: [(&str, f64); 4] = [("50%", 0.5), ("90%", 0.9), ("99%", 0.99), ("99.9%", 0.999)];

impl Course<'_> {
    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.time.as_secs_f64();
        match seconds > 0.0 {
            true => count as f64 / seconds,
            false => 0.0,
        }
    }
}

/// The latencies that a person sees, and a program gets: response where there is a rate.
fn shown<'a>(course: &Course<'_>, tally: &'a Tally) -> (&'static str, &'a Latencies) {
    match course.rate {
        Some(_) => ("response", &tally.response),
        None => ("message", &tally.message),
    }
}

/// The summary in lines.
pub(super) fn text(course: &Course<'_>, tally: &Tally, charset: Charset) -> String {
    let mut page = Page::default();
    counts(&mut page, course, tally);
    reasons(&mut page, tally);
    latencies(&mut page, course, tally);
    let (name, latencies) = shown(course, tally);
    let bars = chart(latencies, charset);
    if !bars.is_empty() {
        let _ = write!(page.out, "\n{name} latency, messages\n{bars}");
    }
    page.out
}

fn counts(page: &mut Page, course: &Course<'_>, tally: &Tally) {
    let messages = tally.messages;
    let mut words = format!("{} begun, {} accepted", messages.begun, messages.accepted);
    for (count, what) in [
        (messages.partly, "accepted for some recipients"),
        (messages.failed, "failed"),
        (messages.begun.saturating_sub(messages.ended()), "under way"),
        (course.late, "due and not begun"),
    ] {
        if count > 0 {
            let _ = write!(words, ", {count} {what}");
        }
    }
    page.row("messages", words);
    let recipients = tally.recipients;
    let mut words = format!("{} sent", recipients.sent);
    for (count, what) in [
        (recipients.deferred, "deferred"),
        (recipients.bounced, "bounced"),
    ] {
        let _ = write!(words, ", {count} {what}");
    }
    if recipients.uncertain > 0 {
        let _ = write!(words, " ({} in doubt)", recipients.uncertain);
    }
    page.row("recipients", words);
    let connections = tally.connections;
    let mut words = format!("{} made", connections.made);
    for (count, what) in [
        (connections.encrypted, "encrypted"),
        (connections.failed, "failed"),
    ] {
        if count > 0 {
            let _ = write!(words, ", {count} {what}");
        }
    }
    page.row("connections", words);
    let sent = messages.accepted + messages.partly;
    page.row("bytes", tally.bytes);
    page.row("time", format!("{:.3} s", course.time.as_secs_f64()));
    page.row("rate", format!("{:.1} messages/s", course.per_second(sent)));
    if course.gave_up {
        page.row(
            "ended",
            "too many messages in a row have failed (--give-up)",
        );
    } else if course.interrupted {
        page.row("ended", "interrupted");
    }
}

fn reasons(page: &mut Page, tally: &Tally) {
    let mut label = "failures";
    for (text, count) in &tally.reasons {
        page.row(label, format!("{count} x {text}"));
        label = "";
    }
    if tally.other_reasons > 0 {
        page.row(label, format!("{} x others", tally.other_reasons));
    }
}

fn latencies(page: &mut Page, course: &Course<'_>, tally: &Tally) {
    let all = [
        ("connect", &tally.connect),
        ("TLS", &tally.tls),
        ("message", &tally.message),
        ("response", &tally.response),
    ];
    let told: Vec<_> = all
        .into_iter()
        .filter(|(_, latencies)| latencies.count() > 0)
        .filter(|(name, _)| *name != "response" || course.rate.is_some())
        .collect();
    if told.is_empty() {
        return;
    }
    let _ = write!(page.out, "\n{:12} {:>9}", "latency", "count");
    for name in ["min"].into_iter().chain(PARTS.map(|(name, _)| name)) {
        let _ = write!(page.out, " {name:>8}");
    }
    let _ = writeln!(page.out, " {:>8}", "max");
    for (name, latencies) in told {
        let _ = write!(page.out, "{name:12} {:>9}", latencies.count());
        let within = PARTS.map(|(_, part)| latencies.within(part));
        let times = [latencies.least()].into_iter().chain(within);
        for time in times.chain([latencies.most()]) {
            let _ = write!(page.out, " {:>8}", chart::time(time));
        }
        page.out.push('\n');
    }
}

#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn row(&mut self, label: &str, words: impl Display) {
        let _ = writeln!(self.out, "{label:12} {words}");
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    server: &'a str,
    protocol: &'a str,
    sessions: u16,
    per_connection: Option<u32>,
    rate: Option<f64>,
    interrupted: bool,
    gave_up: bool,
    seconds: f64,
    messages_per_second: f64,
    bytes: u64,
    messages: Messages,
    recipients: Recipients,
    connections: Connections,
    failures: Vec<Reason<'a>>,
    other_failures: u64,
    latency: Latency,
    histogram: Vec<Bucket>,
}

#[derive(Serialize)]
struct Messages {
    begun: u64,
    accepted: u64,
    partly: u64,
    failed: u64,
    late: u64,
}

#[derive(Serialize)]
struct Recipients {
    sent: u64,
    deferred: u64,
    bounced: u64,
    uncertain: u64,
}

#[derive(Serialize)]
struct Connections {
    made: u64,
    failed: u64,
    encrypted: u64,
}

#[derive(Serialize)]
struct Reason<'a> {
    text: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Latency {
    connect: Option<Distribution>,
    tls: Option<Distribution>,
    message: Option<Distribution>,
    response: Option<Distribution>,
}

#[derive(Serialize)]
struct Distribution {
    count: u64,
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Serialize)]
struct Bucket {
    from: f64,
    to: f64,
    count: u64,
}

/// The summary as one object.
pub(super) fn json<'a>(course: &Course<'a>, tally: &'a Tally) -> impl Serialize + use<'a> {
    let messages = tally.messages;
    let (recipients, connections) = (tally.recipients, tally.connections);
    let reason = |(text, count): &'a (String, u64)| Reason {
        text,
        count: *count,
    };
    let bucket = |bucket: chart::Bucket| Bucket {
        from: bucket.from.as_secs_f64(),
        to: bucket.to.as_secs_f64(),
        count: bucket.count,
    };
    Summary {
        server: course.server,
        protocol: course.protocol,
        sessions: course.sessions,
        per_connection: course.per_connection,
        rate: course.rate,
        interrupted: course.interrupted,
        gave_up: course.gave_up,
        seconds: course.time.as_secs_f64(),
        messages_per_second: course.per_second(messages.accepted + messages.partly),
        bytes: tally.bytes,
        messages: Messages {
            begun: messages.begun,
            accepted: messages.accepted,
            partly: messages.partly,
            failed: messages.failed,
            late: course.late,
        },
        recipients: Recipients {
            sent: recipients.sent,
            deferred: recipients.deferred,
            bounced: recipients.bounced,
            uncertain: recipients.uncertain,
        },
        connections: Connections {
            made: connections.made,
            failed: connections.failed,
            encrypted: connections.encrypted,
        },
        failures: tally.reasons.iter().map(reason).collect(),
        other_failures: tally.other_reasons,
        latency: Latency {
            connect: distribution(&tally.connect),
            tls: distribution(&tally.tls),
            message: distribution(&tally.message),
            response: distribution(&tally.response).filter(|_| course.rate.is_some()),
        },
        histogram: chart::buckets(shown(course, tally).1)
            .into_iter()
            .map(bucket)
            .collect(),
    }
}

fn distribution(latencies: &Latencies) -> Option<Distribution> {
    let within = |part| latencies.within(part).as_secs_f64();
    (latencies.count() > 0).then(|| Distribution {
        count: latencies.count(),
        min: latencies.least().as_secs_f64(),
        mean: latencies.mean().as_secs_f64(),
        p50: within(0.5),
        p90: within(0.9),
        p99: within(0.99),
        p99_9: within(0.999),
        max: latencies.most().as_secs_f64(),
    })
}
