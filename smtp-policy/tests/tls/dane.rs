//! DANE: when TLSA records are looked up, which of them count, and what follows.

use std::time::Duration;

use smtp_policy::dns::{QueryKind, RecordData};

use crate::{
    certificates::{Authority, Identity, sha256},
    server::Offer,
    world::{Entry, World, brief, policy},
};

const TLSA_NAME: &str = "_25._tcp.mx1.example.net";

fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> RecordData {
    RecordData::Tlsa {
        usage,
        selector,
        matching,
        data: data.to_vec(),
    }
}

struct Setting {
    ca: Authority,
    server: Identity,
}

impl Setting {
    fn new() -> Self {
        let ca = Authority::new("ca");
        let server = ca.issue(&["mx1.example.net"]).with_chain(&[&ca]);
        Self { ca, server }
    }

    fn world(&self, entry: Option<Entry>) -> World {
        let world = World::new(Offer::StartTls(self.server.server()));
        match entry {
            Some(entry) => world.with(QueryKind::Tlsa, TLSA_NAME, entry),
            None => world,
        }
    }
}

fn deliver(world: &mut World, level: &str, more: &str) -> String {
    let outcome = world.deliver(&format!(
        "smtp_tls_security_level = {level}\nsmtp_tls_loglevel = 1\n{more}"
    ));
    format!("{} {}", brief(&outcome), outcome.text)
}

const SENT: &str = "sent 2.0.0 250 2.0.0 queued";
const UNVERIFIED: &str = "deferred 4.7.5 Server certificate not verified";

#[test]
fn each_usage_selector_and_digest_is_compared_as_it_says() {
    let setting = Setting::new();
    let (leaf, key) = (setting.server.certificate(), &setting.server.public);
    let (ca, ca_key) = (&setting.ca.der, &setting.ca.key);
    let sha512 = |bytes: &[u8]| {
        use sha2::Digest as _;
        sha2::Sha512::digest(bytes).to_vec()
    };
    let table: Vec<(RecordData, bool)> = vec![
        (tlsa(3, 0, 0, leaf), true),
        (tlsa(3, 0, 1, &sha256(leaf)), true),
        (tlsa(3, 0, 2, &sha512(leaf)), true),
        (tlsa(3, 1, 0, key), true),
        (tlsa(3, 1, 1, &sha256(key)), true),
        (tlsa(3, 1, 2, &sha512(key)), true),
        (tlsa(2, 0, 0, ca), true),
        (tlsa(2, 0, 1, &sha256(ca)), true),
        (tlsa(2, 0, 2, &sha512(ca)), true),
        (tlsa(2, 1, 0, ca_key), true),
        (tlsa(2, 1, 1, &sha256(ca_key)), true),
        (tlsa(2, 1, 2, &sha512(ca_key)), true),
        // The right thing in the wrong place.
        (tlsa(3, 1, 1, &sha256(leaf)), false),
        (tlsa(3, 0, 1, &sha256(key)), false),
        (tlsa(3, 1, 1, &sha256(ca_key)), false),
        (tlsa(2, 1, 1, &sha256(key)), false),
        (tlsa(2, 0, 1, &sha256(leaf)), false),
        (tlsa(2, 0, 0, leaf), false),
    ];
    for (record, good) in table {
        for level in ["dane", "dane-only"] {
            let mut world = setting.world(Some(Entry::Signed(vec![record.clone()])));
            let found = deliver(&mut world, level, "");
            assert_eq!(
                found,
                if good { SENT } else { UNVERIFIED },
                "{record:?}: {:?}",
                world.notes
            );
            let word = if good { "Verified" } else { "Untrusted" };
            assert!(
                world.notes.iter().any(|note| note.starts_with(word)),
                "{:?}",
                world.notes
            );
            assert_eq!(world.past[0].sni.as_deref(), Some("mx1.example.net"));
        }
    }
}

#[test]
fn plaintext_is_not_tried_after_a_failed_handshake_where_there_are_records() {
    let records = vec![tlsa(3, 1, 1, &[7; 32])];
    for level in ["dane", "dane-only"] {
        for offer in [Offer::Garbage, Offer::Stall, Offer::Close] {
            let entry = Entry::Signed(records.clone());
            let mut world = World::new(offer).with(QueryKind::Tlsa, TLSA_NAME, entry);
            world.age = Duration::from_secs(10_000);
            let outcome = world.deliver(&format!("smtp_tls_security_level = {level}\n"));
            assert_eq!(brief(&outcome), "deferred 4.7.5", "{level}");
            assert!(!world.mail().0, "{level}");
            assert_eq!(world.past.len(), 1, "{level}");
        }
    }
}

