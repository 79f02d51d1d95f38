//! Login at the server: which credentials, which mechanism, what it says. Not the
//! dialogue, which is [`smtp_proto::session`]'s, and not the verdicts.
//!
//! | question | module | Postfix |
//! |---|---|---|
//! | who are we for this server? | `passwd` | `src/smtp/smtp_sasl_glue.c`, smtp_sasl_passwd_lookup |
//! | with a password, or with a token? | `account`, `token` | (none) |
//! | which mechanism? | `mechanism` | `src/smtp/smtp_sasl_proto.c`; sasl_client_start of Cyrus |
//! | what does it say? | `exchange` | `src/xsasl/xsasl_cyrus_client.c` |
//! | is it in vain? | `auth_cache` | `src/smtp/smtp_sasl_auth_cache.c` |
//!
//! The mechanisms are written here, on the hashes of other crates. The crate `rsasl`
//! (2.3.1) has most of them, but a malformed message of the server makes its SCRAM
//! panic, its nonces come from the system instead of the seed, and it refuses the
//! empty password that Postfix sends.
//!
//! Without the crate feature `sasl` there are no mechanisms, and a configuration
//! that turns login on is refused.

mod account;
mod auth_cache;
#[cfg_attr(not(feature = "sasl"), path = "exchange_off.rs")]
mod exchange;
mod mechanism;
mod passwd;
#[cfg(feature = "sasl")]
mod scram;
pub(crate) mod settings;
pub(crate) mod token;

use std::{fmt, sync::MutexGuard};

use self::settings::Login;
pub(crate) use self::{
    account::{Account, AccountSearch, Proof, Unknown},
    auth_cache::{AuthCache, Failed},
    exchange::{Exchange, fingerprint},
    mechanism::{Offer, Protection},
    passwd::PasswordSearch,
};
pub use self::{
    auth_cache::{FailedLogin, FailedLogins},
    mechanism::SecurityOptions,
};
use crate::{
    local::LocalDomains,
    tables::{AddressRules, DomainKind, MatchList},
    tls::ChannelBinding,
};

/// The login state that all sessions of a client share, if login is turned on.
#[derive(Clone, Debug)]
pub(crate) struct Sasl {
    pub(crate) login: Login,
    /// Logins that failed; `None` if they are not remembered.
    failed: Option<FailedLogins>,
    /// For look-ups by the sender.
    local: LocalDomains,
}

impl Sasl {
    pub(crate) fn new(login: &Login, local: LocalDomains) -> Self {
        Self {
            login: login.clone(),
            failed: login.memory.map(FailedLogins::new),
            local,
        }
    }

    pub(crate) fn filter(&self) -> Option<&MatchList> {
        self.login.mechanisms.as_ref()
    }

    /// The properties that a mechanism must have on a connection that is protected so.
    pub(crate) const fn required(&self, protection: Protection) -> SecurityOptions {
        match protection {
            Protection::Plaintext => self.login.plaintext,
            Protection::Tls => self.login.tls,
            Protection::VerifiedTls => self.login.verified_tls,
        }
    }

    /// The memory of failed logins, if there is one.
    pub(crate) fn failed(&self) -> Option<MutexGuard<'_, AuthCache>> {
        self.failed.as_ref().map(FailedLogins::lock)
    }

    /// The same, for whoever keeps it.
    pub(crate) const fn memory(&self) -> Option<&FailedLogins> {
        self.failed.as_ref()
    }

    /// The rules by which a sender is looked up. A table that fails leaves its domain a stranger's.
    pub(crate) fn sender_rules(&self, sender: &str) -> AddressRules<'_> {
        let domain = self.local.kind(sender).unwrap_or(DomainKind::Remote);
        self.local.rules(domain)
    }
}

/// The two ends of an exchange.
#[derive(Debug)]
#[cfg_attr(not(feature = "sasl"), expect(dead_code, reason = "nobody asks"))]
pub(crate) struct Party<'a> {
    pub(crate) credentials: &'a Account,
    /// True if the user name is also the identity to act as (`send_cyrus_sasl_authzid`).
    pub(crate) authzid: bool,
    /// True if the server can know this client by its TLS certificate.
    pub(crate) has_certificate: bool,
    /// The server's name and port; a UNIX-domain socket has no port.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// The name of this machine.
    pub(crate) own_name: &'a str,
    /// The binding of the exchange to the connection.
    pub(crate) binding: Binding,
    /// The seed of nonces; another one for each session.
    pub(crate) seed: u64,
}

/// The binding of an exchange to the TLS connection (RFC 5802 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Not at all: there is nothing to be bound to, or it was not chosen.
    Unknown,
    /// Not at all, since the server seems unable to.
    Unwanted,
    /// By this.
    Wanted(ChannelBinding),
}

/// Why this side cannot go on with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No mechanism that the server offers meets the security options, or none can be used.
    NoMechanism,
    /// A message of the server makes no sense.
    Protocol,
    /// A challenge ends in the middle of a base64 group.
    Incomplete,
    /// The server did not show that it knows the password, and has to.
    Server,
    /// The server's proof that it knows the password is wrong.
    #[cfg_attr(
        not(feature = "sasl"),
        expect(dead_code, reason = "nobody shows anything")
    )]
    Mismatch,
    /// Anything else, such as a challenge when all was said.
    Failure,
}

impl fmt::Display for Refusal {
    /// In the words of Cyrus SASL, which Postfix passes on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMechanism => "no mechanism available",
            Self::Protocol => "bad protocol / cancel",
            Self::Incomplete => "another step is needed in authentication",
            Self::Server => "server failed mutual authentication step",
            Self::Mismatch => "authentication failure",
            Self::Failure => "generic failure",
        })
    }
}
