//! The settings of the login.

use core::time::Duration;

use super::SecurityOptions;
use crate::tables::{MatchList, SecretMaps};

/// Login at the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// User and password, `user:password`, by sender, server name or destination (`smtp_sasl_password_maps`).
    pub passwords: SecretMaps,
    /// The character between user and password, the first of its kind (`smtp_sasl_password_result_delimiter`).
    pub delimiter: char,
    /// The properties that mechanisms must have without TLS (`smtp_sasl_security_options`).
    pub plaintext: SecurityOptions,
    /// The same inside TLS with a server that is not verified (`smtp_sasl_tls_security_options`).
    pub tls: SecurityOptions,
    /// The same inside TLS with a server that is verified (`smtp_sasl_tls_verified_security_options`).
    pub verified_tls: SecurityOptions,
    /// The mechanisms that count (`smtp_sasl_mechanism_filter`); none: all.
    pub mechanisms: Option<MatchList>,
    /// Passwords are looked up by the sender first (`smtp_sender_dependent_authentication`).
    pub by_sender: bool,
    /// The time for which a rejected login is remembered (`smtp_sasl_auth_cache_time`); none: not at all.
    pub memory: Option<Duration>,
    /// A rejected login defers mail rather than return it (`smtp_sasl_auth_soft_bounce`).
    pub soft_bounce: bool,
    /// MAIL FROM says `AUTH=<>` (`smtp_send_dummy_mail_auth`).
    pub dummy_mail_auth: bool,
    /// The authorisation identity is sent (`send_cyrus_sasl_authzid`).
    pub authzid: bool,
}

impl Login {
    /// A login with these passwords. Passwords go out inside TLS only.
    pub fn new(passwords: SecretMaps) -> Self {
        let noanonymous = SecurityOptions::NOANONYMOUS;
        Self {
            passwords,
            delimiter: ':',
            plaintext: SecurityOptions::NOPLAINTEXT.and(noanonymous),
            tls: noanonymous,
            verified_tls: noanonymous,
            mechanisms: None,
            by_sender: false,
            memory: None,
            soft_bounce: true,
            dummy_mail_auth: false,
            authzid: false,
        }
    }
}
