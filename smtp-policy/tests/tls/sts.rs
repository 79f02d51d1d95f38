//! MTA-STS: when a policy is looked for, what it demands, and what goes before it.

use std::{fs, sync::Arc, time::Duration};

use smtp_policy::{
    dns::{QueryKind, RecordData},
    policy::Policy,
    sts::{FetchError, Fetched, Mode, MtaSts},
    survey::{Finding, Survey},
    tls::{MatchedBy, TlsLevel},
};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, Identity, pem, sha256},
    server::Offer,
    world::{Entry, World, bare_policy, brief},
};

const MX: &str = "mx1.example.net";
const SENT: &str = "sent 2.0.0 250 2.0.0 queued";
const UNVERIFIED: &str = "deferred 4.7.5 Server certificate not verified";
const UNNAMED: &str =
    "deferred 4.7.5 MTA-STS policy of example.com does not name mail exchanger mx1.example.net";
const TLSA_NAME: &str = "_25._tcp.mx1.example.net";

fn file(mode: &str, mx: &str) -> Result<Fetched, FetchError> {
    Ok(Fetched {
        status: 200,
        content_type: "text/plain".into(),
        body: format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n").into(),
        age: Duration::ZERO,
    })
}

fn text(text: &str) -> Entry {
    Entry::Plain(vec![RecordData::Txt(text.as_bytes().to_vec())])
}

/// An authority that is configured, and a server with a certificate of its.
struct Setting {
    ca: Authority,
    dir: TempDir,
    good: Identity,
    bad: Identity,
}

impl Setting {
    fn new() -> Self {
        let ca = Authority::new("ca");
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
        Self {
            good: ca.issue(&[MX]),
            bad: ca.issue(&["example.com"]),
            ca,
            dir,
        }
    }

    fn policy(&self, main_cf: &str) -> Arc<Policy> {
        let main_cf = format!("smtp_tls_CAfile = ca.pem\nsmtp_tls_loglevel = 1\n{main_cf}");
        let policy = bare_policy(self.dir.path(), &main_cf);
        Arc::new(policy.with_mta_sts(MtaSts::default()))
    }

    /// A world where the domain has a policy.
    fn world(&self, offer: Offer, mode: &str, mx: &str) -> World {
        let address = RecordData::A("198.51.100.1".parse().unwrap());
        let mut world = World::new(offer)
            .with(
                QueryKind::Txt,
                "_mta-sts.example.com",
                text("v=STSv1; id=1;"),
            )
            .with(
                QueryKind::A,
                "mta-sts.example.com",
                Entry::Plain(vec![address]),
            );
        world.web = file(mode, mx);
        world
    }
}

fn tls(identity: &Identity) -> Offer {
    Offer::StartTls(identity.server())
}

fn deliver(world: &mut World, policy: &Arc<Policy>) -> String {
    let outcome = world.deliver_by(Arc::clone(policy));
    format!("{} {}", brief(&outcome), outcome.text)
}

#[test]
fn an_enforced_policy_demands_a_named_server_tls_and_the_right_certificate() {
    let setting = Setting::new();
    let stranger = Authority::new("stranger").issue(&[MX]);
    let table = [
        ("enforce", "*.example.net", tls(&setting.good), SENT),
        ("enforce", MX, tls(&setting.bad), UNVERIFIED),
        ("enforce", MX, tls(&stranger), UNVERIFIED),
        ("enforce", "*.example.com", tls(&setting.good), UNNAMED),
        (
            "enforce",
            MX,
            Offer::Nothing,
            "deferred 4.7.4 TLS is required, but was not offered by host",
        ),
        (
            "enforce",
            MX,
            Offer::Garbage,
            "deferred 4.7.5 Cannot start TLS: handshake failure",
        ),
        ("testing", "*.example.com", tls(&setting.bad), SENT),
        ("testing", MX, Offer::Nothing, SENT),
        ("none", "*.example.com", tls(&setting.bad), SENT),
    ];
    for level in ["none", "may", "encrypt", "dane"] {
        let policy = |_| setting.policy(&format!("smtp_tls_security_level = {level}\n"));
        for (mode, mx, offer, expected) in &table {
            let plain = matches!(offer, Offer::Nothing);
            if level == "encrypt" && *mode == "testing" && plain {
                continue;
            }
            let mut world = setting.world(offer.clone(), mode, mx);
            world.age = Duration::from_secs(1000);
            let found = deliver(&mut world, &policy(()));
            assert!(found.starts_with(expected), "{level} {mode} {mx}: {found}");
            if *mode == "enforce" {
                assert_eq!(world.mail(), (false, *expected == SENT), "{level} {mx}");
            }
        }
    }
}

