//! The findings for programs. `outpost probe --help` names the fields.

use serde::Serialize;
use smtp_policy::{
    Protocol,
    report::Status,
    route::{Candidate, MailExchange},
    survey::{
        DaneStory, DestinationFinding, Failing, Finding, HandshakeFinding, Hello, HostFinding,
        LevelSource, PolicyFinding, TlsaAnswer,
    },
    tls::{CertificateSummary, MatchedBy, TlsFacts},
};
use smtp_proto::reply::Reply;

use super::{Seen, Sum, text};

#[derive(Serialize)]
struct File<'a> {
    destination: &'a str,
    protocol: &'a str,
    verdict: &'a str,
    servers: usize,
    usable: usize,
    destinations: Vec<DestinationEntry<'a>>,
    hosts: Vec<HostEntry<'a>>,
}

#[derive(Serialize)]
struct DestinationEntry<'a> {
    destination: &'a str,
    fallback: bool,
    mx: Option<ExchangeEntry<'a>>,
    addresses: Vec<AddressEntry<'a>>,
    failure: Option<FailingEntry<'a>>,
    log: &'a [String],
}

#[derive(Serialize)]
struct ExchangeEntry<'a> {
    name: &'a str,
    owner: &'a str,
    dnssec: bool,
}

#[derive(Serialize)]
struct AddressEntry<'a> {
    host: &'a str,
    address: String,
    port: u16,
    preference: u16,
    dnssec: bool,
    canonical: &'a str,
}

#[derive(Serialize)]
struct FailingEntry<'a> {
    action: &'static str,
    dsn: String,
    text: &'a str,
    ends_delivery: bool,
}

#[derive(Serialize)]
struct HostEntry<'a> {
    destination: &'a str,
    host: &'a str,
    address: &'a str,
    port: Option<u16>,
    preference: Option<u16>,
    dnssec: bool,
    beyond_limit: bool,
    plaintext_retry: bool,
    usable: bool,
    encrypted: bool,
    verified: bool,
    logs_in: bool,
    failure: Option<FailingEntry<'a>>,
    banner: Option<ReplyEntry<'a>>,
    hello: Option<HelloEntry<'a>>,
    policy: Option<PolicyEntry<'a>>,
    starttls: Option<ReplyEntry<'a>>,
    tls: Option<TlsEntry<'a>>,
    tls_hello: Option<HelloEntry<'a>>,
    log: &'a [String],
}

#[derive(Serialize)]
struct ReplyEntry<'a> {
    code: u16,
    lines: Vec<&'a str>,
}

#[derive(Serialize)]
struct HelloEntry<'a> {
    command: &'static str,
    name: &'a str,
    lines: Vec<&'a str>,
    auth: &'a [String],
    size: Option<u64>,
}

#[derive(Serialize)]
struct PolicyEntry<'a> {
    level: &'static str,
    configured: &'static str,
    source: &'static str,
    key: Option<&'a str>,
    entry: Option<&'a str>,
    wanted: &'a [String],
    dane: Option<DaneEntry<'a>>,
    mta_sts: Option<StsEntry<'a>>,
}

#[derive(Serialize)]
struct StsEntry<'a> {
    domain: &'a str,
    mode: &'static str,
    names_host: bool,
}

#[derive(Serialize)]
struct DaneEntry<'a> {
    applies: bool,
    why_not: Option<&'a str>,
    lookups: Vec<LookupEntry<'a>>,
}

#[derive(Serialize)]
struct LookupEntry<'a> {
    name: &'a str,
    result: &'static str,
    records: Vec<String>,
    error: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct TlsEntry<'a> {
    established: bool,
    error: Option<&'a str>,
    version: Option<&'a str>,
    cipher: Option<&'a str>,
    bits: Option<u16>,
    key_exchange: Option<&'a str>,
    signature: Option<&'a str>,
    trust: Option<&'static str>,
    matched: bool,
    matched_by: Option<MatchEntry<'a>>,
    problem: Option<String>,
    showed_certificate: bool,
    chain: Vec<CertificateEntry>,
}

