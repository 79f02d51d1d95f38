//! The encryption of a connection, as reports tell it: TLS with what it has proved, or
//! none, and why.

use core::fmt;
use std::sync::Arc;

use super::text::LogText;
use crate::tls::{TlsFacts, Trust};

/// The encryption of the connection that a verdict comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// Not at all.
    Plaintext {
        /// Why TLS could not be had that the server offered: it refused STARTTLS, or the
        /// handshake failed in the session before this one.
        instead: Option<LogText>,
    },
    /// TLS was begun and failed, for this reason.
    Failed(LogText),
    /// By TLS.
    Tls(Arc<TlsSummary>),
}

impl Default for Encryption {
    fn default() -> Self {
        Self::Plaintext { instead: None }
    }
}

impl Encryption {
    /// Why TLS could not be had, if it was tried.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Plaintext { instead } => instead.as_deref(),
            Self::Failed(why) => Some(why),
            Self::Tls(_) => None,
        }
    }

    /// The facts that TLS has proved, if the connection was encrypted.
    pub fn tls(&self) -> Option<&TlsSummary> {
        match self {
            Self::Tls(summary) => Some(summary),
            _ => None,
        }
    }
}

/// `TLSv1.3, verified`, `plaintext`, or why TLS could not be had.
impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext { instead: None } => f.write_str("plaintext"),
            Self::Plaintext { instead: Some(why) } => write!(f, "plaintext: {why}"),
            Self::Failed(why) => write!(f, "TLS failed: {why}"),
            Self::Tls(tls) => write!(f, "{}, {}", tls.version, tls.proof()),
        }
    }
}

/// The part of a handshake that is worth telling in a report. [`TlsFacts`] has it all.
/// Its `Display` is Postfix's: `TLSv1.3 with cipher …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSummary {
    /// The version as OpenSSL calls it: `TLSv1.3`.
    pub version: &'static str,
    /// The cipher as OpenSSL calls it.
    pub cipher: String,
    /// The length of its key in bits.
    pub bits: u16,
    /// The worth of the server's certificate. [`Trust::Verified`] only where the level
    /// demands that it is the right one.
    pub trust: Trust,
    /// The fault of the certificates, in one line.
    pub problem: Option<LogText>,
    /// The way in which the keys were agreed on. TLS 1.3 only.
    pub key_exchange: Option<String>,
    /// The way in which the server signed. TLS 1.3 only.
    pub signature: Option<String>,
}

impl TlsSummary {
    /// The facts of a handshake with nothing wrong: version and cipher as OpenSSL calls
    /// them, the length of the key in bits. The rest can be set afterwards.
    pub fn new(version: &'static str, cipher: impl Into<String>, bits: u16, trust: Trust) -> Self {
        Self {
            version,
            cipher: cipher.into(),
            bits,
            trust,
            problem: None,
            key_exchange: None,
            signature: None,
        }
    }

    /// The worth of the server's certificate, in words for people.
    pub const fn proof(&self) -> &'static str {
        match self.trust {
            Trust::Verified => "verified",
            Trust::Trusted => "trusted issuer, not verified",
            Trust::Untrusted | Trust::Anonymous => "not verified",
        }
    }

    pub(crate) fn of(facts: &TlsFacts) -> Self {
        Self {
            version: facts.version,
            cipher: facts.cipher.clone(),
            bits: facts.bits,
            trust: facts.trust,
            problem: facts.problem_words().map(LogText::from),
            key_exchange: facts.key_exchange.clone(),
            signature: facts.signature.clone(),
        }
    }
}

impl fmt::Display for TlsSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, cipher, bits) = (self.version, &self.cipher, self.bits);
        write!(f, "{version} with cipher {cipher} ({bits}/{bits} bits)")?;
        if let Some(exchange) = &self.key_exchange {
            write!(f, " key-exchange {exchange}")?;
        }
        if let Some(signature) = &self.signature {
            write!(f, " server-signature {signature}")?;
        }
        Ok(())
    }
}
