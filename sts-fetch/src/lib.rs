//! Fetches an MTA-STS policy over HTTPS (RFC 8461 section 3.3): the answer to
//! [`Ask::Fetch`](smtp_policy::delivery::Ask::Fetch) for every runtime. The call
//! waits, hence each runtime makes it where waiting does no harm.
//!
//! ```no_run
//! use smtp_policy::sts::{PolicyFetch, StsPolicy};
//!
//! /// What a runtime does with the request that a delivery hands it.
//! fn policy(request: &PolicyFetch) -> Result<StsPolicy, Box<dyn std::error::Error>> {
//!     let answer = sts_fetch::fetch(request)?;
//!     Ok(StsPolicy::from_answer(&answer)?)
//! }
//! ```
//!
//! It is no general web client: one GET, or one POST for a report about TLS (RFC 8460), to addresses that
//! are given, to a host whose certificate must be valid, without redirects, proxies, cookies or compression.
//! What the answer means is for others to say.

#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rustls::crypto::{CryptoProvider, ring};
use smtp_policy::sts::{FetchError, Fetched, PolicyFetch};
use ureq::{
    Agent, Error,
    config::Config,
    http::{Uri, header::CONTENT_TYPE},
    tls::{Certificate, RootCerts, TlsConfig},
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

/// Fetches one policy, and waits for it.
///
/// # Errors
/// There is no answer. An answer with another status than 200 is one.
pub fn fetch(request: &PolicyFetch) -> Result<Fetched, FetchError> {
    let config = config(request.limit, &request.authorities);
    let agent = agent(config, &request.addresses, request.port);
    let url = url(&request.host, request.port, request.path);
    let mut answer = agent.get(&url).call().map_err(|error| failure(&error))?;
    let content_type = answer.headers().get(CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = content_type.unwrap_or_default().into_owned();
    let size = u64::try_from(request.size).unwrap_or(u64::MAX);
    let body = answer.body_mut().with_config().limit(size).read_to_vec();
    Ok(Fetched {
        status: answer.status().as_u16(),
        content_type,
        body: Bytes::from(body.map_err(|error| failure(&error))?),
        age: std::time::Duration::ZERO,
    })
}

/// A file that is to be sent to a web server over HTTPS. The server's certificate must be valid for the host, and
/// redirects are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The host, in A-labels.
    pub host: String,
    /// The port: 443 unless the address says otherwise.
    pub port: u16,
    /// The path on the host with its slash, and the query if there is one.
    pub path: String,
    /// The addresses of the host, at least one; they are tried in this order.
    pub addresses: Vec<IpAddr>,
    /// The `Content-Type` of the file.
    pub content_type: &'static str,
    /// The file.
    pub body: Bytes,
    /// The time that it may take altogether.
    pub limit: Duration,
    /// Authorities that are trusted besides those of the system, in DER.
    pub authorities: Arc<Vec<Vec<u8>>>,
}

/// Sends a file by POST, and waits for the answer. Returns its status.
///
/// # Errors
/// There is no answer. An answer with any status is one.
pub fn post(upload: &Upload) -> Result<u16, FetchError> {
    let config = config(upload.limit, &upload.authorities);
    let agent = agent(config, &upload.addresses, upload.port);
    let url = url(&upload.host, upload.port, &upload.path);
    let request = agent.post(&url).header(CONTENT_TYPE, upload.content_type);
    let answer = request.send(&upload.body[..]);
    Ok(answer.map_err(|error| failure(&error))?.status().as_u16())
}

fn url(host: &str, port: u16, path: &str) -> String {
    match port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    }
}

fn agent(config: Config, addresses: &[IpAddr], port: u16) -> Agent {
    let addresses = addresses
        .iter()
        .map(|address| SocketAddr::new(*address, port));
    Agent::with_parts(config, DefaultConnector::new(), Given(addresses.collect()))
}

fn config(limit: Duration, authorities: &[Vec<u8>]) -> Config {
    let system = rustls_native_certs::load_native_certs().certs;
    let own = authorities.iter().map(Vec::as_slice);
    let roots = system.iter().map(|certificate| certificate.as_ref());
    let roots = roots
        .chain(own)
        .map(|der| Certificate::from_der(der).to_owned());
    let provider = CryptoProvider::get_default().cloned();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .unversioned_rustls_crypto_provider(
            provider.unwrap_or_else(|| Arc::new(ring::default_provider())),
        );
    Agent::config_builder()
        .https_only(true)
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .user_agent("outpost")
        .tls_config(tls.build())
        .build()
}

fn failure(error: &Error) -> FetchError {
    match error {
        Error::Timeout(_) => FetchError::TimedOut,
        Error::BodyExceedsLimit(_) => FetchError::TooLarge,
        Error::Rustls(error) => tls_failure(error),
        Error::Io(io) => match rustls_error(io) {
            Some(error) => tls_failure(error),
            None => FetchError::Other(io.to_string()),
        },
        other => FetchError::Other(other.to_string()),
    }
}

/// The error of rustls inside an error of the stream.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn tls_failure(error: &rustls::Error) -> FetchError {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            FetchError::Certificate(error.to_string())
        }
        other => FetchError::Other(other.to_string()),
    }
}

/// The addresses that were found before.
#[derive(Debug)]
struct Given(Vec<SocketAddr>);

impl Resolver for Given {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        // There is room for sixteen.
        for address in self.0.iter().take(16) {
            addresses.push(*address);
        }
        match self.0.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

/// The example in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
