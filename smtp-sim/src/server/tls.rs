//! The TLS side of a scripted server, without I/O: what came from the wire goes
//! in, and what belongs on the wire comes out. Every name of rustls in this crate
//! is in this file.
//!
//! What rustls does not do is imitated to the byte: a server that knows no version
//! or no cipher that rustls has answers the first record with the alert that such a
//! server sends.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;

use super::secure::Handshake;
use crate::scenario::{KeyPair, TlsScript};

/// How much may come in before the first record is known to be whole.
const RECORD_HEADER: usize = 5;
/// The fatal alert `protocol_version` (RFC 5246 section 7.2.2) in a record of TLS 1.0.
const NO_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
/// The fatal alert `handshake_failure` in a record of TLS 1.2.
const NO_CIPHER: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// The versions that scripts name, oldest first.
const VERSIONS: [(&str, Option<&SupportedProtocolVersion>); 5] = [
    ("SSLv3", None),
    ("TLSv1", None),
    ("TLSv1.1", None),
    ("TLSv1.2", Some(&TLS12)),
    ("TLSv1.3", Some(&TLS13)),
];
/// The ciphers of TLS 1.2 that rustls has, in OpenSSL's words.
const CIPHERS: [(CipherSuite, &str); 6] = [
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];
/// The attribute `commonName` (RFC 4519 section 2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The TLS of one connection.
pub(crate) struct TlsServer {
    side: Side,
    /// Whether the client's certificate goes into the record.
    asks: bool,
    /// The handshake has failed, or the stream is broken.
    broken: bool,
}

enum Side {
    Speaks(Box<ServerConnection>),
    /// Answers the first record with an alert.
    Refuses {
        heard: usize,
        alert: &'static [u8],
    },
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl TlsServer {
    /// A server before its handshake. `unix_time` decides whether the certificate of
    /// a client is valid.
    ///
    /// # Errors
    /// The script's certificates or keys are of no use; the text says why.
    pub(crate) fn new(script: &TlsScript, unix_time: Duration) -> Result<Self, String> {
        let side = match config(script, unix_time)? {
            Ok(config) => {
                let mut connection = ServerConnection::new(Arc::new(config)).map_err(words)?;
                connection.set_buffer_limit(None);
                Side::Speaks(Box::new(connection))
            }
            Err(alert) => Side::Refuses { heard: 0, alert },
        };
        Ok(Self {
            side,
            asks: script.client_ca.is_some(),
            broken: false,
        })
    }

    /// Takes bytes from the wire and appends what they mean to `plain`. False: the
    /// client will send nothing more, or nothing that can be read.
    pub(crate) fn receive(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> bool {
        let connection = match &mut self.side {
            Side::Speaks(connection) => connection,
            Side::Refuses { heard, .. } => {
                *heard += wire.len();
                self.broken = *heard >= RECORD_HEADER;
                return true;
            }
        };
        while !wire.is_empty() && !self.broken {
            let taken = connection.read_tls(&mut wire);
            if taken.is_err() || connection.process_new_packets().is_err() {
                self.broken = true;
                return false;
            }
            match connection.reader().read_to_end(plain) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // All that there will be, or a stream that was cut off.
                Ok(_) | Err(_) => return false,
            }
        }
        !self.broken
    }

    /// What belongs on the wire and is not there yet.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        match &mut self.side {
            Side::Speaks(connection) => {
                while connection.wants_write() && connection.write_tls(&mut wire).is_ok() {}
            }
            Side::Refuses { alert, .. } if self.broken => {
                wire.extend_from_slice(std::mem::take(alert));
            }
            Side::Refuses { .. } => {}
        }
        wire
    }

    /// Text as it goes over the wire.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        if let Side::Speaks(connection) = &mut self.side {
            // The buffer has no limit, so that nothing is refused.
            let _ = connection.writer().write_all(plain);
        }
        self.output()
    }

    /// Says that nothing more will be sent (close_notify).
    pub(crate) fn close(&mut self) -> Vec<u8> {
        if let Side::Speaks(connection) = &mut self.side {
            connection.send_close_notify();
        }
        self.output()
    }

    /// Whether the handshake was made.
    pub(crate) fn is_done(&self) -> bool {
        matches!(&self.side, Side::Speaks(tls) if !self.broken && !tls.is_handshaking())
    }

    /// How far the handshake has come.
    pub(super) fn handshake(&self) -> Handshake {
        match &self.side {
            _ if self.broken => Handshake::Failed,
            Side::Speaks(connection) if !connection.is_handshaking() => Handshake::Done {
                sni: connection.server_name().map(str::to_owned),
                client: self.client(connection),
            },
            _ => Handshake::Running,
        }
    }

    /// The common name in the client's certificate, if the server asked for one.
    fn client(&self, connection: &ServerConnection) -> Option<String> {
        let certificate = connection.peer_certificates()?.first();
        let certificate = certificate.filter(|_| self.asks)?;
        Some(common_name(certificate).unwrap_or_else(|| "unnamed".to_owned()))
    }
}

