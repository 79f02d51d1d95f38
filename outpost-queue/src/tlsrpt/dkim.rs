//! DKIM signatures (RFC 6376) of the mail with a report.

use core::fmt;

use ed25519_dalek::{
    SigningKey,
    pkcs8::{
        ObjectIdentifier, PrivateKeyInfo,
        spki::{
            AlgorithmIdentifierRef,
            der::{
                self, Decode, Encode, SliceReader,
                asn1::{AnyRef, UintRef},
            },
        },
    },
};
use mailrs_dkim::{
    DkimSigningKey, RsaSigningKey, SignOpts,
    headers::{find_body_offset, find_header_value},
    sign,
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

use super::Signer;
use crate::model::Timestamp;

/// The fields that a signature covers where they are there. The second From says that there is no other one.
const SIGNED: [&str; 12] = [
    "From",
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
    "TLS-Required",
    "Auto-Submitted",
];
/// The least length of an RSA key in bits: what signers should have (RFC 8301 section 3.2), and the least that signs here.
const RSA_LEAST: usize = 2048;
/// The length of a line of the field, where it has a space to be folded at.
const LINE: usize = 76;
/// The labels of `SELECTOR._domainkey.DOMAIN` besides selector and domain, and the most bytes of a name.
const BETWEEN: &str = "._domainkey.";
const NAME_LIMIT: usize = 253;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A signer with a key of a domain: RSA (`rsa-sha256`) or Ed25519 (`ed25519-sha256`, RFC 8463), relaxed/relaxed.
///
/// Receivers take reports that are signed by the domain which reports, whose key record should have `s=tlsrpt` (RFC 8460
/// section 3): see [`is_aligned_with`](Self::is_aligned_with).
pub struct DkimSigner {
    domain: String,
    selector: String,
    key: DkimSigningKey,
}

/// The reason why there is no signer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DkimError {
    /// This is no domain name in ASCII.
    Domain(String),
    /// This is no selector: one or more labels of a domain name.
    Selector(String),
    /// Both are too long for a name together.
    TooLong,
    /// There is no private key in PEM, for this reason.
    NoKey(String),
    /// The key has a passphrase.
    Encrypted,
    /// The key is neither RSA nor Ed25519.
    Kind,
    /// The RSA key has so many bits, which are too few.
    Short(usize),
    /// The key is damaged, or of a form that is not known.
    Damaged(String),
}

impl fmt::Display for DkimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(text) => write!(
                f,
                "\"{}\" is no domain name in ASCII (others are written with xn--)",
                text.escape_debug()
            ),
            Self::Selector(text) => write!(
                f,
                "\"{}\" is no selector: it has letters, digits, - and _, in labels with dots between",
                text.escape_debug()
            ),
            Self::TooLong => f.write_str("selector and domain are too long for a domain name"),
            Self::NoKey(why) => write!(f, "there is no private key in PEM: {why}"),
            Self::Encrypted => f.write_str(
                "the key has a passphrase: openssl pkey -in KEY -out NEW writes one without",
            ),
            Self::Kind => f.write_str("the key is neither RSA nor Ed25519"),
            Self::Short(bits) => write!(
                f,
                "the RSA key has {bits} bits, and {RSA_LEAST} are the least"
            ),
            Self::Damaged(why) => write!(f, "the key cannot be used: {why}"),
        }
    }
}

impl core::error::Error for DkimError {}

impl DkimSigner {
    /// A signer with the first private key of a text in PEM: `PRIVATE KEY` (PKCS#8), or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// Domain or selector is none, or there is no key that can sign.
    pub fn new(domain: &str, selector: &str, pem: &[u8]) -> Result<Self, DkimError> {
        if !is_name(domain) {
            return Err(DkimError::Domain(domain.to_owned()));
        }
        if !is_name(selector) {
            return Err(DkimError::Selector(selector.to_owned()));
        }
        if selector.len() + BETWEEN.len() + domain.len() > NAME_LIMIT {
            return Err(DkimError::TooLong);
        }
        Ok(Self {
            domain: domain.to_ascii_lowercase(),
            selector: selector.to_owned(),
            key: key(pem)?,
        })
    }

    /// True if receivers take the signature for that of a sender in this domain: it is the same, or one below.
    pub fn is_aligned_with(&self, domain: &str) -> bool {
        let domain = domain.to_ascii_lowercase();
        let above = domain.strip_suffix(&self.domain);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// The name of the TXT record with the public key.
    pub fn record_name(&self) -> String {
        format!("{}{BETWEEN}{}", self.selector, self.domain)
    }

    /// The name of the algorithm, as in the field.
    pub const fn algorithm(&self) -> &'static str {
        match self.key {
            DkimSigningKey::Rsa(_) => "rsa-sha256",
            DkimSigningKey::Ed25519(_) => "ed25519-sha256",
        }
    }
}

