//! The rules for TLS with everything that is in files, made once, when the policy
//! is (`src/smtp/smtp.c`, pre_init; `src/tls/tls_client.c`, tls_client_init).

use std::{path::Path, sync::Arc};

#[cfg(feature = "tls")]
use super::{TlsConnector, TrustAnchors};
use super::{TlsLevel, policy::TlsRules};
use crate::{config::Config, route::idna::Idna, sts::MtaSts, tables::Tables};

/// The rules for TLS with the files they name. Whatever keeps the engine from being
/// made is a warning: as in Postfix, mail that may go out in plaintext then does,
/// and other mail is deferred.
pub(crate) fn rules(
    config: &Arc<Config>,
    idna: Idna,
    tables: &Tables,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> TlsRules {
    let rules = TlsRules {
        directory: directory.to_owned(),
        ..TlsRules::new(config, idna, warnings)
    };
    let has_tables = !tables.tls_policy.is_empty() || !tables.tls_per_site.is_empty();
    if !tables.tls_policy.is_empty() && !tables.tls_per_site.is_empty() {
        let prefix = config.protocol.as_str();
        warnings.push(format!(
            "{prefix}_tls_per_site ignored when {prefix}_tls_policy_maps is not empty."
        ));
    }
    with_engine(rules, has_tables, tables, directory, warnings)
}

/// The rules with MTA-STS, which wants an engine where no level does.
pub(crate) fn rules_with_sts(
    rules: &TlsRules,
    sts: &Arc<MtaSts>,
    warnings: &mut Vec<String>,
) -> TlsRules {
    let mut rules = TlsRules {
        sts: Some(Arc::clone(sts)),
        ..rules.clone()
    };
    prepare_for_sts(&mut rules, warnings);
    rules
}

#[cfg(feature = "tls")]
fn prepare_for_sts(rules: &mut TlsRules, warnings: &mut Vec<String>) {
    let directory = rules.directory.clone();
    if !rules.wants_engine(false) && rules.connector.is_none() {
        rules.load_anchors(&[], &directory, warnings);
        match rules.load_engine(&directory) {
            Ok(connector) => rules.connector = Some(connector),
            Err(why) => warnings.push(format!("{why}: disabling TLS support")),
        }
    }
    let tls = &rules.config.tls;
    if tls.tls_ca_file.is_empty() && tls.tls_ca_path.is_empty() {
        let system = super::material::system_authorities();
        rules.sts_anchors = Some(Arc::new(TrustAnchors {
            certificates: system,
            keys: Vec::new(),
        }));
    }
}

#[cfg(not(feature = "tls"))]
fn prepare_for_sts(_rules: &mut TlsRules, warnings: &mut Vec<String>) {
    warnings.push("MTA-STS has been selected, but TLS support is not compiled in".into());
}

#[cfg(feature = "tls")]
fn with_engine(
    mut rules: TlsRules,
    has_tables: bool,
    tables: &Tables,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> TlsRules {
    if rules.wants_engine(has_tables) {
        rules.load_anchors(&tables.tls_policy.values(), directory, warnings);
        match rules.load_engine(directory) {
            Ok(connector) => rules.connector = Some(connector),
            Err(why) => warnings.push(format!("{why}: disabling TLS support")),
        }
    }
    rules
}

#[cfg(not(feature = "tls"))]
fn with_engine(
    rules: TlsRules,
    _has_tables: bool,
    _tables: &Tables,
    _directory: &Path,
    warnings: &mut Vec<String>,
) -> TlsRules {
    if rules.level > TlsLevel::None {
        warnings.push("TLS has been selected, but TLS support is not compiled in".into());
    }
    rules
}

#[cfg(feature = "tls")]
impl TlsRules {
    /// Whether an engine is wanted at all.
    pub(crate) fn wants_engine(&self, has_tables: bool) -> bool {
        self.level > TlsLevel::None || has_tables
    }

    /// Makes the engine with the files that the parameters name.
    ///
    /// # Errors
    /// What is wrong, with the names of parameter and file.
    pub(crate) fn load_engine(&self, directory: &Path) -> Result<Arc<dyn TlsConnector>, String> {
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
    pub(crate) fn load_anchors(
        &mut self,
        entries: &[String],
        directory: &Path,
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
}
