//! Mail is never sent in the clear, nor to a server that has not proved who it is,
//! where the policy forbids it: generated combinations of what the policy demands,
//! what two servers do about TLS, what DNS says of their certificates, and how the
//! bytes are cut up.
//!
//! What is allowed is computed here from the case alone, and what happened is read
//! from what the servers wrote down; neither asks the client. The number of cases is
//! that of the environment variable `OUTPOST_SEEDS`, else a few hundred.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod certificates;

use base64::Engine;
use certificates::{Certificates, Identity};
use serde_json::{Value, json};
use smtp_policy::driver::Seeds;
use smtp_sim::world::World;
use smtp_sim::{Observation, Scenario, SessionRecord};

/// How many cases `cargo test` looks at.
const CASES: u64 = 400;
/// What nobody on the way may read. The password is checked by the verb AUTH.
const SECRETS: [&str; 3] = ["the-sender", "the-recipient", "the-text"];
/// What belongs to mail, as the first word of a line.
const MAIL: [&str; 7] = ["MAIL", "RCPT", "DATA", "BDAT", "AUTH", "XFORWARD", "."];
const LEVELS: [&str; 8] = [
    "none",
    "may",
    "encrypt",
    "dane",
    "dane-only",
    "fingerprint",
    "verify",
    "secure",
];

/// What a server does about TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    NoOffer,
    NoEhlo,
    Later,
    Never,
    CloseAfter220,
    StallAfter220,
    Alert,
    OldVersion,
    Garbage,
    /// Says 220 and goes on in plaintext.
    Pretend,
    /// Says 220 and, in the same breath, what looks like the reply to EHLO.
    Inject,
    /// Closes inside TLS when it hears of mail.
    CloseAtMail,
    OtherName,
    Expired,
    SelfSigned,
    Good,
}

const DEEDS: [Deed; 16] = [
    Deed::NoOffer,
    Deed::NoEhlo,
    Deed::Later,
    Deed::Never,
    Deed::CloseAfter220,
    Deed::StallAfter220,
    Deed::Alert,
    Deed::OldVersion,
    Deed::Garbage,
    Deed::Pretend,
    Deed::Inject,
    Deed::CloseAtMail,
    Deed::OtherName,
    Deed::Expired,
    Deed::SelfSigned,
    Deed::Good,
];

/// What the TLSA records of a server say. Those that match are for the good key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Records {
    None,
    Matching,
    Mismatching,
    Unusable,
    /// Matching, but not validated.
    Insecure,
    Servfail,
}

const RECORDS: [Records; 6] = [
    Records::None,
    Records::Matching,
    Records::Mismatching,
    Records::Unusable,
    Records::Insecure,
    Records::Servfail,
];

#[derive(Debug)]
struct Case {
    level: &'static str,
    servers: [(Deed, Records); 2],
    /// Seconds in the queue: old mail may be tried in plaintext.
    age: u64,
    login: bool,
    seed: u64,
}

/// What the policy leaves open with one server.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Allowed {
    plaintext: bool,
    tls: bool,
}

impl Case {
    fn draw(number: u64) -> Self {
        let mut seeds = Seeds::new(number);
        let mut pick = |of: usize| usize::try_from(seeds.draw() % of as u64).unwrap();
        Case {
            level: LEVELS[pick(LEVELS.len())],
            servers: [(); 2].map(|()| (DEEDS[pick(DEEDS.len())], RECORDS[pick(RECORDS.len())])),
            age: [0, 10_000][pick(2)],
            login: pick(3) == 0,
            seed: [0, number][pick(2)],
        }
    }

    /// The rules, in the words of the manual (postconf(5), smtp_tls_security_level).
    fn allowed(&self, server: usize) -> Allowed {
        let (deed, records) = self.servers[server];
        // Whoever has the good key shows the good certificate.
        let good = matches!(deed, Deed::Good | Deed::Inject | Deed::CloseAtMail);
        let matched = records == Records::Matching && good;
        let (plaintext, tls) = match (self.level, records) {
            ("none" | "may", _) => (true, true),
            ("encrypt", _) => (false, true),
            ("dane", Records::None | Records::Insecure) => (true, true),
            ("dane", Records::Unusable) => (false, true),
            ("dane" | "dane-only", _) => (false, matched),
            _ => (false, good),
        };
        Allowed { plaintext, tls }
    }

