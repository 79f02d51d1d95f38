//! What a server's certificates prove: chains of issuers, names, fingerprints,
//! TLSA records (`src/tls/tls_client.c`, verify_x509; `src/tls/tls_verify.c`).
//!
//! The chain is checked by webpki, the library of rustls. It is stricter than
//! OpenSSL: no SHA-1 signatures, no RSA keys under 2048 bits, no X.509 version 1
//! below the anchor, no certificate of an authority as a server's own.

use core::{cmp::Ordering, time::Duration};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{
    DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, Der, ServerName, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert};

use super::{
    Demand, TlsLevel, TlsSetup, TrustAnchors,
    certificate::Certificate,
    dane::{DaneDigests, END_ENTITY, TRUST_ANCHOR, Tlsa},
    facts::{MatchedBy, Problem, Trust},
    names::NamePattern,
};

/// The authorities of the configuration, ready to be compared with.
#[derive(Debug, Default)]
pub(super) struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    certificates: Vec<Vec<u8>>,
}

impl Authorities {
    /// Takes certificates in DER. What cannot be read vouches for nobody.
    pub(super) fn new(certificates: &[Vec<u8>]) -> Self {
        Self {
            anchors: anchors(certificates),
            certificates: certificates.to_vec(),
        }
    }
}

/// What a handshake has shown of the server's certificates.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) proof: Proof,
    pub(super) scheme: Option<SignatureScheme>,
}

/// What the certificates prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) trusted: bool,
    pub(super) matched: bool,
    pub(super) by: Option<MatchedBy>,
    pub(super) problem: Option<Problem>,
}

impl Proof {
    fn matched(by: MatchedBy) -> Self {
        Self {
            trusted: true,
            matched: true,
            by: Some(by),
            problem: None,
        }
    }

    fn failed(problem: Problem) -> Self {
        Self {
            trusted: false,
            matched: false,
            by: None,
            problem: Some(problem),
        }
    }

    /// The first word of the summary line.
    pub(super) fn trust(&self, level: TlsLevel) -> Trust {
        if self.matched && level.must_match() && level != TlsLevel::HalfDane {
            Trust::Verified
        } else if self.trusted {
            Trust::Trusted
        } else {
            Trust::Untrusted
        }
    }
}

/// Looks at the certificates of one handshake and lets every handshake go on.
#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    view: Mutex<View>,
}

#[derive(Debug)]
struct View {
    examiner: Examiner,
    seen: Option<Seen>,
}