#[test]
fn the_file_is_asked_for_as_the_rfc_says_and_kept() {
    let setting = Setting::new();
    let policy = setting.policy("smtp_tls_security_level = may\n");
    let mut world = setting.world(tls(&setting.good), "enforce", MX);
    assert_eq!(deliver(&mut world, &policy), SENT);
    assert_eq!(world.past[0].sni.as_deref(), Some(MX));
    assert!(world.noted("Verified TLS connection established to mx1.example.net"));
    let asked = &world.fetched[0];
    assert_eq!(asked.host, "mta-sts.example.com");
    assert_eq!(asked.path, "/.well-known/mta-sts.txt");
    assert_eq!(asked.port, 443);
    assert_eq!(asked.size, 65_536);
    assert_eq!(asked.limit, Duration::from_secs(60));
    assert_eq!(asked.addresses.len(), 1);
    assert!(world.asked.contains(&"AAAA mta-sts.example.com".into()));
    // What is kept holds also when nothing of it can be found any more.
    let mut later = World::new(tls(&setting.bad));
    later.now = later.now + Duration::from_secs(3600);
    assert_eq!(deliver(&mut later, &policy), UNVERIFIED);
    assert!(later.asked.contains(&"TXT _mta-sts.example.com".into()));
    assert_eq!(later.fetched, []);
    later.now = later.now + Duration::from_secs(86_400);
    assert_eq!(deliver(&mut later, &policy), SENT);
}

#[test]
fn a_policy_that_cannot_be_had_is_no_policy() {
    let setting = Setting::new();
    let main_cf = "smtp_tls_security_level = may\n";
    let answers = [
        Err(FetchError::TimedOut),
        Err(FetchError::Certificate("expired".into())),
        file("force", MX),
        file("enforce", MX).map(|answer| Fetched {
            status: 404,
            ..answer
        }),
        file("enforce", MX).map(|answer| Fetched {
            content_type: "text/html".into(),
            ..answer
        }),
    ];
    for answer in answers {
        let mut world = setting.world(Offer::Nothing, "enforce", MX);
        world.web = answer;
        assert_eq!(deliver(&mut world, &setting.policy(main_cf)), SENT);
        assert_eq!(world.fetched.len(), 1);
        assert!(world.noted("cannot get the MTA-STS policy of example.com: "));
    }
    for record in ["v=STSv1", "v=STSv1; id=", "v=spf1 -all"] {
        let mut world = setting.world(Offer::Nothing, "enforce", MX).with(
            QueryKind::Txt,
            "_mta-sts.example.com",
            text(record),
        );
        assert_eq!(deliver(&mut world, &setting.policy(main_cf)), SENT);
        assert_eq!(world.fetched, [], "{record}");
    }
}

#[test]
fn a_failed_refresh_leaves_the_kept_policy_in_force() {
    let setting = Setting::new();
    let policy = setting.policy("smtp_tls_security_level = may\n");
    let mut world = setting.world(tls(&setting.good), "enforce", MX);
    assert_eq!(deliver(&mut world, &policy), SENT);
    let mut later = setting.world(Offer::Nothing, "none", MX).with(
        QueryKind::Txt,
        "_mta-sts.example.com",
        text("v=STSv1; id=2;"),
    );
    later.now = later.now + Duration::from_secs(400);
    later.web = Err(FetchError::TimedOut);
    assert!(deliver(&mut later, &policy).starts_with("deferred 4.7.4"));
    assert!(later.noted("timed out; the policy that is kept holds"));
    later.now = later.now + Duration::from_secs(400);
    later.web = file("none", MX);
    assert_eq!(deliver(&mut later, &policy), SENT);
}

