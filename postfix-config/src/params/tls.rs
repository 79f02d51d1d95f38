//! Encryption: STARTTLS, certificates, DANE.

use std::time::Duration;

use crate::parameter::{apart, params, shared, smtp_only, twins};
use crate::{Derived, Grammar};

params! {
    "tls";
    /// When TLS is used, which servers are trusted, and how the handshake is made.
    pub struct TlsParams {
        /// The TLS level where no policy says otherwise. Empty, or not set: from `smtp_use_tls`,
        /// `smtp_enforce_tls` and `smtp_tls_enforce_peername`. The default is that of Postfix 3.11, which is empty for the
        /// compatibility levels that older releases have.
        tls_security_level: Derived<String> = apart(
            "smtp_tls_security_level",
            "${{$compatibility_level} <level {3.11} ? {} : {may}}",
            "lmtp_tls_security_level",
            "",
        )
        .words(&[
            "", "none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure",
        ]);
        /// Start TLS immediately after connect, read the greeting inside TLS, never send STARTTLS.
        /// Addresses whose effective level is below encrypt are skipped with a warning (final 4.3.0
        /// if no other error).
        tls_wrappermode: bool = twins("smtp_tls_wrappermode", "lmtp_tls_wrappermode", "no");
        /// Per-destination policy. Key: the destination exactly as used (with `[]` and :port if
        /// present), one lookup; a bare host/domain name is tried as is and then as .parent
        /// suffixes. Attributes: ciphers, protocols, match, exclude, servername, tafile,
        /// `connection_reuse`, `enable_rpk` (no effect), and those of a published policy: `policy_type`,
        /// `mx_host_pattern`, and for reports alone `policy_ttl`, `policy_domain`, `policy_string`, `policy_failure`. Any error yields an invalid policy: every address of the destination
        /// is skipped and mail is deferred 4.7.5. Non-empty value makes `smtp_tls_per_site` ignored
        /// (with warning).
        tls_policy_maps: String = twins("smtp_tls_policy_maps", "lmtp_tls_policy_maps", "")
            .tables();
        /// The file with trusted root certificates, in PEM form.
        tls_ca_file: String = twins("smtp_tls_CAfile", "lmtp_tls_CAfile", "");
        /// A folder of trusted root certificates, named by their hashes.
        tls_ca_path: String = twins("smtp_tls_CApath", "lmtp_tls_CApath", "").mapped("all files of the folder are read when the configuration is loaded");
        /// At verify/secure (unless the policy has tafile=): only these trust anchors count; each
        /// is turned into local TLSA data of usage 2 and 3 so it may also match the leaf itself.
        /// File problem gives an invalid policy.
        tls_trust_anchor_file: Vec<String> =
            twins("smtp_tls_trust_anchor_file", "lmtp_tls_trust_anchor_file", "");
        /// The file with the client's RSA certificate and its chain, in PEM form. Not used if
        /// `smtp_tls_chain_files` is set.
        tls_cert_file: String = twins("smtp_tls_cert_file", "lmtp_tls_cert_file", "");
        /// Private key for `smtp_tls_cert_file`; must not be encrypted; read before privileges are
        /// dropped.
        tls_key_file: Derived<String> = apart(
            "smtp_tls_key_file",
            "$smtp_tls_cert_file",
            "lmtp_tls_key_file",
            "$lmtp_tls_cert_file",
        );
        /// Client DSA certificate; same rules as `smtp_tls_cert_file`.
        tls_dcert_file: String = twins("smtp_tls_dcert_file", "lmtp_tls_dcert_file", "")
            .refused("rustls has no DSA");
        /// Private key for `smtp_tls_dcert_file`; must not be encrypted.
        tls_dkey_file: Derived<String> = apart(
            "smtp_tls_dkey_file",
            "$smtp_tls_dcert_file",
            "lmtp_tls_dkey_file",
            "$lmtp_tls_dcert_file",
        )
        .refused("rustls has no DSA");
        /// Client ECDSA certificate; same rules as `smtp_tls_cert_file`.
        tls_eccert_file: String = twins("smtp_tls_eccert_file", "lmtp_tls_eccert_file", "");
        /// Private key for `smtp_tls_eccert_file`.
        tls_eckey_file: Derived<String> = apart(
            "smtp_tls_eckey_file",
            "$smtp_tls_eccert_file",
            "lmtp_tls_eckey_file",
            "$lmtp_tls_eccert_file",
        );
        /// Replaces all *_cert_file/*_key_file settings when non-empty.
        tls_chain_files: Vec<String> = twins("smtp_tls_chain_files", "lmtp_tls_chain_files", "");
        /// Protocols for levels encrypt and above unless the policy entry has protocols=. Names
        /// SSLv2 SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 (or hex versions after >= <=). A list that
        /// cannot be read is refused.
        tls_mandatory_protocols: String =
            twins("smtp_tls_mandatory_protocols", "lmtp_tls_mandatory_protocols", ">=TLSv1")
                .grammar(Grammar::Protocols)
                .mapped("rustls speaks TLSv1.2 and TLSv1.3 only; what the list says about others has no effect");
        /// Protocols for level may unless the policy entry has protocols=.
        tls_protocols: String = twins("smtp_tls_protocols", "lmtp_tls_protocols", ">=TLSv1")
            .grammar(Grammar::Protocols)
            .mapped("rustls speaks TLSv1.2 and TLSv1.3 only; what the list says about others has no effect");
        /// Cipher grade for levels encrypt and above unless the policy entry has ciphers=. Selects
        /// one of the `tls_*_cipherlist` parameters. TLS 1.3 suites are not affected.
        tls_mandatory_ciphers: String =
            twins("smtp_tls_mandatory_ciphers", "lmtp_tls_mandatory_ciphers", "medium")
                .words(&["export", "low", "medium", "high", "null"])
                .mapped("rustls has modern ciphers only: all grades offer the same, but null, which leaves those of TLSv1.3");
        /// Cipher grade for level may unless the policy entry has ciphers=.
        tls_ciphers: String = twins("smtp_tls_ciphers", "lmtp_tls_ciphers", "medium")
            .words(&["export", "low", "medium", "high", "null"])
            .mapped("rustls has modern ciphers only: all grades offer the same, but null, which leaves those of TLSv1.3");
        /// Each word is appended as an exclusion to the cipher list at every level, unless the
        /// policy entry has exclude=. A word starting with ! + - @ is refused.
        tls_exclude_ciphers: String =
            twins("smtp_tls_exclude_ciphers", "lmtp_tls_exclude_ciphers", "")
                .grammar(Grammar::Exclusions)
                .mapped("excludes those ciphers that rustls has for TLSv1.2, by name, parts or kind");
        /// Additional exclusions at encrypt and above (together with `smtp_tls_exclude_ciphers`);
        /// replaced as a whole by the policy attribute exclude=. Independent of both, eNULL is
        /// excluded at encrypt and aNULL at all authenticated levels.
        tls_mandatory_exclude_ciphers: String =
            twins("smtp_tls_mandatory_exclude_ciphers", "lmtp_tls_mandatory_exclude_ciphers", "")
                .grammar(Grammar::Exclusions)
                .mapped("excludes those ciphers that rustls has for TLSv1.2, by name, parts or kind");
        /// Accepted server certificate names at level verify, unless match= in the policy.
        tls_verify_cert_match: String =
            twins("smtp_tls_verify_cert_match", "lmtp_tls_verify_cert_match", "hostname")
                .min(1);
        /// Accepted server certificate names at level secure, unless match= in the policy. LMTP
        /// default is nexthop only.
        tls_secure_cert_match: String = apart(
            "smtp_tls_secure_cert_match",
            "nexthop, dot-nexthop",
            "lmtp_tls_secure_cert_match",
            "nexthop",
        )
        .min(1);
        /// Default certificate or public-key digests accepted at level fingerprint when the policy
        /// has no match=. None configured at all gives an invalid policy (deferral). Malformed
        /// values are logged and skipped.
        tls_fingerprint_cert_match: String =
            twins("smtp_tls_fingerprint_cert_match", "lmtp_tls_fingerprint_cert_match", "");
        /// Digest algorithm for fingerprint comparison and log output; an unknown algorithm
        /// is refused. With the legacy default a compatibility info line is logged at each use.
        tls_fingerprint_digest: Derived<String> = twins(
            "smtp_tls_fingerprint_digest",
            "lmtp_tls_fingerprint_digest",
            "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}",
        )
        .min(1)
        .grammar(Grammar::Digest);
        /// Maximum length of the issuer chain accepted when verifying the server certificate
        /// (library depth is set to this plus one).
        tls_scert_verifydepth: u32 =
            twins("smtp_tls_scert_verifydepth", "lmtp_tls_scert_verifydepth", "9");
        /// SNI name sent when the policy has no servername= and the level is not a DANE level (DANE
        /// always sends the TLSA base domain). Empty: no SNI. An invalid literal gives an invalid
        /// policy.
        tls_servername: String = twins("smtp_tls_servername", "lmtp_tls_servername", "");
        /// The table that keeps TLS sessions for resumption; in Postfix tlsmgr opens it. Empty:
        /// sessions are not resumed. Any other value: they are.
        tls_session_cache_database: String =
            twins("smtp_tls_session_cache_database", "lmtp_tls_session_cache_database", "")
                .mapped("the table is not opened: sessions are kept in memory, for the life of the process");
        /// How long after the full handshake a TLS session can be resumed. 0: not at all.
        tls_session_cache_timeout: Duration =
            twins("smtp_tls_session_cache_timeout", "lmtp_tls_session_cache_timeout", "3600s");
        /// Whether connections with TLS may be kept too. A policy can say otherwise.
        tls_connection_reuse: bool =
            twins("smtp_tls_connection_reuse", "lmtp_tls_connection_reuse", "no")
                .mapped("there is no tlsproxy: the connection is kept together with its encryption");
        /// Log when a server offers STARTTLS and the effective level is none.
        tls_note_starttls_offer: bool =
            twins("smtp_tls_note_starttls_offer", "lmtp_tls_note_starttls_offer", "no");
        /// Whether a reply that is there before MAIL FROM is sent over TLS counts as an attack.
        tls_block_early_mail_reply: bool =
            twins("smtp_tls_block_early_mail_reply", "lmtp_tls_block_early_mail_reply", "no");
        /// No: TLSA is looked up only when the server address record was DNSSEC-validated (or the
        /// host is a validated CNAME in an otherwise insecure chain). yes: always look up TLSA.
        tls_force_insecure_host_tlsa_lookup: bool = twins(
            "smtp_tls_force_insecure_host_tlsa_lookup",
            "lmtp_tls_force_insecure_host_tlsa_lookup",
            "no",
        );
        /// SMTP only: the TLS level of `dane` destinations for servers that are found through
        /// unsigned MX records. The default is that of Postfix 3.7.13 and later releases.
        tls_dane_insecure_mx_policy: String =
            smtp_only("smtp_tls_dane_insecure_mx_policy", "dane", "may")
                .words(&["may", "encrypt", "dane"]);
        /// 1: one summary line per handshake. 2: adds library messages, session cache and
        /// certificate details. 3/4: packet dumps. untrusted details are always logged when the
        /// level requires a match.
        tls_loglevel: String = twins("smtp_tls_loglevel", "lmtp_tls_loglevel", "0").mapped("1 and more log the summary and why a certificate is not trusted; 2 and more also say that a session was resumed; there are no other details");
        /// With an empty `smtp_tls_security_level`: yes means level may. Overridden by
        /// `smtp_enforce_tls` and by any non-empty security level.
        use_tls: bool = twins("smtp_use_tls", "lmtp_use_tls", "no");
        /// With an empty `smtp_tls_security_level`: yes means verify (or encrypt when
        /// `smtp_tls_enforce_peername` is no).
        enforce_tls: bool = twins("smtp_enforce_tls", "lmtp_enforce_tls", "no");
        /// Chooses between verify (yes) and encrypt (no) for `smtp_enforce_tls` = yes.
        tls_enforce_peername: bool =
            twins("smtp_tls_enforce_peername", "lmtp_tls_enforce_peername", "yes");
        /// Used only if `smtp_tls_policy_maps` is empty. Both the destination and the host name are
        /// looked up and combined: MUST > MUST_NOPEERMATCH > NONE > MAY; a resulting MAY does not
        /// lower a stronger global level. Unknown value or lookup error makes the policy invalid
        /// (4.7.5, or 4.3.0 for lookup error).
        tls_per_site: String = twins("smtp_tls_per_site", "lmtp_tls_per_site", "")
            .tables();
        /// Whether the system's certificate authorities are trusted besides the configured ones.
        tls_append_default_ca: bool = shared("tls_append_default_CA", "no");
        /// The digests that TLSA records may use, strongest first.
        tls_dane_digests: Vec<String> = shared("tls_dane_digests", "sha512 sha256")
            .grammar(Grammar::TlsaDigests);
        /// Yes: send close_notify but do not wait for the peer close_notify. no: wait up to
        /// `smtp_starttls_timeout`.
        tls_fast_shutdown_enable: bool = shared("tls_fast_shutdown_enable", "yes");
        /// Whether `*.example.com` in a certificate matches `a.b.example.com`.
        tls_wildcard_matches_multiple_labels: bool =
            shared("tls_wildcard_matches_multiple_labels", "yes")
                .mapped("no effect, as in Postfix since 3.6: a star stands for one label");
        /// Whether a server's own cipher order wins. Only servers use it.
        tls_preempt_cipherlist: bool = shared("tls_preempt_cipherlist", "no")
            .refused("rustls takes no OpenSSL settings");
        /// Cipher list used for grade high.
        tls_high_cipherlist: String = shared("tls_high_cipherlist", "aNULL:-aNULL:HIGH:@STRENGTH")
            .min(1)
            .same(&["aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH"])
            .refused("rustls takes no OpenSSL settings");
        /// Cipher list used for grade medium (the default grade).
        tls_medium_cipherlist: String =
            shared("tls_medium_cipherlist", "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH")
                .min(1)
                .same(&["aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH"])
                .refused("rustls takes no OpenSSL settings");
        /// Cipher list used for grade low.
        tls_low_cipherlist: String =
            shared("tls_low_cipherlist", "aNULL:-aNULL:HIGH:MEDIUM:LOW:+RC4:@STRENGTH")
                .same(&[""])
                .refused("rustls takes no OpenSSL settings");
        /// Cipher list used for grade export.
        tls_export_cipherlist: String =
            shared("tls_export_cipherlist", "aNULL:-aNULL:HIGH:MEDIUM:LOW:EXPORT:+RC4:@STRENGTH")
                .same(&[""])
                .refused("rustls takes no OpenSSL settings");
        /// Cipher list used for grade null (authentication and integrity without encryption).
        tls_null_cipherlist: String = shared("tls_null_cipherlist", "eNULL:!aNULL")
            .min(1)
            .same(&["eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL"])
            .refused("rustls takes no OpenSSL settings");
        /// Removes the named bits from the SSL_OP_ALL workaround mask used for client contexts.
        tls_disable_workarounds: String = shared("tls_disable_workarounds", "")
            .refused("rustls takes no OpenSSL settings");
        /// OpenSSL options to turn on.
        tls_ssl_options: String = shared("tls_ssl_options", "")
            .refused("rustls takes no OpenSSL settings");
        /// The OpenSSL configuration file.
        tls_config_file: String = shared("tls_config_file", "default")
            .refused("rustls takes no OpenSSL settings");
        /// The application name in the OpenSSL configuration file.
        tls_config_name: String = shared("tls_config_name", "")
            .refused("rustls takes no OpenSSL settings");
        /// The curves to offer, most wanted first.
        tls_eecdh_auto_curves: String =
            shared("tls_eecdh_auto_curves", "X25519 X448 prime256v1 secp521r1 secp384r1")
                .same(&[
                    "X25519 X448 prime256v1 secp384r1 secp521r1",
                    "?X25519MLKEM768:DEFAULT",
                ])
                .refused("rustls takes no OpenSSL settings");
        /// The curve for the grade `strong`.
        tls_eecdh_strong_curve: String = shared("tls_eecdh_strong_curve", "prime256v1")
            .refused("rustls takes no OpenSSL settings");
        /// The curve for the grade `ultra`.
        tls_eecdh_ultra_curve: String = shared("tls_eecdh_ultra_curve", "secp384r1")
            .refused("rustls takes no OpenSSL settings");
        /// How many bytes of seed each process asks tlsmgr for.
        tls_daemon_random_bytes: u32 = shared("tls_daemon_random_bytes", "32")
            .min(1)
            .mapped("there is no tlsmgr service: seed and session cache are the caller's");
        /// Where tlsmgr gets its seed.
        tls_random_source: String = shared("tls_random_source", "dev:/dev/urandom")
            .mapped("there is no tlsmgr service: seed and session cache are the caller's");
        /// How many bytes of seed tlsmgr reads at a time.
        tls_random_bytes: u32 = shared("tls_random_bytes", "32")
            .min(1)
            .mapped("there is no tlsmgr service: seed and session cache are the caller's");
        /// The name of the service that hands out seed and keeps TLS sessions.
        tlsmgr_service_name: String = shared("tlsmgr_service_name", "tlsmgr")
            .min(1)
            .mapped("there is no tlsmgr service: seed and session cache are the caller's");
        /// The name of the service that encrypts for others.
        tlsproxy_service_name: String = shared("tlsproxy_service_name", "tlsproxy")
            .min(1)
            .mapped("there is no tlsmgr service: seed and session cache are the caller's");
        /// Mail that has waited for less than this is not sent in plaintext after a failed TLS
        /// handshake.
        minimal_backoff_time: Duration = shared("minimal_backoff_time", "300s").min(1);
    }
    rows {
        /// Historical control of TLSA digest agility; modern versions always apply it (strongest
        /// digest per usage/selector, order from `tls_dane_digests`).
        Text = shared("tls_dane_digest_agility", "on").removed("always on since Postfix 3.2");
        /// Historical control of DANE-TA digest records (usage 2 with matching type 1/2); modern
        /// versions always support them.
        Bool = shared("tls_dane_trust_anchor_digest_enable", "yes")
            .removed("always on since Postfix 3.2");
        /// Historical cipher list for all client sessions; replaced by cipher grades in 2.3.
        /// Unknown to 3.x.
        Text = shared("smtp_tls_cipherlist", "")
            .removed("replaced by cipher grades in Postfix 2.3");
    }
}
