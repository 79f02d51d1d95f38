//! What holds for one server: the level and everything that belongs to it
//! (`src/smtp/smtp_tls_policy.c`).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    DaneDigests, Digest, TlsConnector, TlsLevel, Tlsa, TrustAnchors, attributes::Attributes,
    fingerprint::parse_fingerprint, protocols::exclusions,
};
use crate::{
    config::{Config, Protocol},
    dns::names::{Wildcard, is_valid_hostname},
    route::{DnsSupport, idna::Idna},
    sts::{Mode, MtaSts, StsPolicy},
    tables::words::split,
};

/// What the configuration says about TLS, ready to be asked for each server.
#[derive(Clone, Debug)]
pub(crate) struct TlsRules {
    /// `smtp` or `lmtp`, for the names of parameters.
    pub(crate) prefix: &'static str,
    /// The level where no table says another.
    pub(crate) level: TlsLevel,
    /// What `smtp_tls_fingerprint_digest` names; `None` if nobody knows it.
    pub(super) digest: Option<Digest>,
    pub(crate) dane: DaneRules,
    /// `smtp_tls_trust_anchor_file`; `Err` says why it cannot be used.
    pub(super) anchors: Option<Result<Arc<TrustAnchors>, String>>,
    /// The files that `tafile=` names in tables, as they were at the start.
    pub(super) tafiles: BTreeMap<String, Result<Arc<TrustAnchors>, String>>,
    pub(super) idna: Idna,
    /// Where engines come from; `None` if there is no TLS at all.
    pub(crate) connector: Option<Arc<dyn TlsConnector>>,
    pub(super) config: Arc<Config>,
    /// MTA-STS, if it is turned on.
    pub(super) sts: Option<Arc<MtaSts>>,
    /// Who vouches for mail exchangers of MTA-STS policies where no authorities are
    /// configured.
    pub(super) sts_anchors: Option<Arc<TrustAnchors>>,
    /// What the files of the parameters are relative to.
    #[cfg_attr(
        not(feature = "tls"),
        expect(dead_code, reason = "only the engine reads files")
    )]
    pub(super) directory: PathBuf,
}

/// When DANE applies, and to what.
#[derive(Clone, Debug)]
pub(crate) struct DaneRules {
    pub(crate) digests: DaneDigests,
    /// Names are looked up in DNS, with DNSSEC.
    pub(crate) dnssec: bool,
    /// `ignore_mx_lookup_error`, which makes nonsense of DANE.
    pub(crate) ignores_mx_errors: bool,
    /// Names are completed by the resolver, which makes nonsense of DANE.
    pub(crate) completes_names: bool,
    /// `smtp_tls_dane_insecure_mx_policy`.
    pub(crate) insecure_mx: TlsLevel,
    /// `smtp_tls_force_insecure_host_tlsa_lookup`.
    pub(crate) force: bool,
}

/// What holds for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsPolicy {
    pub(crate) level: TlsLevel,
    /// `smtp_tls_connection_reuse`: TLS connections may be kept.
    pub(crate) connection_reuse: bool,
    pub(super) protocols: String,
    pub(super) servername: String,
    pub(super) ciphers: String,
    pub(super) exclude: Vec<String>,
    pub(super) proof: Proof,
    /// The MTA-STS policy that holds, if one does.
    pub(crate) sts: Option<StsRule>,
}

/// An MTA-STS policy as it holds for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StsRule {
    pub(crate) domain: String,
    pub(crate) policy: Arc<StsPolicy>,
    /// Whether the server is one of the policy's mail exchangers.
    pub(crate) allowed: bool,
}

impl StsRule {
    pub(crate) fn is_enforced(&self) -> bool {
        self.policy.mode == Mode::Enforce
    }
}

/// What the server has to prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    #[default]
    Nothing,
    Fingerprint(Vec<Vec<u8>>),
    Names {
        words: Vec<String>,
        anchors: Option<Arc<TrustAnchors>>,
    },
    Dane(DaneFinding),
}

impl TlsPolicy {
    /// The names or fingerprints that the server's certificate may have, as they are
    /// configured.
    pub(crate) fn wanted(&self) -> Vec<String> {
        match &self.proof {
            Proof::Nothing => Vec::new(),
            Proof::Names { words, .. } => words.clone(),
            Proof::Dane(finding) => finding.names.clone(),
            Proof::Fingerprint(values) => {
                let text = |value: &Vec<u8>| {
                    let pairs: Vec<String> = value.iter().map(|b| format!("{b:02X}")).collect();
                    pairs.join(":")
                };
                values.iter().map(text).collect()
            }
        }
    }

    /// The same without TLS.
    pub(crate) fn without_tls(self) -> Self {
        Self {
            level: TlsLevel::None,
            ..self
        }
    }
}

/// What TLSA records were found, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DaneFinding {
    pub(crate) records: Vec<Tlsa>,
    /// The TLSA base domain, and the names of the domain whose mail exchanger the
    /// server is.
    pub(crate) names: Vec<String>,
}

