//! The encryption of a connection, as reports tell it: TLS with what it has proved, or
//! none, and why.

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
    Tls(Box<TlsSummary>),
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

/// The part of a handshake that is worth telling in a report. [`TlsFacts`] has it all.
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
}

impl TlsSummary {
    pub(crate) fn of(facts: &TlsFacts) -> Self {
        Self {
            version: facts.version,
            cipher: facts.cipher.clone(),
            bits: facts.bits,
            trust: facts.trust,
            problem: facts.problem_words().map(LogText::from),
        }
    }
}
