//! verify, secure, fingerprint: what a certificate must prove, and what does not
//! count.

use std::{fmt::Write as _, fs};

use rcgen::{DnType, ExtendedKeyUsagePurpose, date_time_ymd};
use smtp_policy::dns::{QueryKind, RecordData};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, Identity, colons, pem, self_signed, sha256},
    server::Offer,
    world::{Entry, World, brief},
};

/// A folder with `ca.pem`.
fn folder(authority: &Authority) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(
        dir.path().join("ca.pem"),
        pem("CERTIFICATE", &authority.der),
    )
    .unwrap();
    dir
}

/// Delivers to a server with this certificate. The outcome is the same whatever the
/// version, and no mail goes out without a match.
fn deliver(dir: &TempDir, server: &Identity, main_cf: &str) -> (String, World) {
    let mut first = None;
    for versions in [[&rustls::version::TLS13], [&rustls::version::TLS12]] {
        let mut world = World::new(Offer::StartTls(server.server_with(&versions, None)));
        let outcome = world.deliver_in(dir.path(), main_cf);
        let brief = brief(&outcome);
        let sent = brief == "sent 2.0.0";
        assert_eq!(world.mail(), (false, sent), "{brief} {}", outcome.text);
        if !sent {
            assert_eq!(outcome.text, "Server certificate not verified");
            assert_eq!(
                world.past[0].secret,
                ["QUIT"],
                "QUIT is said inside TLS, and only that"
            );
        }
        let (known, _) = first.get_or_insert((brief.clone(), world));
        assert_eq!(*known, brief);
    }
    first.unwrap()
}

const VERIFY: &str =
    "smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = verify\nsmtp_tls_loglevel = 1\n";

#[test]
fn a_certificate_needs_a_trusted_issuer_the_right_name_and_a_valid_date() {
    let ca = Authority::new("ca");
    let between = Authority::below("between", &ca);
    let stranger = Authority::new("stranger");
    let host = &["mx1.example.net"];
    let common = |name: &'static str| {
        move |params: &mut rcgen::CertificateParams| {
            params.distinguished_name.push(DnType::CommonName, name);
        }
    };
    let table: Vec<(&str, Identity, bool, &str)> = vec![
        (
            "the right one",
            ca.issue(host),
            true,
            "Verified TLS connection established",
        ),
        (
            "several names",
            ca.issue(&["a.example", "mx1.example.net"]),
            true,
            "Verified",
        ),
        ("a star", ca.issue(&["*.example.net"]), true, "Verified"),
        (
            "a common name alone",
            ca.issue_with(&[], common("mx1.example.net")),
            true,
            "Verified",
        ),
        (
            "a common name beside others",
            ca.issue_with(&["a.example"], common("mx1.example.net")),
            false,
            "num=62:hostname mismatch",
        ),
        (
            "another name",
            ca.issue(&["mx2.example.net"]),
            false,
            "num=62:hostname mismatch",
        ),
        (
            "the domain",
            ca.issue(&["example.com"]),
            false,
            "num=62:hostname mismatch",
        ),
        (
            "a chain",
            between.issue(host).with_chain(&[&between]),
            true,
            "Verified",
        ),
        (
            "a gap in the chain",
            between.issue(host),
            false,
            "untrusted issuer /CN=between",
        ),
        (
            "a stranger",
            stranger.issue(host),
            false,
            "untrusted issuer /CN=stranger",
        ),
        (
            "a stranger's chain",
            stranger.issue(host).with_chain(&[&stranger]),
            false,
            "untrusted issuer",
        ),
        (
            "nobody",
            self_signed(host),
            false,
            "self-signed certificate",
        ),
        (
            "a past date",
            ca.issue_with(host, |params| params.not_after = date_time_ymd(2020, 1, 1)),
            false,
            "server certificate verification failed for mx1.example.net[192.0.2.1]:25: certificate has expired",
        ),
        (
            "a future date",
            ca.issue_with(host, |params| params.not_before = date_time_ymd(2050, 1, 1)),
            false,
            "certificate not yet valid",
        ),
        (
            "another purpose",
            ca.issue_with(host, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            false,
            "not designated for use as a server certificate",
        ),
    ];
    let dir = folder(&ca);
    for (what, server, good, note) in table {
        let (found, world) = deliver(&dir, &server, VERIFY);
        assert_eq!(
            found,
            if good { "sent 2.0.0" } else { "deferred 4.7.5" },
            "{what}: {:?}",
            world.notes
        );
        assert!(world.noted(note), "{what}: {:?}", world.notes);
        let word = if good { "Verified" } else { "Untrusted" };
        assert!(
            world.noted(&format!("{word} TLS connection established")),
            "{what}: {:?}",
            world.notes
        );
    }
}

