//! Login at the server: AUTH.

use std::time::Duration;

use crate::Derived;
use smtp_proto::Secret;

use crate::parameter::{apart, params, shared, twins};

params! {
    "sasl";
    /// Credentials, and which SASL mechanisms may be used where.
    pub struct SaslParams {
        /// Whether to log in at servers that offer AUTH; needs `smtp_sasl_password_maps`.
        sasl_auth_enable: bool = twins("smtp_sasl_auth_enable", "lmtp_sasl_auth_enable", "no");
        /// Tables with `user:password`, by sender (with `smtp_sender_dependent_authentication`), by
        /// server name, or by destination as written. Without an entry there is no login; if a
        /// table fails, the session fails with 4.3.0.
        sasl_password_maps: Secret =
            twins("smtp_sasl_password_maps", "lmtp_sasl_password_maps", "")
                .tables()
                .private();
        /// What mechanisms must, or must not, be like on a session without TLS.
        sasl_security_options: Vec<String> = twins(
            "smtp_sasl_security_options",
            "lmtp_sasl_security_options",
            "noplaintext, noanonymous",
        )
        .words(&[
            "noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth",
            "forward_secrecy",
        ]);
        /// The same as `smtp_sasl_security_options` for a session with TLS whose server is not
        /// authenticated.
        sasl_tls_security_options: Derived<Vec<String>> = apart(
            "smtp_sasl_tls_security_options",
            "$smtp_sasl_security_options",
            "lmtp_sasl_tls_security_options",
            "$lmtp_sasl_security_options",
        )
        .words(&[
            "noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth",
            "forward_secrecy",
        ]);
        /// The same as `smtp_sasl_security_options` for a session with TLS whose server is
        /// authenticated.
        sasl_tls_verified_security_options: Derived<Vec<String>> = apart(
            "smtp_sasl_tls_verified_security_options",
            "$smtp_sasl_tls_security_options",
            "lmtp_sasl_tls_verified_security_options",
            "$lmtp_sasl_tls_security_options",
        )
        .words(&[
            "noplaintext", "noactive", "nodictionary", "noanonymous", "mutual_auth",
            "forward_secrecy",
        ]);
        /// Which of the offered mechanisms count, as a list with `!` for exceptions, files and
        /// tables. Empty: all.
        sasl_mechanism_filter: String =
            twins("smtp_sasl_mechanism_filter", "lmtp_sasl_mechanism_filter", "");
        /// Whether passwords are looked up by the sender first. Connections are then not shared
        /// between senders.
        sender_dependent_authentication: bool =
            twins("smtp_sender_dependent_authentication", "lmtp_sender_dependent_authentication", "no");
        /// What the SASL implementation needs to find its own configuration.
        sasl_path: String = twins("smtp_sasl_path", "lmtp_sasl_path", "")
            .mapped("ignored, as Postfix's client for Cyrus ignores it");
        /// The SASL implementation. Any but the default is refused where login is turned on.
        sasl_type: String = twins("smtp_sasl_type", "lmtp_sasl_type", "cyrus")
            .min(1)
            .mapped("only `cyrus`, which stands for the built-in mechanisms");
        /// A table that remembers logins that failed with 535, so that they are not tried again at
        /// once.
        sasl_auth_cache_name: String =
            twins("smtp_sasl_auth_cache_name", "lmtp_sasl_auth_cache_name", "")
                .tables()
                .mapped("any name turns the memory on; no table is written");
        /// How long a failed login is remembered, in days unless said otherwise.
        sasl_auth_cache_time: Duration =
            twins("smtp_sasl_auth_cache_time", "lmtp_sasl_auth_cache_time", "90d");
        /// Whether mail is deferred, rather than returned, when the login is rejected for good.
        sasl_auth_soft_bounce: bool =
            twins("smtp_sasl_auth_soft_bounce", "lmtp_sasl_auth_soft_bounce", "yes");
        /// Whether MAIL FROM gets `AUTH=<>` in a session that is logged in.
        send_dummy_mail_auth: bool =
            twins("smtp_send_dummy_mail_auth", "lmtp_send_dummy_mail_auth", "no");
        /// Whether the authorisation identity is sent and equals the login name. no: it is left
        /// empty.
        send_cyrus_sasl_authzid: bool = shared("send_cyrus_sasl_authzid", "no");
        /// Where the Cyrus SASL library looks for its configuration.
        cyrus_sasl_config_path: String = shared("cyrus_sasl_config_path", "")
            .refused("the Cyrus library is not used");
    }
    rows {
    }
}
