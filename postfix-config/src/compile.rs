//! From a main.cf to a policy: both clients, and all that is wrong with either.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use smtp_policy::dns::{ResolverConfig, probe::DnssecProbe};
use smtp_policy::policy::Policy;

use super::compiler::Compiler;
use super::error::{ConfigError, Problem};
use super::{Config, MainCf, Protocol};
use crate::tables::{OpenedTable, ProxyTables};

/// The facts about the machine that main.cf takes for granted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine<'a> {
    /// The addresses of its network interfaces, for `inet_interfaces = all`.
    pub addresses: &'a [IpAddr],
    /// The text of `/etc/services`: names of ports that `known_tcp_ports` lacks. It may be empty.
    pub services: &'a str,
}

impl<'a> From<&'a [IpAddr]> for Machine<'a> {
    fn from(addresses: &'a [IpAddr]) -> Self {
        Self {
            addresses,
            services: "",
        }
    }
}

impl<'a, const N: usize> From<&'a [IpAddr; N]> for Machine<'a> {
    fn from(addresses: &'a [IpAddr; N]) -> Self {
        Self::from(addresses.as_slice())
    }
}

/// The mistakes for which no policy can be made of a configuration; at least one. Each names its parameter, and
/// where it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompileError(Vec<ConfigError>);

impl CompileError {
    /// The mistakes.
    pub fn errors(&self) -> &[ConfigError] {
        &self.0
    }

    pub(crate) const fn new(errors: Vec<ConfigError>) -> Self {
        Self(errors)
    }

    pub(crate) fn into_errors(self) -> Vec<ConfigError> {
        self.0
    }

    /// Adds mistakes. Parameters that both clients have are named once.
    pub(crate) fn add(&mut self, more: Vec<ConfigError>) {
        for error in more {
            if !self.0.contains(&error) {
                self.0.push(error);
            }
        }
    }

    pub(crate) fn unless_empty(self) -> Result<(), Self> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

impl From<ConfigError> for CompileError {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Makes the policy that a main.cf describes, for both protocols.
///
/// # Errors
/// Everything that cannot be understood, and all tables that cannot be opened.
pub fn compile<'a>(
    main_cf: &MainCf,
    resolver: ResolverConfig,
    machine: impl Into<Machine<'a>>,
) -> Result<Policy, CompileError> {
    let (mut configs, mut wrong) = (Vec::new(), CompileError::default());
    for protocol in Protocol::ALL {
        match main_cf.checked(protocol) {
            Ok(config) => configs.push(config),
            Err(CompileError(errors)) => wrong.add(errors),
        }
    }
    wrong.unless_empty()?;
    let clients = configs.iter().map(|config| (main_cf, config));
    let warnings = main_cf.warnings().iter().map(ToString::to_string).collect();
    policy(
        clients,
        warnings,
        main_cf.directory(),
        resolver,
        &machine.into(),
        Surroundings {
            proxies: ProxyTables::Here,
            tables: &mut Vec::new(),
        },
    )
}

/// The policy of one client, and the files that its tables were read from.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub policy: Policy,
    /// The tables. A process that lives long looks now and then whether one has changed.
    pub tables: Vec<OpenedTable>,
}

/// Makes the policy of one client, from its parameters as they were read from a main.cf. What is wrong with the other client's does not matter, and what is odd about main.cf
/// ([`MainCf::warnings`]) is not among the policy's warnings. `proxies` is where `proxy:` tables are opened.
///
/// # Errors
/// A table that cannot be opened, and values that contradict each other.
pub fn compile_client<'a>(
    main_cf: &MainCf,
    config: &Config,
    resolver: ResolverConfig,
    machine: impl Into<Machine<'a>>,
    proxies: ProxyTables,
) -> Result<Compiled, CompileError> {
    let mut tables = Vec::new();
    let clients = std::iter::once((main_cf, config));
    let policy = policy(
        clients,
        Vec::new(),
        main_cf.directory(),
        resolver,
        &machine.into(),
        Surroundings {
            proxies,
            tables: &mut tables,
        },
    )?;
    Ok(Compiled { policy, tables })
}

/// Makes a policy of configurations that were made in code. Tables are named relative to `directory`.
///
/// The fields are held to the same rules as the settings of main.cf. Those that were not set and have their default
/// from others follow from what was set: the name for EHLO is that of the machine, what is true of
/// `sasl_security_options` is true inside TLS.
///
/// # Errors
/// Values that cannot be used, all of them at once, two configurations for one protocol, or a table that cannot be
/// opened.
pub fn compile_configs<'a>(
    configs: impl IntoIterator<Item = Config>,
    directory: &Path,
    resolver: ResolverConfig,
    machine: impl Into<Machine<'a>>,
) -> Result<Policy, CompileError> {
    let (mut settled, mut wrong) = (Vec::new(), CompileError::default());
    for config in configs {
        let twice = settled
            .iter()
            .any(|(_, known): &(MainCf, Config)| known.protocol == config.protocol);
        match config.settled() {
            Ok(config) => {
                let main = config.as_main_cf();
                if twice {
                    let why = format!("there are two configurations for {}", config.protocol);
                    wrong.add(vec![main.error("protocol", Problem::Value(why))]);
                }
                settled.push((main, config));
            }
            Err(errors) => wrong.add(errors),
        }
    }
    wrong.unless_empty()?;
    let clients = settled.iter().map(|(main, config)| (main, config));
    policy(
        clients,
        Vec::new(),
        directory,
        resolver,
        &machine.into(),
        Surroundings {
            proxies: ProxyTables::Here,
            tables: &mut Vec::new(),
        },
    )
}

/// The place where tables of other processes are opened, and the files that tables were read from.
struct Surroundings<'t> {
    proxies: ProxyTables,
    tables: &'t mut Vec<OpenedTable>,
}

fn policy<'c>(
    clients: impl Iterator<Item = (&'c MainCf, &'c Config)>,
    mut warnings: Vec<String>,
    directory: &Path,
    resolver: ResolverConfig,
    machine: &Machine<'_>,
    surroundings: Surroundings<'_>,
) -> Result<Policy, CompileError> {
    let (mut policy, mut wrong) = (None::<Policy>, CompileError::default());
    let mut probe = DnssecProbe::default();
    for (main, config) in clients {
        let mut compiler = Compiler::new(main, config, directory, &surroundings.proxies);
        let mut builder = compiler.settings(machine);
        probe = DnssecProbe::parse(&config.lookup.dnssec_probe).unwrap_or_default();
        let mut ours = std::mem::take(&mut warnings);
        ours.append(&mut compiler.warnings);
        ours.into_iter().for_each(|warning| builder.warn(warning));
        match builder.build_like_postfix() {
            Ok(settings) => {
                policy = Some(match policy {
                    Some(policy) => policy.with(settings),
                    None => Policy::new(settings),
                });
            }
            Err(error) => error
                .mistakes()
                .iter()
                .for_each(|mistake| compiler.fail(mistake.setting, &mistake.reason)),
        }
        surroundings.tables.append(&mut compiler.opened());
        wrong.add(compiler.errors);
    }
    wrong.unless_empty()?;
    let policy = policy.ok_or_else(|| {
        let why = Problem::Value("there is no configuration".into());
        MainCf::default().error("protocol", why)
    })?;
    Ok(policy.with_resolver(resolver).with_dnssec_probe(probe))
}