#[test]
fn a_destination_that_is_an_address_is_looked_for_among_addresses() {
    let ca = Authority::new("ca");
    let dir = folder(&ca);
    for (name, level, expected) in [
        ("192.0.2.1", "verify", "sent 2.0.0"),
        ("192.0.2.2", "verify", "deferred 4.7.5"),
        ("mx1.example.net", "verify", "deferred 4.7.5"),
        // `dot-nexthop` is a name, and no certificate has one below an address.
        ("192.0.2.1", "secure", "deferred 4.7.5"),
    ] {
        let mut world = World::new(Offer::StartTls(ca.issue(&[name]).server()));
        world.nexthop = "[192.0.2.1]";
        let main_cf = format!("smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = {level}\n");
        assert_eq!(
            brief(&world.deliver_in(dir.path(), &main_cf)),
            expected,
            "{name} {level}"
        );
    }
}

#[test]
fn a_certificate_that_is_itself_configured_needs_no_issuer() {
    let server = self_signed(&["mx1.example.net"]);
    let dir = TempDir::new().unwrap();
    fs::write(
        dir.path().join("ca.pem"),
        pem("CERTIFICATE", server.certificate()),
    )
    .unwrap();
    assert_eq!(deliver(&dir, &server, VERIFY).0, "sent 2.0.0");
}

#[test]
fn an_authority_that_has_expired_vouches_for_nobody() {
    let ca = Authority::new("ca");
    let dir = folder(&ca);
    let server = ca.issue(&["mx1.example.net"]);
    let mut world = World::new(Offer::StartTls(server.server()));
    // The authority's certificate ends with the year 4095.
    world.epoch = Some(std::time::Duration::from_secs(70_000_000_000));
    assert_eq!(
        brief(&world.deliver_in(dir.path(), VERIFY)),
        "deferred 4.7.5"
    );
    assert!(world.noted("certificate has expired"));
}

#[test]
fn without_the_time_of_day_no_issuer_is_trusted() {
    let ca = Authority::new("ca");
    let dir = folder(&ca);
    let server = ca.issue(&["mx1.example.net"]);
    let mut world = World::new(Offer::StartTls(server.server()));
    world.epoch = None;
    assert_eq!(
        brief(&world.deliver_in(dir.path(), VERIFY)),
        "deferred 4.7.5"
    );
}

#[test]
fn chains_may_be_as_long_as_the_limit_says() {
    let ca = Authority::new("ca");
    let mut line = vec![Authority::below("one", &ca)];
    for name in ["two", "three"] {
        line.push(Authority::below(name, line.last().unwrap()));
    }
    let above: Vec<&Authority> = line.iter().rev().collect();
    let server = line[2].issue(&["mx1.example.net"]).with_chain(&above);
    let dir = folder(&ca);
    for (depth, expected) in [(9, "sent 2.0.0"), (2, "sent 2.0.0"), (1, "deferred 4.7.5")] {
        let main_cf = format!("{VERIFY}smtp_tls_scert_verifydepth = {depth}\n");
        assert_eq!(deliver(&dir, &server, &main_cf).0, expected, "{depth}");
    }
}

