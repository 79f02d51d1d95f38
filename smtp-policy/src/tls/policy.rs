//! What holds for one server: the level and everything that belongs to it
//! (`src/smtp/smtp_tls_policy.c`).

use std::sync::Arc;

use smtp_proto::Protocol;

use super::{
    CipherExclusions, CipherGrade, DaneDigests, MatchName, NotUnderstood, Protocols, ServerName,
    TlsConnector, TlsLevel, Tlsa, TrustAnchors, attributes::Attributes, settings::Tls,
};
use crate::{
    route::{DnsSupport, Families, RoutePolicy, idna::Idna},
    sts::{Mode, MtaSts, StsPolicy},
};

/// The settings about TLS, ready to be asked for each server.
#[derive(Clone, Debug)]
pub(crate) struct TlsRules {
    /// `smtp` or `lmtp`, for the names of parameters.
    pub(crate) prefix: &'static str,
    /// The level where no table says another.
    pub(crate) level: TlsLevel,
    pub(crate) tls: Tls,
    pub(crate) dane: DaneRules,
    pub(super) idna: Idna,
    pub(super) families: Families,
    /// Where engines come from; `None` if there is no TLS at all.
    pub(crate) connector: Option<Arc<dyn TlsConnector>>,
    /// MTA-STS, if it is turned on.
    pub(super) sts: Option<Arc<MtaSts>>,
    /// Who vouches for mail exchangers of MTA-STS policies where no authorities are
    /// configured.
    pub(super) sts_anchors: Option<Arc<TrustAnchors>>,
    /// The policy for every server, where nothing is looked up and no mistake is to be told.
    pub(crate) common: Option<TlsPolicy>,
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
    pub(super) offer: Offered,
    pub(super) servername: ServerName,
    pub(super) proof: Proof,
    /// The MTA-STS policy that holds, if one does.
    pub(crate) sts: Option<StsRule>,
}

/// The offer of a handshake, as far as it is understood: what is not makes the handshake fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) protocols: Result<Protocols, NotUnderstood>,
    pub(super) ciphers: Result<CipherGrade, NotUnderstood>,
    pub(super) exclude: Result<CipherExclusions, NotUnderstood>,
}

impl Default for Offered {
    fn default() -> Self {
        Self {
            protocols: Ok(Protocols::default()),
            ciphers: Ok(CipherGrade::default()),
            exclude: Ok(CipherExclusions::default()),
        }
    }
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
        words: Vec<MatchName>,
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
            Proof::Names { words, .. } => words.iter().map(ToString::to_string).collect(),
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
    /// The rules that follow from settings; also why there is no engine although one is wanted.
    pub(crate) fn new(protocol: Protocol, tls: Tls, route: &RoutePolicy) -> (Self, Option<String>) {
        let mut rules = Self {
            prefix: protocol.as_str(),
            level: tls.level,
            dane: DaneRules {
                digests: tls.dane.digests.clone(),
                dnssec: route.host_lookup.dns && route.dns == DnsSupport::Dnssec,
                ignores_mx_errors: protocol == Protocol::Smtp && route.ignore_mx_error,
                completes_names: route.search.defnames || route.search.dnsrch,
                insecure_mx: tls.dane.insecure_mx,
                force: tls.dane.force,
            },
            idna: route.idna,
            families: route.families,
            connector: tls.engine.clone(),
            sts: None,
            sts_anchors: None,
            common: None,
            tls,
        };
        rules.common = rules.common_policy();
        let tables = [&rules.tls.policy, &rules.tls.per_site];
        let wanted = rules.level > TlsLevel::None || tables.iter().any(|maps| !maps.is_empty());
        let trouble = match wanted && rules.connector.is_none() {
            true => rules.make_engine().err(),
            false => None,
        };
        (rules, trouble)
    }

    /// The rules with MTA-STS, which wants an engine where no level does.
    pub(crate) fn with_mta_sts(&self, sts: &Arc<MtaSts>, warnings: &mut Vec<String>) -> Self {
        let mut rules = Self {
            sts: Some(Arc::clone(sts)),
            common: None,
            ..self.clone()
        };
        if rules.connector.is_none() && rules.level == TlsLevel::None {
            if let Some(Err(why)) = &rules.tls.anchors {
                warnings.push(why.clone());
            }
            if let Err(why) = rules.make_engine() {
                warnings.push(format!("{why}: disabling TLS support"));
            }
        }
        #[cfg(feature = "tls")]
        if rules.tls.sts_authorities == super::settings::StsAuthorities::System {
            rules.sts_anchors = Some(Arc::new(TrustAnchors {
                certificates: super::TlsMaterial::system_authorities(),
                keys: Vec::new(),
            }));
        }
        rules
    }

