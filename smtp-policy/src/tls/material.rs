//! Certificates in the forms in which people keep them: PEM, and the store of the operating system.

use rustls_pki_types::pem::{PemObject, SectionKind};

use super::{TlsMaterial, TrustAnchors};

impl TlsMaterial {
    /// The authorities that the operating system trusts, in DER; none if it cannot say.
    pub fn system_authorities() -> Vec<Vec<u8>> {
        let system = rustls_native_certs::load_native_certs().certs;
        system
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect()
    }
}

impl TrustAnchors {
    /// Reads certificates and public keys in PEM. Other sections are passed over.
    ///
    /// # Errors
    /// The text is malformed, or has neither in it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let mut anchors = Self::default();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section {
                Ok((SectionKind::Certificate, der)) => anchors.certificates.push(der),
                Ok((SectionKind::PublicKey, der)) => anchors.keys.push(der),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        match anchors.certificates.is_empty() && anchors.keys.is_empty() {
            true => Err("no trust anchor".into()),
            false => Ok(anchors),
        }
    }
}
