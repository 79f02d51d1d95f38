//! The TLS engine on rustls, without I/O.

use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use bytes::Buf;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme,
    SupportedProtocolVersion,
    client::{ResolvesClientCert, Resumption},
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
        ServerName, UnixTime,
    },
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use smtp_proto::{queue::SendQueue, secret::Secret};

use super::{
    BindingKind, ChannelBinding, PrivateKey, TlsConnector, TlsEngine, TlsFacts, TlsIdentity,
    TlsLevel, TlsMaterial, TlsSetup, TlsTrouble, Trust,
    certificate::Certificate,
    sessions::{Session, Sessions},
    verify::{Authorities, Verifier},
};

/// How much plain text goes into one step of sealing.
const PIECE: usize = 16 * 1024;

/// Makes engines of rustls, with one set of authorities and client certificates.
#[derive(Debug)]
pub struct RustlsConnector {
    provider: Arc<CryptoProvider>,
    authorities: Arc<Authorities>,
    identities: Arc<Vec<Arc<CertifiedKey>>>,
    sessions: Arc<Sessions>,
}

impl RustlsConnector {
    /// A connector with what was read from the configuration's files.
    ///
    /// The cryptography is that of the provider which the process has installed in
    /// rustls, else that of ring (feature `ring`).
    ///
    /// # Errors
    /// There is no cryptography, or a key does not fit its certificate.
    pub fn new(material: &TlsMaterial) -> Result<Self, TlsTrouble> {
        let provider = provider()
            .ok_or_else(|| TlsTrouble("no crypto provider is installed in rustls".into()))?;
        let identities = material.identities.iter().map(|identity| {
            certified(identity, &provider).map_err(|error| {
                TlsTrouble(format!("cannot use the key in {}: {error}", identity.file))
            })
        });
        let identities = identities.collect::<Result<_, _>>()?;
        let authorities = Arc::new(Authorities::new(&material.authorities));
        Ok(Self {
            provider,
            authorities,
            identities: Arc::new(identities),
            sessions: Arc::default(),
        })
    }

    fn config(&self, setup: &TlsSetup, session: &Session) -> Result<ClientConfig, TlsTrouble> {
        let mut provider = CryptoProvider::clone(&self.provider);
        provider.cipher_suites.retain(|suite| {
            // TLS 1.3 ciphers are not for cipher lists to choose.
            suite.tls13().is_some()
                || !setup
                    .exclude
                    .exclude(&cipher_name(suite.suite().as_str().unwrap_or_default()).0)
        });
        let versions: Vec<&'static SupportedProtocolVersion> = [
            (setup.versions.tls13, &TLS13),
            (setup.versions.tls12, &TLS12),
        ]
        .into_iter()
        .filter_map(|(wanted, version)| wanted.then_some(version))
        .collect();
        let clock = Arc::new(Clock(setup.unix_time));
        let mut config = ClientConfig::builder_with_details(Arc::new(provider), clock)
            .with_protocol_versions(&versions)
            .map_err(trouble)?
            .dangerous()
            .with_custom_certificate_verifier(session.verifier.clone())
            .with_client_cert_resolver(session.wardrobe.clone());
        config.enable_sni = setup.sni.is_some();
        config.resumption = match setup.resumption {
            Some(_) => Resumption::store(session.tickets.clone()),
            None => Resumption::disabled(),
        };
        Ok(config)
    }

    /// A session that has nothing to resume.
    fn fresh(&self, setup: &TlsSetup) -> Session {
        let algorithms = self.provider.signature_verification_algorithms;
        let verifier = Verifier::new(setup, Arc::clone(&self.authorities), algorithms);
        let wardrobe = Wardrobe {
            identities: Arc::clone(&self.identities),
            shown: AtomicBool::new(false),
        };
        Session::new(setup, verifier, wardrobe)
    }
}

impl TlsConnector for RustlsConnector {
    fn engine(&self, setup: &TlsSetup) -> Result<Box<dyn TlsEngine>, TlsTrouble> {
        let name = match &setup.sni {
            Some(name) => ServerName::try_from(name.clone())
                .map_err(|_| TlsTrouble(format!("error setting SNI hostname to: {name}")))?,
            // Without a name to send there is no use for one: who the server is, the
            // verifier finds out.
            None => ServerName::IpAddress(core::net::IpAddr::from([0, 0, 0, 0]).into()),
        };
        let taken = self.sessions.take(setup);
        let session = taken.unwrap_or_else(|| self.fresh(setup));
        session.wardrobe.shown.store(false, Ordering::Relaxed);
        let config = self.config(setup, &session)?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(trouble)?;
        connection.set_buffer_limit(None);
        Ok(Box::new(RustlsEngine {
            connection,
            verifier: Arc::clone(&session.verifier),
            wardrobe: Arc::clone(&session.wardrobe),
            level: setup.level,
            over: false,
            session: setup.resumption.is_some().then_some(session),
            sessions: Arc::clone(&self.sessions),
            unix_time: setup.unix_time,
        }))
    }
}

