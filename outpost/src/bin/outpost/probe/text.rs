//! The findings for people: one block each.

use std::{
    fmt::Write,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use smtp_policy::{
    dns::names::is_same_name,
    report::{Status, printable},
    survey::{
        DaneStory, DestinationFinding, Failing, Finding, HandshakeFinding, Hello, HostFinding,
        LevelSource, PolicyFinding, TlsaAnswer,
    },
    tls::{CertificateSummary, MatchedBy, Problem, TlsFacts},
};
use smtp_proto::session::Stage;

use super::Seen;

/// The start of the second column.
const COLUMN: usize = 13;

/// The block of one finding, followed by an empty line.
pub(super) fn block(seen: &Seen) -> String {
    let mut page = Page::default();
    match &seen.finding {
        Finding::Destination(found) => destination(&mut page, found),
        Finding::Host(found) => host(&mut page, found, now()),
        _ => return String::new(),
    }
    let log = seen.log.iter().map(String::as_str);
    page.rows("log", log.filter(|line| !is_verdict(&seen.finding, line)));
    page.out.push('\n');
    page.out
}

/// Returns whether a line of the log repeats the verdict.
fn is_verdict(finding: &Finding, line: &str) -> bool {
    match finding {
        Finding::Host(found) => matches!(&found.result, Err(failing) if failing.text == line),
        _ => false,
    }
}

/// The command of a hello.
pub(super) const fn verb(stage: Stage) -> &'static str {
    match stage {
        Stage::Lhlo => "LHLO",
        Stage::Helo => "HELO",
        _ => "EHLO",
    }
}

/// Describes the problem with the certificates.
pub(super) fn problem(problem: &Problem) -> String {
    let whose = |authority: bool| if authority { "an issuer's" } else { "the" };
    match problem {
        Problem::NotInPolicy => "no fingerprint or TLSA record that is wanted fits".into(),
        Problem::SelfSigned => "the certificate is signed by its own key".into(),
        Problem::UnknownIssuer(issuer) => format!("nobody here knows the issuer {issuer}"),
        Problem::NotYetValid(authority) => {
            format!("{} certificate is not valid yet", whose(*authority))
        }
        Problem::Expired(authority) => format!("{} certificate has expired", whose(*authority)),
        Problem::NotForServers => "the certificate is not for servers".into(),
        Problem::TooLong(limit) => format!("there are more than {limit} certificates of issuers"),
        Problem::WrongName => "the certificate has none of the names that are wanted".into(),
        Problem::Other(text) => text.clone(),
        _ => "the certificate is not trusted".into(),
    }
}

#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn title(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}", printable(text));
    }

    fn row(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.out, "  {label:COLUMN$}{}", printable(text));
    }

    /// Several rows under one label; nothing if there are none.
    fn rows<'a>(&mut self, label: &str, texts: impl IntoIterator<Item = &'a str>) {
        let mut label = label;
        for text in texts {
            self.row(label, text);
            label = "";
        }
    }
}

fn dnssec(validated: bool) -> &'static str {
    if validated {
        "validated by DNSSEC"
    } else {
        "not validated"
    }
}

fn destination(page: &mut Page, found: &DestinationFinding) {
    let what = if found.fallback {
        "Fallback relay"
    } else {
        "Destination"
    };
    page.title(&format!("{what} {}", found.destination));
    if let Some(exchange) = &found.exchange {
        let alias = match is_same_name(&exchange.owner, &exchange.asked) {
            true => String::new(),
            false => format!(", an alias of {}", exchange.owner),
        };
        let validated = dnssec(exchange.validated);
        page.row(
            "MX records",
            &format!("{}{alias}: {validated}", exchange.asked),
        );
    } else if !found.candidates.is_empty() {
        page.row("MX records", "none asked for, or none there");
    }
    let addresses: Vec<String> = found
        .candidates
        .iter()
        .map(|candidate| {
            let preference = match &found.exchange {
                Some(_) => format!("{:>5} ", candidate.preference),
                None => String::new(),
            };
            let validated = match candidate.asked.parse::<IpAddr>() {
                Ok(_) => "as it is written",
                Err(_) => dnssec(candidate.host_validated),
            };
            let relay = format!(
                "{}[{}]:{}",
                candidate.host, candidate.address, candidate.port
            );
            let alias = match is_same_name(&candidate.canonical, &candidate.asked) {
                true => String::new(),
                false => format!(", an alias of {}", candidate.canonical),
            };
            format!("{preference}{relay}{alias}: {validated}")
        })
        .collect();
    page.rows("addresses", addresses.iter().map(String::as_str));
    if let Some(failing) = &found.failure {
        page.row("verdict", &failure(failing));
    }
}