    fn scenario(&self, certificates: &Certificates) -> Scenario {
        let mut params = json!({
            "myhostname": "client.example.org",
            "inet_interfaces": "127.0.0.1",
            "smtp_tcp_port": "10025",
            "smtp_randomize_addresses": "no",
            "smtp_dns_support_level": "dnssec",
            "smtp_tls_security_level": self.level,
            "smtp_tls_CAfile": "${config_directory}/ca.pem",
            "smtp_tls_fingerprint_cert_match": certificates.good.fingerprint(),
        });
        if self.login {
            params["smtp_sasl_auth_enable"] = json!("yes");
            params["smtp_sasl_security_options"] = json!("noanonymous");
            params["smtp_sasl_password_maps"] = json!("static:user:secret");
        }
        let mut zone = json!({
            ".": {"NS": ["ns.example."], "ad": true},
            "example.com": {"MX": [[10, "mx1.example.com"], [20, "mx2.example.com"]], "ad": true},
        });
        let mut servers = json!({});
        for (index, (deed, records)) in self.servers.into_iter().enumerate() {
            let name = format!("mx{}.example.com", index + 1);
            zone[&name] = json!({"A": [address(index)], "ad": true});
            if let Some(entry) = tlsa(records, certificates) {
                zone[format!("_10025._tcp.{name}")] = entry;
            }
            let endpoint = format!("{}:10025", address(index));
            servers[endpoint] = script(deed, &name, certificates);
        }
        scenario(params, zone, servers, self.age, certificates)
    }
}

fn address(index: usize) -> String {
    format!("127.0.0.{}", 11 + index)
}

fn scenario(
    params: Value,
    zone: Value,
    servers: Value,
    age: u64,
    certificates: &Certificates,
) -> Scenario {
    let text = "Subject: the-text\n\nthe-text\n";
    let scenario = json!({
        "name": "generated",
        "params": params,
        "files": {"ca.pem": certificates.authority},
        "dns": zone,
        "servers": servers,
        "requests": [{
            "nexthop": "example.com",
            "sender": "the-sender@client.example.org",
            "recipients": [{"address": "the-recipient@example.com"}],
            "message_base64": base64::engine::general_purpose::STANDARD.encode(text),
            "age": age,
        }],
    });
    serde_json::from_value(scenario).unwrap()
}

fn tlsa(records: Records, certificates: &Certificates) -> Option<Value> {
    let good = certificates.good.tlsa();
    let other = certificates.stranger.tlsa();
    Some(match records {
        Records::None => return None,
        Records::Matching => json!({"TLSA": [[3, 1, 0, good]], "ad": true}),
        Records::Mismatching => json!({"TLSA": [[3, 1, 0, other]], "ad": true}),
        Records::Unusable => json!({"TLSA": [[1, 1, 0, good], [3, 1, 9, good]], "ad": true}),
        Records::Insecure => json!({"TLSA": [[3, 1, 0, good]]}),
        Records::Servfail => json!({"rcode": "SERVFAIL"}),
    })
}

