//! The settings of encryption.

use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

use smtp_proto::Protocol;

use super::{
    CipherExclusions, CipherGrade, DaneDigests, Digest, Fingerprints, MatchName, Protocols,
    RequireTlsPolicy, ServerName, TlsConnector, TlsLevel, TlsMaterial, TrustAnchors, Versions,
};
use crate::{request::TlsWish, tables::Maps};

/// When TLS is used, which servers are trusted, and how the handshake is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tls {
    /// The level where no table says another (`smtp_tls_security_level`).
    pub level: TlsLevel,
    /// TLS begins with the connection, without STARTTLS (`smtp_tls_wrappermode`). Servers at a level below
    /// `encrypt` are passed over.
    pub wrapper: bool,
    /// Levels and more by destination (`smtp_tls_policy_maps`). An entry that cannot be understood defers the
    /// mail for its destination.
    pub policy: Maps,
    /// Obsolete levels by site (`smtp_tls_per_site`), which count where `policy` is empty.
    pub per_site: Maps,
    /// The offer of handshakes at level `may` (`smtp_tls_protocols` and its relatives).
    pub opportunistic: Offer,
    /// The offer of handshakes at all other levels (`smtp_tls_mandatory_protocols` and its relatives). The
    /// exclusions of `opportunistic` hold here too.
    pub mandatory: Offer,
    /// Names that certificates may have at level `verify` (`smtp_tls_verify_cert_match`).
    pub verify_match: Vec<MatchName>,
    /// Names that certificates may have at level `secure` (`smtp_tls_secure_cert_match`).
    pub secure_match: Vec<MatchName>,
    /// Fingerprints that count at level `fingerprint` (`smtp_tls_fingerprint_cert_match`).
    pub fingerprints: Fingerprints,
    /// The algorithm of fingerprints (`smtp_tls_fingerprint_digest`).
    pub digest: Digest,
    /// The name that servers are asked for (`smtp_tls_servername`).
    pub server_name: ServerName,
    /// The most certificates above the server's own (`smtp_tls_scert_verifydepth`).
    pub depth: u32,
    /// The time after a full handshake in which its session may be resumed (`smtp_tls_session_cache_timeout`); none: not
    /// at all.
    pub resumption: Option<Duration>,
    /// Connections with TLS may be kept too (`smtp_tls_connection_reuse`).
    pub connection_reuse: bool,
    /// DANE.
    pub dane: Dane,
    /// The trust anchors in place of the authorities at levels `verify` and `secure`
    /// (`smtp_tls_trust_anchor_file`). An error says why nobody is: mail at these levels is deferred.
    pub anchors: Option<Result<Arc<TrustAnchors>, String>>,
    /// The trust anchors that entries of `policy` name with `tafile=`, by that name.
    pub anchor_files: BTreeMap<String, Result<Arc<TrustAnchors>, String>>,
    /// Authorities, and certificates of this client. An error says why they cannot be used: there is no engine
    /// then.
    pub material: Result<TlsMaterial, String>,
    /// The authorities for mail exchangers of MTA-STS policies.
    pub sts_authorities: StsAuthorities,
    /// The source of TLS engines. None: rustls with `material`, where the feature `tls` is on and a level or a
    /// table wants TLS.
    pub engine: Option<Arc<dyn TlsConnector>>,
    /// The demands on servers for messages with REQUIRETLS (`smtp_requiretls_policy`, `requiretls_enable`).
    pub require: RequireTlsPolicy,
    /// Servers must match the patterns that entries of `policy` have from an MTA-STS policy, and their certificates their
    /// own names (`smtp_tls_enforce_sts_mx_patterns`).
    pub enforce_sts_patterns: bool,
    /// `TLS-Required: no` in a message's header waives policies (`tls_required_enable`).
    pub heed_waiver: bool,
    /// A server that offers STARTTLS at level `none` is worth a line (`smtp_tls_note_starttls_offer`).
    pub note_starttls_offer: bool,
    /// A reply that is there before MAIL FROM is sent over TLS counts as an attack
    /// (`smtp_tls_block_early_mail_reply`).
    pub block_early_mail_reply: bool,
    /// The end of TLS is not waited for (`tls_fast_shutdown_enable`).
    pub fast_shutdown: bool,
    /// The age from which mail at level `may` goes out in plaintext after a handshake that failed
    /// (`minimal_backoff_time`).
    pub plaintext_retry_age: Duration,
    /// The log lines about TLS.
    pub log: TlsLog,
}