fn host(page: &mut Page, found: &HostFinding, now: Duration) {
    let port = found
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    page.title(&format!("{}[{}]{port}", found.host, found.address));
    page.row("verdict", &verdict(found));
    if found.beyond_limit {
        page.row("", "a delivery does not get so far (smtp_mx_address_limit)");
    }
    if let Some(banner) = &found.banner {
        page.rows("greeting", banner.lines());
    }
    if let Some(said) = &found.hello {
        hello(page, verb(said.stage), said);
    }
    if let Some(found) = &found.policy {
        policy(page, found);
    }
    if let Some(reply) = &found.starttls {
        page.rows("STARTTLS", reply.lines());
    }
    match &found.handshake {
        Some(HandshakeFinding::Done(facts)) => tls(page, facts, now),
        Some(HandshakeFinding::Failed(why)) => page.row("TLS", &format!("failed: {why}")),
        _ => {}
    }
    if let Some(said) = &found.secure_hello {
        hello(page, &format!("{} in TLS", verb(said.stage)), said);
    }
    login(page, found);
}

/// Which mechanisms the server offers where a delivery would log in.
fn login(page: &mut Page, found: &HostFinding) {
    let Some(said) = found.secure_hello.as_ref().or(found.hello.as_ref()) else {
        return;
    };
    let offered = said.capabilities.auth.join(" ");
    let own = match &found.result {
        Ok(usable) if usable.logs_in => "a delivery would log in (not tried)",
        _ => "a delivery would not log in",
    };
    if !offered.is_empty() {
        page.row("AUTH", &format!("{offered}; {own}"));
    }
}

fn verdict(found: &HostFinding) -> String {
    let usable = match &found.result {
        Ok(usable) => usable,
        Err(failing) => return failure(failing),
    };
    let mail = if found.plaintext_retry {
        "mail that has waited for minimal_backoff_time"
    } else {
        "mail"
    };
    let how = match (usable.encrypted, usable.verified) {
        (true, true) => "encrypted, and the server has proved who it is",
        (true, false) => "encrypted; who the server is, is not verified",
        (false, _) => "in plaintext",
    };
    let login = if usable.logs_in {
        ", after a login (not tried)"
    } else {
        ""
    };
    format!("usable: {mail} goes there {how}{login}")
}

fn failure(failing: &Failing) -> String {
    let fate = match failing.fate {
        Status::Bounced => "is returned",
        _ => "is deferred",
    };
    let unless = if failing.ends_delivery {
        ""
    } else {
        " unless another server takes it"
    };
    format!("mail {fate}{unless} ({}): {}", failing.status, failing.text)
}

fn hello(page: &mut Page, label: &str, said: &Hello) {
    page.rows(label, said.reply.lines());
    if !said.capabilities.discarded.is_empty() {
        let words: Vec<&str> = said.capabilities.discarded.names().collect();
        page.row("", &format!("(discarded: {})", words.join(" ")));
    }
}

