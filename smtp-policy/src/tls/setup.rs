//! From a policy to what a handshake is made with: versions, ciphers, the name to
//! ask for, and what the server has to prove (`src/tls/tls_client.c`,
//! tls_client_start and tls_auth_enable).

use super::{
    CipherGrade, Demand, MatchContext, MatchName, NamePattern, NotUnderstood, Resumption,
    ServerName, TlsLevel, TlsSetup, dane,
    policy::{Proof, TlsPolicy, TlsRules},
};

/// The longest SNI name (RFC 6066 section 3, through `TLSEXT_MAXLEN_host_name`).
const SNI_LIMIT: usize = 255;

impl TlsRules {
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
        let offer = &policy.offer;
        let protocols = offer.protocols.as_ref().map_err(|NotUnderstood(list)| {
            format!("{peer}: Invalid TLS protocol list \"{list}\": aborting TLS session")
        })?;
        let grade = offer
            .ciphers
            .as_ref()
            .map_err(|NotUnderstood(grade)| format!("{peer}: invalid cipher grade: \"{grade}\""))?;
        let exclude = offer.exclude.as_ref().map_err(|NotUnderstood(word)| {
            format!("{peer}: invalid unary '!+-@' in cipher exclusion: {word}")
        })?;
        // What is left of the ciphers without encryption, `encrypt` excludes.
        if *grade == CipherGrade::Null && policy.level == TlsLevel::Encrypt {
            return Err(format!("{peer}: error setting cipher grade: \"null\""));
        }
        let versions = protocols.versions().at_grade(*grade);
        if versions.is_empty() {
            return Err(format!(
                "{peer}: TLS protocol list \"{protocols}\" and cipher grade leave neither TLSv1.2 \
                 nor TLSv1.3, and there are no others here"
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
            exclude: exclude.clone(),
            demand,
            depth: self.tls.depth,
            unix_time: None,
            resumption: self.resumption(peer, nexthop),
        })
    }

    /// Postfix salts the same words with all that the handshake is made with
    /// (`smtp_key_prefix` in smtp_start_tls, tls_serverid_digest).
    fn resumption(&self, peer: &str, nexthop: &str) -> Option<Resumption> {
        self.tls.resumption.map(|lifetime| Resumption {
            server: format!("{} {nexthop} {peer}", self.prefix),
            lifetime,
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
            Proof::Fingerprint(values) => (
                level,
                Demand::Fingerprint {
                    digest: self.tls.digest,
                    values: values.clone(),
                },
            ),
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
        let name = match (&policy.proof, &policy.servername) {
            // RFC 7672 section 8.1: the TLSA base domain.
            (Proof::Dane(finding), _) => finding.names.first().map_or("", String::as_str),
            (_, ServerName::Hostname) => context.host,
            (_, ServerName::Nexthop) => context.nexthop,
            (_, ServerName::Name(name)) => name,
            (_, ServerName::None | ServerName::Invalid(_)) => "",
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
    words: &[MatchName],
    peer: &str,
    context: MatchContext<'_>,
    warnings: &mut Vec<String>,
) -> Vec<NamePattern> {
    let mut names = Vec::new();
    for word in words {
        match NamePattern::of(word, context) {
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
