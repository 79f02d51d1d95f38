//! A mailer with the parameters of a main.cf.

use std::{
    fs,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use postfix_config::{Machine, MainCf, Protocol, compile};
use smtp_policy::dns::ResolverConfig;

use crate::{
    builder::{FromPolicy, Way, next_hop},
    error::{BuildError, Wrong},
    machine,
    plan::Plan,
};

/// The names of ports that main.cf may use.
const SERVICES: &str = "/etc/services";

/// A mailer in the making that does what a main.cf says, with Postfix's own defaults: without a line
/// about it, no TLS.
///
/// ```no_run
/// use outpost::Mailer;
///
/// let mailer = Mailer::postfix("/etc/postfix/main.cf")
///     .set("smtp_tls_security_level = dane")
///     .build()?;
/// # Ok::<(), outpost::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is built before `build`"]
pub struct PostfixBuilder<M> {
    main_cf: PathBuf,
    settings: Vec<String>,
    protocol: Protocol,
    resolver: Option<ResolverConfig>,
    built: PhantomData<fn() -> M>,
}

impl<M: FromPolicy> PostfixBuilder<M> {
    pub(crate) fn new(main_cf: &Path) -> Self {
        Self {
            main_cf: main_cf.to_owned(),
            settings: Vec::new(),
            protocol: Protocol::Smtp,
            resolver: None,
            built: PhantomData,
        }
    }

    /// Sets a parameter, `name = value`, after the file was read.
    pub fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Speaks LMTP in place of SMTP: the `lmtp_` parameters count.
    pub fn lmtp(mut self) -> Self {
        self.protocol = Protocol::Lmtp;
        self
    }

    /// Asks these name servers. By default those of `/etc/resolv.conf`.
    pub fn resolver(mut self, resolver: ResolverConfig) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Reads the file and builds the mailer.
    ///
    /// # Errors
    /// The file cannot be read, and everything in it that cannot be understood, with file and line.
    pub fn build(self) -> Result<M, BuildError> {
        let one = |error: postfix_config::ConfigError| BuildError::new(vec![Wrong::from(&error)]);
        let mut main_cf = MainCf::read(&self.main_cf).map_err(one)?;
        main_cf.set_host_name(machine::name().as_str());
        for setting in &self.settings {
            main_cf.set(setting).map_err(one)?;
        }
        let services = fs::read(SERVICES).unwrap_or_default();
        let machine = Machine {
            addresses: &machine::addresses(),
            services: &String::from_utf8_lossy(&services),
        };
        let resolver = self.resolver.unwrap_or_else(machine::resolver);
        let policy = compile(&main_cf, resolver, machine)
            .map_err(|error| BuildError::new(error.errors().iter().map(Wrong::from).collect()))?;
        let settings = policy.settings(self.protocol);
        let nexthop = settings
            .connect
            .relayhost
            .as_ref()
            .map(|hop| next_hop(&policy, self.protocol, hop.as_str()))
            .transpose()
            .map_err(|wrong| BuildError::new(vec![wrong]))?;
        let plan = Plan {
            protocol: self.protocol,
            nexthop,
            smtputf8: settings.content.smtputf8,
        };
        Ok(M::from_policy(Arc::new(policy), Way(plan)))
    }
}
