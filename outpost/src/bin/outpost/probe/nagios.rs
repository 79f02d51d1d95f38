//! One line for a monitoring system: the form of Nagios's plugins, which Icinga, Naemon
//! and Checkmk take, too.
//!
//! `SMTP OK - words|performance data`, and further lines for several destinations. The
//! exit status says the same ([`Check`]).

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use smtp_policy::{
    report::{Status, printable},
    survey::{Failing, Finding, HandshakeFinding, HostFinding},
    tls::CertificateSummary,
};

use super::{
    protocol,
    several::{Look, look_at_all},
};
use crate::{
    cli::ProbeArgs,
    exit::{Check, Exit, Failure},
    output::Output,
};

const DAY: f64 = 24.0 * 3600.0;

/// Looks at all destinations, and prints the worst of it.
pub(super) fn run(args: &ProbeArgs) -> Result<Exit, Failure> {
    let mut judged = Vec::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let counts = look_at_all(args, &mut |number, look, _| {
        judged.push((number, Judgement::of(&look, args, now)));
        true
    });
    let counts = match counts {
        Ok(counts) => counts,
        Err(failure) => return say(args, Check::Unknown, &failure.to_string()),
    };
    judged.sort_by_key(|(number, _)| *number);
    let mut all: Vec<Judgement> = judged.into_iter().map(|(_, judgement)| judgement).collect();
    if counts.seen < counts.count {
        let missing = counts.count - counts.seen;
        all.push(Judgement::missing(missing));
    }
    match all.as_slice() {
        [only] => {
            let words = format!("{}|{}", only.words, only.data(""));
            say(args, only.check, &words)
        }
        _ => {
            let check = all.iter().map(|one| one.check).max();
            say(args, check.unwrap_or(Check::Unknown), &many(&all))
        }
    }
}

/// Says that nothing could be found out, for a reason.
pub(super) fn unknown(why: &str) -> Result<Exit, Failure> {
    print("SMTP", Check::Unknown, &clean(why))
}

fn say(args: &ProbeArgs, check: Check, words: &str) -> Result<Exit, Failure> {
    let service = protocol(args).as_str().to_ascii_uppercase();
    print(&service, check, words)
}

fn print(service: &str, check: Check, words: &str) -> Result<Exit, Failure> {
    let mut output = Output::default();
    output.text(&format!("{service} {} - {words}\n", check.word()));
    match output.is_sound() {
        true => Ok(Exit::Check(check)),
        // The monitoring system has not got the line.
        false => Ok(Exit::Check(Check::Unknown)),
    }
}

/// The line for several destinations, and one for each behind it.
fn many(all: &[Judgement]) -> String {
    let mut words = format!("{} destinations", all.len());
    for check in [Check::Critical, Check::Unknown, Check::Warning, Check::Ok] {
        let count = all.iter().filter(|one| one.check == check).count();
        if count > 0 {
            let _ = write!(words, ", {count} {}", check.word());
        }
    }
    let data: Vec<String> = all
        .iter()
        .filter(|one| !one.name.is_empty())
        .map(|one| one.data(&one.name))
        .collect();
    let _ = write!(words, "|{}", data.join(" "));
    for one in all {
        let (word, name) = (one.check.word(), clean(&one.name));
        let colon = if name.is_empty() { "" } else { ": " };
        let _ = write!(words, "\n[{word}] {name}{colon}{}", one.words);
    }
    words
}

/// The judgement on one destination.
#[derive(Debug)]
struct Judgement {
    name: String,
    check: Check,
    words: String,
    servers: usize,
    usable: usize,
    /// The slowest look-up or server, in seconds, and its limits.
    time: f64,
    time_limits: String,
    /// Days that the certificate is valid that ends first, and their limits.
    days: Option<f64>,
    days_limits: String,
}

impl Judgement {
    fn of(look: &Look, args: &ProbeArgs, now: Duration) -> Self {
        let hosts = || look.seen.iter().filter_map(|seen| host(&seen.finding));
        let slowest = look.seen.iter().map(|seen| seen.took).max();
        let time = slowest.unwrap_or_default().as_secs_f64();
        let days = hosts().filter_map(|host| days_left(host, now));
        let days = days.reduce(f64::min);
        let mut verdict = Verdict::default();
        verdict.add(use_of(look));
        if let Some(limits) = args.time {
            verdict.add((limits.judge(time), format!("took {time:.3} s")));
        }
        verdict.certificates(hosts(), days, args);
        Self {
            name: look.name.clone(),
            check: verdict.check,
            words: verdict.words.join(", "),
            servers: look.sum.servers,
            usable: look.sum.usable,
            time,
            time_limits: args
                .time
                .map_or_else(|| ";".into(), |limits| limits.shown()),
            days,
            days_limits: args
                .certificate_days
                .map_or_else(|| ";".into(), |limits| limits.shown()),
        }
    }

    /// For destinations that were not looked at.
    fn missing(count: usize) -> Self {
        Self {
            name: String::new(),
            check: Check::Unknown,
            words: format!("interrupted; destinations not looked at: {count}"),
            servers: 0,
            usable: 0,
            time: 0.0,
            time_limits: ";".into(),
            days: None,
            days_limits: ";".into(),
        }
    }

