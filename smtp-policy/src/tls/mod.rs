//! TLS: when it is used, with whom, and how a server proves who it is.
//!
//! | concern | file |
//! |---|---|
//! | the levels | `level.rs` |
//! | what holds for one server: policy table, per-site table, parameters | `policy.rs`, `attributes.rs` |
//! | the questions that this takes, without I/O | `search.rs`, `dane_search.rs`, `sts_search.rs` |
//! | how the level came about, for a survey and for reports on TLS | `story.rs`, `result.rs` |
//! | the settings | `settings.rs` |
//! | what a handshake is made with | `setup.rs` |
//! | TLSA records | `dane.rs` |
//! | names in certificates, fingerprints | `names.rs`, `fingerprint.rs` |
//! | versions and ciphers | `protocols.rs` |
//! | PEM | `material.rs` |
//! | what a certificate says, for people | `summary.rs` |
//! | the handshake, the encryption, the chain of issuers | `rustls.rs`, `verify.rs` |
//! | sessions that are resumed | `sessions.rs` |
//!
//! The engine sits behind [`TlsEngine`], so that a consumer can bring another one
//! ([`Policy::with_tls`](crate::policy::Policy::with_tls)). Every name of rustls is
//! in the last three files. Without the feature `tls` there is no engine, and mail
//! for which TLS is demanded is deferred.
//!
//! A handshake does not fail because of a certificate: what it proves is noted in
//! [`TlsFacts`], and the delivery decides, as Postfix does, whether to go on or to
//! say QUIT inside TLS (`src/tls/tls_client.c`, `src/smtp/smtp_proto.c`).

mod attributes;
#[cfg(feature = "tls")]
mod certificate;
pub(crate) mod dane;
mod dane_search;
mod facts;
pub(crate) mod fingerprint;
mod level;
#[cfg(feature = "tls")]
mod material;
mod names;
pub(crate) mod policy;
pub(crate) mod protocols;
pub(crate) mod require;
mod result;
#[cfg(feature = "tls")]
mod rustls;
pub(crate) mod search;
#[cfg(feature = "tls")]
mod sessions;
pub(crate) mod settings;
mod setup;
pub(crate) mod story;
mod sts_search;
#[cfg(feature = "tls")]
mod summary;
#[cfg(feature = "tls")]
mod verify;

use core::{fmt, time::Duration};
use std::sync::Arc;

use bytes::Buf;
use smtp_proto::queue::SendQueue;

pub use self::{
    attributes::tafiles,
    dane::{DaneDigests, Tlsa},
    facts::{BindingKind, ChannelBinding, MatchedBy, Problem, TlsFacts, Trust},
    fingerprint::{Digest, Fingerprints},
    level::TlsLevel,
    names::{CertificateNames, MatchContext, MatchName, NamePattern, ServerName},
    protocols::{CipherExclusions, CipherGrade, NotUnderstood, Protocols, Versions},
    require::{RequireTls, RequireTlsItem, RequireTlsPolicy},
    result::{PolicyType, ResultType, TlsResult},
    story::{DaneStory, LevelSource, StsStory, TlsaAnswer, TlsaLookup},
};
#[cfg(feature = "tls")]
pub use self::{rustls::RustlsConnector, summary::CertificateSummary};