#[derive(Serialize)]
struct MatchEntry<'a> {
    by: &'static str,
    name: Option<&'a str>,
    tlsa: Option<String>,
}

#[derive(Serialize, Default)]
struct CertificateEntry {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    key: String,
    sha256: String,
    key_sha256: String,
}

/// The whole report as one JSON object.
pub(super) fn file<'a>(
    destination: &'a str,
    protocol: Protocol,
    seen: &'a [Seen],
    sum: Sum,
) -> impl Serialize + 'a {
    let mut file = File {
        destination,
        protocol: protocol.as_str(),
        verdict: sum.word(),
        servers: sum.servers,
        usable: sum.usable,
        destinations: Vec::new(),
        hosts: Vec::new(),
    };
    for Seen { finding, log, .. } in seen {
        match finding {
            Finding::Destination(found) => file.destinations.push(destination_entry(found, log)),
            Finding::Host(found) => file.hosts.push(host_entry(found, log)),
            _ => {}
        }
    }
    file
}

fn destination_entry<'a>(found: &'a DestinationFinding, log: &'a [String]) -> DestinationEntry<'a> {
    DestinationEntry {
        destination: &found.destination,
        fallback: found.fallback,
        mx: found.exchange.as_ref().map(exchange),
        addresses: found.candidates.iter().map(address).collect(),
        failure: found.failure.as_ref().map(failing),
        log,
    }
}

fn exchange(exchange: &MailExchange) -> ExchangeEntry<'_> {
    ExchangeEntry {
        name: &exchange.asked,
        owner: &exchange.owner,
        dnssec: exchange.validated,
    }
}

fn address(candidate: &Candidate) -> AddressEntry<'_> {
    AddressEntry {
        host: &candidate.host,
        address: candidate.address.to_string(),
        port: candidate.port,
        preference: candidate.preference,
        dnssec: candidate.host_validated,
        canonical: &candidate.canonical,
    }
}

fn failing(failing: &Failing) -> FailingEntry<'_> {
    FailingEntry {
        action: match failing.fate {
            Status::Bounced => "bounced",
            _ => "deferred",
        },
        dsn: failing.status.to_string(),
        text: &failing.text,
        ends_delivery: failing.ends_delivery,
    }
}

fn host_entry<'a>(found: &'a HostFinding, log: &'a [String]) -> HostEntry<'a> {
    let usable = found.result.as_ref().ok();
    let candidate = found.candidate.as_ref();
    HostEntry {
        destination: &found.destination,
        host: &found.host,
        address: &found.address,
        port: found.port,
        preference: candidate.map(|candidate| candidate.preference),
        dnssec: candidate.is_some_and(|candidate| candidate.host_validated),
        beyond_limit: found.beyond_limit,
        plaintext_retry: found.plaintext_retry,
        usable: usable.is_some(),
        encrypted: usable.is_some_and(|usable| usable.encrypted),
        verified: usable.is_some_and(|usable| usable.verified),
        logs_in: usable.is_some_and(|usable| usable.logs_in),
        failure: found.result.as_ref().err().map(failing),
        banner: found.banner.as_ref().map(reply),
        hello: found.hello.as_ref().map(hello),
        policy: found.policy.as_ref().map(policy),
        starttls: found.starttls.as_ref().map(reply),
        tls: found.handshake.as_ref().map(tls),
        tls_hello: found.secure_hello.as_ref().map(hello),
        log,
    }
}

fn reply(reply: &Reply) -> ReplyEntry<'_> {
    ReplyEntry {
        code: reply.code(),
        lines: reply.lines().collect(),
    }
}

fn hello(hello: &Hello) -> HelloEntry<'_> {
    HelloEntry {
        command: text::verb(hello.stage),
        name: &hello.capabilities.name,
        lines: hello.reply.lines().collect(),
        auth: &hello.capabilities.auth,
        size: hello.capabilities.size,
    }
}