#[test]
fn an_issuer_vouches_only_for_the_names_that_were_wanted_and_a_key_for_any() {
    let ca = Authority::new("ca");
    let table = [
        ("mx1.example.net", true),
        ("example.com", true),
        ("mx2.example.net", false),
        ("mx.example.com", false),
    ];
    for (name, good) in table {
        let server = ca.issue(&[name]).with_chain(&[&ca]);
        let world = |record| {
            World::new(Offer::StartTls(server.server())).with(
                QueryKind::Tlsa,
                TLSA_NAME,
                Entry::Signed(vec![record]),
            )
        };
        let mut issued = world(tlsa(2, 1, 1, &sha256(&ca.key)));
        assert_eq!(
            deliver(&mut issued, "dane", ""),
            if good { SENT } else { UNVERIFIED },
            "{name}"
        );
        let mut keyed = world(tlsa(3, 1, 1, &sha256(&server.public)));
        assert_eq!(deliver(&mut keyed, "dane", ""), SENT, "{name}");
    }
}

#[test]
fn a_key_counts_after_its_certificate_has_expired_and_an_issuer_does_not() {
    let ca = Authority::new("ca");
    let old = ca
        .issue_with(&["mx1.example.net"], |params| {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
        .with_chain(&[&ca]);
    for (record, expected) in [
        (tlsa(3, 1, 1, &sha256(&old.public)), SENT),
        (tlsa(2, 1, 1, &sha256(&ca.key)), UNVERIFIED),
    ] {
        let mut world = World::new(Offer::StartTls(old.server())).with(
            QueryKind::Tlsa,
            TLSA_NAME,
            Entry::Signed(vec![record]),
        );
        assert_eq!(deliver(&mut world, "dane", ""), expected);
    }
}

#[test]
fn records_that_are_absent_unsigned_or_unusable_lower_the_demand_or_end_it() {
    let setting = Setting::new();
    let good = tlsa(3, 1, 1, &sha256(&setting.server.public));
    let none = "deferred 4.7.5 no TLSA records found";
    let unusable = "deferred 4.7.5 TLSA records unusable";
    let error = "deferred 4.7.5 TLSA lookup error for mx1.example.net:25";
    let table = [
        // entry, dane, dane-only, dane where STARTTLS is not offered
        (None, SENT, none, SENT),
        (Some(Entry::Plain(vec![good.clone()])), SENT, none, SENT),
        (
            Some(Entry::Signed(vec![tlsa(1, 1, 1, &[0; 32])])),
            SENT,
            unusable,
            "deferred 4.7.4",
        ),
        (
            Some(Entry::Signed(vec![tlsa(3, 1, 255, &[0; 32])])),
            SENT,
            unusable,
            "deferred 4.7.4",
        ),
        // Unusable only when they are to be compared.
        (
            Some(Entry::Signed(vec![tlsa(3, 1, 1, &[0; 31])])),
            SENT,
            UNVERIFIED,
            "deferred 4.7.4",
        ),
        (
            Some(Entry::Signed(vec![tlsa(3, 9, 1, &[0; 32])])),
            SENT,
            UNVERIFIED,
            "deferred 4.7.4",
        ),
        (
            Some(Entry::Signed(vec![tlsa(3, 1, 7, &[0; 32])])),
            SENT,
            UNVERIFIED,
            "deferred 4.7.4",
        ),
        (Some(Entry::Servfail), error, error, error),
        (
            Some(Entry::Signed(vec![tlsa(0, 0, 0, b"x"), good])),
            SENT,
            SENT,
            "deferred 4.7.4",
        ),
    ];
    for (entry, dane, only, bare) in table {
        assert_eq!(
            deliver(&mut setting.world(entry.clone()), "dane", ""),
            dane,
            "{entry:?}"
        );
        assert_eq!(
            deliver(&mut setting.world(entry.clone()), "dane-only", ""),
            only,
            "{entry:?}"
        );
        let mut world = setting.world(entry.clone());
        world.servers.insert("192.0.2.1", Offer::Nothing);
        let found = deliver(&mut world, "dane", "");
        assert!(found.starts_with(bare), "{entry:?}: {found}");
    }
}

#[test]
fn only_the_strongest_digest_counts() {
    let setting = Setting::new();
    let good = tlsa(3, 1, 1, &sha256(&setting.server.public));
    let bad = tlsa(3, 1, 2, &[0; 64]);
    let records = || Some(Entry::Signed(vec![good.clone(), bad.clone()]));
    assert_eq!(
        deliver(&mut setting.world(records()), "dane", ""),
        UNVERIFIED
    );
    let order = "tls_dane_digests = sha256 sha512\n";
    assert_eq!(deliver(&mut setting.world(records()), "dane", order), SENT);
}

#[test]
fn dane_needs_signatures_on_the_way_to_the_server() {
    let setting = Setting::new();
    let record = || {
        Some(Entry::Signed(vec![tlsa(
            3,
            1,
            1,
            &sha256(&setting.server.public),
        )]))
    };
    let mx = || {
        Entry::Plain(vec![RecordData::Mx {
            preference: 10,
            host: "mx1.example.net".into(),
        }])
    };
    let address = || Entry::Plain(vec![RecordData::A("192.0.2.1".parse().unwrap())]);

    // MX records that are not signed.
    for (setting_, sni, level) in [
        (
            "smtp_tls_dane_insecure_mx_policy = may\n",
            None,
            "Untrusted",
        ),
        (
            "smtp_tls_dane_insecure_mx_policy = encrypt\n",
            None,
            "Untrusted",
        ),
        (
            "smtp_tls_dane_insecure_mx_policy = dane\n",
            Some("mx1.example.net"),
            "Trusted",
        ),
        ("", Some("mx1.example.net"), "Trusted"),
    ] {
        let mut world = setting
            .world(record())
            .with(QueryKind::Mx, "example.com", mx());
        assert_eq!(deliver(&mut world, "dane", setting_), SENT);
        assert_eq!(world.past[0].sni.as_deref(), sni, "{setting_}");
        assert!(
            world.notes.iter().any(|note| note.starts_with(level)),
            "{:?}",
            world.notes
        );
    }
    let mut world = setting
        .world(record())
        .with(QueryKind::Mx, "example.com", mx());
    let found = deliver(&mut world, "dane-only", "");
    assert_eq!(found, "deferred 4.7.5 non DNSSEC destination");

    // An address that is not signed: nobody asks for TLSA records, unless told to.
    let mut world = setting
        .world(record())
        .with(QueryKind::A, "mx1.example.net", address());
    assert_eq!(deliver(&mut world, "dane", ""), SENT);
    assert!(
        !world
            .asked
            .iter()
            .any(|question| question.starts_with("TLSA")),
        "{:?}",
        world.asked
    );
    let mut world = setting
        .world(record())
        .with(QueryKind::A, "mx1.example.net", address());
    let force = "smtp_tls_force_insecure_host_tlsa_lookup = yes\n";
    assert_eq!(deliver(&mut world, "dane", force), SENT);
    assert_eq!(world.past[0].sni.as_deref(), Some("mx1.example.net"));
}

#[test]
fn an_alias_is_followed_to_its_end_and_then_tried_itself() {
    let setting = Setting::new();
    let address = || Entry::Signed(vec![RecordData::A("192.0.2.1".parse().unwrap())]);
    let record = || Entry::Signed(vec![tlsa(3, 1, 1, &sha256(&setting.server.public))]);
    let world = |name: &str| {
        let mut world = setting
            .world(None)
            .with(QueryKind::A, "real.example.net", address())
            .with(QueryKind::Tlsa, name, record());
        world.aliases.insert("mx1.example.net", "real.example.net");
        world
    };
    for (name, sni) in [
        ("_25._tcp.real.example.net", "real.example.net"),
        (TLSA_NAME, "mx1.example.net"),
    ] {
        let mut world = world(name);
        assert_eq!(
            deliver(&mut world, "dane-only", ""),
            SENT,
            "{name}: {:?}",
            world.notes
        );
        assert_eq!(world.past[0].sni.as_deref(), Some(sni));
        let first = world
            .asked
            .iter()
            .find(|question| question.starts_with("TLSA"));
        assert_eq!(first.unwrap(), "TLSA _25._tcp.real.example.net");
    }
}

#[test]
fn a_signed_alias_to_an_unsigned_host_is_tried_itself() {
    let setting = Setting::new();
    let address = Entry::Plain(vec![RecordData::A("192.0.2.1".parse().unwrap())]);
    let record = Entry::Signed(vec![tlsa(3, 1, 1, &sha256(&setting.server.public))]);
    for (alias, found_sni) in [
        (
            Some(Entry::Signed(vec![RecordData::Cname(
                "real.example.net".into(),
            )])),
            Some("mx1.example.net"),
        ),
        (
            Some(Entry::Plain(vec![RecordData::Cname(
                "real.example.net".into(),
            )])),
            None,
        ),
    ] {
        let mut world = setting
            .world(Some(record.clone()))
            .with(QueryKind::A, "real.example.net", address.clone())
            .with(QueryKind::Cname, "mx1.example.net", alias.unwrap());
        world.aliases.insert("mx1.example.net", "real.example.net");
        assert_eq!(deliver(&mut world, "dane", ""), SENT);
        assert_eq!(world.past[0].sni.as_deref(), found_sni, "{:?}", world.asked);
    }
}

#[test]
fn settings_that_make_nonsense_of_dane_are_told() {
    let setting = Setting::new();
    let record = || Some(Entry::Signed(vec![tlsa(3, 1, 1, &[0; 32])]));
    let table = [
        (
            "smtp_dns_support_level = enabled\n",
            "configured with dnssec lookups disabled",
        ),
        (
            "ignore_mx_lookup_error = yes\n",
            "configured with MX lookup errors ignored",
        ),
        (
            "smtp_dns_resolver_options = res_defnames\n",
            "dns resolver options incompatible with",
        ),
        (
            "tls_dane_digests =\n",
            "configured, but no requisite library support",
        ),
    ];
    for (more, warning) in table {
        let mut world = setting.world(record());
        assert_eq!(deliver(&mut world, "dane", more), SENT, "{more}");
        assert!(world.noted(warning), "{:?}", world.notes);
        let mut world = setting.world(record());
        let found = deliver(&mut world, "dane-only", more);
        assert_eq!(
            found, "deferred 4.7.5 client TLS configuration problem",
            "{more}"
        );
        assert!(world.past.is_empty());
    }
}

#[test]
fn a_resolver_that_does_not_validate_is_noticed_once() {
    let unvalidated = |world: World| {
        let mx = RecordData::Mx {
            preference: 10,
            host: "mx1.example.net".into(),
        };
        world.with(QueryKind::Mx, "example.com", Entry::Plain(vec![mx]))
    };
    let root = |entry: fn(Vec<RecordData>) -> Entry| {
        let server = RecordData::Ns("a.root.example".into());
        unvalidated(World::new(Offer::Nothing)).with(QueryKind::Ns, ".", entry(vec![server]))
    };
    let probes = |world: &World| world.asked.iter().filter(|query| *query == "NS .").count();
    let warned = |world: &World| world.noted("DNSSEC validation may be unavailable");

    let mut world = root(Entry::Plain);
    let shared = policy("/nowhere".as_ref(), "");
    for _ in 0..2 {
        assert_eq!(brief(&world.deliver_by(shared.clone())), "sent 2.0.0");
        assert_eq!(probes(&world), 1);
    }
    assert!(warned(&world) && world.noted("dnssec_probe 'ns:.' received a response"));

    let mut world = root(Entry::Signed);
    world.deliver("");
    assert_eq!((probes(&world), warned(&world)), (1, false));

    let mut world =
        unvalidated(World::new(Offer::Nothing)).with(QueryKind::Ns, ".", Entry::Servfail);
    assert_eq!(brief(&world.deliver("")), "sent 2.0.0");
    assert!(world.noted("dnssec_probe 'ns:.' received no response: "));

    // Without doubt, or without a question, nothing is asked.
    let mut world = World::new(Offer::Nothing);
    world.deliver("");
    let mut off = root(Entry::Plain);
    off.deliver("dnssec_probe =");
    assert_eq!((probes(&world), probes(&off)), (0, 0));
    assert!(!warned(&world) && !warned(&off));
}