#[test]
fn testing_is_noted_and_harms_nobody() {
    let setting = Setting::new();
    let policy = setting.policy("smtp_tls_security_level = may\n");
    let mut world = setting.world(tls(&setting.bad), "testing", "*.example.org");
    assert_eq!(deliver(&mut world, &policy), SENT);
    assert!(world.noted("does not name mail exchanger mx1.example.net, but is in testing mode"));
    assert!(world.noted("is in testing mode: the certificate of mx1.example.net[192.0.2.1]:25"));
    let policy = setting.policy("smtp_tls_security_level = may\n");
    let mut world = setting.world(tls(&setting.good), "testing", MX);
    assert_eq!(deliver(&mut world, &policy), SENT);
    assert!(!world.noted("testing mode"));
}

#[test]
fn dane_goes_before_a_policy_and_a_policy_before_nothing() {
    let setting = Setting::new();
    let record = |digest: &[u8]| RecordData::Tlsa {
        usage: 3,
        selector: 0,
        matching: 1,
        data: sha256(digest),
    };
    let unknown = RecordData::Tlsa {
        usage: 3,
        selector: 0,
        matching: 9,
        data: vec![1],
    };
    let table = [
        // TLSA records, identity, named by the policy, result
        (
            Some(record(setting.bad.certificate())),
            &setting.bad,
            "x.example",
            SENT,
            false,
        ),
        (
            Some(record(b"another")),
            &setting.good,
            MX,
            UNVERIFIED,
            false,
        ),
        (Some(unknown.clone()), &setting.good, MX, SENT, true),
        (Some(unknown), &setting.bad, MX, UNVERIFIED, true),
        (None, &setting.bad, MX, UNVERIFIED, true),
    ];
    for (records, identity, mx, expected, looked) in table {
        let mut world = setting.world(tls(identity), "enforce", mx);
        if let Some(record) = records {
            world = world.with(QueryKind::Tlsa, TLSA_NAME, Entry::Signed(vec![record]));
        }
        let policy = setting.policy("smtp_tls_security_level = dane\n");
        assert_eq!(deliver(&mut world, &policy), expected, "{mx} {looked}");
        assert_eq!(!world.fetched.is_empty(), looked, "{mx}");
    }
    let mut world = setting.world(tls(&setting.good), "enforce", MX).with(
        QueryKind::Tlsa,
        TLSA_NAME,
        Entry::Servfail,
    );
    let found = deliver(
        &mut world,
        &setting.policy("smtp_tls_security_level = dane\n"),
    );
    assert_eq!(
        found,
        "deferred 4.7.5 TLSA lookup error for mx1.example.net:25"
    );
}

#[test]
fn what_the_operator_says_of_the_next_hop_goes_before_a_policy() {
    let setting = Setting::new();
    let table = [
        "smtp_tls_policy_maps = inline:{example.com=may}\nsmtp_tls_security_level = may\n",
        "smtp_tls_per_site = inline:{example.com=MAY}\nsmtp_tls_security_level = may\n",
        "smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_digest = sha256\n\
         smtp_tls_fingerprint_cert_match = FINGERPRINT\n",
        "smtp_tls_security_level = secure\n",
    ];
    for main_cf in table {
        let digest = crate::certificates::colons(&sha256(setting.bad.certificate()));
        let policy = setting.policy(&main_cf.replace("FINGERPRINT", &digest));
        let mut world = setting.world(tls(&setting.bad), "enforce", "x.example");
        assert_eq!(deliver(&mut world, &policy), SENT, "{main_cf}");
        assert!(
            !world.asked.iter().any(|asked| asked.starts_with("TXT")),
            "{main_cf}"
        );
    }
    // An entry for somebody else says nothing.
    let policy = setting
        .policy("smtp_tls_policy_maps = inline:{example.org=may}\nsmtp_tls_security_level = may\n");
    let mut world = setting.world(tls(&setting.bad), "enforce", "x.example");
    assert_eq!(deliver(&mut world, &policy), UNNAMED);
}

