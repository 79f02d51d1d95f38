//! TLS sessions that are resumed: under what, for how long, and that nothing counts
//! for proven which is not so today.

use std::{fs, sync::Arc, time::Duration};

use rcgen::date_time_ymd;
use smtp_policy::{
    dns::{QueryKind, RecordData},
    policy::Policy,
    survey::Survey,
};
use smtp_proto::Time;
use tempfile::TempDir;

use crate::{
    certificates::{Authority, Identity, pem, self_signed},
    server::Offer,
    world::{EPOCH, Entry, World, brief, policy},
};

const CACHE: &str = "smtp_tls_session_cache_database = btree:/nowhere/smtp_scache\n\
                     smtp_tls_security_level = may\nsmtp_tls_loglevel = 2\n";
const RESUMED: &str = "mx1.example.net[192.0.2.1]:25: Reusing old session";

/// Servers, and one policy that outlives its deliveries.
struct Setting {
    world: World,
    policy: Arc<Policy>,
}

impl Setting {
    fn new(server: &Identity, main_cf: &str) -> Self {
        Self::of(Offer::StartTls(server.server()), main_cf)
    }

    fn of(offer: Offer, main_cf: &str) -> Self {
        Self {
            world: World::new(offer),
            policy: policy("/nowhere".as_ref(), &format!("{CACHE}{main_cf}")),
        }
    }

    /// One of a certificate that `ca.pem` vouches for.
    fn trusted(ca: &Authority, server: &Identity, main_cf: &str) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
        let main_cf = format!("{CACHE}smtp_tls_CAfile = ca.pem\n{main_cf}");
        Self {
            world: World::new(Offer::StartTls(server.server())),
            policy: policy(dir.path(), &main_cf),
        }
    }

    /// Delivers a message. Returns the verdict, whether a session was resumed, and the
    /// summary of the connection.
    fn deliver(&mut self) -> (String, bool, String) {
        self.world.notes.clear();
        let outcome = self.world.deliver_by(Arc::clone(&self.policy));
        let mut summary = self.world.notes.iter();
        let summary = summary.rfind(|note| note.contains("TLS connection established"));
        let resumed = self.world.noted(RESUMED);
        (
            brief(&outcome),
            resumed,
            summary.cloned().unwrap_or_default(),
        )
    }

    /// Delivers a message that has to be sent. Whether a session was resumed.
    fn resumes(&mut self) -> bool {
        let (brief, resumed, _) = self.deliver();
        assert_eq!(brief, "sent 2.0.0");
        resumed
    }

    fn wait(&mut self, seconds: u64) {
        self.world.now = self.world.now + Duration::from_secs(seconds);
    }
}

#[test]
fn the_next_connection_to_a_server_resumes_and_is_as_good() {
    let ca = Authority::new("ca");
    let identity = ca.issue(&["mx1.example.net"]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let verify = "smtp_tls_security_level = verify\n";
        let mut setting = Setting::trusted(&ca, &identity, verify);
        let config = identity.server_with(&[version], None);
        setting
            .world
            .servers
            .insert("192.0.2.1", Offer::StartTls(config));
        let (sent, resumed, first) = setting.deliver();
        assert_eq!((sent.as_str(), resumed), ("sent 2.0.0", false));
        assert!(first.starts_with("Verified TLS connection"), "{first}");
        for _ in 0..3 {
            let (sent, resumed, again) = setting.deliver();
            assert_eq!((sent.as_str(), resumed), ("sent 2.0.0", true));
            // The server has signed nothing.
            let unsigned = first.split(" server-signature ").next().unwrap();
            assert_eq!(again, unsigned);
        }
    }
}

#[test]
fn sessions_are_resumed_only_where_the_parameters_say_so() {
    let identity = self_signed(&["x.example"]);
    for (main_cf, resumed) in [
        ("", true),
        ("smtp_tls_session_cache_database =\n", false),
        ("smtp_tls_session_cache_timeout = 0\n", false),
    ] {
        let mut setting = Setting::new(&identity, main_cf);
        assert!(!setting.resumes());
        assert_eq!(setting.resumes(), resumed, "{main_cf}");
    }
    let mut setting = Setting::new(&identity, "smtp_tls_loglevel = 1\n");
    assert!(
        !setting.resumes() && !setting.resumes(),
        "level 1 does not log it"
    );
}

#[test]
fn the_age_of_a_session_counts_from_its_full_handshake() {
    let mut setting = Setting::new(&self_signed(&["x.example"]), "");
    assert!(!setting.resumes());
    setting.wait(3599);
    assert!(setting.resumes());
    setting.wait(1);
    assert!(!setting.resumes(), "the default is an hour");
    assert!(setting.resumes());
    // One that the server does not know any more gives way to a full handshake.
    setting.wait(1800);
    let other = Offer::StartTls(self_signed(&["x.example"]).server());
    setting.world.servers.insert("192.0.2.1", other);
    assert!(!setting.resumes());
    setting.wait(1801);
    assert!(setting.resumes());
    // A clock that was set back tells no age.
    setting.world.now = Time::ZERO;
    assert!(!setting.resumes());
    setting.world.epoch = None;
    assert!(!setting.resumes() && !setting.resumes());
}

