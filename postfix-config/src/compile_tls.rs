//! The TLS parameters as settings, with the files that they name.

#[cfg(feature = "tls")]
use std::sync::Arc;

use super::compiler::{Compiler, not_zero};
use smtp_policy::settings::{StsAuthorities, Tls};
use smtp_policy::tables::KeyCase;
use smtp_policy::tables::words::split;
use smtp_policy::tls::{
    DaneDigests, Digest, Fingerprints, MatchName, NotUnderstood, RequireTls, RequireTlsItem,
    RequireTlsPolicy, ServerName, TlsLevel,
};

pub(super) fn settings(compiler: &mut Compiler<'_>) -> Tls {
    let from = &compiler.config.tls;
    let mut tls = Tls::new(compiler.config.protocol);
    tls.level = level(compiler);
    tls.wrapper = from.tls_wrappermode;
    tls.policy = compiler.maps(KeyCase::Unicode, "tls_policy_maps", &from.tls_policy_maps);
    tls.per_site = compiler.maps(KeyCase::Unicode, "tls_per_site", &from.tls_per_site);
    offers(compiler, &mut tls);
    tls.verify_match = names(&from.tls_verify_cert_match);
    tls.secure_match = names(&from.tls_secure_cert_match);
    tls.fingerprints = Fingerprints::read(split(&from.tls_fingerprint_cert_match));
    let digest = Digest::parse(&from.tls_fingerprint_digest);
    tls.digest = digest.unwrap_or_else(|| {
        let name = &from.tls_fingerprint_digest;
        let parameter = compiler.named("tls_fingerprint_digest");
        compiler.fail(&parameter, &format!("unknown digest algorithm \"{name}\""));
        Digest::Sha256
    });
    tls.server_name = ServerName::parse(&from.tls_servername);
    tls.depth = from.tls_scert_verifydepth;
    tls.resumption = not_zero(from.tls_session_cache_timeout)
        .filter(|_| !from.tls_session_cache_database.is_empty());
    tls.connection_reuse = from.tls_connection_reuse;
    let (digests, complaints) = DaneDigests::parse(&from.tls_dane_digests);
    if tls.level > TlsLevel::None {
        compiler.warnings.extend(complaints);
    }
    tls.dane.digests = digests;
    let insecure = known(
        "tls_dane_insecure_mx_policy",
        &from.tls_dane_insecure_mx_policy,
        compiler,
    );
    tls.dane.insecure_mx = insecure;
    tls.dane.force = from.tls_force_insecure_host_tlsa_lookup;
    let wanted = tls.level > TlsLevel::None || !tls.policy.is_empty() || !tls.per_site.is_empty();
    if !tls.policy.is_empty() && !tls.per_site.is_empty() {
        let prefix = compiler.config.protocol;
        compiler.warnings.push(format!(
            "{prefix}_tls_per_site ignored when {prefix}_tls_policy_maps is not empty."
        ));
    }
    files(compiler, &mut tls, wanted);
    if !from.tls_ca_file.is_empty() || !from.tls_ca_path.is_empty() {
        tls.sts_authorities = StsAuthorities::Configured;
    }
    tls.require = require(compiler);
    tls.enforce_sts_patterns = compiler.config.newer.tls_enforce_sts_mx_patterns;
    tls.heed_waiver = compiler.config.newer.tls_required_enable;
    tls.note_starttls_offer = from.tls_note_starttls_offer;
    tls.block_early_mail_reply = from.tls_block_early_mail_reply;
    tls.fast_shutdown = from.tls_fast_shutdown_enable;
    tls.plaintext_retry_age = from.minimal_backoff_time;
    let log = TlsLogWords::new(&from.tls_loglevel);
    tls.log.summary = log.say(1, "summary");
    tls.log.cache = log.say(2, "cache");
    if log.has("trace") {
        let parameter = compiler.named("tls_loglevel");
        let warning = format!("{parameter}: trace: no transcripts of TLS are written");
        compiler.warnings.push(warning);
    }
    tls
}

/// The demands of REQUIRETLS, by next hop.
fn require(compiler: &mut Compiler<'_>) -> RequireTlsPolicy {
    let newer = &compiler.config.newer;
    if !newer.requiretls_enable {
        return RequireTlsPolicy::always(RequireTls::Disable);
    }
    let mut items = Vec::new();
    for word in split(&newer.requiretls_policy) {
        let item = match RequireTls::parse(word) {
            Some(demand) => Ok(RequireTlsItem::Demand(demand)),
            None => compiler
                .table(KeyCase::Unicode, word)
                .map(RequireTlsItem::Table),
        };
        match item {
            Ok(item) => items.push(item),
            Err(error) => compiler.fail(&compiler.named("requiretls_policy"), &error),
        }
    }
    RequireTlsPolicy::new(items)
}