impl Verifier {
    pub(super) fn new(
        setup: &TlsSetup,
        authorities: Arc<Authorities>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        let examiner = Examiner {
            demand: setup.demand.clone(),
            depth: setup.depth,
            unix_time: setup.unix_time,
            authorities,
            algorithms,
        };
        let view = View {
            examiner,
            seen: None,
        };
        Self {
            algorithms,
            view: Mutex::new(view),
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        self.view().seen.clone()
    }

    /// Judges the certificates of the last handshake again, at this time, for a
    /// session that goes on in another connection. False: the judgement is another
    /// one, or there has been no handshake.
    pub(super) fn proves_the_same_at(&self, unix_time: Option<Duration>) -> bool {
        let View { examiner, seen } = &mut *self.view();
        examiner.unix_time = unix_time;
        let Some(seen) = seen else {
            return false;
        };
        // Nothing will be signed in that connection.
        seen.scheme = None;
        let chain = seen
            .chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()));
        let chain: Vec<_> = chain.collect();
        chain
            .split_first()
            .is_some_and(|(leaf, above)| examiner.examine(leaf, above) == seen.proof)
    }

    fn note_scheme(&self, scheme: SignatureScheme) {
        if let Some(seen) = &mut self.view().seen {
            seen.scheme = Some(scheme);
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = core::iter::once(end_entity).chain(intermediates);
        let mut view = self.view();
        view.seen = Some(Seen {
            chain: chain.map(|certificate| certificate.to_vec()).collect(),
            proof: view.examiner.examine(end_entity, intermediates),
            scheme: None,
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note_scheme(dss.scheme);
        let key = public_key(cert)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| bad_certificate())?;
        let mapping = self.algorithms.mapping;
        let (_, algorithms) = mapping
            .iter()
            .find(|(scheme, _)| *scheme == dss.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        if algorithms
            .iter()
            .any(|a| key.verify_signature(*a, message, dss.signature()).is_ok())
        {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(Error::InvalidCertificate(
                rustls::CertificateError::BadSignature,
            ))
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note_scheme(dss.scheme);
        let key = public_key(cert)?;
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The key of a certificate, of whatever X.509 version.
fn public_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    Certificate::parse(certificate)
        .and_then(|certificate| certificate.public_key())
        .map(SubjectPublicKeyInfoDer::from)
        .ok_or_else(bad_certificate)
}

fn bad_certificate() -> Error {
    Error::InvalidCertificate(rustls::CertificateError::BadEncoding)
}

/// The rules by which certificates are judged.
#[derive(Debug)]
pub(super) struct Examiner {
    demand: Demand,
    depth: u32,
    unix_time: Option<Duration>,
    authorities: Arc<Authorities>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Examiner {
    fn examine(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Proof {
        let Some(certificate) = Certificate::parse(leaf) else {
            return Proof::failed(Problem::Other("certificate cannot be read".into()));
        };
        match &self.demand {
            Demand::Nothing => match self.authority(&certificate, leaf, above) {
                Ok(()) => Proof {
                    trusted: true,
                    matched: false,
                    by: None,
                    problem: None,
                },
                Err(problem) => Proof::failed(problem),
            },
            Demand::Fingerprint { digest, values } => {
                let key = certificate.public_key().unwrap_or_default();
                if values.contains(&digest.of(leaf)) {
                    Proof::matched(MatchedBy::CertificateFingerprint)
                } else if values.contains(&digest.of(&key)) {
                    Proof::matched(MatchedBy::KeyFingerprint)
                } else {
                    Proof::failed(Problem::NotInPolicy)
                }
            }
            Demand::Authority { anchors, names } => {
                let trusted = match anchors {
                    Some(anchors) => self.own_anchor(anchors, &certificate, leaf, above),
                    None => self.authority(&certificate, leaf, above),
                };
                trusted.map_or_else(Proof::failed, |()| {
                    named(&certificate, names, MatchedBy::Name)
                })
            }
            Demand::Dane {
                records,
                digests,
                names,
            } => self.dane(records, digests, names, &certificate, leaf, above),
        }
    }

    /// Whether a configured authority vouches for the certificate. A certificate
    /// that is signed by its own key and configured itself is its own authority.
    fn authority(
        &self,
        certificate: &Certificate,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
    ) -> Result<(), Problem> {
        let configured = self
            .authorities
            .certificates
            .iter()
            .any(|known| known == leaf.as_ref());
        if configured && certificate.is_self_issued() {
            return self.in_time(certificate, false);
        }
        self.chain(
            certificate,
            leaf,
            above,
            &self.authorities.anchors,
            &self.authorities.certificates,
        )
        .map(drop)
    }

    /// Whether an anchor of a trust anchor file vouches for the certificate, or is
    /// it. Then dates do not matter, as with TLSA records of usage 3.
    fn own_anchor(
        &self,
        own: &TrustAnchors,
        certificate: &Certificate,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
    ) -> Result<(), Problem> {
        let is_key = |key: &Vec<u8>| certificate.public_key().as_ref() == Some(key);
        if own.certificates.iter().any(|known| known == leaf.as_ref())
            || own.keys.iter().any(is_key)
        {
            return Ok(());
        }
        let mut found = anchors(&own.certificates);
        for key in &own.keys {
            found.extend(key_anchors(key, certificate, above));
        }
        self.chain(certificate, leaf, above, &found, &own.certificates)
            .map(drop)
    }

    fn dane(
        &self,
        records: &[Tlsa],
        digests: &DaneDigests,
        names: &[NamePattern],
        certificate: &Certificate,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
    ) -> Proof {
        let key = certificate.public_key().unwrap_or_default();
        // RFC 7672 section 3.1.1: the key is what counts, neither names nor dates.
        if let Some(record) = records
            .iter()
            .find(|r| r.usage == END_ENTITY && r.fits(leaf, &key, digests))
        {
            return Proof::matched(MatchedBy::EndEntity(record.clone()));
        }
        let (mut found, mut certificates) = (Vec::new(), Vec::new());
        // Which record each anchor comes from.
        let mut sources = Vec::new();
        for record in records.iter().filter(|record| record.usage == TRUST_ANCHOR) {
            let fits = |der: &&CertificateDer<'_>| {
                let key = Certificate::parse(der).and_then(|issuer| issuer.public_key());
                record.fits(der, &key.unwrap_or_default(), digests)
            };
            let mut meant: Vec<Vec<u8>> =
                above.iter().filter(fits).map(|der| der.to_vec()).collect();
            meant.extend(record.anchor_certificate().map(<[u8]>::to_vec));
            found.extend(anchors(&meant));
            certificates.extend(meant);
            if let Some(key) = record.anchor_key() {
                found.extend(key_anchors(key, certificate, above));
            }
            sources.resize(found.len(), record);
        }
        if found.is_empty() {
            return Proof::failed(Problem::NotInPolicy);
        }
        match self.chain(certificate, leaf, above, &found, &certificates) {
            Ok(anchor) => {
                let used = found.iter().zip(sources).find(|(known, _)| {
                    known.subject == anchor.subject
                        && known.subject_public_key_info == anchor.subject_public_key_info
                });
                let Some((_, record)) = used else {
                    return Proof::failed(Problem::NotInPolicy);
                };
                named(certificate, names, |name| {
                    MatchedBy::TrustAnchor(record.clone(), name)
                })
            }
            Err(problem) => Proof::failed(problem),
        }
    }

    /// Whether there is a chain of issuers from the certificate up to an anchor.
    /// `authorities` are the certificates of the anchors, whose dates count too.
    /// Returns that anchor.
    fn chain(
        &self,
        certificate: &Certificate,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        authorities: &[Vec<u8>],
    ) -> Result<TrustAnchor<'static>, Problem> {
        let unix_time = self
            .unix_time
            .ok_or_else(|| Problem::Other("the time is not known".into()))?;
        let time = UnixTime::since_unix_epoch(unix_time);
        let explain = |error: webpki::Error| self.explain(&error, certificate, above);
        let entity = EndEntityCert::try_from(leaf).map_err(explain)?;
        let usage = KeyUsage::server_auth();
        let path = entity
            .verify_for_usage(self.algorithms.all, anchors, above, time, usage, None, None)
            .map_err(explain)?;
        let between = path.intermediate_certificates().count();
        // The depth that OpenSSL is given is the parameter plus one.
        if between > self.depth as usize + 1 {
            return Err(Problem::TooLong(self.depth));
        }
        let (subject, key) = (
            path.anchor().subject.as_ref(),
            path.anchor().subject_public_key_info.as_ref(),
        );
        let anchor = authorities.iter().find(|der| {
            let found =
                anchor_from_trusted_cert(&CertificateDer::from(der.as_slice())).map(|found| {
                    (
                        found.subject.as_ref() == subject,
                        found.subject_public_key_info.as_ref() == key,
                    )
                });
            found == Ok((true, true))
        });
        if let Some(authority) = anchor.and_then(|der| Certificate::parse(der)) {
            self.in_time(&authority, true)?;
        }
        Ok(path.anchor().to_owned())
    }

    fn in_time(&self, certificate: &Certificate, authority: bool) -> Result<(), Problem> {
        let unix_time = self
            .unix_time
            .ok_or_else(|| Problem::Other("the time is not known".into()))?;
        match certificate.at(unix_time) {
            Ordering::Less => Err(Problem::NotYetValid(authority)),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(Problem::Expired(authority)),
        }
    }

    /// Puts webpki's error into the words of the log.
    fn explain(
        &self,
        error: &webpki::Error,
        certificate: &Certificate,
        above: &[CertificateDer<'_>],
    ) -> Problem {
        let is_leaf = |bad| {
            self.unix_time
                .is_some_and(|time| certificate.at(time) == bad)
        };
        match error {
            webpki::Error::UnknownIssuer | webpki::Error::CaUsedAsEndEntity
                if certificate.is_self_issued() =>
            {
                Problem::SelfSigned
            }
            webpki::Error::UnknownIssuer => {
                let last = above.last().and_then(|der| Certificate::parse(der));
                Problem::UnknownIssuer(last.as_ref().unwrap_or(certificate).issuer_line())
            }
            webpki::Error::CertExpired { .. } => Problem::Expired(!is_leaf(Ordering::Greater)),
            webpki::Error::CertNotValidYet { .. } => Problem::NotYetValid(!is_leaf(Ordering::Less)),
            webpki::Error::RequiredEkuNotFoundContext(_) => Problem::NotForServers,
            webpki::Error::MaximumPathDepthExceeded => Problem::TooLong(self.depth),
            other => Problem::Other(other.to_string()),
        }
    }
}

/// OpenSSL looks at names as a part of the chain: with a wrong one nothing is
/// trusted.
fn named(
    certificate: &Certificate,
    names: &[NamePattern],
    by: impl FnOnce(String) -> MatchedBy,
) -> Proof {
    match certificate.names().fitting(names) {
        Some(name) => Proof::matched(by(name)),
        None => Proof::failed(Problem::WrongName),
    }
}

fn anchors(certificates: &[Vec<u8>]) -> Vec<TrustAnchor<'static>> {
    certificates
        .iter()
        .filter_map(|der| {
            anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
                .ok()
                .map(|a| a.to_owned())
        })
        .collect()
}

/// An anchor that is only a key: whoever is named as an issuer may have it.
fn key_anchors(
    key: &[u8],
    certificate: &Certificate,
    above: &[CertificateDer<'_>],
) -> Vec<TrustAnchor<'static>> {
    let (Some(key), above) = (
        inner(key),
        above.iter().filter_map(|der| Certificate::parse(der)),
    ) else {
        return Vec::new();
    };
    let issuers = core::iter::once(certificate.issuer()).chain(above.map(|c| c.issuer()));
    issuers
        .flatten()
        .filter_map(|issuer| {
            Some(TrustAnchor {
                subject: Der::from(inner(&issuer)?.to_vec()),
                subject_public_key_info: Der::from(key.to_vec()),
                name_constraints: None,
            })
        })
        .collect()
}

/// What is inside an ASN.1 sequence, as webpki keeps names and keys.
fn inner(der: &[u8]) -> Option<&[u8]> {
    match der {
        [0x30, short, rest @ ..] if *short < 0x80 => Some(rest),
        [0x30, 0x81, _, rest @ ..]
        | [0x30, 0x82, _, _, rest @ ..]
        | [0x30, 0x83, _, _, _, rest @ ..] => Some(rest),
        _ => None,
    }
}
