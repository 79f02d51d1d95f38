//! The fetch against a web server on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use runtime_tests::web::{Web, answer};
use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};

const HOST: &str = "mta-sts.example.com";
const POLICY: &str = "version: STSv1\nmode: none\nmax_age: 1\n";

/// A server for one request, with a certificate of this name, and the request to make of it.
fn serve(name: &str, answer: String) -> (PolicyFetch, Web) {
    let web = Web::start(name, answer);
    let request = PolicyFetch {
        domain: "example.com".into(),
        id: "1".into(),
        host: HOST.into(),
        path: "/.well-known/mta-sts.txt",
        addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port: web.port,
        limit: Duration::from_secs(20),
        size: 64 * 1024,
        authorities: Arc::new(vec![web.authority.clone()]),
    };
    (request, web)
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
        age: Duration::ZERO,
    };
    assert_eq!(sts_fetch::fetch(&request), Ok(expected));
    let heard = server.heard().unwrap();
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
        age: Duration::ZERO,
    };
    assert_eq!(sts_fetch::fetch(&request), Ok(expected));
    server.heard();
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
        assert_eq!(server.heard(), None);
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read_to_its_end() {
    let at_limit = "x".repeat(64 * 1024);
    let (request, server) = serve(HOST, answer("200 OK", "", &at_limit));
    let fetched = sts_fetch::fetch(&request).unwrap();
    assert_eq!(fetched.body.len(), 64 * 1024);
    server.heard();
    let beyond = format!("{at_limit}x");
    let (request, server) = serve(HOST, answer("200 OK", "", &beyond));
    assert_eq!(sts_fetch::fetch(&request), Err(FetchError::TooLarge));
    server.heard();
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
    server.heard();
}

#[test]
fn a_file_is_sent_and_the_status_is_told() {
    let (request, server) = serve("reports.example", answer("201 Created", "", ""));
    let upload = sts_fetch::Upload {
        host: "reports.example".into(),
        port: request.port,
        path: "/v1?domain=example.com".into(),
        addresses: request.addresses,
        content_type: "application/tlsrpt+gzip",
        body: "x".into(),
        limit: Duration::from_secs(20),
        authorities: request.authorities,
    };
    assert_eq!(sts_fetch::post(&upload), Ok(201));
    let heard = server.heard().unwrap();
    let first = "POST /v1?domain=example.com HTTP/1.1\r\n";
    assert!(heard.starts_with(first), "{heard}");
    let heard = heard.to_ascii_lowercase();
    for field in [
        "content-type: application/tlsrpt+gzip\r\n",
        "content-length: 1\r\n",
    ] {
        assert!(heard.contains(field), "{heard}");
    }
}
