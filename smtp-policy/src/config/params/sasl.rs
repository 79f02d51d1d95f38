//! Login at the server: AUTH.

use std::time::Duration;

use crate::config::parameter::{apart, params, shared, twins};

params! {
    "sasl";
    /// Credentials, and which SASL mechanisms may be used where.
    pub struct SaslParams {
        /// Turns on parsing of the AUTH capability and login. Requires `smtp_sasl_password_maps`,
        /// else the process terminates with a fatal error at start.
        sasl_auth_enable: bool = twins("smtp_sasl_auth_enable", "lmtp_sasl_auth_enable", "no")
            .not_yet("SASL authentication");
        /// Lookup order: sender (only with `smtp_sender_dependent_authentication`, SMTP mode,
        /// non-null sender; with address lookup rules of mail_addr_find), then the server host name,
        /// then the current destination string exactly as configured (including `[]` and :port).
        /// Value split at the first colon; no colon means empty password. No entry: no AUTH. Lookup
        /// error aborts the session (4.3.0). Non-empty value also changes the connection cache keys
        /// and disables the plaintext fallback for matching servers.
        sasl_password_maps: String = twins("smtp_sasl_password_maps", "lmtp_sasl_password_maps", "")
            .tables()
            .not_yet("SASL authentication");
        /// Mechanism properties required or forbidden on a session without TLS. Passed to the SASL
        /// library, which refuses mechanisms that do not comply.
        sasl_security_options: Vec<String> =
            twins("smtp_sasl_security_options", "lmtp_sasl_security_options", "noplaintext, noanonymous")
            .words(&["noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth", "forward_secrecy"])
            .not_yet("SASL authentication");
        /// SASL mechanism properties for a TLS session whose server certificate was not matched by
        /// policy (levels may and encrypt, or unverified).
        sasl_tls_security_options: Vec<String> =
            apart("smtp_sasl_tls_security_options", "$smtp_sasl_security_options", "lmtp_sasl_tls_security_options", "$lmtp_sasl_security_options")
            .words(&["noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth", "forward_secrecy"])
            .not_yet("SASL authentication");
        /// SASL mechanism properties when the server certificate was matched by policy (fingerprint,
        /// dane, verify, secure).
        sasl_tls_verified_security_options: Vec<String> =
            apart("smtp_sasl_tls_verified_security_options", "$smtp_sasl_tls_security_options", "lmtp_sasl_tls_verified_security_options", "$lmtp_sasl_tls_security_options")
            .words(&["noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth", "forward_secrecy"])
            .not_yet("SASL authentication");
        /// Server-announced mechanism names not matching the list (case-insensitive, after the usual
        /// list rules) are removed before selection. Empty: keep all.
        sasl_mechanism_filter: String =
            twins("smtp_sasl_mechanism_filter", "lmtp_sasl_mechanism_filter", "")
            .not_yet("SASL authentication");
        /// SMTP only in effect: password lookup tries the envelope sender first; the connection cache
        /// labels get the sender address so authenticated connections are not shared between senders.
        sender_dependent_authentication: bool =
            twins("smtp_sender_dependent_authentication", "lmtp_sender_dependent_authentication", "no")
            .not_yet("SASL authentication");
        /// Implementation-specific data passed to the SASL client plug-in chosen by `smtp_sasl_type`
        /// (Cyrus: search path for configuration; see `cyrus_sasl_config_path`).
        sasl_path: String = twins("smtp_sasl_path", "lmtp_sasl_path", "")
            .not_yet("SASL authentication");
        /// Selects the SASL client implementation; unknown name or failing initialisation is fatal.
        sasl_type: String = twins("smtp_sasl_type", "lmtp_sasl_type", "cyrus")
            .min(1)
            .not_yet("SASL authentication");
        /// Read/write table remembering 535 login failures: key serverhost;username, value
        /// time;base64(SHA-1(password));dsn;reply. A fresh entry with the same password hash makes
        /// login fail locally without sending AUTH.
        sasl_auth_cache_name: String =
            twins("smtp_sasl_auth_cache_name", "lmtp_sasl_auth_cache_name", "")
            .tables()
            .not_yet("SASL authentication");
        /// Lifetime of entries in `smtp_sasl_auth_cache_name`; older entries are deleted and a real
        /// login is tried.
        sasl_auth_cache_time: Duration =
            twins("smtp_sasl_auth_cache_time", "lmtp_sasl_auth_cache_time", "90d")
            .not_yet("SASL authentication");
        /// Yes: a 5xx final reply to AUTH (real or cached) is made temporary by changing the status
        /// class to 4, so other servers are tried and mail is deferred. no: the recipients bounce.
        sasl_auth_soft_bounce: bool =
            twins("smtp_sasl_auth_soft_bounce", "lmtp_sasl_auth_soft_bounce", "yes")
            .not_yet("SASL authentication");
        /// If SASL is enabled and the server offered AUTH and the session was authenticated (feature
        /// not cleared for lack of credentials), append AUTH=<> to MAIL FROM.
        send_dummy_mail_auth: bool =
            twins("smtp_send_dummy_mail_auth", "lmtp_send_dummy_mail_auth", "no")
            .not_yet("SASL authentication");
        /// No: the Cyrus SASL client callback for the authorisation identity returns an empty string,
        /// so none is sent. yes: the authorisation identity equals the login name. Affects only
        /// mechanisms that carry both.
        send_cyrus_sasl_authzid: bool = shared("send_cyrus_sasl_authzid", "no")
            .not_yet("SASL authentication");
        /// Where the Cyrus SASL library looks for its configuration.
        cyrus_sasl_config_path: String = shared("cyrus_sasl_config_path", "")
            .refused("the Cyrus library is not used");
    }
    rows {
    }
}
