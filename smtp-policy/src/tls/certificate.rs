//! What can be read from a certificate: names, key, dates. Whether any of it is to
//! be believed is not decided here.

use core::{net::IpAddr, time::Duration};

use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::{
        Decode, Encode, SliceReader, Tag, TagNumber, Tagged,
        asn1::{
            ContextSpecific, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
        },
        referenced::OwnedToRef,
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
    spki::AlgorithmIdentifierOwned,
};

use super::{fingerprint::Digest, names::CertificateNames};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ALTERNATIVE_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// Algorithms of public keys, with the names of OpenSSL for those that have no
/// parameters.
const KEYS: [(ObjectIdentifier, &str); 6] = [
    (RSA, "RSA"),
    (ELLIPTIC, "ECDSA"),
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "ED25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "ED448"),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (RSA_PSS, "RSA-PSS"),
];
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// Elliptic curves with their names in OpenSSL.
const CURVES: [(ObjectIdentifier, &str); 3] = [
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        "prime256v1",
    ),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "secp384r1"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "secp521r1"),
];
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// Signature algorithms, and the digests of RSA-PSS, with what a channel binding of
/// the certificate is made with: SHA-256 in place of what is weaker (RFC 5929
/// section 4.1).
const DIGESTS: [(&str, Digest); 14] = [
    ("1.2.840.113549.1.1.4", Digest::Sha256),
    ("1.2.840.113549.1.1.5", Digest::Sha256),
    ("1.2.840.113549.1.1.14", Digest::Sha224),
    ("1.2.840.113549.1.1.11", Digest::Sha256),
    ("1.2.840.113549.1.1.12", Digest::Sha384),
    ("1.2.840.113549.1.1.13", Digest::Sha512),
    ("1.2.840.10045.4.1", Digest::Sha256),
    ("1.2.840.10045.4.3.1", Digest::Sha224),
    ("1.2.840.10045.4.3.2", Digest::Sha256),
    ("1.2.840.10045.4.3.3", Digest::Sha384),
    ("1.2.840.10045.4.3.4", Digest::Sha512),
    ("2.16.840.1.101.3.4.2.1", Digest::Sha256),
    ("2.16.840.1.101.3.4.2.2", Digest::Sha384),
    ("2.16.840.1.101.3.4.2.3", Digest::Sha512),
];

/// A certificate that could be read.
#[derive(Debug)]
pub(super) struct Certificate(CertificateInner<Raw>);

impl Certificate {
    /// Reads a certificate in DER; `None` if it is none.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        CertificateInner::from_der(der).ok().map(Self)
    }

    /// The public key in DER (SubjectPublicKeyInfo).
    pub(super) fn public_key(&self) -> Option<Vec<u8>> {
        self.0.tbs_certificate.subject_public_key_info.to_der().ok()
    }

    /// The length of an RSA key in bits.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        if key.algorithm.oid != RSA {
            return None;
        }
        first_integer(sequence_body(key.subject_public_key.as_bytes()?)?)
    }

    /// The kind of the public key and how long it is: `RSA (2048 bits)`, `ECDSA
    /// (prime256v1)`. What nobody knows has its object identifier.
    pub(super) fn key_kind(&self) -> String {
        let algorithm = &self.0.tbs_certificate.subject_public_key_info.algorithm;
        let name = KEYS.iter().find(|(oid, _)| *oid == algorithm.oid);
        let Some((_, name)) = name else {
            return algorithm.oid.to_string();
        };
        let curve = || {
            let oid: ObjectIdentifier = algorithm.parameters.as_ref()?.decode_as().ok()?;
            let known = CURVES.iter().find(|(curve, _)| *curve == oid);
            Some(known.map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned()))
        };
        let detail = match algorithm.oid {
            RSA => self.rsa_bits().map(|bits| format!("{bits} bits")),
            ELLIPTIC => curve(),
            _ => None,
        };
        match detail {
            Some(detail) => format!("{name} ({detail})"),
            None => (*name).to_owned(),
        }
    }

    /// Subject and issuer as RFC 4514 writes them.
    pub(super) fn subject_and_issuer(&self) -> (String, String) {
        let body = &self.0.tbs_certificate;
        (body.subject.to_string(), body.issuer.to_string())
    }

    /// When the certificate begins and ends to be valid, since 1970 in UTC.
    pub(super) fn validity(&self) -> (Duration, Duration) {
        let validity = &self.0.tbs_certificate.validity;
        (
            validity.not_before.to_unix_duration(),
            validity.not_after.to_unix_duration(),
        )
    }

    /// The same in words: `2026-11-22T22:05:30Z`.
    pub(super) fn validity_words(&self) -> (String, String) {
        let validity = &self.0.tbs_certificate.validity;
        let words = |time: x509_cert::time::Time| time.to_date_time().to_string();
        (words(validity.not_before), words(validity.not_after))
    }

    /// The digest that `tls-server-end-point` takes of this certificate: the one
    /// that its signature is made with, if that is one of these and not too weak.
    /// None is defined for signatures that name no digest, such as Ed25519.
    pub(super) fn signature_digest(&self) -> Option<Digest> {
        let algorithm = &self.0.signature_algorithm;
        let oid = if algorithm.oid == RSA_PSS {
            match pss_digest(algorithm.parameters.as_ref()?.value())? {
                Some(digest) => digest,
                // SHA-1, which is too weak.
                None => return Some(Digest::Sha256),
            }
        } else {
            algorithm.oid
        };
        let name = oid.to_string();
        let known = DIGESTS.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, digest)| digest)
    }

    /// The names that a server can be known by.
    pub(super) fn names(&self) -> CertificateNames {
        let mut names = CertificateNames {
            common: common_name(&self.0.tbs_certificate.subject),
            ..CertificateNames::default()
        };
        for name in self.alternative_names().unwrap_or_default() {
            match name {
                GeneralName::DnsName(name) => names.dns.push(name.as_str().to_owned()),
                GeneralName::IpAddress(address) => names.addresses.extend(ip(address.as_bytes())),
                _ => {}
            }
        }
        names
    }

    fn alternative_names(&self) -> Option<Vec<GeneralName>> {
        let extensions = self.0.tbs_certificate.extensions.as_ref()?;
        let names = extensions
            .iter()
            .find(|extension| extension.extn_id == ALTERNATIVE_NAMES)?;
        let names = SubjectAltName::from_der(names.extn_value.as_bytes()).ok()?;
        Some(names.0)
    }

    /// The issuer as OpenSSL prints it in one line: `/C=../O=../CN=..`.
    pub(super) fn issuer_line(&self) -> String {
        let parts = self.0.tbs_certificate.issuer.0.iter();
        parts.map(|part| format!("/{part}")).collect()
    }

    /// The issuer's name in DER.
    pub(super) fn issuer(&self) -> Option<Vec<u8>> {
        self.0.tbs_certificate.issuer.to_der().ok()
    }

    /// Whether issuer and subject have the same name.
    pub(super) fn is_self_issued(&self) -> bool {
        self.0.tbs_certificate.issuer == self.0.tbs_certificate.subject
    }

    /// Whether the certificate is valid at a time: `Less` is not yet, `Greater` is
    /// no longer.
    pub(super) fn at(&self, unix_time: Duration) -> core::cmp::Ordering {
        let (begin, end) = self.validity();
        if unix_time < begin {
            core::cmp::Ordering::Less
        } else if unix_time > end {
            core::cmp::Ordering::Greater
        } else {
            core::cmp::Ordering::Equal
        }
    }
}