fn policy(page: &mut Page, found: &PolicyFinding) {
    let source = match &found.source {
        LevelSource::PolicyMap { key, entry } => {
            format!("by the entry \"{entry}\" for {key} in tls_policy_maps")
        }
        LevelSource::PerSite { key, entry } => {
            format!("by the entry \"{entry}\" for {key} in tls_per_site")
        }
        _ => "by the parameters".into(),
    };
    page.row("TLS level", &format!("{}, {source}", found.configured));
    if found.level != found.configured {
        page.row("", &format!("in force: {}", found.level));
    }
    if !found.wanted.is_empty() {
        page.row("wanted", &found.wanted.join(", "));
    }
    if let Some(story) = &found.dane {
        dane(page, story);
    }
    if let Some(sts) = &found.sts {
        let names = if sts.names_host {
            "names the server"
        } else {
            "does not name the server"
        };
        let (mode, domain) = (sts.mode.as_str(), &sts.domain);
        page.row(
            "MTA-STS",
            &format!("{mode}, by the policy of {domain}, which {names}"),
        );
    }
}

fn dane(page: &mut Page, story: &DaneStory) {
    page.row(
        "DANE",
        &match &story.obstacle {
            None => "applies: one of the records must fit the certificates".into(),
            Some(why) => format!("does not apply: {why}"),
        },
    );
    for lookup in &story.lookups {
        let (words, records) = match &lookup.answer {
            TlsaAnswer::Signed(records) => (dnssec(true), records.as_slice()),
            TlsaAnswer::Unsigned(records) => (dnssec(false), records.as_slice()),
            TlsaAnswer::Failed(why) => (why.as_str(), [].as_slice()),
            _ => ("no TLSA records", [].as_slice()),
        };
        page.row("", &format!("{}: {words}", lookup.name));
        for record in records {
            page.row("", &format!("  {record}"));
        }
    }
}

fn tls(page: &mut Page, facts: &TlsFacts, now: Duration) {
    let TlsFacts {
        version,
        cipher,
        bits,
        ..
    } = facts;
    page.row(
        "TLS",
        &format!("{version} with cipher {cipher} ({bits}/{bits} bits)"),
    );
    if let Some(exchange) = &facts.key_exchange {
        page.row("", &format!("key exchange {exchange}"));
    }
    if let Some(signature) = &facts.signature {
        page.row("", &format!("server signature {signature}"));
    }
    page.row("trust", &trust(facts));
    let count = facts.chain.len();
    for (der, number) in facts.chain.iter().zip(1..) {
        certificate(page, &format!("{number} of {count}"), der, now);
    }
}

fn trust(facts: &TlsFacts) -> String {
    let word = facts.trust.as_str();
    let why = match (&facts.matched_by, &facts.problem) {
        (Some(MatchedBy::CertificateFingerprint), _) => "the fingerprint of the certificate".into(),
        (Some(MatchedBy::KeyFingerprint), _) => "the fingerprint of the public key".into(),
        (Some(MatchedBy::Name(name)), _) => format!("a trusted issuer and the name {name}"),
        (Some(MatchedBy::EndEntity(record)), _) => format!("the TLSA record {record}"),
        (Some(MatchedBy::TrustAnchor(record, name)), _) => {
            format!("the TLSA record {record} and the name {name}")
        }
        (_, Some(found)) => return format!("{word}: {}", problem(found)),
        _ => return word.to_owned(),
    };
    format!("{word} by {why}")
}

fn certificate(page: &mut Page, number: &str, der: &[u8], now: Duration) {
    page.row("certificate", number);
    let Some(summary) = CertificateSummary::read(der) else {
        return page.row("", "  cannot be read");
    };
    let remark = if now < summary.not_before {
        " (not valid yet)"
    } else if now > summary.not_after {
        " (expired)"
    } else {
        ""
    };
    let (begin, end) = &summary.validity;
    let rows = [
        ("subject", summary.subject.as_str()),
        ("names", &summary.names.join(", ")),
        ("issuer", &summary.issuer),
        ("valid", &format!("{begin} to {end}{remark}")),
        ("key", &summary.key),
        ("SHA-256", &summary.certificate_fingerprint),
        ("of key", &summary.key_fingerprint),
    ];
    for (label, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        page.row("", &format!("  {label:9}{value}"));
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
