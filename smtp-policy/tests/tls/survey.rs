//! Surveys: what is noted of each server, and that no mail is ever sent.

use smtp_policy::{
    dns::{QueryKind, RecordData},
    report::Status,
    survey::{
        DestinationFinding, Finding, HandshakeFinding, HostFinding, LevelSource, Survey, TlsaAnswer,
    },
    tls::{MatchedBy, TlsLevel, Trust},
};

use crate::{
    certificates::{Authority, sha256},
    server::Offer,
    world::{Entry, World},
};

const DANE: &str = "smtp_tls_security_level = dane\n";

fn mx(names: &[(u16, &str)]) -> Entry {
    let record = |(preference, host): &(u16, &str)| RecordData::Mx {
        preference: *preference,
        host: (*host).to_owned(),
    };
    Entry::Signed(names.iter().map(record).collect())
}

fn address(text: &str) -> RecordData {
    RecordData::A(text.parse().unwrap())
}

/// Two exchangers, of which the second has two addresses; the first address does not
/// answer.
fn three_addresses(offer: &Offer) -> World {
    let mut world = World::new(offer.clone())
        .with(
            QueryKind::Mx,
            "example.com",
            mx(&[(10, "dead.example.net"), (20, "mx1.example.net")]),
        )
        .with(
            QueryKind::A,
            "dead.example.net",
            Entry::Plain(vec![address("192.0.2.9")]),
        )
        .with(
            QueryKind::A,
            "mx1.example.net",
            Entry::Signed(vec![address("192.0.2.1"), address("192.0.2.2")]),
        );
    world.servers.insert("192.0.2.2", Offer::Nothing);
    world
}

fn parts(findings: Vec<Finding>) -> (DestinationFinding, Vec<HostFinding>) {
    let mut destination = None;
    let mut hosts = Vec::new();
    for finding in findings {
        match finding {
            Finding::Destination(found) => assert!(destination.replace(*found).is_none()),
            Finding::Host(found) => hosts.push(*found),
            _ => panic!(),
        }
    }
    (destination.unwrap(), hosts)
}

fn failing(host: &HostFinding) -> String {
    let failing = host.result.as_ref().unwrap_err();
    format!("{} {}", failing.status, failing.text)
}

#[test]
fn all_addresses_are_visited_and_none_gets_mail() {
    let server = Authority::new("ca").issue(&["mx1.example.net"]);
    let mut world = three_addresses(&Offer::StartTls(server.server()));
    let found = world.survey("smtp_tls_security_level = may", Survey::default());
    let (destination, hosts) = parts(found);

    assert!(destination.exchange.unwrap().validated);
    let validated: Vec<bool> = destination
        .candidates
        .iter()
        .map(|candidate| candidate.host_validated)
        .collect();
    assert_eq!(validated, [false, true, true]);
    let addresses: Vec<&str> = hosts.iter().map(|host| host.address.as_str()).collect();
    assert_eq!(addresses, ["192.0.2.9", "192.0.2.1", "192.0.2.2"]);

    assert_eq!(
        failing(&hosts[0]),
        "4.4.1 connect to dead.example.net[192.0.2.9]:25: Connection refused"
    );
    assert_eq!(hosts[0].banner, None);
    let tls = hosts[1].result.as_ref().unwrap();
    assert!(tls.encrypted && !tls.verified && !tls.logs_in);
    assert_eq!(hosts[1].banner.as_ref().unwrap().text(), "220 mx ESMTP");
    assert!(hosts[1].hello.as_ref().unwrap().capabilities.starttls);
    assert_eq!(hosts[1].starttls.as_ref().unwrap().code(), 220);
    assert!(
        !hosts[1]
            .secure_hello
            .as_ref()
            .unwrap()
            .capabilities
            .starttls
    );
    let Some(HandshakeFinding::Done(facts)) = &hosts[1].handshake else {
        panic!()
    };
    assert_eq!(facts.chain[0], server.chain[0]);
    assert_eq!((facts.trust, &facts.matched_by), (Trust::Untrusted, &None));
    assert!(!hosts[2].result.as_ref().unwrap().encrypted);
    assert_eq!(hosts[2].secure_hello, None);

    let commands: Vec<Vec<String>> = world
        .past
        .iter()
        .map(|server| server.plain.iter().chain(&server.secret).cloned().collect())
        .collect();
    let hello = "EHLO client.example".to_owned();
    let quit = "QUIT".to_owned();
    assert_eq!(
        commands,
        [
            vec![
                hello.clone(),
                "STARTTLS".into(),
                hello.clone(),
                quit.clone()
            ],
            vec![hello, quit],
        ]
    );
}