/// The common name of a subject, in whatever string type it has. A NUL in it is a
/// trick, and the name then counts for nothing.
fn common_name(subject: &Name) -> Option<String> {
    let mut attributes = subject.0.iter().flat_map(|part| part.0.iter());
    let value = &attributes
        .find(|attribute| attribute.oid == COMMON_NAME)?
        .value;
    let value = value.owned_to_ref();
    let text = match value.tag() {
        Tag::Utf8String => value
            .decode_as::<Utf8StringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::PrintableString => value
            .decode_as::<PrintableStringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::TeletexString => value
            .decode_as::<TeletexStringRef<'_>>()
            .ok()?
            .as_str()
            .to_owned(),
        Tag::Ia5String => String::from_utf8(value.value().to_vec()).ok()?,
        Tag::BmpString => {
            let units = value
                .value()
                .chunks_exact(2)
                .filter_map(|pair| pair.first_chunk::<2>());
            String::from_utf16(
                &units
                    .map(|pair| u16::from_be_bytes(*pair))
                    .collect::<Vec<_>>(),
            )
            .ok()?
        }
        _ => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// What is inside an ASN.1 sequence.
fn sequence_body(der: &[u8]) -> Option<&[u8]> {
    let sequence = x509_cert::der::asn1::AnyRef::from_der(der).ok()?;
    (sequence.tag() == Tag::Sequence).then_some(sequence.value())
}

/// The digest in the parameters of RSA-PSS, if they name one (RFC 4055 section 3.1).
fn pss_digest(parameters: &[u8]) -> Option<Option<ObjectIdentifier>> {
    let mut reader = SliceReader::new(parameters).ok()?;
    let digest =
        ContextSpecific::<AlgorithmIdentifierOwned>::decode_explicit(&mut reader, TagNumber::N0);
    Some(digest.ok()?.map(|algorithm| algorithm.value.oid))
}

/// The length in bits of the integer that stands first.
fn first_integer(der: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(der).ok()?;
    let integer = x509_cert::der::asn1::UintRef::decode(&mut reader).ok()?;
    Some(integer.as_bytes().len() * 8)
}

/// An address as certificates have it: four or sixteen bytes.
fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4().or_else(|_| v6()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_made_with_the_digest_of_the_signature() {
        let rows = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(Digest::Sha256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(Digest::Sha384)),
            (&rcgen::PKCS_ED25519, None),
        ];
        for (algorithm, expected) in rows {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let params = rcgen::CertificateParams::new(["mx.example".to_owned()]).unwrap();
            let certificate = params.self_signed(&key).unwrap();
            let certificate = Certificate::parse(certificate.der()).unwrap();
            assert_eq!(certificate.signature_digest(), expected, "{algorithm:?}");
        }
    }

    #[test]
    fn a_weak_digest_gives_way_to_sha_256() {
        let of = |oid: &str| {
            DIGESTS
                .into_iter()
                .find(|(known, _)| *known == oid)
                .unwrap()
                .1
        };
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1.
        for oid in [
            "1.2.840.113549.1.1.4",
            "1.2.840.113549.1.1.5",
            "1.2.840.10045.4.1",
        ] {
            assert_eq!(of(oid), Digest::Sha256, "{oid}");
        }
    }

    #[test]
    fn rsa_pss_names_its_digest_in_the_parameters() {
        let sha384 = b"\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00";
        let found = pss_digest(sha384).unwrap().map(|oid| oid.to_string());
        assert_eq!(found.as_deref(), Some("2.16.840.1.101.3.4.2.2"));
        assert_eq!(pss_digest(b""), Some(None));
        assert_eq!(pss_digest(&sha384[..9]), None);
    }
}