impl Signer for DkimSigner {
    fn sign(&self, message: &[u8], now: Timestamp) -> Result<String, String> {
        let end = find_body_offset(message).ok_or("the message has no end of its header")?;
        let header = message.get(..end).unwrap_or_default();
        let there = |name: &&str| find_header_value(header, name).is_some();
        if !there(&"From") {
            return Err("the message has no From field".to_owned());
        }
        let mut options = SignOpts::new(&self.domain, &self.selector)
            .signed_headers(SIGNED.into_iter().filter(there));
        options.timestamp = u64::try_from(now.micros() / 1_000_000).ok();
        let field = sign(message, &self.key, &options).map_err(|why| why.to_string())?;
        folded(&field).ok_or_else(|| "the signature is not the last tag of its field".to_owned())
    }
}

impl fmt::Debug for DkimSigner {
    /// Everything but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimSigner")
            .field("record", &self.record_name())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn is_name(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= NAME_LIMIT && text.split('.').all(is_label)
}

fn key(pem: &[u8]) -> Result<DkimSigningKey, DkimError> {
    let encrypted = b"BEGIN ENCRYPTED PRIVATE KEY";
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|why| {
        match pem.windows(encrypted.len()).any(|text| text == encrypted) {
            true => DkimError::Encrypted,
            false => DkimError::NoKey(why.to_string()),
        }
    })?;
    match &key {
        PrivateKeyDer::Pkcs8(der) => {
            let info = PrivateKeyInfo::try_from(der.secret_pkcs8_der()).map_err(damaged)?;
            match info.algorithm.oid {
                RSA => rsa(info.private_key),
                ED25519 => SigningKey::try_from(info)
                    .map(DkimSigningKey::Ed25519)
                    .map_err(damaged),
                _ => Err(DkimError::Kind),
            }
        }
        PrivateKeyDer::Pkcs1(der) => rsa(der.secret_pkcs1_der()),
        _ => Err(DkimError::Kind),
    }
}

/// The key of an `RSAPrivateKey`.
fn rsa(pkcs1: &[u8]) -> Result<DkimSigningKey, DkimError> {
    let bits = modulus_bits(pkcs1).map_err(damaged)?;
    if bits < RSA_LEAST {
        return Err(DkimError::Short(bits));
    }
    let algorithm = AlgorithmIdentifierRef {
        oid: RSA,
        parameters: Some(AnyRef::NULL),
    };
    let pkcs8 = PrivateKeyInfo::new(algorithm, pkcs1).to_der();
    let key = RsaSigningKey::from_pkcs8_der(&pkcs8.map_err(damaged)?).map_err(damaged)?;
    Ok(DkimSigningKey::Rsa(key))
}

/// The length of the second number of an `RSAPrivateKey`.
fn modulus_bits(pkcs1: &[u8]) -> der::Result<usize> {
    let mut numbers = SliceReader::new(AnyRef::from_der(pkcs1)?.value())?;
    let _version = UintRef::decode(&mut numbers)?;
    let modulus = UintRef::decode(&mut numbers)?;
    let unused = modulus
        .as_bytes()
        .first()
        .map_or(0, |byte| byte.leading_zeros());
    Ok(modulus.as_bytes().len() * 8 - unused as usize)
}

fn damaged(why: impl fmt::Display) -> DkimError {
    DkimError::Damaged(why.to_string())
}

/// Folds a field at the spaces between its tags, which relaxed canonicalization makes up for, and its signature anywhere:
/// no verifier looks at the spaces there.
fn folded(field: &str) -> Option<String> {
    let (tags, signature) = field.trim_end().rsplit_once("; b=")?;
    let mut folded = String::with_capacity(field.len() + 64);
    let mut length = 0;
    for tag in tags.split("; ") {
        if length > 0 {
            let fits = length + tag.len() + 2 <= LINE;
            folded.push_str(if fits { " " } else { "\r\n " });
            length = if fits { length + 1 } else { 1 };
        }
        folded.push_str(tag);
        folded.push(';');
        length += tag.len() + 1;
    }
    folded.push_str("\r\n b=");
    for (place, character) in signature.chars().enumerate() {
        if place > 0 && place % (LINE - 4) == 0 {
            folded.push_str("\r\n ");
        }
        folded.push(character);
    }
    folded.push_str("\r\n");
    Some(folded)
}