    #[cfg(feature = "tls")]
    fn make_engine(&mut self) -> Result<(), String> {
        let material = self.tls.material.as_ref().map_err(Clone::clone)?;
        let connector = super::RustlsConnector::new(material).map_err(|trouble| trouble.0)?;
        self.connector = Some(Arc::new(connector));
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    fn make_engine(&mut self) -> Result<(), String> {
        Err("TLS has been selected, but TLS support is not compiled in".into())
    }

    /// The same rules with another engine.
    pub(crate) fn with_connector(&self, connector: Arc<dyn TlsConnector>) -> Self {
        Self {
            connector: Some(connector),
            ..self.clone()
        }
    }

    fn common_policy(&self) -> Option<TlsPolicy> {
        let tables = [&self.tls.policy, &self.tls.per_site];
        if self.level.is_dane() || tables.iter().any(|maps| !maps.is_empty()) {
            return None;
        }
        let mut warnings = Vec::new();
        let (attributes, dane) = (Attributes::default(), DaneFinding::default());
        let policy = self.policy("", self.level, attributes, dane, &mut warnings);
        policy.ok().filter(|_| warnings.is_empty())
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
        let tls = &self.tls;
        let connection_reuse = attributes.connection_reuse.unwrap_or(tls.connection_reuse);
        if level == TlsLevel::None {
            return Ok(TlsPolicy {
                connection_reuse,
                ..TlsPolicy::default()
            });
        }
        let servername = attributes.servername.as_ref().unwrap_or(&tls.server_name);
        if let ServerName::Invalid(name) = servername {
            let prefix = self.prefix;
            warnings.push(format!(
                "\"{prefix}_tls_servername = {name}\" specifies an invalid hostname"
            ));
            return Err(Misconfigured);
        }
        let proof = match level {
            TlsLevel::Fingerprint => self.fingerprints(destination, &attributes, warnings)?,
            TlsLevel::Verify | TlsLevel::Secure => self.names(level, &attributes, warnings)?,
            _ if level.is_dane() => Proof::Dane(dane),
            _ => Proof::Nothing,
        };
        Ok(TlsPolicy {
            level,
            connection_reuse,
            servername: servername.clone(),
            offer: self.offer(level, attributes),
            proof,
            sts: None,
        })
    }

    /// The offer of a handshake at this level: what the table says, and the settings for the rest.
    fn offer(&self, level: TlsLevel, attributes: Attributes) -> Offered {
        let (optional, mandatory) = (&self.tls.opportunistic, &self.tls.mandatory);
        let offer = if level == TlsLevel::May {
            optional
        } else {
            mandatory
        };
        let protocols = attributes
            .protocols
            .unwrap_or_else(|| Ok(offer.protocols.clone()));
        let ciphers = attributes.ciphers.unwrap_or(Ok(offer.ciphers));
        let exclude = attributes.exclude.unwrap_or_else(|| {
            Ok(match level.is_mandatory() {
                true => optional.exclude.and(&mandatory.exclude),
                false => optional.exclude.clone(),
            })
        });
        Offered {
            protocols,
            ciphers,
            exclude,
        }
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

    fn fingerprints(
        &self,
        destination: &str,
        attributes: &Attributes,
        warnings: &mut Vec<String>,
    ) -> Result<Proof, Misconfigured> {
        let own = attributes.fingerprints.as_ref();
        let own = own.filter(|own| !own.is_empty() || !own.malformed().is_empty());
        let fingerprints = own.unwrap_or(&self.tls.fingerprints);
        for text in fingerprints.malformed() {
            warnings.push(format!("malformed fingerprint value: {text:.384}"));
        }
        if fingerprints.is_empty() {
            warnings.push(format!(
                "nexthop domain {destination}: configured at fingerprint security level, but with \
                 no fingerprints to match."
            ));
            return Err(Misconfigured);
        }
        Ok(Proof::Fingerprint(fingerprints.values().to_vec()))
    }

    fn names(
        &self,
        level: TlsLevel,
        attributes: &Attributes,
        warnings: &mut Vec<String>,
    ) -> Result<Proof, Misconfigured> {
        let configured = match level {
            TlsLevel::Verify => &self.tls.verify_match,
            _ => &self.tls.secure_match,
        };
        let words = match attributes.names.is_empty() {
            true => configured.clone(),
            false => attributes.names.clone(),
        };
        let anchors = if attributes.tafiles.is_empty() {
            match &self.tls.anchors {
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
            let complaint = match self.tls.anchor_files.get(file) {
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

impl TrustAnchors {
    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        self.certificates
            .extend(others.certificates.iter().cloned());
        self.keys.extend(others.keys.iter().cloned());
    }
}

/// What MTA-STS demands, as an entry of the policy table would: the certificate has
/// the name of the mail exchanger, and so has the SNI (RFC 8461 section 4.1).
pub(super) fn sts_attributes() -> Attributes {
    Attributes {
        names: vec![MatchName::Hostname],
        servername: Some(ServerName::Hostname),
        ..Attributes::default()
    }
}
