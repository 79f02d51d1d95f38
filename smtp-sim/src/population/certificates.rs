//! Certificates for the servers of populations, made anew for each run: an authority,
//! and below it what a server of each [`Identity`] shows.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, Error, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use sha2::{Digest, Sha256};
use smtp_policy::tls::{RustlsConnector, TlsConnector, TlsMaterial, TlsTrouble};

use crate::{peer::Identity, scenario::TlsScript};

/// What the servers of one run show, and the client's engine that trusts it.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    unknown: Arc<TlsScript>,
    wrong_name: Arc<TlsScript>,
    proven: Arc<TlsScript>,
    /// The SHA-256 digest of the public key of who is [`Identity::Proven`].
    pub(super) key_digest: Vec<u8>,
    pub(super) connector: Arc<dyn TlsConnector>,
}

impl Certificates {
    /// Makes them. `names` are those of all servers.
    pub(super) fn new(names: &[String]) -> Result<Self, String> {
        let root = KeyPair::generate().map_err(words)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(words)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a simulated world");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&root).map_err(words)?;
        let material = TlsMaterial {
            authorities: vec![authority.der().to_vec()],
            ..TlsMaterial::default()
        };
        let connector = RustlsConnector::new(&material).map_err(|TlsTrouble(why)| why)?;
        let issuer = Issuer::new(params, root);
        let key = KeyPair::generate().map_err(words)?;
        let elsewhere = [String::from("mx.elsewhere.example")];
        Ok(Self {
            unknown: show(names, None).map_err(words)?,
            wrong_name: show(&elsewhere, Some(&issuer)).map_err(words)?,
            key_digest: Sha256::digest(key.subject_public_key_info()).to_vec(),
            proven: script(&issue(names, &key, Some(&issuer)).map_err(words)?, &key),
            connector: Arc::new(connector),
        })
    }

    /// What a server shows.
    pub(super) fn of(&self, identity: Identity) -> Arc<TlsScript> {
        Arc::clone(match identity {
            Identity::Unknown => &self.unknown,
            Identity::WrongName => &self.wrong_name,
            Identity::Proven => &self.proven,
        })
    }
}

fn show(names: &[String], issuer: Option<&Issuer<'_, KeyPair>>) -> Result<Arc<TlsScript>, Error> {
    let key = KeyPair::generate()?;
    Ok(script(&issue(names, &key, issuer)?, &key))
}

/// A certificate; one without an issuer vouches for itself.
fn issue(
    names: &[String],
    key: &KeyPair,
    issuer: Option<&Issuer<'_, KeyPair>>,
) -> Result<Certificate, Error> {
    let params = CertificateParams::new(names)?;
    match issuer {
        Some(issuer) => params.signed_by(key, issuer),
        None => params.self_signed(key),
    }
}

fn script(certificate: &Certificate, key: &KeyPair) -> Arc<TlsScript> {
    Arc::new(TlsScript {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        ..TlsScript::default()
    })
}

fn words(error: Error) -> String {
    error.to_string()
}
