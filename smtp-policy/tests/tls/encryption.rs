//! Tests of the words of a verdict on the encryption of its connection.

use std::{fs, time::Duration};

use rcgen::date_time_ymd;
use smtp_policy::{
    report::{Encryption, Outcome},
    tls::Trust,
};
use tempfile::TempDir;

use crate::{
    certificates::{Authority, pem, self_signed},
    server::Offer,
    world::{World, brief},
};

/// Trust and problem of the one connection, whose version and cipher are as expected.
fn tls(outcome: &Outcome) -> (Trust, Option<&str>) {
    let Some(Encryption::Tls(tls)) = &outcome.encryption else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (tls.version, tls.cipher.as_str(), tls.bits),
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
    );
    (tls.trust, tls.problem.as_deref())
}

/// Why there was none.
fn failure(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome.encryption.as_ref().unwrap() {
        Encryption::Plaintext { instead } => ("plaintext", instead.as_deref()),
        Encryption::Failed(why) => ("failed", Some(why)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mail_that_went_out_encrypted_says_how_and_whether_the_server_was_verified() {
    let ca = Authority::new("ca");
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    let right = || Offer::StartTls(ca.issue(&["mx1.example.net"]).server());
    let table = [
        ("verify", right(), Trust::Verified, None),
        ("may", right(), Trust::Trusted, None),
        (
            "encrypt",
            Offer::StartTls(self_signed(&["x.example"]).server()),
            Trust::Untrusted,
            Some("self-signed certificate"),
        ),
    ];
    for (level, offer, trust, problem) in table {
        let main_cf = format!("smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = {level}\n");
        let outcome = World::new(offer).deliver_in(dir.path(), &main_cf);
        assert_eq!(brief(&outcome), "sent 2.0.0", "{level}");
        assert_eq!(tls(&outcome), (trust, problem), "{level}");
    }
}

#[test]
fn a_certificate_that_is_not_the_right_one_says_why() {
    let ca = Authority::new("ca");
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    let old = ca.issue_with(&["mx1.example.net"], |params| {
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let many = [
        "a.example",
        "b.example",
        "c\u{7f}.example",
        "d.example",
        "e.example",
        "f.example",
    ];
    let table = [
        (
            ca.issue(&["x.example", "y.example"]),
            "hostname mismatch: the certificate is for x.example, y.example",
        ),
        (
            ca.issue(&many),
            "hostname mismatch: the certificate is for a.example, b.example, c?.example, \
             f.example and 2 more",
        ),
        (old, "certificate has expired"),
        (self_signed(&["mx1.example.net"]), "self-signed certificate"),
    ];
    for (server, problem) in table {
        let main_cf = "smtp_tls_CAfile = ca.pem\nsmtp_tls_security_level = verify\n";
        let mut world = World::new(Offer::StartTls(server.server()));
        let outcome = world.deliver_in(dir.path(), main_cf);
        assert_eq!(outcome.text, "Server certificate not verified");
        assert_eq!(tls(&outcome).1, Some(problem));
    }
}

#[test]
fn a_handshake_that_failed_says_why() {
    let old = self_signed(&["x.example"]).server_with(&[&rustls::version::TLS12], None);
    let table = [
        (Offer::Stall, "timed out"),
        (Offer::Close, "lost connection"),
        (Offer::Garbage, "received corrupt message"),
        (Offer::StartTls(old), "alert: protocol version"),
    ];
    for (offer, why) in table {
        let outcome = World::new(offer).deliver(
            "smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = >=TLSv1.3\n",
        );
        assert_eq!(outcome.text, "Cannot start TLS: handshake failure");
        let (kind, found) = failure(&outcome);
        assert_eq!(kind, "failed", "{why}");
        assert!(found.unwrap().starts_with(why), "{why}: {found:?}");
    }
}

#[test]
fn mail_that_went_out_in_plaintext_says_why_where_tls_was_offered() {
    let refused = "STARTTLS was refused: 454 4.7.0 later";
    let table = [
        (Offer::Nothing, None),
        (Offer::Refuse("454 4.7.0 later"), Some(refused)),
        (Offer::Stall, Some("timed out")),
    ];
    for (offer, why) in table {
        let mut world = World::new(offer);
        world.age = Duration::from_secs(1000);
        let outcome = world.deliver("smtp_tls_security_level = may\n");
        assert_eq!(brief(&outcome), "sent 2.0.0");
        assert_eq!(failure(&outcome), ("plaintext", why));
    }
}

#[test]
fn without_a_connection_there_is_nothing_to_say() {
    let mut world = World::new(Offer::Nothing);
    world.servers.clear();
    assert_eq!(world.deliver("").encryption, None);
}

#[test]
fn a_kept_connection_is_encrypted_as_it_was() {
    let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
    let main_cf = "smtp_tls_security_level = encrypt\nsmtp_tls_connection_reuse = yes\n\
                   smtp_connection_cache_destinations = example.com\n";
    let first = world.deliver(main_cf);
    let again = world.deliver(main_cf);
    assert_eq!((world.connects, again.connection_uses), (1, 2));
    assert_eq!(tls(&again), tls(&first));
}
