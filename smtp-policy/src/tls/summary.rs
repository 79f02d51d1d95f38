//! What a certificate says of itself, for people to read. Nothing of it is checked
//! here.

use core::time::Duration;

use super::{certificate::Certificate, fingerprint::Digest};

/// What a certificate says of itself. All texts come from whoever made it, and may
/// hold any character.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// The subject's name as RFC 4514 writes it.
    pub subject: String,
    /// The issuer's name.
    pub issuer: String,
    /// The DNS names and addresses among the alternative names, in that order.
    pub names: Vec<String>,
    /// The begin of its validity, since the beginning of 1970 (UTC).
    pub not_before: Duration,
    /// The end of its validity.
    pub not_after: Duration,
    /// Begin and end in words, as `2026-11-22T22:05:30Z`.
    pub validity: (String, String),
    /// The kind of the public key and its length or curve: `RSA (2048 bits)`.
    pub key: String,
    /// The SHA-256 digest of the certificate, as Postfix writes fingerprints: bytes in
    /// upper-case hexadecimal with colons between.
    pub certificate_fingerprint: String,
    /// The same of the public key.
    pub key_fingerprint: String,
}

impl CertificateSummary {
    /// Reads a certificate in DER; `None` if it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::parse(der)?;
        let names = certificate.names();
        let addresses = names.addresses.iter().map(ToString::to_string);
        let (subject, issuer) = certificate.subject_and_issuer();
        let (not_before, not_after) = certificate.validity();
        Some(Self {
            subject,
            issuer,
            names: names.dns.iter().cloned().chain(addresses).collect(),
            not_before,
            not_after,
            validity: certificate.validity_words(),
            key: certificate.key_kind(),
            certificate_fingerprint: fingerprint(der),
            key_fingerprint: fingerprint(&certificate.public_key()?),
        })
    }
}

/// The SHA-256 digest as the configuration may have it.
fn fingerprint(bytes: &[u8]) -> String {
    let digest = Digest::Sha256.of(bytes);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use crate::tls::fingerprint::parse_fingerprint;

    #[test]
    fn a_certificate_tells_its_names_dates_and_key() {
        let names = vec!["mx.example.com".to_owned(), "192.0.2.1".to_owned()];
        let mut parameters = rcgen::CertificateParams::new(names).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 2);
        parameters.not_after = rcgen::date_time_ymd(2027, 3, 4);
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CommonName, "a mail server");
        parameters.distinguished_name = name;
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let summary = CertificateSummary::read(certificate.der()).unwrap();
        assert_eq!(summary.subject, "CN=a mail server");
        assert_eq!(summary.issuer, summary.subject);
        assert_eq!(summary.names, ["mx.example.com", "192.0.2.1"]);
        assert_eq!(summary.key, "ECDSA (prime256v1)");
        assert_eq!(
            summary.validity,
            ("2026-01-02T00:00:00Z".into(), "2027-03-04T00:00:00Z".into())
        );
        assert!(summary.not_before < summary.not_after);
        let digest = parse_fingerprint(&summary.certificate_fingerprint).unwrap();
        assert_eq!(digest, Digest::Sha256.of(certificate.der()));
        let digest = parse_fingerprint(&summary.key_fingerprint).unwrap();
        assert_eq!(digest.len(), 32);
        assert_ne!(summary.key_fingerprint, summary.certificate_fingerprint);
    }

    #[test]
    fn what_is_no_certificate_has_no_summary() {
        assert_eq!(CertificateSummary::read(b""), None);
        assert_eq!(CertificateSummary::read(&[0x30, 0x82, 0xff, 0xff]), None);
    }
}
