//! What can be read from a certificate: names, key, dates. Whether any of it is to
//! be believed is not decided here.

use core::{net::IpAddr, time::Duration};

use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::{
        Decode, Encode, Tag, Tagged,
        asn1::{ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef},
        referenced::OwnedToRef,
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use super::names::CertificateNames;

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
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        "RSA-PSS",
    ),
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

/// The length in bits of the integer that stands first.
fn first_integer(der: &[u8]) -> Option<usize> {
    let mut reader = x509_cert::der::SliceReader::new(der).ok()?;
    let integer = x509_cert::der::asn1::UintRef::decode(&mut reader).ok()?;
    Some(integer.as_bytes().len() * 8)
}

/// An address as certificates have it: four or sixteen bytes.
fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4().or_else(|_| v6()).ok()
}