fn policy(policy: &PolicyFinding) -> PolicyEntry<'_> {
    let (source, key, entry) = match &policy.source {
        LevelSource::PolicyMap { key, entry } => ("tls_policy_maps", Some(key), Some(entry)),
        LevelSource::PerSite { key, entry } => ("tls_per_site", Some(key), Some(entry)),
        _ => ("parameter", None, None),
    };
    PolicyEntry {
        level: policy.level.as_str(),
        configured: policy.configured.as_str(),
        source,
        key: key.map(String::as_str),
        entry: entry.map(String::as_str),
        wanted: &policy.wanted,
        dane: policy.dane.as_ref().map(dane),
        mta_sts: policy.sts.as_ref().map(|sts| StsEntry {
            domain: &sts.domain,
            mode: sts.mode.as_str(),
            names_host: sts.names_host,
        }),
    }
}

fn dane(story: &DaneStory) -> DaneEntry<'_> {
    let lookups = story.lookups.iter().map(|lookup| {
        let (result, records, error) = match &lookup.answer {
            TlsaAnswer::Signed(records) => ("signed", records.as_slice(), None),
            TlsaAnswer::Unsigned(records) => ("unsigned", records.as_slice(), None),
            TlsaAnswer::Failed(why) => ("failed", [].as_slice(), Some(why.as_str())),
            _ => ("absent", [].as_slice(), None),
        };
        LookupEntry {
            name: &lookup.name,
            result,
            records: records.iter().map(ToString::to_string).collect(),
            error,
        }
    });
    DaneEntry {
        applies: story.obstacle.is_none(),
        why_not: story.obstacle.as_deref(),
        lookups: lookups.collect(),
    }
}

fn tls(handshake: &HandshakeFinding) -> TlsEntry<'_> {
    match handshake {
        HandshakeFinding::Done(facts) => established(facts),
        HandshakeFinding::Failed(why) => TlsEntry {
            error: Some(why),
            ..TlsEntry::default()
        },
        _ => TlsEntry::default(),
    }
}

fn established(facts: &TlsFacts) -> TlsEntry<'_> {
    TlsEntry {
        established: true,
        error: None,
        version: Some(facts.version),
        cipher: Some(&facts.cipher),
        bits: Some(facts.bits),
        key_exchange: facts.key_exchange.as_deref(),
        signature: facts.signature.as_deref(),
        trust: Some(facts.trust.as_str()),
        matched: facts.matched,
        matched_by: facts.matched_by.as_ref().map(matched_by),
        problem: facts.problem.as_ref().map(text::problem),
        showed_certificate: facts.showed_certificate,
        chain: facts.chain.iter().map(|der| certificate(der)).collect(),
    }
}

fn matched_by(by: &MatchedBy) -> MatchEntry<'_> {
    let (by, name, tlsa) = match by {
        MatchedBy::CertificateFingerprint => ("certificate-fingerprint", None, None),
        MatchedBy::KeyFingerprint => ("key-fingerprint", None, None),
        MatchedBy::Name(name) => ("name", Some(name.as_str()), None),
        MatchedBy::EndEntity(record) => ("tlsa", None, Some(record)),
        MatchedBy::TrustAnchor(record, name) => ("tlsa", Some(name.as_str()), Some(record)),
        _ => ("other", None, None),
    };
    MatchEntry {
        by,
        name,
        tlsa: tlsa.map(ToString::to_string),
    }
}

/// A certificate that cannot be read has empty fields.
fn certificate(der: &[u8]) -> CertificateEntry {
    CertificateSummary::read(der).map_or_else(CertificateEntry::default, |summary| {
        CertificateEntry {
            subject: summary.subject,
            issuer: summary.issuer,
            names: summary.names,
            not_before: summary.validity.0,
            not_after: summary.validity.1,
            key: summary.key,
            sha256: summary.certificate_fingerprint,
            key_sha256: summary.key_fingerprint,
        }
    })
}