fn script(deed: Deed, name: &str, certificates: &Certificates) -> Value {
    let identity = match deed {
        Deed::OtherName => &certificates.other_name,
        Deed::Expired => &certificates.expired,
        Deed::SelfSigned => &certificates.self_signed,
        _ => &certificates.good,
    };
    let mut script = with_tls(name, identity);
    let starttls = |mut rule: Value| {
        rule["on"] = json!("STARTTLS");
        rule
    };
    let rule = match deed {
        Deed::NoOffer => {
            script["extensions"] = json!(["PIPELINING", "AUTH PLAIN"]);
            None
        }
        Deed::NoEhlo => Some(json!({"on": "EHLO", "tls": false, "reply": ["500 what?"]})),
        Deed::Later => Some(starttls(json!({"reply": ["454 4.7.0 later"]}))),
        Deed::Never => Some(starttls(json!({"reply": ["502 5.5.1 never"]}))),
        Deed::CloseAfter220 => Some(starttls(json!({"reply": ["220 go"], "then": "close"}))),
        Deed::StallAfter220 => Some(starttls(json!({"reply": ["220 go"], "then": "silent"}))),
        Deed::Garbage => Some(starttls(json!({"reply": ["220 go"], "then": "garbage"}))),
        Deed::Pretend => {
            script.as_object_mut().unwrap().remove("tls");
            Some(starttls(json!({"reply": ["220 go"]})))
        }
        Deed::Inject => {
            let lines = ["220 go", "250-mx.example.net", "250 AUTH PLAIN"];
            Some(starttls(json!({"reply": lines})))
        }
        Deed::CloseAtMail => Some(json!({"on": "MAIL", "tls": true, "reply": [], "then": "close"})),
        Deed::Alert => {
            script["tls"]["max_version"] = json!("TLSv1.2");
            script["tls"]["ciphers"] = json!("AES128-SHA");
            None
        }
        Deed::OldVersion => {
            script["tls"]["max_version"] = json!("TLSv1");
            None
        }
        Deed::OtherName | Deed::Expired | Deed::SelfSigned | Deed::Good => None,
    };
    let login = json!({"on": "AUTH", "reply": ["235 2.7.0 welcome"]});
    script["rules"] = rule.into_iter().chain([login]).collect();
    script
}

fn with_tls(name: &str, identity: &Identity) -> Value {
    json!({
        "name": name,
        "extensions": ["PIPELINING", "AUTH PLAIN", "STARTTLS"],
        "tls": {"certificate": identity.chain, "key": identity.key},
    })
}

/// What a server learned of the mail.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Learned {
    in_the_clear: bool,
    inside_tls: bool,
}

/// Reads what a server wrote down. Pieces of a handshake that it took for commands
/// are not mail.
fn learned(session: &SessionRecord) -> Learned {
    let mut learned = Learned::default();
    let mut in_tls = false;
    for (kind, text) in &session.transcript {
        in_tls |= kind == "T" && text.starts_with("handshake ok");
        if kind != "C" {
            continue;
        }
        let verb = text.split(' ').next().unwrap_or_default().to_uppercase();
        let mail =
            MAIL.contains(&verb.as_str()) || SECRETS.iter().any(|secret| text.contains(secret));
        learned.in_the_clear |= mail && !in_tls;
        learned.inside_tls |= mail && in_tls;
    }
    learned.in_the_clear |= !in_tls && !session.data_base64.is_empty();
    learned
}

/// What was seen over all cases, so that a run which shows nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    sent_in_the_clear: usize,
    sent_inside_tls: usize,
    held_back: usize,
    broken: usize,
}

fn judge(case: &Case, seen: &Observation, tally: &mut Tally) {
    let context = || format!("{case:#?}\n{:#?}\n{:#?}", seen.picture, seen.notes);
    assert_eq!(seen.error, None, "{}", context());
    let mut may_arrive = false;
    for session in &seen.picture.sessions {
        let server = usize::from(session.server != "127.0.0.11:10025");
        let (allowed, learned) = (case.allowed(server), learned(session));
        assert!(
            allowed.plaintext || !learned.in_the_clear,
            "mail in the clear: {}",
            context()
        );
        assert!(
            allowed.tls || !learned.inside_tls,
            "mail to a server that proved nothing: {}",
            context()
        );
        may_arrive |= learned.in_the_clear || learned.inside_tls;
        let failed = ("T".to_owned(), "handshake failed".to_owned());
        tally.broken += usize::from(session.transcript.contains(&failed));
        let arrived = !session.data_base64.is_empty();
        tally.sent_in_the_clear += usize::from(arrived && learned.in_the_clear);
        tally.sent_inside_tls += usize::from(arrived && learned.inside_tls);
    }
    let status = &seen.picture.recipients[0][0].status;
    assert!(status != "sent" || may_arrive, "{}", context());
    tally.held_back += usize::from(status != "sent");
}

