//! REQUIRETLS: which servers may have a message whose sender wants it, and what
//! `TLS-Required: No` lets pass (RFC 8689).

use std::fs;

use smtp_policy::{
    dns::{QueryKind, RecordData},
    request::TlsWish,
    sts::{Fetched, MtaSts},
};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, Identity, pem, sha256},
    server::{Offer, Server},
    world::{Entry, World, bare_policy, brief},
};

const MX: &str = "mx1.example.net";
const VERIFY: &str = "smtp_tls_security_level = verify\n";
const SENT: &str = "sent 2.0.0 250 2.0.0 queued";

struct Setting {
    ca: Authority,
    dir: TempDir,
    good: Identity,
}

impl Setting {
    fn new() -> Self {
        let ca = Authority::new("ca");
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
        let good = ca.issue(&[MX]);
        Self { ca, dir, good }
    }

    fn deliver(&self, world: &mut World, main_cf: &str) -> String {
        let main_cf = format!("smtp_tls_CAfile = ca.pem\n{main_cf}");
        let outcome = world.deliver_in(self.dir.path(), &main_cf);
        format!("{} {}", brief(&outcome), outcome.text)
    }

    fn required(&self, offer: Offer) -> World {
        let mut world = World::new(offer);
        world.wish = TlsWish::Required;
        world
    }
}

#[test]
fn only_a_verified_server_that_offers_it_has_the_message() {
    let setting = Setting::new();
    let config = || setting.good.server();
    let named = "mx1.example.net[192.0.2.1]";
    let unverified =
        format!("bounced 5.7.30 REQUIRETLS is wanted, but host {named} is not verified by TLS");
    let unoffered =
        format!("bounced 5.7.30 REQUIRETLS is wanted, but was not offered by host {named}");
    let table = [
        ("verify", Offer::RequireTls(config()), SENT),
        ("verify", Offer::StartTls(config()), unoffered.as_str()),
        ("may", Offer::RequireTls(config()), &unverified),
        ("encrypt", Offer::RequireTls(config()), &unverified),
        ("may", Offer::Nothing, &unverified),
        ("may", Offer::Refuse("454 4.7.0 later"), &unverified),
        ("none", Offer::Nothing, &unverified),
        (
            "verify",
            Offer::Nothing,
            "deferred 4.7.4 TLS is required, but was not offered by host mx1.example.net[192.0.2.1]",
        ),
    ];
    for (level, offer, expected) in table {
        let mut world = setting.required(offer);
        let main_cf = format!("smtp_tls_security_level = {level}\n");
        assert_eq!(setting.deliver(&mut world, &main_cf), expected, "{level}");
        assert_eq!(world.mail(), (false, expected == SENT), "{level}");
    }
}

#[test]
fn a_policy_says_by_next_hop_what_is_demanded() {
    let setting = Setting::new();
    let config = || setting.good.server();
    let named = "mx1.example.net[192.0.2.1]";
    let plain =
        format!("bounced 5.7.30 REQUIRETLS is wanted, but there is no TLS with host {named}");
    let unverified =
        format!("bounced 5.7.30 REQUIRETLS is wanted, but host {named} is not verified by TLS");
    let table = [
        ("opportunistic", "may", Offer::Nothing, SENT, false),
        (
            "opportunistic",
            "may",
            Offer::StartTls(config()),
            SENT,
            false,
        ),
        (
            "opportunistic",
            "may",
            Offer::RequireTls(config()),
            SENT,
            true,
        ),
        ("disable", "may", Offer::RequireTls(config()), SENT, false),
        (
            "opportunistic+starttls",
            "may",
            Offer::RequireTls(config()),
            SENT,
            true,
        ),
        (
            "opportunistic+starttls",
            "may",
            Offer::StartTls(config()),
            SENT,
            false,
        ),
        (
            "opportunistic+starttls",
            "may",
            Offer::Nothing,
            &plain,
            false,
        ),
        (
            "opportunistic+starttls",
            "none",
            Offer::RequireTls(config()),
            &plain,
            false,
        ),
        (
            "inline:{example.com=opportunistic}",
            "may",
            Offer::Nothing,
            SENT,
            false,
        ),
        (
            "inline:{.com=opportunistic}, enforce",
            "may",
            Offer::Nothing,
            SENT,
            false,
        ),
        (
            "inline:{other=opportunistic}",
            "may",
            Offer::Nothing,
            &unverified,
            false,
        ),
        (
            "inline:{example.com=nonsense}, opportunistic",
            "may",
            Offer::Nothing,
            "deferred 4.7.10 REQUIRETLS policy configuration error",
            false,
        ),
    ];
    for (policy, level, offer, expected, said) in table {
        let mut world = setting.required(offer);
        let main_cf =
            format!("smtp_tls_security_level = {level}\nsmtp_requiretls_policy = {policy}\n");
        assert_eq!(setting.deliver(&mut world, &main_cf), expected, "{policy}");
        let mails = world.past.iter().flat_map(|past| &past.secret);
        let found = mails.filter(|line| line.ends_with(" REQUIRETLS")).count() > 0;
        assert_eq!(found, said, "{policy}");
    }
}