    /// The performance data, with `name` before each label.
    fn data(&self, name: &str) -> String {
        let label = |of: &str| match name {
            "" => of.to_owned(),
            // A label may hold anything but these.
            name => format!("'{} {of}'", clean(name).replace(['\'', '='], "_")),
        };
        let Self {
            servers,
            usable,
            time,
            ..
        } = self;
        let mut data = format!("{}={time:.6}s;{};0", label("time"), self.time_limits);
        if let Some(days) = self.days {
            // Whole days, rounded down.
            let days = days.floor();
            let _ = write!(
                data,
                " {}={days};{}",
                label("certificate_days"),
                self.days_limits
            );
        }
        let _ = write!(
            data,
            " {}={servers};;;0 {}={usable};;;0;{servers}",
            label("servers"),
            label("usable")
        );
        data
    }
}

/// A status with the reasons for it.
#[derive(Debug)]
struct Verdict {
    check: Check,
    words: Vec<String>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            check: Check::Ok,
            words: Vec::new(),
        }
    }
}

impl Verdict {
    fn add(&mut self, (check, words): (Check, String)) {
        self.check = self.check.max(check);
        self.words.push(clean(&words));
    }

    /// Judges the certificates of the servers that were reached.
    fn certificates<'a>(
        &mut self,
        hosts: impl Iterator<Item = &'a HostFinding>,
        days: Option<f64>,
        args: &ProbeArgs,
    ) {
        if let Some(days) = days {
            let check = args.certificate_days.map(|limits| limits.judge(days));
            let words = match days {
                0.0.. => format!("certificate valid for {:.0} days", days.floor()),
                _ => "certificate expired".to_owned(),
            };
            self.add((check.unwrap_or(Check::Ok), words));
        }
        if args.certificate_days.is_none() {
            return;
        }
        for host in hosts.filter(|host| host.result.is_ok() && certificate(host).is_none()) {
            let level = host.policy.as_ref().map(|policy| policy.level.as_str());
            let (name, level) = (&host.host, level.unwrap_or("none"));
            let words = format!("{name} shows no certificate (TLS level {level})");
            self.add((Check::Critical, words));
        }
    }
}

/// The use that mail has of the servers.
fn use_of(look: &Look) -> (Check, String) {
    let sum = look.sum;
    if sum.interrupted {
        return (Check::Unknown, "interrupted".to_owned());
    }
    let failing = look.seen.iter().find_map(|seen| failing(&seen.finding));
    let why = failing.map(|failing| {
        let fate = match failing.fate {
            Status::Bounced => "mail is returned",
            _ => "mail is deferred",
        };
        format!("{fate} ({}): {}", failing.status, failing.text)
    });
    let servers = match sum.servers {
        1 => "server".to_owned(),
        count => format!("of {count} servers"),
    };
    let usable = sum.usable;
    match (sum.exit(), why) {
        (Exit::Ok, _) => (
            Check::Ok,
            format!("{usable} {servers} usable, {}", how(look)),
        ),
        (_, why) if usable > 0 => {
            let why = why.unwrap_or_default();
            (Check::Warning, format!("{usable} {servers} usable: {why}"))
        }
        (_, Some(why)) => (Check::Critical, why),
        (_, None) => (Check::Critical, "no server to deliver to".to_owned()),
    }
}

/// Describes the protection of mail on the way there, in the worst case.
fn how(look: &Look) -> &'static str {
    let hosts = look.seen.iter().filter_map(|seen| host(&seen.finding));
    let usable = hosts.filter_map(|host| host.result.as_ref().ok());
    let (encrypted, verified) = usable.fold((true, true), |(encrypted, verified), one| {
        (encrypted && one.encrypted, verified && one.verified)
    });
    match (encrypted, verified) {
        (true, true) => "encrypted and verified",
        (true, false) => "encrypted, not verified",
        (false, _) => "in plaintext",
    }
}

fn host(finding: &Finding) -> Option<&HostFinding> {
    match finding {
        Finding::Host(found) => Some(found),
        _ => None,
    }
}

fn failing(finding: &Finding) -> Option<&Failing> {
    match finding {
        Finding::Destination(found) => found.failure.as_ref(),
        Finding::Host(found) => found.result.as_ref().err(),
        _ => None,
    }
}

/// The server's own certificate.
fn certificate(host: &HostFinding) -> Option<CertificateSummary> {
    match &host.handshake {
        Some(HandshakeFinding::Done(facts)) => {
            let der = facts.chain.first()?;
            CertificateSummary::read(der)
        }
        _ => None,
    }
}

/// The days until it is not valid any more; less than zero if it is not.
fn days_left(host: &HostFinding, now: Duration) -> Option<f64> {
    let end = certificate(host)?.not_after.as_secs_f64();
    Some((end - now.as_secs_f64()) / DAY)
}

/// Text in one line without what separates words from performance data.
fn clean(text: &str) -> String {
    printable(text).replace('|', "/")
}