impl Tls {
    /// Opportunistic TLS where there is an engine for it, otherwise Postfix's defaults for
    /// the protocol.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            level: match cfg!(feature = "tls") {
                true => TlsLevel::May,
                false => TlsLevel::None,
            },
            wrapper: false,
            policy: Maps::default(),
            per_site: Maps::default(),
            opportunistic: Offer::default(),
            mandatory: Offer::default(),
            verify_match: vec![MatchName::Hostname],
            secure_match: match protocol {
                Protocol::Smtp => vec![MatchName::Nexthop, MatchName::DotNexthop],
                Protocol::Lmtp => vec![MatchName::Nexthop],
            },
            fingerprints: Fingerprints::default(),
            digest: Digest::Sha256,
            server_name: ServerName::None,
            depth: 9,
            resumption: None,
            connection_reuse: false,
            dane: Dane {
                insecure_mx: match protocol {
                    Protocol::Smtp => TlsLevel::Dane,
                    Protocol::Lmtp => TlsLevel::May,
                },
                ..Dane::default()
            },
            anchors: None,
            anchor_files: BTreeMap::new(),
            material: Ok(TlsMaterial::default()),
            sts_authorities: StsAuthorities::System,
            engine: None,
            require: RequireTlsPolicy::default(),
            enforce_sts_patterns: true,
            heed_waiver: true,
            note_starttls_offer: false,
            block_early_mail_reply: false,
            fast_shutdown: true,
            plaintext_retry_age: Duration::from_secs(300),
            log: TlsLog::default(),
        }
    }

    /// The wish of a sender as far as it counts.
    pub(crate) fn heeded(&self, wish: TlsWish) -> TlsWish {
        match wish {
            TlsWish::Waived if !self.heed_waiver => TlsWish::Unsaid,
            wish => wish,
        }
    }
}

/// Versions and ciphers of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// The versions.
    pub protocols: Protocols,
    /// The grade of the ciphers.
    pub ciphers: CipherGrade,
    /// Ciphers that are left out.
    pub exclude: CipherExclusions,
}

/// When DANE applies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dane {
    /// The digests that TLSA records may use (`tls_dane_digests`).
    pub digests: DaneDigests,
    /// The level for servers that are found through unsigned MX records (`smtp_tls_dane_insecure_mx_policy`):
    /// `may`, `encrypt` or `dane`.
    pub insecure_mx: TlsLevel,
    /// TLSA records are looked up also where the address was not validated
    /// (`smtp_tls_force_insecure_host_tlsa_lookup`).
    pub force: bool,
}

impl Default for Dane {
    fn default() -> Self {
        Self {
            digests: DaneDigests::default(),
            insecure_mx: TlsLevel::May,
            force: false,
        }
    }
}

/// The authorities for the mail exchangers of an MTA-STS policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StsAuthorities {
    /// The authorities of the operating system.
    #[default]
    System,
    /// Those of [`Tls::material`], if there are none nobody.
    Configured,
}

/// The log lines about TLS (`smtp_tls_loglevel`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsLog {
    /// A line for each handshake.
    pub summary: bool,
    /// A line for each session that was resumed.
    pub cache: bool,
}

impl Offer {
    /// The versions that are left.
    pub const fn versions(&self) -> Versions {
        self.protocols.versions().at_grade(self.ciphers)
    }
}