#[test]
fn one_address_can_be_picked() {
    let mut world = three_addresses(&Offer::Nothing);
    let survey = Survey::only("192.0.2.2".parse().unwrap());
    let (destination, hosts) = parts(world.survey("", survey));
    assert_eq!(destination.candidates.len(), 3);
    assert_eq!(hosts.len(), 1);
    assert_eq!(hosts[0].address, "192.0.2.2");
    let survey = Survey::only("192.0.2.77".parse().unwrap());
    assert_eq!(parts(world.survey("", survey)).1, []);
}

#[test]
fn addresses_that_a_delivery_would_not_try_are_marked() {
    let mut world = three_addresses(&Offer::Nothing);
    let found = world.survey("smtp_mx_address_limit = 2", Survey::default());
    let beyond: Vec<bool> = parts(found)
        .1
        .iter()
        .map(|host| host.beyond_limit)
        .collect();
    assert_eq!(beyond, [false, false, true]);
}

#[test]
fn the_record_that_vouches_for_a_server_is_named() {
    let ca = Authority::new("ca");
    let server = ca.issue(&["mx1.example.net"]).with_chain(&[&ca]);
    let tlsa = |usage, selector, data: &[u8]| RecordData::Tlsa {
        usage,
        selector,
        matching: 1,
        data: data.to_vec(),
    };
    let wrong = tlsa(3, 1, &[7; 32]);
    let key = tlsa(3, 1, &sha256(&server.public));
    let issuer = tlsa(2, 0, &sha256(&ca.der));
    let lookup = |records: Vec<RecordData>| {
        let mut world = World::new(Offer::StartTls(server.server())).with(
            QueryKind::Tlsa,
            "_25._tcp.mx1.example.net",
            Entry::Signed(records),
        );
        parts(world.survey(DANE, Survey::default())).1.remove(0)
    };
    let by = |host: &HostFinding| match &host.handshake {
        Some(HandshakeFinding::Done(facts)) => facts.matched_by.clone(),
        _ => panic!(),
    };

    let host = lookup(vec![wrong.clone(), key]);
    assert!(host.result.as_ref().unwrap().verified);
    assert!(
        matches!(by(&host), Some(MatchedBy::EndEntity(record)) if record.selector == 1
        && record.data == sha256(&server.public))
    );
    let policy = host.policy.unwrap();
    assert_eq!(
        (policy.configured, policy.level),
        (TlsLevel::Dane, TlsLevel::Dane)
    );
    let dane = policy.dane.unwrap();
    assert_eq!(dane.lookups[0].name, "_25._tcp.mx1.example.net");
    assert!(matches!(&dane.lookups[0].answer, TlsaAnswer::Signed(records) if records.len() == 2));
    assert_eq!(dane.obstacle, None);

    let host = lookup(vec![wrong.clone(), issuer]);
    assert!(
        matches!(by(&host), Some(MatchedBy::TrustAnchor(record, name))
        if record.usage == 2 && name == "mx1.example.net")
    );

    let host = lookup(vec![wrong]);
    assert_eq!(by(&host), None);
    assert_eq!(failing(&host), "4.7.5 Server certificate not verified");
}

#[test]
fn why_dane_does_not_apply_is_told() {
    let record = |length| RecordData::Tlsa {
        usage: 3,
        selector: 1,
        matching: 1,
        data: vec![7; length],
    };
    let server = Authority::new("ca").issue(&["mx1.example.net"]);
    let table = [
        (None, TlsLevel::May, "no TLSA records found"),
        (
            Some(Entry::Plain(vec![record(32)])),
            TlsLevel::May,
            "no TLSA records found",
        ),
        (
            Some(Entry::Signed(vec![record(3)])),
            TlsLevel::Encrypt,
            "all TLSA records unusable",
        ),
    ];
    for (entry, level, why) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        if let Some(entry) = entry.clone() {
            world = world.with(QueryKind::Tlsa, "_25._tcp.mx1.example.net", entry);
        }
        let host = parts(world.survey(DANE, Survey::default())).1.remove(0);
        let policy = host.policy.unwrap();
        assert_eq!(policy.level, level, "{entry:?}");
        assert_eq!(policy.configured, TlsLevel::Dane);
        assert_eq!(
            policy.dane.unwrap().obstacle.as_deref(),
            Some(why),
            "{entry:?}"
        );
    }
    let mut world = World::new(Offer::Nothing).with(
        QueryKind::Tlsa,
        "_25._tcp.mx1.example.net",
        Entry::Servfail,
    );
    let host = parts(world.survey(DANE, Survey::default())).1.remove(0);
    assert_eq!(
        failing(&host),
        "4.7.5 TLSA lookup error for mx1.example.net:25"
    );
    assert_eq!(host.policy, None);
    assert!(world.past.is_empty());
}