#[test]
fn secure_looks_for_the_name_of_the_destination() {
    let ca = Authority::new("ca");
    let dir = folder(&ca);
    let table = [
        ("", "example.com", true),
        ("", "mx.example.com", true),
        ("", "a.b.example.com", true),
        ("", "*.example.com", true),
        ("", "mx1.example.net", false),
        (
            "smtp_tls_secure_cert_match = nexthop\n",
            "mx.example.com",
            false,
        ),
        (
            "smtp_tls_secure_cert_match = hostname, other.example\n",
            "mx1.example.net",
            true,
        ),
        (
            "smtp_tls_secure_cert_match = hostname:other.example\n",
            "other.example",
            true,
        ),
        (
            "smtp_tls_secure_cert_match = .example.org\n",
            "x.example.org",
            true,
        ),
        (
            "smtp_tls_secure_cert_match = .example.org\n",
            "example.org",
            false,
        ),
        ("smtp_tls_secure_cert_match = .\n", "example.com", false),
    ];
    for (setting, name, good) in table {
        let main_cf =
            format!("smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = secure\n{setting}");
        let (found, _) = deliver(&dir, &ca.issue(&[name]), &main_cf);
        assert_eq!(
            found,
            if good { "sent 2.0.0" } else { "deferred 4.7.5" },
            "{setting}{name}"
        );
    }
}

#[test]
fn fingerprints_are_of_the_certificate_or_of_the_key() {
    use md5::Digest as _;
    let server = self_signed(&["elsewhere.example"]);
    let stranger = self_signed(&["elsewhere.example"]);
    let dir = TempDir::new().unwrap();
    let certificate = colons(&sha256(server.certificate()));
    let key = colons(&sha256(&server.public));
    let md5 = colons(&md5::Md5::digest(server.certificate()));
    let wrong = colons(&sha256(stranger.certificate()));
    let table = [
        ("sha256", certificate.clone(), true),
        ("sha256", certificate.replace(':', "").to_lowercase(), true),
        ("sha256", key.clone(), true),
        ("sha256", format!("{wrong}, {key}"), true),
        ("sha256", format!("nonsense {key}"), true),
        // One that begins alike is another one.
        ("sha256", certificate[..47].to_owned(), false),
        (
            "sha256",
            format!("{}{}", &certificate[..47], &wrong[47..]),
            false,
        ),
        ("sha256", wrong, false),
        ("sha256", md5.clone(), false),
        ("md5", md5, true),
        ("sha512", certificate, false),
    ];
    for (digest, value, good) in table {
        let mut main_cf = "smtp_tls_security_level = fingerprint\n".to_owned();
        let _ = writeln!(main_cf, "smtp_tls_fingerprint_digest = {digest}");
        let _ = writeln!(main_cf, "smtp_tls_fingerprint_cert_match = {value}");
        let (found, _) = deliver(&dir, &server, &main_cf);
        assert_eq!(
            found,
            if good { "sent 2.0.0" } else { "deferred 4.7.5" },
            "{digest} {value}"
        );
    }
}

#[test]
fn fingerprint_without_any_fingerprint_is_a_mistake() {
    let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
    let outcome = world.deliver("smtp_tls_security_level = fingerprint\n");
    assert_eq!(brief(&outcome), "deferred 4.7.5");
    assert_eq!(outcome.text, "client TLS configuration problem");
    assert!(world.past.is_empty());
    assert!(world.noted("but with no fingerprints to match"));
}