#[test]
fn only_domains_whose_mail_exchangers_are_looked_up_have_policies() {
    let setting = Setting::new();
    let address = || Entry::Plain(vec![RecordData::A("192.0.2.1".parse().unwrap())]);
    for (nexthop, looked) in [
        ("[example.com]", false),
        ("[192.0.2.1]", false),
        ("example.com:26", false),
        ("example.com:25", true),
        ("EXAMPLE.com", true),
    ] {
        let mut world = setting.world(Offer::Nothing, "enforce", MX).with(
            QueryKind::A,
            "example.com",
            address(),
        );
        let mx = RecordData::Mx {
            preference: 10,
            host: MX.into(),
        };
        world = world.with(QueryKind::Mx, "EXAMPLE.com", Entry::Plain(vec![mx]));
        world.nexthop = nexthop;
        let found = deliver(
            &mut world,
            &setting.policy("smtp_tls_security_level = may\n"),
        );
        assert_eq!(!world.fetched.is_empty(), looked, "{nexthop}");
        assert_eq!(found == SENT, !looked, "{nexthop}: {found}");
    }
    // A domain without MX records is its own mail exchanger.
    let mut world = setting.world(Offer::Nothing, "enforce", "example.com");
    world.zone.remove(&(QueryKind::Mx, "example.com".into()));
    world = world.with(QueryKind::A, "example.com", address());
    let found = deliver(
        &mut world,
        &setting.policy("smtp_tls_security_level = may\n"),
    );
    assert!(found.starts_with("deferred 4.7.4"), "{found}");
}

#[test]
fn a_server_that_is_not_named_is_passed_over_for_one_that_is() {
    let setting = Setting::new();
    let exchanger = |preference, host: &str| RecordData::Mx {
        preference,
        host: host.into(),
    };
    let mut world = setting
        .world(tls(&setting.good), "enforce", MX)
        .with(
            QueryKind::Mx,
            "example.com",
            Entry::Plain(vec![exchanger(5, "evil.example"), exchanger(10, MX)]),
        )
        .with(
            QueryKind::A,
            "evil.example",
            Entry::Plain(vec![RecordData::A("192.0.2.66".parse().unwrap())]),
        );
    world.servers.insert("192.0.2.66", Offer::Nothing);
    let found = deliver(
        &mut world,
        &setting.policy("smtp_tls_security_level = may\n"),
    );
    assert_eq!(found, SENT);
    assert!(world.noted("does not name mail exchanger evil.example"));
    assert_eq!(world.past.len(), 1);
}

#[test]
fn without_configured_authorities_those_of_the_system_count() {
    // Nobody there vouches for a certificate that was made a moment ago.
    let setting = Setting::new();
    let policy = bare_policy(setting.dir.path(), "").with_mta_sts(MtaSts::default());
    let mut world = setting.world(tls(&setting.good), "enforce", MX);
    assert_eq!(deliver(&mut world, &Arc::new(policy)), UNVERIFIED);
    let anchored = "smtp_tls_trust_anchor_file = ca.pem\n";
    let policy = bare_policy(setting.dir.path(), anchored).with_mta_sts(MtaSts::default());
    let mut world = setting.world(tls(&setting.good), "enforce", MX);
    assert_eq!(deliver(&mut world, &Arc::new(policy)), SENT);
    assert_eq!(setting.ca.issue(&[MX]).chain.len(), 1);
}

#[test]
fn nothing_of_it_happens_unless_it_is_turned_on() {
    let setting = Setting::new();
    let policy = Arc::new(bare_policy(
        setting.dir.path(),
        "smtp_tls_security_level = may\n",
    ));
    let mut world = setting.world(Offer::Nothing, "enforce", "x.example");
    assert_eq!(deliver(&mut world, &policy), SENT);
    assert!(!world.asked.iter().any(|asked| asked.contains("mta-sts")));
}

#[test]
fn a_survey_tells_of_the_policy() {
    let setting = Setting::new();
    for (mode, level) in [
        (Mode::Enforce, TlsLevel::Secure),
        (Mode::Testing, TlsLevel::May),
    ] {
        let mut world = setting.world(Offer::StartTls(setting.good.server()), mode.as_str(), MX);
        let policy = setting.policy("smtp_tls_security_level = may");
        let mut found = world.survey_by(policy, Survey::default());
        let Some(Finding::Host(host)) = found.pop() else {
            panic!()
        };
        let policy = host.policy.unwrap();
        assert_eq!((policy.configured, policy.level), (TlsLevel::May, level));
        let sts = policy.sts.unwrap();
        assert_eq!((sts.domain.as_str(), sts.mode), ("example.com", mode));
        assert!(sts.names_host && host.result.unwrap().encrypted);
        let Some(smtp_policy::survey::HandshakeFinding::Done(facts)) = host.handshake else {
            panic!()
        };
        assert_eq!(facts.matched_by, Some(MatchedBy::Name(MX.into())));
    }
}
