//! Tests of the words on TLS in reports: how mail went, and why TLS failed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{MESSAGE, Run, folder, run_with_input, write};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::{Value, json};

/// The alert `handshake_failure` in a record of TLS 1.2.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// The behaviour of a server about TLS.
#[derive(Clone)]
enum Tls {
    /// Starts it with this certificate.
    Start(Arc<ServerConfig>),
    /// Answers the handshake with an alert.
    Alert,
    /// Does not want to start what it offers.
    Refuse,
}

/// A certificate for these names in PEM, and a server that has it.
fn certificate(name: &str) -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            private,
        )
        .unwrap();
    let body = STANDARD.encode(certificate.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    (pem, Arc::new(config))
}

/// Starts a server, and returns the next hop that leads there.
fn serve(tls: Tls) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = tls.clone();
            thread::spawn(move || session(stream.unwrap(), &tls));
        }
    });
    nexthop
}

fn session(mut stream: TcpStream, tls: &Tls) {
    stream.write_all(b"220 mx.example ESMTP\r\n").unwrap();
    if !talk(&mut stream, Some(tls)) {
        return;
    }
    match tls {
        Tls::Start(config) => {
            let server = ServerConnection::new(Arc::clone(config)).unwrap();
            talk(&mut StreamOwned::new(server, stream), None);
        }
        Tls::Alert => {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&ALERT);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        Tls::Refuse => {}
    }
}

/// Answers commands; true when TLS is to begin.
fn talk<S: Read + Write>(stream: &mut S, offer: Option<&Tls>) -> bool {
    let mut in_text = false;
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return false,
            }
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let reply = match line.split([' ', ':']).next().unwrap_or_default() {
            "." if in_text => {
                in_text = false;
                "250 2.0.0 taken"
            }
            _ if in_text => continue,
            "EHLO" if offer.is_some() => "250-mx.example\r\n250 STARTTLS",
            "STARTTLS" if matches!(offer, Some(Tls::Refuse)) => "454 4.7.0 no key at hand",
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").unwrap();
                return true;
            }
            "DATA" => {
                in_text = true;
                "354 go on"
            }
            "QUIT" => return false,
            _ => "250 fine",
        };
        let _ = stream.write_all(format!("{reply}\r\n").as_bytes());
    }
}

/// Delivers there at a level, with further settings, and shows the report as text and as
/// JSON.
fn deliver(nexthop: &str, settings: &[&str], exit: i32) -> (Run, Value) {
    let mut args = vec![
        "deliver",
        "--nexthop",
        nexthop,
        "--from",
        "a@x",
        "--to",
        "b@x",
    ];
    settings
        .iter()
        .for_each(|setting| args.extend(["-o", setting]));
    let text = run_with_input(&args, MESSAGE.as_bytes()).exits(exit);
    args.extend(["--report", "json"]);
    let json = run_with_input(&args, MESSAGE.as_bytes()).exits(exit);
    let tls = json.report()["requests"][0]["recipients"][0]["tls"].clone();
    (text, tls)
}

#[test]
fn mail_that_was_sent_says_how_it_went_and_whether_to_the_right_server() {
    let (pem, config) = certificate("mx.example");
    let folder = folder();
    let file = write(&folder, "mx.pem", pem);
    let nexthop = serve(Tls::Start(config));
    let trusted = format!("smtp_tls_CAfile={file}");

    let (text, tls) = deliver(&nexthop, &["smtp_tls_security_level=encrypt"], 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, not verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    let row = "\n  TLS        TLS_AES_256_GCM_SHA384, self-signed certificate\n";
    assert!(text.stdout.contains(row), "{text:#?}");
    let expected = json!({
        "established": true, "error": null, "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384", "bits": 256, "trust": "Untrusted",
        "problem": "self-signed certificate",
    });
    assert_eq!(tls, expected);

    let verify = [
        "smtp_tls_security_level=verify",
        "smtp_tls_verify_cert_match=mx.example",
        &trusted,
    ];
    let (text, tls) = deliver(&nexthop, &verify, 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    assert_eq!(
        (&tls["trust"], &tls["problem"]),
        (&json!("Verified"), &Value::Null)
    );

    let may = ["smtp_tls_security_level=may", trusted.as_str()];
    let (text, tls) = deliver(&nexthop, &may, 0);
    let verdict = "<b@x>: sent (2.0.0, TLSv1.3, trusted issuer, not verified)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    assert_eq!(tls["trust"], "Trusted");
}

#[test]
fn a_failure_of_tls_has_its_reason() {
    let (pem, config) = certificate("mx.example");
    let folder = folder();
    let file = write(&folder, "mx.pem", pem);
    let trusted = format!("smtp_tls_CAfile={file}");
    let nexthop = serve(Tls::Start(config));
    let encrypt = "smtp_tls_security_level=encrypt";
    let verify = "smtp_tls_security_level=verify";
    let wrong = "smtp_tls_verify_cert_match=other.example";
    let names = "hostname mismatch: the certificate is for mx.example";
    let unverified = "Server certificate not verified";
    let table = [
        (
            serve(Tls::Alert),
            vec![encrypt],
            "Cannot start TLS",
            "failed: alert: handshake failure",
        ),
        (
            nexthop.clone(),
            vec![verify],
            unverified,
            "self-signed certificate",
        ),
        (nexthop, vec![verify, wrong, &trusted], unverified, names),
    ];
    for (nexthop, settings, reason, why) in table {
        let (text, tls) = deliver(&nexthop, &settings, 75);
        let words = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("reason {reason}")), "{text:#?}");
        assert!(words.contains(why), "{why}: {text:#?}");
        let told = [&tls["error"], &tls["problem"]].map(|text| text.as_str().unwrap_or_default());
        assert!(why.ends_with(&told.concat()), "{why}: {tls}");
        assert!(!told.concat().is_empty(), "{why}: {tls}");
    }
}

#[test]
fn mail_that_went_in_plaintext_although_tls_was_offered_says_why() {
    let nexthop = serve(Tls::Refuse);
    let (text, tls) = deliver(&nexthop, &["smtp_tls_security_level=may"], 0);
    let why = "STARTTLS was refused: 454 4.7.0 no key at hand";
    let verdict = "<b@x>: sent (2.0.0, plaintext)\n";
    assert!(text.stdout.starts_with(verdict), "{text:#?}");
    let row = format!("  TLS        not used: {why}\n");
    assert!(text.stdout.contains(&row), "{text:#?}");
    assert_eq!(
        (&tls["established"], &tls["error"]),
        (&json!(false), &json!(why))
    );
}