/// A level of TLS logging: numbers, and names of what is to be logged (`tls_misc.c`, tls_log_mask).
struct TlsLogWords<'a>(Vec<&'a str>);

impl<'a> TlsLogWords<'a> {
    /// Names that stand for a number.
    const NAMED: [(&'static str, u32); 4] = [
        ("routine", 1),
        ("debug", 2),
        ("ssl-expert", 3),
        ("ssl-developer", 4),
    ];

    fn new(text: &'a str) -> Self {
        Self(split(text))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    /// Returns whether the words ask for what this number and the greater ones, or this name, ask for.
    fn say(&self, least: u32, name: &str) -> bool {
        let mut named = Self::NAMED.iter().filter(|(_, level)| *level >= least);
        let is_enough = |word: &&str| word.parse::<u32>().is_ok_and(|level| level >= least);
        self.has(name) || self.0.iter().any(is_enough) || named.any(|(name, _)| self.has(name))
    }
}

/// The level of the parameters, also of the obsolete ones, which count where there is no other.
fn level(compiler: &mut Compiler<'_>) -> TlsLevel {
    let tls = &compiler.config.tls;
    let level = &tls.tls_security_level;
    match level.as_str() {
        // A default is no reason to do less than what is asked for in another way.
        _ if level.is_set() && !level.is_empty() => known("tls_security_level", level, compiler),
        _ if tls.enforce_tls && tls.tls_enforce_peername => TlsLevel::Verify,
        _ if tls.enforce_tls => TlsLevel::Encrypt,
        "" if tls.use_tls => TlsLevel::May,
        "" => TlsLevel::None,
        word => known("tls_security_level", word, compiler),
    }
}

fn known(name: &str, word: &str, compiler: &mut Compiler<'_>) -> TlsLevel {
    let level = TlsLevel::parse(word).ok_or_else(|| NotUnderstood(word.to_owned()));
    compiler.or_default(&compiler.named(name), level)
}

fn offers(compiler: &mut Compiler<'_>, tls: &mut Tls) {
    let from = &compiler.config.tls;
    let rows = [
        (
            &mut tls.opportunistic,
            ("tls_protocols", &from.tls_protocols),
            ("tls_ciphers", &from.tls_ciphers),
            ("tls_exclude_ciphers", &from.tls_exclude_ciphers),
        ),
        (
            &mut tls.mandatory,
            ("tls_mandatory_protocols", &from.tls_mandatory_protocols),
            ("tls_mandatory_ciphers", &from.tls_mandatory_ciphers),
            (
                "tls_mandatory_exclude_ciphers",
                &from.tls_mandatory_exclude_ciphers,
            ),
        ),
    ];
    for (offer, protocols, ciphers, exclude) in rows {
        offer.protocols = compiler.or_default(&compiler.named(protocols.0), protocols.1.parse());
        offer.ciphers = compiler.or_default(&compiler.named(ciphers.0), ciphers.1.parse());
        offer.exclude = compiler.or_default(&compiler.named(exclude.0), exclude.1.parse());
    }
}

fn names(list: &str) -> Vec<MatchName> {
    let list = list.replace(':', " ");
    split(&list).into_iter().map(MatchName::parse).collect()
}

/// Reads the files of certificates and keys. What is wrong with them is worth a warning only where TLS is
/// wanted: as in Postfix, mail that may go out in plaintext then does, and other mail is deferred.
#[cfg(feature = "tls")]
fn files(compiler: &mut Compiler<'_>, tls: &mut Tls, wanted: bool) {
    use super::material::{self, trust_anchors};
    use smtp_policy::tls::{TrustAnchors, tafiles};
    tls.material = material::load(compiler.config, compiler.directory());
    let mut merged = TrustAnchors::default();
    for file in &compiler.config.tls.tls_trust_anchor_file {
        let parameter = compiler.named("tls_trust_anchor_file");
        match trust_anchors(file, compiler.directory()) {
            Ok(found) => merged.add(&found),
            Err(error) => {
                let why = format!("{parameter}: {error}");
                if wanted {
                    compiler.warnings.push(why.clone());
                }
                tls.anchors = Some(Err(why));
                break;
            }
        }
        tls.anchors = Some(Ok(Arc::default()));
    }
    if let Some(Ok(anchors)) = &mut tls.anchors {
        *anchors = Arc::new(merged);
    }
    for file in tls.policy.values().iter().flat_map(|entry| tafiles(entry)) {
        let found = trust_anchors(&file, compiler.directory()).map(Arc::new);
        compiler.warnings.extend(found.as_ref().err().cloned());
        tls.anchor_files.insert(file, found);
    }
}

#[cfg(not(feature = "tls"))]
fn files(_compiler: &mut Compiler<'_>, _tls: &mut Tls, _wanted: bool) {}