/// The TLS policy makes no sense: `4.7.5 client TLS configuration problem`. The
/// reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misconfigured;

impl TlsRules {
    /// The rules of a configuration, without an engine and without files.
    pub(crate) fn new(config: &Arc<Config>, idna: Idna, warnings: &mut Vec<String>) -> Self {
        let tls = &config.tls;
        let prefix = config.protocol.as_str();
        let (digests, complaints) = DaneDigests::parse(&tls.tls_dane_digests);
        let level = global_level(config);
        if level > TlsLevel::None {
            warnings.extend(complaints);
        }
        let digest = Digest::parse(&tls.tls_fingerprint_digest);
        let lookup = &config.lookup;
        let search = lookup.dns_resolver_options;
        Self {
            prefix,
            level,
            digest,
            dane: DaneRules {
                digests,
                dnssec: lookup.host_lookup.dns && *lookup.dns_support_level == DnsSupport::Dnssec,
                ignores_mx_errors: config.protocol == Protocol::Smtp
                    && lookup.ignore_mx_lookup_error,
                completes_names: search.defnames || search.dnsrch,
                insecure_mx: insecure_mx(config),
                force: tls.tls_force_insecure_host_tlsa_lookup,
            },
            anchors: None,
            tafiles: BTreeMap::new(),
            idna,
            connector: None,
            config: Arc::clone(config),
            sts: None,
            sts_anchors: None,
            directory: PathBuf::new(),
        }
    }

    /// The same rules with another engine.
    pub(crate) fn with_connector(&self, connector: Arc<dyn TlsConnector>) -> Self {
        Self {
            connector: Some(connector),
            ..self.clone()
        }
    }

    /// Puts together what holds for a server: what the table says, the TLSA
    /// records, the parameters for the rest. `level` is the level after the records
    /// were looked up; `destination` is for the log.
    pub(crate) fn policy(
        &self,
        destination: &str,
        level: TlsLevel,
        attributes: Attributes,
        dane: DaneFinding,
        warnings: &mut Vec<String>,
    ) -> Result<TlsPolicy, Misconfigured> {
        let tls = &self.config.tls;
        let connection_reuse = attributes
            .connection_reuse
            .unwrap_or(tls.tls_connection_reuse);
        if level == TlsLevel::None {
            return Ok(TlsPolicy {
                connection_reuse,
                ..TlsPolicy::default()
            });
        }
        let servername = attributes
            .servername
            .clone()
            .unwrap_or_else(|| tls.tls_servername.clone());
        if !servername.is_empty() && !is_valid_hostname(&servername, Wildcard::Forbidden) {
            let prefix = self.prefix;
            warnings.push(format!(
                "\"{prefix}_tls_servername = {servername}\" specifies an invalid hostname"
            ));
            return Err(Misconfigured);
        }
        let optional = level == TlsLevel::May;
        let pick = |own: &Option<String>, may: &str, must: &str| {
            own.clone()
                .unwrap_or_else(|| if optional { may } else { must }.to_owned())
        };
        let proof = match level {
            TlsLevel::Fingerprint => self.fingerprints(destination, &attributes, warnings)?,
            TlsLevel::Verify | TlsLevel::Secure => self.names(level, &attributes, warnings)?,
            _ if level.is_dane() => Proof::Dane(dane),
            _ => Proof::Nothing,
        };
        Ok(TlsPolicy {
            level,
            connection_reuse,
            protocols: pick(
                &attributes.protocols,
                &tls.tls_protocols,
                &tls.tls_mandatory_protocols,
            ),
            ciphers: pick(
                &attributes.ciphers,
                &tls.tls_ciphers,
                &tls.tls_mandatory_ciphers,
            ),
            exclude: self.exclusions(level, attributes.exclude.as_deref()),
            servername,
            proof,
            sts: None,
        })
    }

    /// The policy with what MTA-STS adds to it: a certificate with the name of the
    /// server, which is demanded at level `secure`, and otherwise looked at.
    pub(super) fn with_sts(
        &self,
        mut policy: TlsPolicy,
        rule: StsRule,
        warnings: &mut Vec<String>,
    ) -> Result<TlsPolicy, Misconfigured> {
        let attributes = sts_attributes();
        let mut proof = self.names(TlsLevel::Secure, &attributes, warnings)?;
        if let Proof::Names { anchors, .. } = &mut proof
            && anchors.is_none()
        {
            anchors.clone_from(&self.sts_anchors);
        }
        // What else must match by the configuration is more than a test.
        let looked_at = policy.level > TlsLevel::None && !policy.level.must_match();
        if rule.is_enforced() || looked_at {
            policy.proof = proof;
        }
        policy.sts = Some(rule);
        Ok(policy)
    }