/// What a script means for rustls; `Err` inside: the alert of a server that has
/// nothing in common with it.
fn config(
    script: &TlsScript,
    unix_time: Duration,
) -> Result<Result<ServerConfig, &'static [u8]>, String> {
    let versions = versions(script)?;
    if versions.is_empty() {
        return Ok(Err(&NO_VERSION));
    }
    let mut provider = ring::default_provider();
    if let Some(list) = &script.ciphers {
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || is_listed(suite.suite(), list));
    }
    let provider = Arc::new(provider);
    let clock = Arc::new(Clock(unix_time));
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), clock);
    let Ok(builder) = builder.with_protocol_versions(&versions) else {
        return Ok(Err(&NO_CIPHER));
    };
    let wardrobe = Wardrobe::new(script, &provider)?;
    let verifier = client_verifier(script, &provider)?;
    let config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(wardrobe));
    Ok(Ok(config))
}

/// The versions between the lowest and the highest that rustls has.
fn versions(script: &TlsScript) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let rank = |name: &Option<String>, otherwise: usize| match name {
        None => Ok(otherwise),
        Some(name) => VERSIONS
            .iter()
            .position(|(known, _)| known == name)
            .ok_or_else(|| format!("no such TLS version: {name}")),
    };
    let lowest = rank(&script.min_version, 0)?;
    let highest = rank(&script.max_version, VERSIONS.len())?;
    let ranked = VERSIONS.iter().enumerate();
    Ok(ranked
        .filter(|(rank, _)| (lowest..=highest).contains(rank))
        .filter_map(|(_, (_, version))| *version)
        .collect())
}

/// Whether a cipher is in a list. Of OpenSSL's words for several ciphers at once
/// only those for all are known.
fn is_listed(suite: CipherSuite, list: &str) -> bool {
    let name = CIPHERS.iter().find(|(known, _)| *known == suite);
    list.split([':', ',', ' ']).any(|word| {
        matches!(word, "ALL" | "DEFAULT" | "HIGH") || name.is_some_and(|(_, name)| word == *name)
    })
}

fn client_verifier(
    script: &TlsScript,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let Some(authority) = &script.client_ca else {
        return Ok(Arc::new(NoClientAuth));
    };
    let mut roots = RootCertStore::empty();
    for certificate in chain(authority)? {
        roots.add(certificate).map_err(words)?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match script.client_certificate.as_deref() {
        Some("require") => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map_err(words)
}

/// The server's certificates.
#[derive(Debug)]
struct Wardrobe {
    usual: Arc<CertifiedKey>,
    by_sni: BTreeMap<String, Arc<CertifiedKey>>,
}

impl Wardrobe {
    fn new(script: &TlsScript, provider: &CryptoProvider) -> Result<Self, String> {
        let by_sni = script
            .by_sni
            .iter()
            .map(|(name, KeyPair { certificate, key })| {
                let certified = certified(certificate, key, provider)?;
                Ok((name.to_lowercase(), certified))
            });
        Ok(Self {
            usual: certified(&script.certificate, &script.key, provider)?,
            by_sni: by_sni.collect::<Result<_, String>>()?,
        })
    }
}

impl ResolvesServerCert for Wardrobe {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let special = hello
            .server_name()
            .and_then(|name| self.by_sni.get(&name.to_lowercase()));
        Some(Arc::clone(special.unwrap_or(&self.usual)))
    }
}

fn certified(
    certificate: &str,
    key: &str,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, String> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(words)?;
    let key = provider.key_provider.load_private_key(key).map_err(words)?;
    // Whether key and certificate belong together is the script's affair.
    Ok(Arc::new(CertifiedKey::new(chain(certificate)?, key)))
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(words)
}

fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let parts = certificate.tbs_certificate.subject.0.iter();
    let mut attributes = parts.flat_map(|part| part.0.iter());
    let name = attributes.find(|attribute| attribute.oid == COMMON_NAME)?;
    String::from_utf8(name.value.value().to_vec()).ok()
}

/// The time of day, which came from the driver.
#[derive(Debug)]
struct Clock(Duration);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0))
    }
}

fn words(error: impl fmt::Display) -> String {
    error.to_string()
}