fn provider() -> Option<Arc<CryptoProvider>> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Some(Arc::clone(provider));
    }
    #[cfg(feature = "ring")]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(feature = "ring"))]
    return None;
}

fn certified(
    identity: &TlsIdentity,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = match identity.key.clone() {
        PrivateKey::Pkcs1(der) => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        PrivateKey::Sec1(der) => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
        PrivateKey::Pkcs8(der) => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
    };
    let chain = identity
        .chain
        .iter()
        .cloned()
        .map(CertificateDer::from)
        .collect();
    CertifiedKey::from_der(chain, key, provider).map(Arc::new)
}

/// The client's certificates, for one connection. Which authorities the server
/// would like is not looked at, as in Postfix.
#[derive(Debug)]
pub(super) struct Wardrobe {
    identities: Arc<Vec<Arc<CertifiedKey>>>,
    /// Whether one was shown.
    shown: AtomicBool,
}

impl ResolvesClientCert for Wardrobe {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |own: &&Arc<CertifiedKey>| own.key.choose_scheme(sigschemes).is_some();
        let found = self.identities.iter().find(fits).cloned();
        self.shown.store(found.is_some(), Ordering::Relaxed);
        found
    }

    fn has_certs(&self) -> bool {
        !self.identities.is_empty()
    }
}

/// The time of the handshake, which came from the driver.
#[derive(Debug)]
struct Clock(Option<Duration>);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        // Certificates are not judged by this time: `Verifier` has its own.
        Some(UnixTime::since_unix_epoch(self.0.unwrap_or_default()))
    }
}

/// One connection.
struct RustlsEngine {
    connection: ClientConnection,
    verifier: Arc<Verifier>,
    wardrobe: Arc<Wardrobe>,
    level: TlsLevel,
    over: bool,
    /// What the next connection can go on with; `None` if it may not, or after a
    /// failure.
    session: Option<Session>,
    sessions: Arc<Sessions>,
    unix_time: Option<Duration>,
}

impl Drop for RustlsEngine {
    /// A session is of no use to others before its end: tickets come at any time.
    fn drop(&mut self) {
        let Some((mut session, facts)) = self.session.take().zip(self.facts()) else {
            return;
        };
        if !facts.resumed {
            session.renew(self.unix_time);
        }
        if facts.matched || !self.level.must_match() {
            self.sessions.keep(session);
        }
    }
}

impl fmt::Debug for RustlsEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsEngine")
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl RustlsEngine {
    /// RFC 9266 for TLS 1.3, RFC 5929 section 4 for TLS 1.2.
    fn binding(&self, tls13: bool, server: Option<&[u8]>) -> Option<ChannelBinding> {
        let (kind, data) = if tls13 {
            let keys = self.connection.export_keying_material(
                [0; 32],
                b"EXPORTER-Channel-Binding",
                Some(b""),
            );
            (BindingKind::TlsExporter, keys.ok()?.to_vec())
        } else {
            let der = server?;
            let digest = Certificate::parse(der)?.signature_digest()?;
            (BindingKind::TlsServerEndPoint, digest.of(der))
        };
        let data = Secret::new(data);
        Some(ChannelBinding { kind, data })
    }

    fn flush(&mut self, wire: &mut SendQueue) -> Result<(), TlsTrouble> {
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut Wire(wire))
                .map_err(trouble)?;
        }
        Ok(())
    }

    /// Decrypts what came from the wire, as far as it goes.
    fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        while !wire.is_empty() && !self.over {
            if self.connection.read_tls(&mut wire).map_err(trouble)? == 0 {
                break;
            }
            self.connection.process_new_packets().map_err(alert)?;
            self.unload(plain)?;
        }
        Ok(())
    }

    /// Moves what was decrypted to `plain`.
    fn unload(&mut self, plain: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        match self.connection.reader().read_to_end(plain) {
            Ok(_) => self.over = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(trouble(error)),
        }
        Ok(())
    }
}

impl TlsEngine for RustlsEngine {
    fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsTrouble> {
        self.open(wire, plain).inspect_err(|_| self.session = None)
    }

    fn seal(&mut self, plain: &mut dyn Buf, wire: &mut SendQueue) -> Result<(), TlsTrouble> {
        self.flush(wire)?;
        while plain.has_remaining() && !self.connection.is_handshaking() {
            // Small writes that belong together go into one record.
            let piece = plain.copy_to_bytes(plain.remaining().min(PIECE));
            self.connection
                .writer()
                .write_all(&piece)
                .map_err(trouble)?;
            self.flush(wire)?;
        }
        Ok(())
    }

