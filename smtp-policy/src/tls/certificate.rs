//! What can be read from a certificate: names, key, dates. Whether any of it is to
//! be believed is not decided here.

use core::time::Duration;

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

    /// The names that a server can be known by.
    pub(super) fn names(&self) -> CertificateNames {
        let dns = self.alternative_names().unwrap_or_default();
        CertificateNames {
            dns,
            common: common_name(&self.0.tbs_certificate.subject),
        }
    }

    fn alternative_names(&self) -> Option<Vec<String>> {
        let extensions = self.0.tbs_certificate.extensions.as_ref()?;
        let names = extensions
            .iter()
            .find(|extension| extension.extn_id == ALTERNATIVE_NAMES)?;
        let names = SubjectAltName::from_der(names.extn_value.as_bytes()).ok()?;
        let dns = names.0.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            _ => None,
        });
        Some(dns.collect())
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
        let validity = &self.0.tbs_certificate.validity;
        if unix_time < validity.not_before.to_unix_duration() {
            core::cmp::Ordering::Less
        } else if unix_time > validity.not_after.to_unix_duration() {
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