#[test]
fn where_the_level_comes_from_is_told() {
    let map = "smtp_tls_policy_maps = inline:{ { example.com = encrypt } }";
    let mut world = World::new(Offer::Nothing);
    let host = parts(world.survey(map, Survey::default())).1.remove(0);
    assert_eq!(
        failing(&host),
        "4.7.4 TLS is required, but was not offered by host mx1.example.net[192.0.2.1]"
    );
    let policy = host.policy.unwrap();
    assert!(
        matches!(policy.source, LevelSource::PolicyMap { key, entry }
        if key == "example.com" && entry == "encrypt")
    );
    let site = "smtp_tls_per_site = inline:{ { mx1.example.net = MAY } }";
    let host = parts(world.survey(site, Survey::default())).1.remove(0);
    let policy = host.policy.unwrap();
    assert_eq!(policy.level, TlsLevel::May);
    assert!(matches!(policy.source, LevelSource::PerSite { key, .. } if key == "mx1.example.net"));
    let host = parts(world.survey("", Survey::default())).1.remove(0);
    let policy = host.policy.unwrap();
    assert_eq!(
        (policy.level, policy.source),
        (TlsLevel::None, LevelSource::Parameter)
    );
}

#[test]
fn a_failed_handshake_is_followed_by_a_visit_in_plaintext() {
    let mut world = World::new(Offer::Garbage);
    let found = world.survey("smtp_tls_security_level = may", Survey::default());
    let hosts = parts(found).1;
    assert_eq!(hosts.len(), 2);
    assert_eq!(
        failing(&hosts[0]),
        "4.7.5 Cannot start TLS: handshake failure"
    );
    assert!(matches!(
        hosts[0].handshake,
        Some(HandshakeFinding::Failed(_))
    ));
    assert!(hosts[1].plaintext_retry && hosts[1].result.is_ok());
    assert_eq!(hosts[1].policy.as_ref().unwrap().level, TlsLevel::None);

    let mut world = World::new(Offer::Garbage);
    let found = world.survey("smtp_tls_security_level = encrypt", Survey::default());
    assert_eq!(parts(found).1.len(), 1);
    assert!(world.past.iter().all(|server| server.plain.len() < 3));
}

#[test]
fn a_destination_without_a_server_has_its_reason() {
    let null = Entry::Signed(vec![RecordData::Mx {
        preference: 0,
        host: String::new(),
    }]);
    let mut world = World::new(Offer::Nothing).with(QueryKind::Mx, "example.com", null);
    let (destination, hosts) = parts(world.survey("", Survey::default()));
    assert_eq!(hosts, []);
    let failure = destination.failure.unwrap();
    assert_eq!(
        (failure.status.to_string().as_str(), failure.fate),
        ("5.1.0", Status::Bounced)
    );
    for (nexthop, text) in [("", "null destination: \"\""), ("[", "")] {
        world.nexthop = nexthop;
        let (destination, hosts) = parts(world.survey("", Survey::default()));
        assert_eq!(hosts, []);
        let failure = destination.failure.unwrap();
        assert_eq!(failure.status.to_string(), "4.3.5");
        assert!(failure.text.starts_with(text), "{failure:?}");
    }
}

#[test]
fn fallback_relays_are_looked_at_too() {
    let mut world = World::new(Offer::Nothing);
    let found = world.survey("smtp_fallback_relay = [192.0.2.1]:26", Survey::default());
    let fallback: Vec<bool> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::Destination(found) => Some(found.fallback),
            _ => None,
        })
        .collect();
    assert_eq!(fallback, [false, true]);
    assert_eq!(found.len(), 4);
}