    fn close(&mut self, wire: &mut SendQueue) {
        self.connection.send_close_notify();
        // Nobody is left to be told that the farewell could not be said.
        let _ = self.flush(wire);
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn facts(&self) -> Option<TlsFacts> {
        if self.connection.is_handshaking() {
            return None;
        }
        let seen = self.verifier.seen();
        let suite = self.connection.negotiated_cipher_suite()?;
        let (cipher, bits) = cipher_name(suite.suite().as_str().unwrap_or_default());
        let tls13 = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let group = self
            .connection
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        let proof = seen.as_ref().map(|seen| &seen.proof);
        let server = seen.as_ref().and_then(|seen| seen.chain.first());
        let binding = self.binding(tls13, server.map(Vec::as_slice));
        Some(TlsFacts {
            version: if tls13 { "TLSv1.3" } else { "TLSv1.2" },
            cipher,
            bits,
            key_exchange: group.filter(|_| tls13).map(group_name),
            signature: seen.as_ref().filter(|_| tls13).and_then(|seen| {
                let certificate = seen.chain.first().and_then(|der| Certificate::parse(der));
                signature_name(seen.scheme?, certificate.and_then(|c| c.rsa_bits()))
            }),
            trust: proof.map_or(Trust::Anonymous, |proof| proof.trust(self.level)),
            matched: proof.is_some_and(|proof| proof.matched),
            matched_by: proof.and_then(|proof| proof.by.clone()),
            problem: proof.and_then(|proof| proof.problem.clone()),
            chain: seen.map(|seen| seen.chain).unwrap_or_default(),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
            showed_certificate: self.wardrobe.shown.load(Ordering::Relaxed),
            binding,
        })
    }
}

/// The wire as something to write to.
struct Wire<'a>(&'a mut SendQueue);

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn trouble(error: impl fmt::Display) -> TlsTrouble {
    TlsTrouble(error.to_string())
}

/// The same, with an alert of the server in words.
fn alert(error: rustls::Error) -> TlsTrouble {
    let rustls::Error::AlertReceived(alert) = error else {
        return trouble(error);
    };
    let mut words = String::from("alert:");
    let mut inside = false;
    for letter in format!("{alert:?}").chars() {
        // `UnknownCA` has two words.
        if letter.is_ascii_uppercase() && !inside {
            words.push(' ');
        }
        inside = letter.is_ascii_uppercase();
        words.push(letter.to_ascii_lowercase());
    }
    TlsTrouble(words)
}

/// A cipher's name in OpenSSL and the length of its key.
fn cipher_name(name: &str) -> (String, u16) {
    let bits = if name.contains("AES_128") { 128 } else { 256 };
    if let Some(tls13) = name.strip_prefix("TLS13_") {
        return (format!("TLS_{tls13}"), bits);
    }
    let name = name.strip_prefix("TLS_").unwrap_or(name);
    let name = name
        .replace("_WITH_", "-")
        .replace("AES_", "AES")
        .replace('_', "-");
    (name.replace("POLY1305-SHA256", "POLY1305"), bits)
}

fn group_name(group: NamedGroup) -> String {
    let curve = match group {
        NamedGroup::secp256r1 => "prime256v1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::secp521r1 => "secp521r1",
        other => return other.as_str().unwrap_or("unknown").to_owned(),
    };
    format!("ECDHE ({curve})")
}

fn signature_name(scheme: SignatureScheme, rsa_bits: Option<usize>) -> Option<String> {
    let rsa = |digest: &str| {
        let bits = rsa_bits
            .map(|bits| format!(" ({bits} bits)"))
            .unwrap_or_default();
        format!("RSA-PSS{bits} server-digest {digest}")
    };
    Some(match scheme {
        SignatureScheme::RSA_PSS_SHA256 => rsa("SHA256"),
        SignatureScheme::RSA_PSS_SHA384 => rsa("SHA384"),
        SignatureScheme::RSA_PSS_SHA512 => rsa("SHA512"),
        SignatureScheme::ECDSA_NISTP256_SHA256 => "ECDSA (prime256v1) server-digest SHA256".into(),
        SignatureScheme::ECDSA_NISTP384_SHA384 => "ECDSA (secp384r1) server-digest SHA384".into(),
        SignatureScheme::ECDSA_NISTP521_SHA512 => "ECDSA (secp521r1) server-digest SHA512".into(),
        SignatureScheme::ED25519 => "ED25519".into(),
        _ => return None,
    })
}
