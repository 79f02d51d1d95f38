//! The parameters that Postfix has got since 3.7, release by release up to 3.12, and how far each is honoured here.
//!
//! A value that a release has by default is never worth a warning: a main.cf that spells out its defaults says nothing
//! new. Otherwise the rule is: what only concerns the log or reports gives a warning; where mail would go another way,
//! or be less safe than its owner believes, the configuration is refused.

use crate::parameter::{apart, params, shared, twins};
use crate::{Derived, Grammar};

/// Postfix's default of `smtp_requiretls_policy`.
const REQUIRETLS_POLICY: &str = "inline:{{${domain_to_ascii{$mydomain}}=opportunistic}, {.${domain_to_ascii{$mydomain}}=opportunistic}, {localhost=opportunistic}}, cidr:{{0.0.0.0/0 opportunistic}, {::/0 opportunistic}}, enforce";

params! {
    "newer";
    /// Settings that Postfix 3.7 does not have.
    pub struct NewerParams {
        /// The character between user and password in the results of `smtp_sasl_password_maps`.
        sasl_password_result_delimiter: String = twins(
            "smtp_sasl_password_result_delimiter",
            "lmtp_sasl_password_result_delimiter",
            ":",
        )
        .grammar(Grammar::Separator)
        .since("3.9");
        /// Lets `TLS-Required: no` in the header of a message free it from TLS policies.
        tls_required_enable: bool = shared("tls_required_enable", "yes")
            .mapped("what the domain of the recipient publishes is waived; levels that are configured here hold")
            .since("3.10");
        /// Demands that a server matches an `mx_host_pattern` that a table of policies has taken from an MTA-STS policy, and its
        /// certificate its own name.
        tls_enforce_sts_mx_patterns: bool = twins(
            "smtp_tls_enforce_sts_mx_patterns",
            "lmtp_tls_enforce_sts_mx_patterns",
            "yes",
        )
        .since("3.10.5");
        /// Heeds REQUIRETLS of a message, which demands that servers are verified and promise the same.
        requiretls_enable: bool = shared("requiretls_enable", "yes").since("3.11");
        /// The demands on servers for messages with REQUIRETLS: `enforce`, `opportunistic+starttls`, `opportunistic`,
        /// `disable`, and tables that have one of these for the next hop or, with a dot in front, for a domain above
        /// it. The first that has a word about the next hop counts, else `enforce`.
        requiretls_policy: Derived<String> = apart(
            "smtp_requiretls_policy",
            REQUIRETLS_POLICY,
            "lmtp_requiretls_policy",
            "opportunistic",
        )
        .since("3.11");
    }
    rows {
        /// The services whose servers are found by SRV records instead of MX records.
        List = shared("use_srv_lookup", "")
            .denied("SRV records are not looked up, and mail would go to other servers than they name")
            .since("3.8");
        /// Looks up MX records or addresses where the look-up of SRV records fails.
        Bool = shared("ignore_srv_lookup_error", "no")
            .mapped("without effect, as in Postfix where `use_srv_lookup` is empty")
            .since("3.8");
        /// Looks up MX records or addresses where there are no SRV records.
        Bool = shared("allow_srv_lookup_fallback", "no")
            .mapped("without effect, as in Postfix where `use_srv_lookup` is empty")
            .since("3.8");
        /// The finite-field groups to offer for key exchange.
        Text = shared("tls_ffdhe_auto_groups", "ffdhe2048 ffdhe3072")
            .same(&[""])
            .refused("rustls takes no OpenSSL settings")
            .since("3.8");
        /// Asks servers for a raw public key in place of a certificate.
        Bool = twins("smtp_tls_enable_rpk", "lmtp_tls_enable_rpk", "no")
            .refused("rustls asks servers for certificates, as a Postfix does whose OpenSSL has no raw public keys")
            .since("3.9");
        /// Hands the results of TLS to a service that makes reports of them (RFC 8460).
        Bool = twins("smtp_tlsrpt_enable", "lmtp_tlsrpt_enable", "no")
            .refused("results of TLS are not handed to a TLSRPT service")
            .since("3.10");
        /// The socket of that service.
        Text = twins("smtp_tlsrpt_socket_name", "lmtp_tlsrpt_socket_name", "")
            .refused("results of TLS are not handed to a TLSRPT service")
            .since("3.10");
        /// Leaves handshakes that resume a session out of those results.
        Bool = twins(
            "smtp_tlsrpt_skip_reused_handshakes",
            "lmtp_tlsrpt_skip_reused_handshakes",
            "no",
        )
        .mapped("without effect, as in Postfix where `smtp_tlsrpt_enable` is off")
        .since("3.10");
        /// Says in the log line of a recipient how TLS was used (`tls=`).
        Bool = twins("smtp_log_tls_feature_status", "lmtp_log_tls_feature_status", "yes")
            .mapped("log lines have no `tls=`")
            .since("3.11");
        /// Levels of TLS logging by server.
        Tables = apart(
            "smtp_tls_loglevel_maps",
            "",
            "lmtp_tls_loglevel_maps",
            "$smtp_tls_loglevel_maps",
        )
        .refused("the level of TLS logging is the same for all servers")
            .since("3.12");
        /// The size of a file with all that was said in a TLS handshake.
        Number = twins("smtp_tls_trace_size_limit", "lmtp_tls_trace_size_limit", "102400")
            .refused("no transcripts of TLS are written")
            .since("3.12");
        /// The most such files in a unit of time.
        Number = shared("tls_trace_rate_limit", "1")
            .refused("no transcripts of TLS are written")
            .since("3.12");
    }
}