#[test]
fn a_trust_anchor_file_takes_the_place_of_the_authorities() {
    let (ca, anchor) = (Authority::new("ca"), Authority::new("anchor"));
    let between = Authority::below("between", &anchor);
    let server = between.issue(&["mx1.example.net"]).with_chain(&[&between]);
    let old = anchor.issue_with(&["mx1.example.net"], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let dir = folder(&ca);
    let table: Vec<(&str, String, &Identity, bool)> = vec![
        ("the root", pem("CERTIFICATE", &anchor.der), &server, true),
        (
            "the one below",
            pem("CERTIFICATE", &between.der),
            &server,
            true,
        ),
        (
            "the server itself",
            pem("CERTIFICATE", server.certificate()),
            &server,
            true,
        ),
        (
            "the root's key",
            pem("PUBLIC KEY", &anchor.key),
            &server,
            true,
        ),
        (
            "the key of the one below",
            pem("PUBLIC KEY", &between.key),
            &server,
            true,
        ),
        (
            "the server's key",
            pem("PUBLIC KEY", &server.public),
            &server,
            true,
        ),
        ("somebody else", pem("CERTIFICATE", &ca.der), &server, false),
        (
            "an old server's root",
            pem("CERTIFICATE", &anchor.der),
            &old,
            false,
        ),
        (
            "an old server itself",
            pem("CERTIFICATE", old.certificate()),
            &old,
            true,
        ),
    ];
    for (what, file, server, good) in table {
        fs::write(dir.path().join("ta.pem"), file).unwrap();
        let main_cf = format!("{VERIFY}smtp_tls_trust_anchor_file = ta.pem\n");
        let (found, world) = deliver(&dir, server, &main_cf);
        assert_eq!(
            found,
            if good { "sent 2.0.0" } else { "deferred 4.7.5" },
            "{what}: {:?}",
            world.notes
        );
    }
}

#[test]
fn a_trusted_certificate_is_called_so_where_none_is_demanded() {
    let ca = Authority::new("ca");
    let dir = folder(&ca);
    let main_cf =
        "smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = may\nsmtp_tls_loglevel = 1\n";
    for (server, word) in [
        (
            ca.issue(&["elsewhere.example"]),
            "Trusted TLS connection established",
        ),
        (
            self_signed(&["mx1.example.net"]),
            "Untrusted TLS connection established",
        ),
    ] {
        let (found, world) = deliver(&dir, &server, main_cf);
        assert_eq!(found, "sent 2.0.0");
        assert!(
            world.notes.iter().any(|note| note.starts_with(word)),
            "{:?}",
            world.notes
        );
        assert!(!world.noted("certificate verification failed"));
    }
}

#[test]
fn the_name_to_ask_for_is_what_the_settings_say() {
    let server = self_signed(&["x.example"]);
    let table = [
        ("", None),
        ("smtp_tls_servername = hostname\n", Some("mx1.example.net")),
        ("smtp_tls_servername = nexthop\n", Some("example.com")),
        (
            "smtp_tls_servername = special.example\n",
            Some("special.example"),
        ),
    ];
    for (setting, sni) in table {
        let mut world = World::new(Offer::StartTls(server.server()));
        let outcome = world.deliver(&format!("smtp_tls_security_level = encrypt\n{setting}"));
        assert_eq!(brief(&outcome), "sent 2.0.0", "{setting}");
        assert_eq!(world.past[0].sni.as_deref(), sni, "{setting}");
    }
    let mut world = World::new(Offer::StartTls(server.server()));
    let outcome = world.deliver("smtp_tls_security_level = encrypt\nsmtp_tls_servername = -x-\n");
    assert_eq!(
        (brief(&outcome).as_str(), world.past.len()),
        ("deferred 4.7.5", 0)
    );
}

#[test]
fn what_is_odd_about_a_policy_is_noted_also_where_the_handshake_cannot_begin() {
    // A name that mail servers can have, and TLS cannot ask for.
    let mx = RecordData::Mx {
        preference: 10,
        host: "mx.1".into(),
    };
    let address = RecordData::A("192.0.2.1".parse().unwrap());
    let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()))
        .with(QueryKind::Mx, "example.com", Entry::Signed(vec![mx]))
        .with(QueryKind::A, "mx.1", Entry::Signed(vec![address]));
    let outcome = world.deliver(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = .:nexthop\n\
         smtp_tls_servername = hostname\n",
    );
    assert_eq!(brief(&outcome), "deferred 4.7.5");
    let first = "mx.1[192.0.2.1]:25: ignoring invalid match name: \".\"";
    let then = "error setting SNI hostname to: mx.1";
    assert_eq!(world.notes[..2], [first, then], "{:?}", world.notes);
}