#[test]
fn another_next_hop_shares_no_session() {
    let mut setting = Setting::new(&self_signed(&["x.example"]), "");
    assert!(!setting.resumes());
    setting.world.nexthop = "[mx1.example.net]";
    assert!(!setting.resumes());
    assert!(setting.resumes());
}

#[test]
fn another_demand_shares_no_session() {
    let identity = self_signed(&["x.example"]);
    let whole = RecordData::Tlsa {
        usage: 3,
        selector: 0,
        matching: 0,
        data: identity.certificate().to_vec(),
    };
    let key = RecordData::Tlsa {
        usage: 3,
        selector: 1,
        matching: 0,
        data: identity.public.clone(),
    };
    let mut setting = Setting::new(&identity, "smtp_tls_security_level = dane-only\n");
    let name = (QueryKind::Tlsa, "_25._tcp.mx1.example.net".to_owned());
    for (record, resumed) in [(&whole, false), (&whole, true), (&key, false), (&key, true)] {
        let entry = Entry::Signed(vec![record.clone()]);
        setting.world.zone.insert(name.clone(), entry);
        assert_eq!(setting.resumes(), resumed, "{record:?}");
    }
}

#[test]
fn a_server_that_has_not_proved_itself_leaves_nothing() {
    let ca = Authority::new("ca");
    let server = self_signed(&["mx1.example.net"]);
    let mut setting = Setting::trusted(&ca, &server, "smtp_tls_security_level = verify\n");
    // Its session is there with the handshake, a ticket of TLS 1.3 would come later.
    let config = server.server_with(&[&rustls::version::TLS12], None);
    setting
        .world
        .servers
        .insert("192.0.2.1", Offer::StartTls(config));
    for _ in 0..2 {
        let (brief, resumed, _) = setting.deliver();
        assert_eq!((brief.as_str(), resumed), ("deferred 4.7.5", false));
    }
}

#[test]
fn a_server_that_knows_no_session_is_judged_by_what_it_shows_now() {
    let ca = Authority::new("ca");
    let good = ca.issue(&["mx1.example.net"]);
    let mut setting = Setting::trusted(&ca, &good, "smtp_tls_security_level = verify\n");
    assert!(!setting.resumes());
    let other = Offer::StartTls(self_signed(&["mx1.example.net"]).server());
    setting.world.servers.insert("192.0.2.1", other);
    let (brief, resumed, summary) = setting.deliver();
    assert_eq!((brief.as_str(), resumed), ("deferred 4.7.5", false));
    assert!(summary.starts_with("Untrusted"), "{summary}");
}

#[test]
fn a_certificate_that_has_expired_since_ends_its_session() {
    let ca = Authority::new("ca");
    // Sixteen hours after the beginning.
    let end = date_time_ymd(2027, 1, 16);
    let server = ca.issue_with(&["mx1.example.net"], |params| params.not_after = end);
    let mut setting = Setting::trusted(&ca, &server, "smtp_tls_session_cache_timeout = 20h\n");
    assert!(setting.deliver().2.starts_with("Trusted"));
    setting.wait(15 * 3600);
    assert!(setting.resumes());
    setting.wait(3600);
    assert!(EPOCH + setting.world.now.as_duration() >= Duration::from_secs(1_800_057_600));
    setting.wait(1);
    let (brief, resumed, summary) = setting.deliver();
    assert_eq!((brief.as_str(), resumed), ("sent 2.0.0", false));
    assert!(summary.starts_with("Untrusted"), "{summary}");
}

#[test]
fn a_look_at_the_servers_shakes_hands_in_full() {
    let mut setting = Setting::new(&self_signed(&["x.example"]), "");
    assert!(!setting.resumes() && setting.resumes());
    let policy = Arc::clone(&setting.policy);
    setting.world.notes.clear();
    setting.world.survey_by(policy, Survey::default());
    assert!(setting.world.noted("TLS connection established"));
    assert!(!setting.world.noted(RESUMED));
}

#[test]
fn a_stream_that_breaks_leaves_nothing() {
    let server = self_signed(&["x.example"]).server();
    let mut setting = Setting::of(Offer::StartTls(server), "");
    assert!(!setting.resumes() && setting.resumes());
    setting.world.garble = true;
    let (brief, resumed, _) = setting.deliver();
    assert!(brief.starts_with("deferred") && resumed, "{brief}");
    setting.world.garble = false;
    assert!(!setting.resumes());
}
