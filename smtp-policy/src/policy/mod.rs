//! What all deliveries share: the configuration of both clients, their tables,
//! the name servers, the addresses of this machine. A value that is made once and
//! handed around behind an `Arc`; nothing in it changes but what is remembered of
//! failed logins, and of whether the name servers validate.
//!
//! ```
//! use smtp_policy::{config::{MainCf, Protocol}, dns::ResolverConfig, policy::Policy};
//!
//! let main_cf = MainCf::parse("smtp_helo_timeout = 1m\n", "main.cf", "/etc/outpost".as_ref())?;
//! let policy = Policy::new(&main_cf, ResolverConfig::default(), &[])?;
//! assert_eq!(policy.config(Protocol::Smtp).timeout.helo_timeout.as_secs(), 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;

use core::fmt;
use std::{net::IpAddr, path::Path, sync::Arc};

pub(crate) use self::client::Client;
use crate::{
    config::{Config, ConfigError, MainCf, Protocol},
    dns::{ResolverConfig, probe::DnssecProbe},
    sts::MtaSts,
    tables::TableError,
    tls::TlsConnector,
};

/// Everything a [`Delivery`](crate::delivery::Delivery) is decided by.
///
/// The default is Postfix's defaults, with name servers as
/// [`ResolverConfig::default`] has them.
#[derive(Debug)]
pub struct Policy {
    smtp: Client,
    lmtp: Client,
    resolver: Arc<ResolverConfig>,
    sts: Option<Arc<MtaSts>>,
    tls_results: bool,
    dnssec_probe: DnssecProbe,
    warnings: Vec<String>,
}

/// Why no policy can be made of a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PolicyError {
    /// main.cf itself.
    Config(ConfigError),
    /// A table that a parameter names.
    Table {
        /// The parameter.
        parameter: String,
        /// What is wrong with the table.
        error: TableError,
    },
    /// A value that makes no sense.
    Value {
        /// The parameter.
        parameter: String,
        /// What is wrong with its value.
        reason: String,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Table { parameter, error } => write!(f, "{parameter}: {error}"),
            Self::Value { parameter, reason } => write!(f, "{parameter}: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl From<ConfigError> for PolicyError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl Policy {
    /// The policy that a main.cf describes. `system` is the addresses of this
    /// machine's network interfaces, for `inet_interfaces = all`.
    ///
    /// # Errors
    /// A value that cannot be read, or a table that cannot be opened.
    pub fn new(
        main_cf: &MainCf,
        resolver: ResolverConfig,
        system: &[IpAddr],
    ) -> Result<Self, PolicyError> {
        let mut warnings: Vec<String> = main_cf
            .warnings()
            .into_iter()
            .map(|warning| warning.to_string())
            .collect();
        let mut client = |protocol| {
            let config = main_cf.config(protocol)?;
            Client::new(config, main_cf.directory(), system, &mut warnings)
        };
        let (smtp, lmtp) = (client(Protocol::Smtp)?, client(Protocol::Lmtp)?);
        Self::of(smtp, lmtp, resolver, warnings)
    }

    /// Adds the TCP services of this machine, from the text of `/etc/services`, to
    /// the names that a port can have in a destination. `known_tcp_ports` goes
    /// before them.
    #[must_use]
    pub fn with_services(mut self, text: &str) -> Self {
        for client in [&mut self.smtp, &mut self.lmtp] {
            client.nexthop.ports.add_services(text);
        }
        self
    }

    /// Has each session note its dialogue, as those with a peer in `debug_peer_list` do:
    /// what `-v` is to Postfix. A line stands for the message text.
    #[must_use]
    pub fn with_dialogue(mut self) -> Self {
        for client in [&mut self.smtp, &mut self.lmtp] {
            client.is_verbose = true;
        }
        self
    }

    /// A policy from configurations that were made in code. Tables are named
    /// relative to `directory`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn from_configs(
        smtp: Config,
        lmtp: Config,
        directory: &Path,
        resolver: ResolverConfig,
        system: &[IpAddr],
    ) -> Result<Self, PolicyError> {
        let mut warnings = Vec::new();
        let smtp = Client::new(smtp, directory, system, &mut warnings)?;
        let lmtp = Client::new(lmtp, directory, system, &mut warnings)?;
        Self::of(smtp, lmtp, resolver, warnings)
    }

    fn of(
        smtp: Client,
        lmtp: Client,
        resolver: ResolverConfig,
        mut warnings: Vec<String>,
    ) -> Result<Self, PolicyError> {
        // Both clients open the tables that they share, and say the same of them.
        let mut seen = std::collections::BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        let probe = &smtp.config.lookup.dnssec_probe;
        let dnssec_probe = DnssecProbe::parse(probe).map_err(|reason| PolicyError::Value {
            parameter: "dnssec_probe".into(),
            reason: format!("{probe}: {reason}"),
        })?;
        Ok(Self {
            smtp,
            lmtp,
            resolver: Arc::new(resolver),
            sts: None,
            tls_results: false,
            dnssec_probe,
            warnings,
        })
    }

    /// The configuration of a client.
    pub fn config(&self, protocol: Protocol) -> &Arc<Config> {
        &self.client(protocol).config
    }

    /// The name servers and how they are asked.
    pub fn resolver(&self) -> &Arc<ResolverConfig> {
        &self.resolver
    }

    /// What is questionable about the configuration and its tables, though not
    /// wrong enough to refuse it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Takes another TLS engine for both clients. It decides alone which authorities
    /// it trusts and which certificate it shows; what the parameters say about
    /// that was for the engine that it replaces.
    #[must_use]
    pub fn with_tls(mut self, connector: Arc<dyn TlsConnector>) -> Self {
        for client in [&mut self.smtp, &mut self.lmtp] {
            client.tls = Arc::new(client.tls.with_connector(Arc::clone(&connector)));
        }
        self
    }

    /// Turns on MTA-STS for mail over SMTP; see [`sts`](crate::sts).
    #[must_use]
    pub fn with_mta_sts(mut self, sts: MtaSts) -> Self {
        let sts = Arc::new(sts);
        let rules = crate::tls::load::rules_with_sts(&self.smtp.tls, &sts, &mut self.warnings);
        self.smtp.tls = Arc::new(rules);
        self.sts = Some(sts);
        self
    }

    /// Has each delivery note what becomes of TLS in the terms of RFC 8460:
    /// [`Note::tls`](field@crate::delivery::Note::tls).
    #[must_use]
    pub fn with_tls_results(mut self) -> Self {
        self.tls_results = true;
        self
    }

    pub(crate) fn reports_tls(&self) -> bool {
        self.tls_results
    }

    /// MTA-STS as it was turned on, with what is known by now.
    pub fn mta_sts(&self) -> Option<&Arc<MtaSts>> {
        self.sts.as_ref()
    }

    /// Whether the name servers validate, as far as anybody knows.
    pub(crate) const fn dnssec_probe(&self) -> &DnssecProbe {
        &self.dnssec_probe
    }

    pub(crate) fn client(&self, protocol: Protocol) -> &Client {
        match protocol {
            Protocol::Smtp => &self.smtp,
            Protocol::Lmtp => &self.lmtp,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let client = |protocol| Client::plain(Config::default_for(protocol));
        Self {
            smtp: client(Protocol::Smtp),
            lmtp: client(Protocol::Lmtp),
            resolver: Arc::default(),
            sts: None,
            tls_results: false,
            dnssec_probe: DnssecProbe::default(),
            warnings: Vec::new(),
        }
    }
}
