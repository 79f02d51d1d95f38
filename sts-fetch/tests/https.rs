//! The fetch against a web server on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

const HOST: &str = "mta-sts.example.com";
const POLICY: &str = "version: STSv1\nmode: none\nmax_age: 1\n";

/// A server for one request, with a certificate of this name. Gives the request to
/// make and, in the end, what was asked of it.
fn serve(name: &str, answer: String) -> (PolicyFetch, thread::JoinHandle<String>) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => return "no request".to_owned(),
            }
        }
        let _ = stream.write_all(answer.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
        String::from_utf8(request).unwrap()
    });
    let request = PolicyFetch {
        host: HOST.into(),
        path: "/.well-known/mta-sts.txt",
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port,
        limit: Duration::from_secs(20),
        size: 64 * 1024,
        authorities: Arc::new(vec![authority.der().to_vec()]),
    };
    (request, server)
}

fn answer(status: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}\r\n{body}")
}

#[test]
fn a_policy_comes_with_status_and_content_type() {
    let (request, server) = serve(
        HOST,
        answer("200 OK", "Content-Type: text/plain\r\n", POLICY),
    );
    let expected = Fetched {
        status: 200,
        content_type: "text/plain".into(),
        body: POLICY.into(),
    };
    assert_eq!(sts_fetch::fetch(&request), Ok(expected));
    let heard = server.join().unwrap();
    assert!(
        heard.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"),
        "{heard}"
    );
    let host = format!("host: {HOST}:{}\r\n", request.port);
    assert!(heard.to_ascii_lowercase().contains(&host), "{heard}");
}

#[test]
fn a_redirect_is_an_answer_like_any_other() {
    let elsewhere = "Location: https://localhost/policy\r\n";
    let (request, server) = serve(HOST, answer("301 Moved", elsewhere, ""));
    let expected = Fetched {
        status: 301,
        content_type: String::new(),
        body: "".into(),
    };
    assert_eq!(sts_fetch::fetch(&request), Ok(expected));
    server.join().unwrap();
}

#[test]
fn the_certificate_must_be_for_the_host_and_of_a_known_authority() {
    for stranger in [false, true] {
        let name = if stranger { HOST } else { "www.example.com" };
        let (mut request, server) = serve(name, answer("200 OK", "", POLICY));
        if stranger {
            request.authorities = Arc::default();
        }
        let failure = sts_fetch::fetch(&request).unwrap_err();
        assert!(matches!(failure, FetchError::Certificate(_)), "{failure:?}");
        assert_eq!(server.join().unwrap(), "no request");
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read_to_its_end() {
    let at_limit = "x".repeat(64 * 1024);
    let (request, server) = serve(HOST, answer("200 OK", "", &at_limit));
    let fetched = sts_fetch::fetch(&request).unwrap();
    assert_eq!(fetched.body.len(), 64 * 1024);
    server.join().unwrap();
    let beyond = format!("{at_limit}x");
    let (request, server) = serve(HOST, answer("200 OK", "", &beyond));
    assert_eq!(sts_fetch::fetch(&request), Err(FetchError::TooLarge));
    server.join().unwrap();
}

#[test]
fn silence_and_closed_doors_are_failures() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (mut request, server) = serve("unused", String::new());
    let unused = request.port;
    request.port = listener.local_addr().unwrap().port();
    request.limit = Duration::from_millis(50);
    assert_eq!(sts_fetch::fetch(&request), Err(FetchError::TimedOut));
    drop(listener);
    request.limit = Duration::from_secs(20);
    assert!(matches!(
        sts_fetch::fetch(&request),
        Err(FetchError::Other(_))
    ));
    request.addresses.clear();
    assert!(matches!(
        sts_fetch::fetch(&request),
        Err(FetchError::Other(_))
    ));
    // Lets the server that was not needed go.
    drop(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, unused)));
    server.join().unwrap();
}
