//! Logins that are bound to the TLS connection, against a server that takes SCRAM at
//! its word.

use std::{cell::RefCell, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use rustls::{ServerConfig, version};
use sha2::{Digest, Sha256};
use smtp_policy::report::Outcome;

use crate::{
    certificates::{Identity, self_signed},
    server::Offer,
    world::{World, brief},
};

const PASSWORD: &[u8] = b"swordfish";
const SALT: &[u8] = b"NaCl";

thread_local! {
    /// What the server believes its certificate to be; empty in TLS 1.3.
    static CERTIFICATE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// What the server has read in `c=`.
    static HEADER: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether the server can be bound, and so takes a `y` for a trick.
    static BINDS: RefCell<bool> = const { RefCell::new(true) };
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

fn decoded(word: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(word).unwrap()
}

fn text(word: &str) -> String {
    String::from_utf8(decoded(word)).unwrap()
}

/// The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS.
pub fn answer(heard: &[String], keys: &[u8; 32]) -> String {
    let words: Vec<&str> = heard[0].split(' ').collect();
    let first = text(words[2]);
    let mut parts = first.splitn(3, ',');
    let (flag, _, bare) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    let nonce = bare.split("r=").nth(1).unwrap();
    let salt = BASE64_STANDARD.encode(SALT);
    let server_first = format!("r={nonce}SERVER,s={salt},i=4096");
    let fine = match flag.strip_prefix("p=") {
        Some(_) => words[1].ends_with("-PLUS"),
        None => flag == "n" || (flag == "y" && !BINDS.with_borrow(|binds| *binds)),
    };
    if !fine {
        return "535 5.7.8 server does support channel binding".into();
    }
    match heard.len() {
        1 => format!("334 {}", BASE64_STANDARD.encode(server_first)),
        2 => {
            let last = text(&heard[1]);
            let (unproven, proof) = last.split_once(",p=").unwrap();
            let bound = decoded(
                unproven
                    .split(',')
                    .next()
                    .unwrap()
                    .strip_prefix("c=")
                    .unwrap(),
            );
            HEADER.set(String::from_utf8_lossy(&bound).into_owned());
            let own = CERTIFICATE.with_borrow(|der| match flag {
                "p=tls-exporter" => keys.to_vec(),
                "p=tls-server-end-point" => Sha256::digest(der).to_vec(),
                _ => Vec::new(),
            });
            if bound != [format!("{flag},,").as_bytes(), &own].concat() {
                return format!(
                    "334 {}",
                    BASE64_STANDARD.encode("e=channel-bindings-dont-match")
                );
            }
            let mut salted = [0; 32];
            pbkdf2_hmac::<Sha256>(PASSWORD, SALT, 4096, &mut salted);
            let messages = format!("{bare},{server_first},{unproven}");
            let client_key = hmac(&salted, "Client Key");
            let mask = hmac(&Sha256::digest(&client_key), &messages);
            let proof: Vec<u8> = decoded(proof)
                .iter()
                .zip(mask)
                .map(|(a, b)| a ^ b)
                .collect();
            assert_eq!(proof, client_key, "the proof");
            let signature = hmac(&hmac(&salted, "Server Key"), &messages);
            let signature = BASE64_STANDARD.encode(signature);
            format!("334 {}", BASE64_STANDARD.encode(format!("v={signature}")))
        }
        _ => "235 2.7.0 welcome".into(),
    }
}

fn deliver(config: Arc<ServerConfig>, mechanisms: &'static str, main_cf: &str) -> (Outcome, World) {
    let mut world = World::new(Offer::Login(config, mechanisms));
    let outcome = world.deliver(&format!(
        "smtp_tls_security_level = encrypt\nsmtp_sasl_auth_enable = yes\n\
         smtp_sasl_password_maps = static:bob:swordfish\n\
         smtp_sasl_tls_security_options = mutual_auth\n{main_cf}"
    ));
    (outcome, world)
}

fn server(
    identity: &Identity,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    CERTIFICATE.set(identity.certificate().to_vec());
    identity.server_with(&[version], None)
}

#[test]
fn a_login_is_bound_to_the_connection_by_what_the_version_has() {
    let identity = self_signed(&["mx1.example.net"]);
    let rows = [
        (&version::TLS13, "p=tls-exporter,,"),
        (&version::TLS12, "p=tls-server-end-point,,"),
    ];
    for (version, header) in rows {
        let offered = "PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        let (outcome, world) = deliver(server(&identity, version), offered, "");
        assert_eq!(brief(&outcome), "sent 2.0.0", "{}", outcome.text);
        let auth = &world.past[0].secret[1];
        assert!(auth.starts_with("AUTH SCRAM-SHA-256-PLUS "), "{auth}");
        HEADER.with_borrow(|bound| assert!(bound.starts_with(header), "{bound}"));
    }
}

#[test]
fn somebody_in_between_is_found_out() {
    // The client speaks TLS with somebody else, whose certificate is another one.
    let config = server(&self_signed(&["mx1.example.net"]), &version::TLS12);
    CERTIFICATE.set(self_signed(&["mx1.example.net"]).certificate().to_vec());
    let (outcome, world) = deliver(config, "SCRAM-SHA-256-PLUS", "");
    assert_eq!(brief(&outcome), "deferred 4.7.0");
    assert!(
        outcome
            .text
            .starts_with("SASL authentication failed; cannot authenticate")
    );
    assert!(!world.mail().1);
}

#[test]
fn a_client_that_could_be_bound_says_so_to_a_server_that_seems_unable() {
    let identity = self_signed(&["mx1.example.net"]);
    // Whoever is in between has taken the name out of the list.
    BINDS.set(true);
    let (outcome, _) = deliver(server(&identity, &version::TLS13), "SCRAM-SHA-256", "");
    assert_eq!(brief(&outcome), "deferred 4.7.8", "{}", outcome.text);
    BINDS.set(false);
    let (outcome, _) = deliver(server(&identity, &version::TLS13), "SCRAM-SHA-256", "");
    assert_eq!(brief(&outcome), "sent 2.0.0", "{}", outcome.text);
    HEADER.with_borrow(|bound| assert_eq!(bound, "y,,"));
    // The filter has it out: that is no reason for suspicion.
    BINDS.set(true);
    let filter = "smtp_sasl_mechanism_filter = scram-sha-256\n";
    let offered = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let (outcome, _) = deliver(server(&identity, &version::TLS13), offered, filter);
    assert_eq!(brief(&outcome), "sent 2.0.0", "{}", outcome.text);
    HEADER.with_borrow(|bound| assert_eq!(bound, "n,,"));
}

#[test]
fn nothing_of_a_binding_is_shown() {
    let identity = self_signed(&["mx1.example.net"]);
    let loud = "debug_peer_list = 192.0.2.1\nnotify_classes = protocol\n";
    let offered = "SCRAM-SHA-256-PLUS";
    let (outcome, world) = deliver(server(&identity, &version::TLS13), offered, loud);
    let heard = world.past[0].secret.join("\n");
    let shown = format!("{outcome:?} {:?} {:?}", world.notes, world.cache);
    assert!(shown.contains("AUTH SCRAM-SHA-256-PLUS"), "{shown}");
    for line in heard.lines().skip(1).take(3) {
        let said = line.rsplit(' ').next().unwrap();
        assert!(said.is_empty() || !shown.contains(said), "{said}");
    }
    assert!(
        !shown.contains("swordfish") && !shown.contains("bob"),
        "{shown}"
    );
}