#[test]
fn senders_are_not_heard_where_that_is_turned_off() {
    let setting = Setting::new();
    let mut world = setting.required(Offer::Nothing);
    let main_cf = "smtp_tls_security_level = may\nrequiretls_enable = no\n";
    assert_eq!(setting.deliver(&mut world, main_cf), SENT);
    let wrong = RecordData::Tlsa {
        usage: 3,
        selector: 0,
        matching: 1,
        data: sha256(b"another"),
    };
    for (enable, word) in [("yes", "sent"), ("no", "deferred")] {
        let mut world = World::new(Offer::StartTls(setting.good.server())).with(
            QueryKind::Tlsa,
            "_25._tcp.mx1.example.net",
            Entry::Signed(vec![wrong.clone()]),
        );
        world.wish = TlsWish::Waived;
        let main_cf = format!("smtp_tls_security_level = dane\ntls_required_enable = {enable}\n");
        let found = setting.deliver(&mut world, &main_cf);
        assert!(found.starts_with(word), "{enable}: {found}");
    }
}

#[test]
fn the_command_says_it_only_if_it_is_wanted() {
    let setting = Setting::new();
    for (wish, line) in [
        (TlsWish::Required, "MAIL FROM:<from@example.org> REQUIRETLS"),
        (TlsWish::Unsaid, "MAIL FROM:<from@example.org>"),
        (TlsWish::Waived, "MAIL FROM:<from@example.org>"),
    ] {
        let mut world = World::new(Offer::RequireTls(setting.good.server()));
        world.wish = wish;
        assert_eq!(setting.deliver(&mut world, VERIFY), SENT);
        let said = &world.past[0].secret;
        assert!(said.iter().any(|said| said == line), "{said:?}");
    }
}

#[test]
fn a_server_that_will_not_do_is_passed_over() {
    let setting = Setting::new();
    let exchangers = [(5, "mx0.example.net"), (10, MX)].map(|(preference, host)| RecordData::Mx {
        preference,
        host: host.into(),
    });
    let address = RecordData::A("192.0.2.9".parse().unwrap());
    let mut world = setting
        .required(Offer::RequireTls(setting.good.server()))
        .with(
            QueryKind::Mx,
            "example.com",
            Entry::Plain(exchangers.to_vec()),
        )
        .with(QueryKind::A, "mx0.example.net", Entry::Plain(vec![address]));
    let other = setting.ca.issue(&["mx0.example.net"]);
    world
        .servers
        .insert("192.0.2.9", Offer::StartTls(other.server()));
    assert_eq!(setting.deliver(&mut world, VERIFY), SENT);
    let said = |server: &Server| server.secret.iter().any(|line| line.starts_with("MAIL"));
    assert_eq!(
        world.past.iter().map(said).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(world.noted("REQUIRETLS is wanted, but was not offered by host mx0.example.net"));
}

#[test]
fn a_kept_connection_does_not_change_hands_between_wishes() {
    let setting = Setting::new();
    let main_cf = format!(
        "{VERIFY}smtp_tls_connection_reuse = yes\nsmtp_connection_cache_destinations = example.com\n"
    );
    let mut world = World::new(Offer::RequireTls(setting.good.server()));
    let mut closed = Vec::new();
    for wish in [
        TlsWish::Unsaid,
        TlsWish::Required,
        TlsWish::Waived,
        TlsWish::Required,
        TlsWish::Unsaid,
    ] {
        world.wish = wish;
        assert_eq!(setting.deliver(&mut world, &main_cf), SENT);
        closed.push(world.connects);
    }
    assert_eq!(closed, [1, 2, 3, 3, 3]);
}

#[test]
fn what_the_domain_publishes_can_be_waived_but_not_what_is_configured_here() {
    let setting = Setting::new();
    let wrong = RecordData::Tlsa {
        usage: 3,
        selector: 0,
        matching: 1,
        data: sha256(b"another"),
    };
    for (wish, dane, secure) in [
        (TlsWish::Unsaid, "deferred", "deferred"),
        (TlsWish::Waived, "sent", "deferred"),
    ] {
        let world = || {
            let mut world = World::new(Offer::StartTls(setting.good.server())).with(
                QueryKind::Tlsa,
                "_25._tcp.mx1.example.net",
                Entry::Signed(vec![wrong.clone()]),
            );
            world.wish = wish;
            world
        };
        for (level, word) in [("dane", dane), ("dane-only", secure), ("secure", secure)] {
            let main_cf = format!("smtp_tls_security_level = {level}\n");
            let found = setting.deliver(&mut world(), &main_cf);
            assert!(found.starts_with(word), "{level}: {found}");
        }
        let policy = bare_policy(setting.dir.path(), "smtp_tls_security_level = may\n");
        let policy = std::sync::Arc::new(policy.with_mta_sts(MtaSts::default()));
        let text = RecordData::Txt(b"v=STSv1; id=1".to_vec());
        let address = RecordData::A("198.51.100.1".parse().unwrap());
        let mut world = world()
            .with(
                QueryKind::Txt,
                "_mta-sts.example.com",
                Entry::Plain(vec![text]),
            )
            .with(
                QueryKind::A,
                "mta-sts.example.com",
                Entry::Plain(vec![address]),
            );
        world.web = Ok(Fetched {
            status: 200,
            content_type: "text/plain".into(),
            body: "version: STSv1\nmode: enforce\nmx: x.example\nmax_age: 9\n".into(),
            age: std::time::Duration::ZERO,
        });
        assert_eq!(world.deliver_by(policy).word, dane);
    }
}
