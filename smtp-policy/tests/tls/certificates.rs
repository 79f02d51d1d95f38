//! Certificates of every kind, made anew for each run.

use std::sync::Arc;

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub der: Vec<u8>,
    pub key: Vec<u8>,
}

/// A certificate with its chain and key.
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub private: Vec<u8>,
    /// The public key in DER.
    pub public: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::make(name, None)
    }

    /// An authority below another one.
    pub fn below(name: &str, above: &Self) -> Self {
        Self::make(name, Some(above))
    }

    fn make(name: &str, above: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Self {
            der: certificate.der().to_vec(),
            key: key.subject_public_key_info(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's certificate with these names.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(&self, names: &[&str], edit: impl Fn(&mut CertificateParams)) -> Identity {
        let (params, key) = leaf(names, edit);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        identity(certificate.der(), &key)
    }
}

fn leaf(names: &[&str], edit: impl Fn(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "somebody");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    edit(&mut params);
    (params, KeyPair::generate().unwrap())
}

fn identity(der: &[u8], key: &KeyPair) -> Identity {
    Identity {
        chain: vec![der.to_vec()],
        private: key.serialize_der(),
        public: key.subject_public_key_info(),
    }
}

/// A certificate that is signed by its own key.
pub fn self_signed(names: &[&str]) -> Identity {
    let (params, key) = leaf(names, |_| {});
    identity(params.self_signed(&key).unwrap().der(), &key)
}

impl Identity {
    /// With the certificates above it.
    pub fn with_chain(mut self, above: &[&Authority]) -> Self {
        self.chain
            .extend(above.iter().map(|authority| authority.der.clone()));
        self
    }

    pub fn certificate(&self) -> &[u8] {
        &self.chain[0]
    }

    /// A server that shows this certificate.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_with(&[&rustls::version::TLS13, &rustls::version::TLS12], None)
    }

    /// A server that speaks these versions only, and asks for a certificate of that
    /// authority.
    pub fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        client_authority: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match client_authority {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from(authority.der.clone()))
                    .unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let chain = self
            .chain
            .iter()
            .cloned()
            .map(CertificateDer::from)
            .collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.private.clone()));
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<String> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// `AB:CD:…`
pub fn colons(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}
