//! The groups of settings about mail on a connection, and their defaults.

use core::time::Duration;
use std::sync::Arc;

use smtp_proto::{
    command::HelloName,
    session::{DeadlineRule, Timeouts},
};

use super::words::{NotifyClasses, ProbeTarget};
use crate::{
    Protocol,
    sasl::SecurityOptions,
    tables::{Maps, MatchList, SecretMaps, Table},
};

/// Login at the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// User and password, `user:password`, by sender, server name or destination (`smtp_sasl_password_maps`).
    pub passwords: SecretMaps,
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

/// The message text and the addresses on the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Content {
    /// Names and addresses beyond ASCII are supported (`smtputf8_enable`).
    pub smtputf8: bool,
    /// Local parts are quoted where RFC 5321 asks for it (`smtp_quote_rfc821_envelope`).
    pub quote_envelope: bool,
    /// 8-bit text is converted for servers without 8BITMIME (`disable_mime_output_conversion`).
    pub convert: bool,
    /// Checks of header fields of the message (`smtp_header_checks`).
    pub header_checks: Maps,
    /// Checks of MIME header fields (`smtp_mime_header_checks`).
    pub mime_header_checks: Maps,
    /// Checks of header fields of attached messages (`smtp_nested_header_checks`).
    pub nested_header_checks: Maps,
    /// Checks of lines of bodies (`smtp_body_checks`).
    pub body_checks: Maps,
    /// Addresses of this place as the world knows them (`smtp_generic_maps`).
    pub generic: Maps,
    /// The completion and look-up of addresses.
    pub rewriting: Rewriting,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            smtputf8: true,
            quote_envelope: true,
            convert: true,
            header_checks: Maps::default(),
            mime_header_checks: Maps::default(),
            nested_header_checks: Maps::default(),
            body_checks: Maps::default(),
            generic: Maps::default(),
            rewriting: Rewriting::default(),
        }
    }
}

/// The completion of addresses, and their look-up in tables.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewriting {
    /// Domains of this machine, whose addresses may match by their local part alone (`mydestination`).
    pub destinations: MatchList,
    /// The characters between a user name and its extension (`recipient_delimiter`).
    pub delimiters: String,
    /// An extension that the key did not contain is added to the result of generic maps
    /// (`propagate_unmatched_extensions`).
    pub propagate_extension: bool,
    /// The domain of addresses without one (`myorigin`, if `append_at_myorigin`).
    pub origin: Option<HelloName>,
    /// The suffix of domains without a dot (`mydomain`, if `append_dot_mydomain`).
    pub domain: Option<HelloName>,
    /// `host!user` is `user@host` (`swap_bangpath`).
    pub swap_bangpath: bool,
    /// `user%domain` is `user@domain` (`allow_percent_hack`).
    pub percent_hack: bool,
}

impl Default for Rewriting {
    /// Postfix's defaults, but that nothing is completed.
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            delimiters: String::new(),
            propagate_extension: false,
            origin: None,
            domain: None,
            swap_bangpath: true,
            percent_hack: true,
        }
    }
}

/// The time limits of all that a delivery does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeLimits {
    /// Setting up a connection (`smtp_connect_timeout`); none leaves it to the operating system.
    pub connect: Option<Duration>,
    /// The stages of a session.
    pub session: Timeouts,
    /// The reach of the limits of the stages (`smtp_per_request_deadline`, `smtp_min_data_rate`).
    pub deadline: DeadlineRule,
    /// A delivery altogether (`daemon_timeout`).
    pub delivery: Duration,
}

impl TimeLimits {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            connect: (protocol == Protocol::Smtp).then_some(Duration::from_secs(30)),
            session: Timeouts::default(),
            deadline: DeadlineRule::PerOperation,
            delivery: Duration::from_secs(18_000),
        }
    }
}

/// From replies to verdicts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verdicts {
    /// A table that sees each line of a reply and may replace it (`smtp_reply_filter`).
    pub reply_filter: Option<Arc<dyn Table>>,
    /// Tables that see each verdict and may replace it (`smtp_delivery_status_filter`).
    pub status_filter: Maps,
    /// Every 5xx verdict becomes a temporary one (`soft_bounce`).
    pub soft_bounce: bool,
    /// LMTP: the server is the final destination (`lmtp_assume_final`).
    pub assume_final: bool,
    /// The stage at which an address probe stops (`smtp_address_verify_target`).
    pub probe_target: ProbeTarget,
    /// The classes of trouble that the postmaster wants to hear of (`notify_classes`).
    pub notify: NotifyClasses,
    /// Servers whose dialogue goes to the log (`debug_peer_list`).
    pub debug_peers: MatchList,
}

/// Kept connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reuse {
    /// Destinations whose connections are always kept (`smtp_connection_cache_destinations`).
    pub destinations: MatchList,
    /// Connections are also kept when a request says that more mail follows
    /// (`smtp_connection_cache_on_demand`).
    pub on_demand: bool,
    /// The time for which a kept connection may be idle (`smtp_connection_cache_time_limit`, at most
    /// `connection_cache_ttl_limit`).
    pub idle: Duration,
    /// The age up to which a connection is kept (`smtp_connection_reuse_time_limit`).
    pub age: Duration,
    /// The number of times that a connection may be used again (`smtp_connection_reuse_count_limit`); 0 is no limit.
    pub uses: u32,
    /// Connections serve only the server name and the destination that they were made for: there are
    /// passwords by these.
    pub by_destination: bool,
    /// Connections serve only the sender that they were made for: there are passwords by the sender.
    pub by_sender: bool,
}

impl Default for Reuse {
    fn default() -> Self {
        Self {
            destinations: MatchList::default(),
            on_demand: true,
            idle: Duration::from_secs(2),
            age: Duration::from_secs(300),
            uses: 0,
            by_destination: false,
            by_sender: false,
        }
    }
}

/// Numbers and sizes. 0 is no limit where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Addresses of one destination that are tried (`smtp_mx_address_limit`).
    pub addresses: u32,
    /// Sessions of one destination that get as far as a transaction (`smtp_mx_session_limit`).
    pub sessions: u32,
    /// Deliveries to one destination at the same time (`smtp_destination_concurrency_limit`).
    pub concurrency: u32,
    /// Recipients of one delivery (`smtp_destination_recipient_limit`).
    pub recipients: u32,
    /// Bytes of a line of text (`smtp_line_length_limit`).
    pub line: u32,
    /// Bytes of a header field (`header_size_limit`); at least 1.
    pub header: u32,
    /// Bytes of a MIME boundary (`mime_boundary_length_limit`); at least 1.
    pub boundary: u32,
    /// Multiparts inside each other (`mime_nesting_limit`); at least 1.
    pub nesting: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            addresses: 5,
            sessions: 2,
            concurrency: 20,
            recipients: 50,
            line: 998,
            header: 102_400,
            boundary: 2048,
            nesting: 100,
        }
    }
}
