//! The settings of the login.

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::Secret;

use super::{
    SecurityOptions,
    token::{AsyncTokenProvider, TokenLogin, TokenProvider, TokenSource},
};
use crate::tables::{MatchList, SecretMaps};

/// The proof of who logs in: passwords, or access tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// User and password, `user:password`, by sender, server name or destination
    /// (`smtp_sasl_password_maps`). By which mechanism a password goes out depends on the server and on
    /// [`Login::mechanisms`]. It may be a token, which then never changes.
    Passwords(SecretMaps),
    /// One user, and a source of access tokens for it. They go out by OAUTHBEARER and XOAUTH2 only.
    Token(TokenLogin),
}

impl Credentials {
    /// One user and password for all servers. The user must have no colon in it.
    pub fn password(user: &str, password: &Secret) -> Self {
        Self::Passwords(SecretMaps::credentials(user, password))
    }

    /// One user for all servers, and a source of tokens that may hold up its thread.
    pub fn token(user: impl Into<String>, provider: impl TokenProvider + 'static) -> Self {
        let source = TokenSource::Blocking(Arc::new(provider));
        Self::Token(TokenLogin::new(user.into(), source))
    }

    /// The same with a source of tokens that is awaited.
    pub fn async_token(
        user: impl Into<String>,
        provider: impl AsyncTokenProvider + 'static,
    ) -> Self {
        let source = TokenSource::Async(Arc::new(provider));
        Self::Token(TokenLogin::new(user.into(), source))
    }
}

impl From<SecretMaps> for Credentials {
    fn from(passwords: SecretMaps) -> Self {
        Self::Passwords(passwords)
    }
}

/// Login at the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// The proof of who logs in.
    pub credentials: Credentials,
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
    /// A login with these credentials: they go out inside TLS only. Tables of passwords will do.
    pub fn new(credentials: impl Into<Credentials>) -> Self {
        let noanonymous = SecurityOptions::NOANONYMOUS;
        Self {
            credentials: credentials.into(),
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