/// The TLS of one connection, from the first byte of the handshake on: what came
/// from the wire goes in, and what belongs on the wire comes out. It moves no bytes
/// itself.
pub trait TlsEngine: Send + fmt::Debug {
    /// Takes bytes from the wire and appends what they mean to `plain`.
    ///
    /// # Errors
    /// The handshake has failed, or the stream is broken. Nothing more can be
    /// received; what the peer should be told is fetched with [`seal`](Self::seal).
    fn receive(&mut self, wire: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsTrouble>;

    /// Takes plain text, once the handshake is done, and puts what belongs on the
    /// wire at the end of `wire`, also that of the handshake itself.
    ///
    /// # Errors
    /// Nothing more can be sent.
    fn seal(&mut self, plain: &mut dyn Buf, wire: &mut SendQueue) -> Result<(), TlsTrouble>;

    /// Says on the wire that nothing more will be sent (close_notify).
    fn close(&mut self, wire: &mut SendQueue);

    /// Whether the peer has said that it will send nothing more.
    fn is_over(&self) -> bool;

    /// What the handshake has shown; `None` until it is done.
    fn facts(&self) -> Option<TlsFacts>;
}

/// Where engines come from: one for each connection.
pub trait TlsConnector: Send + Sync + fmt::Debug {
    /// An engine whose handshake has not begun.
    ///
    /// # Errors
    /// The setup cannot be had. It counts as a failed handshake.
    fn engine(&self, setup: &TlsSetup) -> Result<Box<dyn TlsEngine>, TlsTrouble>;
}

/// Why a handshake failed or a stream is broken, in words for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTrouble(pub String);

impl fmt::Display for TlsTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsTrouble {}

/// What a handshake is to be made with, and what the server has to prove in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSetup {
    /// The level, which decides what [`TlsFacts`] calls the result.
    pub level: TlsLevel,
    /// The name to ask the server for (RFC 6066 section 3), in A-labels.
    pub sni: Option<String>,
    /// The versions to offer.
    pub versions: Versions,
    /// Ciphers that are not to be offered.
    pub exclude: CipherExclusions,
    /// What the server has to prove.
    pub demand: Demand,
    /// The most certificates above the server's own.
    pub depth: u32,
    /// The time of day, as the time since 1970 in UTC; `None` if nobody knows, and
    /// then no certificate with dates counts.
    pub unix_time: Option<Duration>,
    /// Under what an earlier session can be found and resumed, and this one be kept
    /// for a later connection; `None`: neither.
    pub resumption: Option<Resumption>,
}

/// Which TLS sessions can take the place of a full handshake
/// (`smtp_tls_session_cache_database`, `smtp_tls_session_cache_timeout`). Whatever
/// else a handshake is made with has to be the same too, but for the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The service, the next hop and the server, in one word for all who may share a
    /// session.
    pub server: String,
    /// How long after the full handshake a session may be resumed. Without the time
    /// of day none is.
    pub lifetime: Duration,
}

/// What a server has to prove, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing. Whether a trusted issuer vouches for it is noted all the same.
    Nothing,
    /// The digest of its certificate or of its public key is one of these.
    Fingerprint {
        /// The algorithm of the digests.
        digest: Digest,
        /// The digests.
        values: Vec<Vec<u8>>,
    },
    /// A trusted issuer vouches for it, and for one of the names.
    Authority {
        /// Who is trusted in place of the configured authorities.
        anchors: Option<Arc<TrustAnchors>>,
        /// The names, of which one is enough.
        names: Vec<NamePattern>,
    },
    /// One of the TLSA records fits.
    Dane {
        /// The records that count, after digest agility.
        records: Vec<Tlsa>,
        /// Which digests count, and how strong they are.
        digests: DaneDigests,
        /// The names, of which one is enough, where a record is for an issuer.
        names: Vec<NamePattern>,
    },
}

/// Trust anchors of a file (`smtp_tls_trust_anchor_file`, `tafile=`), in DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustAnchors {
    /// Certificates: of issuers at any height, or of the server itself.
    pub certificates: Vec<Vec<u8>>,
    /// Public keys of either.
    pub keys: Vec<Vec<u8>>,
}

/// The PEM files of the configuration, as they were when it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsMaterial {
    /// The certificates of the authorities (`smtp_tls_CAfile`, `smtp_tls_CApath`),
    /// in DER.
    pub authorities: Vec<Vec<u8>>,
    /// The client's own certificates, each with its chain and key.
    pub identities: Vec<TlsIdentity>,
}

/// A certificate of the client with the chain above it and its key, in DER.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The file that the key came from, for messages.
    pub file: String,
    /// The certificate and those above it.
    pub chain: Vec<Vec<u8>>,
    /// The private key.
    pub key: PrivateKey,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A private key in DER, by the form it has. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub enum PrivateKey {
    /// PKCS #1: RSA.
    Pkcs1(Vec<u8>),
    /// SEC 1: elliptic curves.
    Sec1(Vec<u8>),
    /// PKCS #8: any.
    Pkcs8(Vec<u8>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}
