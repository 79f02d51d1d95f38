//! Certificates of the servers, made once for each run.

use base64::Engine;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    date_time_ymd,
};
use sha2::{Digest, Sha256};

/// Whose names a server's certificate has.
pub(crate) const NAMES: [&str; 3] = ["mx1.example.com", "mx2.example.com", "example.com"];

/// An authority and the certificate above it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

/// A certificate chain and its key as PEM text.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
    /// The public key in DER.
    pub(crate) public: Vec<u8>,
    certificate: Vec<u8>,
}

/// All certificates that servers show here.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) good: Identity,
    pub(crate) other_name: Identity,
    pub(crate) expired: Identity,
    pub(crate) self_signed: Identity,
    /// Shown by nobody.
    pub(crate) stranger: Identity,
    authorities: Vec<Authority>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let root = authority("root", None);
        let expired = |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(2010, 1, 1);
            params.not_after = date_time_ymd(2011, 1, 1);
        };
        Self {
            authority: pem("CERTIFICATE", &root.der),
            good: issue(&NAMES, Some(&root), |_| {}),
            other_name: issue(&["mx.example.net"], Some(&root), |_| {}),
            expired: issue(&NAMES, Some(&root), expired),
            self_signed: issue(&NAMES, None, |_| {}),
            stranger: issue(&NAMES, Some(&root), |_| {}),
            authorities: vec![root],
        }
    }

    /// A good certificate with so many authorities between it and the root.
    pub(crate) fn below(&mut self, between: usize) -> Identity {
        while self.authorities.len() <= between {
            let name = format!("authority {}", self.authorities.len());
            let next = authority(&name, self.authorities.last());
            self.authorities.push(next);
        }
        let mut leaf = issue(&NAMES, self.authorities.get(between), |_| {});
        for authority in self.authorities[1..=between].iter().rev() {
            leaf.chain += &pem("CERTIFICATE", &authority.der);
        }
        leaf
    }

    /// Certificates of about so many bytes (in DER) that belong to nothing.
    pub(crate) fn many(&self, bytes: usize) -> String {
        let root = &self.authorities[0].der;
        pem("CERTIFICATE", root).repeat(bytes / root.len())
    }
}

impl Identity {
    /// The SHA-256 fingerprint of the certificate, as the policy has it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.certificate);
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// The data of a TLSA record `3 1 0`.
    pub(crate) fn tlsa(&self) -> String {
        self.public
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn authority(name: &str, above: Option<&Authority>) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = match above {
        Some(above) => params.signed_by(&key, &above.issuer),
        None => params.self_signed(&key),
    };
    Authority {
        der: certificate.unwrap().der().to_vec(),
        issuer: Issuer::new(params, key),
    }
}

fn issue(
    names: &[&str],
    above: Option<&Authority>,
    edit: impl Fn(&mut CertificateParams),
) -> Identity {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "server");
    edit(&mut params);
    let certificate = match above {
        Some(above) => params.signed_by(&key, &above.issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.unwrap().der().to_vec();
    Identity {
        chain: pem("CERTIFICATE", &certificate),
        key: pem("PRIVATE KEY", &key.serialize_der()),
        public: key.subject_public_key_info(),
        certificate,
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
