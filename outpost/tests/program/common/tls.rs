//! Servers of the tests that speak TLS.

#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// The alert `handshake_failure` in a record of TLS 1.2.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// The behaviour of a server about TLS.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Starts it with this certificate.
    Start(Arc<ServerConfig>),
    /// Answers the handshake with an alert.
    Alert,
    /// Does not want to start what it offers.
    Refuse,
}

/// A certificate for this name in PEM, and a server that has it.
pub(crate) fn certificate(name: &str) -> (String, Arc<ServerConfig>) {
    with(CertificateParams::new(vec![name.to_owned()]).unwrap())
}

/// The same with a certificate that ends so many days from now.
pub(crate) fn certificate_for_days(name: &str, days: i64) -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    // Half a day more, so that the tests have time.
    let hours = u64::try_from(24 * days + 12).unwrap();
    params.not_after = (SystemTime::now() + Duration::from_secs(3600 * hours)).into();
    with(params)
}

fn with(params: CertificateParams) -> (String, Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
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
pub(crate) fn serve(tls: Tls) -> String {
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
