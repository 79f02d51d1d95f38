//! Files of certificates and keys: what is shown to the server, and what happens
//! when a file is no good.

use std::fs;

use tempfile::TempDir;

use crate::{
    certificates::{Authority, pem, self_signed},
    server::Offer,
    world::{World, brief, policy},
};

#[test]
fn the_client_shows_its_certificate_when_it_is_asked() {
    let ca = Authority::new("clients");
    let own = ca.issue(&["client.example"]);
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    let (certificate, key) = (
        pem("CERTIFICATE", own.certificate()),
        pem("PRIVATE KEY", &own.private),
    );
    write("cert.pem", certificate.clone());
    write("key.pem", key.clone());
    write("cert-key.pem", format!("{certificate}{key}"));
    write("key-cert.pem", format!("{key}{certificate}"));
    let table = [
        "smtp_tls_cert_file = cert.pem\nsmtp_tls_key_file = key.pem\n",
        "smtp_tls_cert_file = cert-key.pem\n",
        "smtp_tls_eccert_file = cert.pem\nsmtp_tls_eckey_file = key.pem\n",
        "smtp_tls_chain_files = key-cert.pem\n",
        "smtp_tls_chain_files = key.pem, cert.pem\nsmtp_tls_cert_file = /no/such/file\n",
    ];
    let server = self_signed(&["x.example"]);
    for setting in table {
        for versions in [[&rustls::version::TLS13], [&rustls::version::TLS12]] {
            let config = server.server_with(&versions, Some(&ca));
            let mut world = World::new(Offer::StartTls(config));
            let main_cf = format!("smtp_tls_security_level = encrypt\n{setting}");
            assert_eq!(
                brief(&world.deliver_in(dir.path(), &main_cf)),
                "sent 2.0.0",
                "{setting}"
            );
            assert_eq!(
                world.past[0].client.as_deref(),
                Some(own.certificate()),
                "{setting}"
            );
        }
    }
}

#[test]
fn files_that_cannot_be_used_turn_tls_off_and_are_named() {
    let (one, other) = (
        self_signed(&["one.example"]),
        self_signed(&["other.example"]),
    );
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("cert.pem", &pem("CERTIFICATE", one.certificate()));
    write("other.key", &pem("PRIVATE KEY", &other.private));
    write("empty.pem", "");
    write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n",
    );
    let table = [
        (
            "smtp_tls_CAfile = missing.pem",
            "smtp_tls_CAfile: missing.pem: No such file",
        ),
        (
            "smtp_tls_CAfile = empty.pem",
            "smtp_tls_CAfile: empty.pem: no certificate",
        ),
        (
            "smtp_tls_CAfile = broken.pem",
            "smtp_tls_CAfile: broken.pem: ",
        ),
        (
            "smtp_tls_CAfile = /dev/zero",
            "smtp_tls_CAfile: /dev/zero: more than 67108864 bytes",
        ),
        (
            "smtp_tls_chain_files = /dev/full",
            "smtp_tls_chain_files: /dev/full: more than 67108864 bytes",
        ),
        (
            "smtp_tls_CApath = missing",
            "smtp_tls_CApath: missing: No such file",
        ),
        (
            "smtp_tls_cert_file = cert.pem",
            "smtp_tls_key_file: cert.pem: no private key",
        ),
        (
            "smtp_tls_cert_file = cert.pem\nsmtp_tls_key_file = other.key",
            "cannot use the key in other.key",
        ),
        (
            "smtp_tls_chain_files = cert.pem",
            "smtp_tls_chain_files: cert.pem: a certificate without",
        ),
        (
            "smtp_tls_chain_files = other.key",
            "smtp_tls_chain_files: other.key: a private key without",
        ),
    ];
    let server = self_signed(&["x.example"]);
    for (setting, warning) in table {
        for (level, expected, mail) in [
            ("may", "sent 2.0.0", (true, false)),
            ("encrypt", "deferred 4.7.5", (false, false)),
        ] {
            let main_cf = format!("smtp_tls_security_level = {level}\n{setting}\n");
            let policy = policy(dir.path(), &main_cf);
            let found = policy
                .warnings()
                .iter()
                .any(|found| found.contains(warning) && found.ends_with(": disabling TLS support"));
            assert!(found, "{setting}: {:?}", policy.warnings());
            let mut world = World::new(Offer::StartTls(server.server()));
            let outcome = world.deliver_by(policy);
            assert_eq!(brief(&outcome), expected, "{setting}");
            assert_eq!(world.mail(), mail, "{setting}");
            if level == "encrypt" {
                assert_eq!(
                    outcome.text,
                    "TLS is required, but our TLS engine is unavailable"
                );
            }
        }
    }
}

#[test]
fn authorities_are_read_from_a_folder_too() {
    let ca = Authority::new("ca");
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("certs")).unwrap();
    fs::write(dir.path().join("certs/0.crl"), "nothing of use").unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("certs/2.pem")).unwrap();
    fs::write(dir.path().join("certs/1.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    let server = ca.issue(&["mx1.example.net"]);
    let mut world = World::new(Offer::StartTls(server.server()));
    let main_cf = "smtp_tls_security_level = verify\nsmtp_tls_CApath = certs\n";
    assert_eq!(brief(&world.deliver_in(dir.path(), main_cf)), "sent 2.0.0");
}

#[test]
fn a_trust_anchor_file_that_is_no_good_makes_the_policy_so() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("empty.pem"), "").unwrap();
    for file in ["missing.pem", "empty.pem", "/dev/zero"] {
        let main_cf =
            format!("smtp_tls_security_level = verify\nsmtp_tls_trust_anchor_file = {file}\n");
        let mut world = World::new(Offer::StartTls(self_signed(&["x.example"]).server()));
        let outcome = world.deliver_in(dir.path(), &main_cf);
        assert_eq!(brief(&outcome), "deferred 4.7.5");
        assert_eq!(
            (outcome.text.as_str(), world.past.len()),
            ("client TLS configuration problem", 0)
        );
        assert!(world.noted(file), "{:?}", world.notes);
    }
}
