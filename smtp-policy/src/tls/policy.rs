//! What holds for one server: the level and everything that belongs to it
//! (`src/smtp/smtp_tls_policy.c`).

use std::{collections::BTreeMap, sync::Arc};

use super::{
    DaneDigests, Demand, Digest, MatchContext, NamePattern, TlsConnector, TlsLevel, TlsSetup, Tlsa,
    TrustAnchors, Versions,
    attributes::Attributes,
    dane,
    fingerprint::parse_fingerprint,
    protocols::{check_ciphers, versions},
};
use crate::{
    config::{Config, Protocol},
    dns::names::{Wildcard, is_valid_hostname},
    route::idna::Idna,
    tables::words::split,
};

/// The longest SNI name (RFC 6066 section 3, through `TLSEXT_MAXLEN_host_name`).
const SNI_LIMIT: usize = 255;

/// What the configuration says about TLS, ready to be asked for each server.
#[derive(Clone, Debug)]
pub(crate) struct TlsRules {
    /// `smtp` or `lmtp`, for the names of parameters.
    pub(crate) prefix: &'static str,
    /// The level where no table says another.
    pub(crate) level: TlsLevel,
    /// What `smtp_tls_fingerprint_digest` names; `None` if nobody knows it.
    digest: Option<Digest>,
    pub(crate) dane: DaneRules,
    /// `smtp_tls_trust_anchor_file`; `Err` says why it cannot be used.
    anchors: Option<Result<Arc<TrustAnchors>, String>>,
    /// The files that `tafile=` names in tables, as they were at the start.
    tafiles: BTreeMap<String, Result<Arc<TrustAnchors>, String>>,
    idna: Idna,
    /// Where engines come from; `None` if there is no TLS at all.
    pub(crate) connector: Option<Arc<dyn TlsConnector>>,
    config: Arc<Config>,
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
    protocols: String,
    servername: String,
    ciphers: String,
    exclude: Vec<String>,
    proof: Proof,
}

