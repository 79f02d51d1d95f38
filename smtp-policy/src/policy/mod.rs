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
    route::{Destination, NexthopError},
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
    /// Everything that is wrong with main.cf itself, or with the fields of a [`Config`]. There
    /// is at least one error.
    Config(Vec<ConfigError>),
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
            Self::Config(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    f.write_str(if index > 0 { "; " } else { "" })?;
                    error.fmt(f)?;
                }
                Ok(())
            }
            Self::Table { parameter, error } => write!(f, "{parameter}: {error}"),
            Self::Value { parameter, reason } => write!(f, "{parameter}: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl From<ConfigError> for PolicyError {
    fn from(error: ConfigError) -> Self {
        Self::Config(vec![error])
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
            let config = main_cf
                .config(protocol)
                .map_err(|_| PolicyError::Config(main_cf.errors()))?;
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

    /// The destinations that a next hop names, in order, as deliveries by `protocol` read
    /// it.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn destinations(
        &self,
        protocol: Protocol,
        nexthop: &str,
    ) -> Result<Vec<Destination>, NexthopError> {
        self.client(protocol).nexthop.parse(nexthop)
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
    /// The fields are held to the same rules as the settings of main.cf. Those that were
    /// not set and have their default from others follow from what was set: the name for
    /// EHLO is that of the machine, what is true of `sasl_security_options` is true inside
    /// TLS.
    ///
    /// ```
    /// use smtp_policy::{
    ///     config::{Config, Private, Protocol},
    ///     dns::ResolverConfig,
    ///     policy::Policy,
    /// };
    ///
    /// let mut smtp = Config::default_for(Protocol::Smtp);
    /// smtp.general.myhostname = "app.example.org".into();
    /// smtp.tls.tls_security_level = "secure".into();
    /// smtp.tls.tls_ca_file = "/etc/ssl/certs/ca-certificates.crt".into();
    /// smtp.sasl.sasl_auth_enable = true;
    /// smtp.sasl.sasl_password_maps = Private::new("static:user:password");
    /// smtp.sasl.sasl_security_options = vec!["noanonymous".into()];
    /// let lmtp = Config::default_for(Protocol::Lmtp);
    ///
    /// let from = |smtp, lmtp| {
    ///     Policy::from_configs(smtp, lmtp, "/etc/app".as_ref(), ResolverConfig::default(), &[])
    /// };
    /// let policy = from(smtp.clone(), lmtp.clone())?;
    /// let made = policy.config(Protocol::Smtp);
    /// assert_eq!(*made.helo.helo_name, "app.example.org");
    /// assert_eq!(*made.sasl.sasl_tls_security_options, ["noanonymous"]);
    ///
    /// // What cannot be read is refused: nothing is sent with less than was asked for.
    /// smtp.tls.tls_security_level = "secur".into();
    /// let refusal = from(smtp, lmtp).unwrap_err().to_string();
    /// assert!(refusal.starts_with("set in code: smtp_tls_security_level: \"secur\" is not one of"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Values that cannot be used, all of them at once, configurations that are for the other
    /// protocol, or a table that cannot be opened.
    pub fn from_configs(
        smtp: Config,
        lmtp: Config,
        directory: &Path,
        resolver: ResolverConfig,
        system: &[IpAddr],
    ) -> Result<Self, PolicyError> {
        let (smtp, lmtp) = settled(smtp, lmtp)?;
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
    /// [`Event::TlsReport`](crate::event::Event::TlsReport).
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

/// The two configurations, checked and with what follows from their fields.
fn settled(smtp: Config, lmtp: Config) -> Result<(Config, Config), PolicyError> {
    for (config, protocol) in [(&smtp, Protocol::Smtp), (&lmtp, Protocol::Lmtp)] {
        if config.protocol != protocol {
            return Err(PolicyError::Value {
                parameter: "protocol".into(),
                reason: format!(
                    "the configuration for {protocol} is one for {}",
                    config.protocol
                ),
            });
        }
    }
    match (smtp.settled(), lmtp.settled()) {
        (Ok(smtp), Ok(lmtp)) => Ok((smtp, lmtp)),
        (smtp, lmtp) => {
            let mut errors = smtp.err().unwrap_or_default();
            let both = lmtp.err().unwrap_or_default();
            // Parameters that both clients have are named once.
            for error in both {
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
            Err(PolicyError::Config(errors))
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