    fn exclusions(&self, level: TlsLevel, own: Option<&str>) -> Vec<String> {
        let tls = &self.config.tls;
        let mandatory = if level.is_mandatory() {
            &tls.tls_mandatory_exclude_ciphers
        } else {
            ""
        };
        let configured = format!("{} {mandatory}", tls.tls_exclude_ciphers);
        exclusions(own.unwrap_or(&configured))
    }

    fn fingerprints(
        &self,
        destination: &str,
        attributes: &Attributes,
        warnings: &mut Vec<String>,
    ) -> Result<Proof, Misconfigured> {
        let configured = split(&self.config.tls.tls_fingerprint_cert_match);
        let own = attributes.matches.iter().map(String::as_str);
        let texts: Vec<&str> = if attributes.matches.is_empty() {
            configured
        } else {
            own.collect()
        };
        let mut values = Vec::new();
        for text in texts {
            match parse_fingerprint(text) {
                Some(value) => values.push(value),
                None => warnings.push(format!("malformed fingerprint value: {text:.384}")),
            }
        }
        if values.is_empty() {
            warnings.push(format!(
                "nexthop domain {destination}: configured at fingerprint security level, but with \
                 no fingerprints to match."
            ));
            return Err(Misconfigured);
        }
        Ok(Proof::Fingerprint(values))
    }

    fn names(
        &self,
        level: TlsLevel,
        attributes: &Attributes,
        warnings: &mut Vec<String>,
    ) -> Result<Proof, Misconfigured> {
        let tls = &self.config.tls;
        let configured = match level {
            TlsLevel::Verify => &tls.tls_verify_cert_match,
            _ => &tls.tls_secure_cert_match,
        };
        let configured = || {
            split(&configured.replace(':', " "))
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        let words = if attributes.matches.is_empty() {
            configured()
        } else {
            attributes.matches.clone()
        };
        let anchors = if attributes.tafiles.is_empty() {
            match &self.anchors {
                Some(Err(error)) => {
                    warnings.push(error.clone());
                    return Err(Misconfigured);
                }
                Some(Ok(anchors)) => Some(Arc::clone(anchors)),
                None => None,
            }
        } else {
            Some(Arc::new(self.own_anchors(&attributes.tafiles, warnings)?))
        };
        Ok(Proof::Names { words, anchors })
    }

    fn own_anchors(
        &self,
        files: &[String],
        warnings: &mut Vec<String>,
    ) -> Result<TrustAnchors, Misconfigured> {
        let mut merged = TrustAnchors::default();
        for file in files {
            let complaint = match self.tafiles.get(file) {
                Some(Ok(anchors)) => {
                    merged.add(anchors);
                    continue;
                }
                Some(Err(error)) => error.clone(),
                None => format!(
                    "trust anchor file {file} was not read at the start: it is named by a table \
                     whose entries were not known then"
                ),
            };
            warnings.push(complaint);
            return Err(Misconfigured);
        }
        Ok(merged)
    }
}

/// `smtp_tls_dane_insecure_mx_policy`. The configuration has checked the word; one that
/// is unknown all the same counts as the strictest.
pub(crate) fn insecure_mx(config: &Config) -> TlsLevel {
    TlsLevel::parse(&config.tls.tls_dane_insecure_mx_policy).unwrap_or(TlsLevel::Dane)
}

/// The level of the parameters, also of the obsolete ones, which count where there is no
/// other. The configuration has checked the word; one that is unknown all the same counts
/// as the strictest.
fn global_level(config: &Config) -> TlsLevel {
    let tls = &config.tls;
    match TlsLevel::parse(&tls.tls_security_level) {
        Some(level) => level,
        None if !tls.tls_security_level.is_empty() => TlsLevel::Secure,
        None if tls.enforce_tls && tls.tls_enforce_peername => TlsLevel::Verify,
        None if tls.enforce_tls => TlsLevel::Encrypt,
        None if tls.use_tls => TlsLevel::May,
        None => TlsLevel::None,
    }
}

impl TrustAnchors {
    pub(super) fn add(&mut self, others: &Self) {
        self.certificates
            .extend(others.certificates.iter().cloned());
        self.keys.extend(others.keys.iter().cloned());
    }
}

/// What MTA-STS demands, as an entry of the policy table would: the certificate has
/// the name of the mail exchanger, and so has the SNI (RFC 8461 section 4.1).
pub(super) fn sts_attributes() -> Attributes {
    Attributes {
        matches: vec!["hostname".to_owned()],
        servername: Some("hostname".to_owned()),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_nobody_knows_counts_as_the_strictest() {
        let mut config = Config::default_for(Protocol::Smtp);
        assert_eq!(global_level(&config), TlsLevel::None);
        config.tls.tls_security_level = "encript".into();
        assert_eq!(global_level(&config), TlsLevel::Secure);
        assert_eq!(insecure_mx(&config), TlsLevel::May);
        config.tls.tls_dane_insecure_mx_policy = "encript".into();
        assert_eq!(insecure_mx(&config), TlsLevel::Dane);
    }
}