/// What the server has to prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Proof {
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
                dnssec: lookup.host_lookup.dns
                    && lookup.dns_support_level == crate::config::DnsSupport::Dnssec,
                ignores_mx_errors: config.protocol == Protocol::Smtp
                    && lookup.ignore_mx_lookup_error,
                completes_names: search.defnames || search.dnsrch,
                insecure_mx: TlsLevel::parse(&tls.tls_dane_insecure_mx_policy)
                    .unwrap_or(TlsLevel::May),
                force: tls.tls_force_insecure_host_tlsa_lookup,
            },
            anchors: None,
            tafiles: BTreeMap::new(),
            idna,
            connector: None,
            config: Arc::clone(config),
        }
    }

    /// Whether an engine is wanted at all.
    #[cfg(feature = "tls")]
    pub(crate) fn wants_engine(&self, has_tables: bool) -> bool {
        self.level > TlsLevel::None || has_tables
    }

    /// The same rules with another engine.
    pub(crate) fn with_connector(&self, connector: Arc<dyn TlsConnector>) -> Self {
        Self {
            connector: Some(connector),
            ..self.clone()
        }
    }

    /// Makes the engine with the files that the parameters name.
    ///
    /// # Errors
    /// What is wrong, with the names of parameter and file.
    #[cfg(feature = "tls")]
    pub(crate) fn load_engine(
        &self,
        directory: &std::path::Path,
    ) -> Result<Arc<dyn TlsConnector>, String> {
        if self.digest.is_none() {
            let name = &self.config.tls.tls_fingerprint_digest;
            let prefix = self.prefix;
            return Err(format!(
                "{prefix}_tls_fingerprint_digest: unknown digest algorithm \"{name}\""
            ));
        }
        let material = super::material::load(&self.config, directory)?;
        let connector = super::RustlsConnector::new(&material).map_err(|trouble| trouble.0)?;
        Ok(Arc::new(connector))
    }

    /// Reads the trust anchor files, those of the parameters and those that the
    /// entries of the policy table name.
    #[cfg(feature = "tls")]
    pub(crate) fn load_anchors(
        &mut self,
        entries: &[String],
        directory: &std::path::Path,
        warnings: &mut Vec<String>,
    ) {
        use super::{attributes::tafiles, material::trust_anchors};
        let mut merged = TrustAnchors::default();
        let mut anchors = None;
        for file in &self.config.tls.tls_trust_anchor_file {
            let parameter = format!("{}_tls_trust_anchor_file", self.prefix);
            anchors = Some(
                trust_anchors(file, directory).map_err(|error| format!("{parameter}: {error}")),
            );
            match &anchors {
                Some(Ok(found)) => merged.add(found),
                Some(Err(error)) => warnings.push(error.clone()),
                None => {}
            }
            if matches!(anchors, Some(Err(_))) {
                break;
            }
        }
        self.anchors = anchors.map(|result| result.map(|_| Arc::new(merged)));
        for file in entries.iter().flat_map(|entry| tafiles(entry)) {
            let found = trust_anchors(&file, directory).map(Arc::new);
            warnings.extend(found.as_ref().err().cloned());
            self.tafiles.insert(file, found);
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
        })
    }

    fn exclusions(&self, level: TlsLevel, own: Option<&str>) -> Vec<String> {
        let tls = &self.config.tls;
        let mandatory = if level.is_mandatory() {
            &tls.tls_mandatory_exclude_ciphers
        } else {
            ""
        };
        let configured = format!("{} {mandatory}", tls.tls_exclude_ciphers);
        let words = own.unwrap_or(&configured).replace(':', " ");
        split(&words).into_iter().map(str::to_owned).collect()
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

    /// What to make the handshake with. `peer` is `host[address]:port`, for the
    /// log; `host` and `nexthop` are what names are compared with. The level may
    /// sink to `encrypt` if no TLSA record can be used.
    ///
    /// # Errors
    /// What is wrong with protocols, ciphers or names, for the log. It counts as a
    /// failed handshake.
    pub(crate) fn setup(
        &self,
        policy: &TlsPolicy,
        peer: &str,
        nexthop: &str,
        host: &str,
        warnings: &mut Vec<String>,
    ) -> Result<TlsSetup, String> {
        let versions = versions(&policy.protocols).ok_or_else(|| {
            let list = &policy.protocols;
            format!("{peer}: Invalid TLS protocol list \"{list}\": aborting TLS session")
        })?;
        check_ciphers(&policy.ciphers, &policy.exclude).map_err(|why| format!("{peer}: {why}"))?;
        if versions
            == (Versions {
                tls12: false,
                tls13: false,
            })
        {
            let list = &policy.protocols;
            return Err(format!(
                "{peer}: TLS protocol list \"{list}\" leaves neither TLSv1.2 nor TLSv1.3, and \
                 there are no others here"
            ));
        }
        if policy.ciphers.eq_ignore_ascii_case("null") {
            return Err(format!(
                "{peer}: there are no ciphers of grade \"null\" here"
            ));
        }
        let context = MatchContext {
            nexthop,
            host,
            idna: self.idna,
        };
        let (level, demand) = self.demand(policy, peer, context, warnings);
        Ok(TlsSetup {
            level,
            sni: self.sni(policy, peer, context)?,
            versions,
            exclude: policy.exclude.clone(),
            demand,
            depth: self.config.tls.tls_scert_verifydepth,
            unix_time: None,
        })
    }

    fn demand(
        &self,
        policy: &TlsPolicy,
        peer: &str,
        context: MatchContext<'_>,
        warnings: &mut Vec<String>,
    ) -> (TlsLevel, Demand) {
        let level = policy.level;
        match &policy.proof {
            Proof::Nothing => (level, Demand::Nothing),
            Proof::Fingerprint(values) => {
                let digest = self.digest.unwrap_or(Digest::Sha256);
                (
                    level,
                    Demand::Fingerprint {
                        digest,
                        values: values.clone(),
                    },
                )
            }
            Proof::Names { words, anchors } => {
                let names = patterns(words, peer, context, warnings);
                (
                    level,
                    Demand::Authority {
                        anchors: anchors.clone(),
                        names,
                    },
                )
            }
            Proof::Dane(finding) => {
                let digests = self.dane.digests.clone();
                let records = dane::usable(&finding.records, &digests, peer, warnings);
                if records.is_empty() && level != TlsLevel::DaneOnly {
                    warnings.push(format!(
                        "{peer}: all TLSA records unusable, fallback to unauthenticated TLS"
                    ));
                    return (TlsLevel::Encrypt, Demand::Nothing);
                }
                if records.is_empty() {
                    warnings.push(format!("{peer}: all TLSA records unusable"));
                }
                let names = finding
                    .names
                    .iter()
                    .filter_map(|name| NamePattern::exact(name, self.idna));
                (
                    level,
                    Demand::Dane {
                        records,
                        digests,
                        names: names.collect(),
                    },
                )
            }
        }
    }

    fn sni(
        &self,
        policy: &TlsPolicy,
        peer: &str,
        context: MatchContext<'_>,
    ) -> Result<Option<String>, String> {
        let name = match (&policy.proof, policy.servername.as_str()) {
            // RFC 7672 section 8.1: the TLSA base domain.
            (Proof::Dane(finding), _) => finding.names.first().map_or("", String::as_str),
            (_, "hostname") => context.host,
            (_, "nexthop") => context.nexthop,
            (_, literal) => literal,
        };
        let name = self
            .idna
            .to_ascii(name)
            .map_or_else(|| name.to_owned(), |name| name.into_owned());
        if name.len() > SNI_LIMIT {
            return Err(format!(
                "{peer}: ignoring too long SNI hostname: {name:.100}"
            ));
        }
        Ok((!name.is_empty()).then_some(name))
    }
}

fn patterns(
    words: &[String],
    peer: &str,
    context: MatchContext<'_>,
    warnings: &mut Vec<String>,
) -> Vec<NamePattern> {
    let mut names = Vec::new();
    for word in words {
        match NamePattern::parse(word, context) {
            Some(name) => names.push(name),
            None => warnings.push(format!("{peer}: ignoring invalid match name: \"{word}\"")),
        }
    }
    if names.is_empty() {
        // Without a name nothing matches.
        warnings.push(format!("{peer}: could not configure peer name checks"));
    }
    names
}

/// The level of the parameters, also of the obsolete ones.
fn global_level(config: &Config) -> TlsLevel {
    let tls = &config.tls;
    match TlsLevel::parse(&tls.tls_security_level) {
        Some(level) => level,
        None if tls.enforce_tls && tls.tls_enforce_peername => TlsLevel::Verify,
        None if tls.enforce_tls => TlsLevel::Encrypt,
        None if tls.use_tls => TlsLevel::May,
        None => TlsLevel::None,
    }
}

impl TrustAnchors {
    fn add(&mut self, others: &Self) {
        self.certificates
            .extend(others.certificates.iter().cloned());
        self.keys.extend(others.keys.iter().cloned());
    }
}