#[test]
fn mail_is_never_sent_in_the_clear_where_policy_forbids_it() {
    let cases = match std::env::var("OUTPOST_SEEDS") {
        Ok(number) => number.parse().expect("a number in OUTPOST_SEEDS"),
        Err(_) => CASES,
    };
    let certificates = Certificates::new();
    let mut tally = Tally::default();
    for number in 1..=cases {
        let case = Case::draw(number);
        let seen = World::run(&case.scenario(&certificates), case.seed);
        judge(&case, &seen, &mut tally);
    }
    println!("{cases} cases: {tally:?}");
    // Each way to go was gone, so that the silence above means something.
    let least = usize::try_from(cases / 20).unwrap();
    assert!(tally.sent_in_the_clear > least, "{tally:?}");
    assert!(tally.sent_inside_tls > least, "{tally:?}");
    assert!(tally.held_back > least, "{tally:?}");
    assert!(tally.broken > least, "{tally:?}");
}

/// One delivery to one server with a demand; status, code and text.
fn deliver(level: &str, script: Value, certificates: &Certificates) -> String {
    let params = json!({
        "myhostname": "client.example.org",
        "inet_interfaces": "127.0.0.1",
        "smtp_tcp_port": "10025",
        "smtp_tls_security_level": level,
        "smtp_tls_CAfile": "${config_directory}/ca.pem",
    });
    let zone = json!({
        "example.com": {"MX": [[10, "mx1.example.com"]]},
        "mx1.example.com": {"A": ["127.0.0.11"]},
    });
    let servers = json!({"127.0.0.11:10025": script});
    let seen = World::run(&scenario(params, zone, servers, 10_000, certificates), 0);
    assert_eq!(seen.error, None);
    let result = &seen.picture.recipients[0][0];
    let sent = result.status == "sent";
    let heard = learned(&seen.picture.sessions[0]);
    assert!(!heard.in_the_clear && heard.inside_tls == sent, "{heard:?}");
    format!("{} {} {}", result.status, result.dsn, result.text)
}

#[test]
fn servers_that_break_off_or_show_a_bad_certificate_get_postfix_s_verdict() {
    const FAILED: &str = "deferred 4.7.5 Cannot start TLS: handshake failure";
    const UNPROVED: &str = "deferred 4.7.5 Server certificate not verified";
    const SENT: &str = "sent 2.0.0 250 2.0.0 Ok: queued";
    let mut certificates = Certificates::new();
    // As many authorities between as rustls takes, and ten: Postfix trusts both.
    let deep = [certificates.below(6), certificates.below(10)];
    let certificates = certificates;
    let table = [
        (Deed::CloseAfter220, FAILED, FAILED),
        (Deed::StallAfter220, FAILED, FAILED),
        (Deed::Alert, FAILED, FAILED),
        (Deed::OldVersion, FAILED, FAILED),
        (Deed::Garbage, FAILED, FAILED),
        (Deed::OtherName, SENT, UNPROVED),
        (Deed::Expired, SENT, UNPROVED),
        (Deed::SelfSigned, SENT, UNPROVED),
        (Deed::Good, SENT, SENT),
    ];
    for (deed, encrypt, verify) in table {
        let script = script(deed, "mx1.example.com", &certificates);
        let found =
            ["encrypt", "verify"].map(|level| deliver(level, script.clone(), &certificates));
        assert_eq!(found, [encrypt, verify], "{deed:?}");
    }
    for (identity, verify) in deep.iter().zip([SENT, UNPROVED]) {
        let script = with_tls("mx1.example.com", identity);
        let found =
            ["encrypt", "verify"].map(|level| deliver(level, script.clone(), &certificates));
        assert_eq!(found, [SENT, verify]);
    }
    // rustls takes 64 KB of certificates, OpenSSL 100 KB; nobody takes a megabyte.
    let good = &certificates.good;
    for (bytes, encrypt) in [(60_000, SENT), (70_000, FAILED), (1_000_000, FAILED)] {
        let mut script = with_tls("mx1.example.com", good);
        let more = certificates.many(bytes);
        script["tls"]["certificate"] = json!(good.chain.clone() + &more);
        let found = deliver("encrypt", script, &certificates);
        assert_eq!(found, encrypt, "{bytes}");
    }
}
