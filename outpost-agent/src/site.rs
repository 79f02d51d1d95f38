//! The settings of a service out of main.cf: the policy of the client, and what the process needs besides.

use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};

use postfix_config::{
    CompileError, Compiled, Config, Machine, MainCf, compile_client,
    tables::{OpenedTable, ProxyTables, TableContext, match_list_in},
};
use postfix_ipc::command_line::{CommandLine, Switch};
use smtp_policy::{
    Protocol,
    policy::Policy,
    tables::{MatchKind, MatchList},
};

use crate::{
    fatal::{Fatal, words},
    log::{self, Log, Target},
    machine,
    master_cf::{self, BadLine, Service},
};

/// The environment variable with the folder of main.cf.
const CONFIG_VARIABLE: &str = "MAIL_CONFIG";
/// The folder without it.
const CONFIG_DIRECTORY: &str = "/etc/postfix";

/// The configuration of a service.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) policy: Arc<Policy>,
    /// The oddities of it.
    pub(crate) warnings: Vec<String>,
    /// The tables, to look whether they change.
    pub(crate) tables: Vec<OpenedTable>,
    /// The domains whose waiting messages flush(8) knows (`fast_flush_domains`).
    pub(crate) flush_domains: MatchList,
}

/// The client that a service is.
pub(crate) fn protocol(options: &CommandLine) -> Protocol {
    options.protocol().unwrap_or(Protocol::Smtp)
}

/// The mistakes in a configuration, at least one.
#[derive(Debug)]
pub(crate) struct Mistakes(pub(crate) Vec<String>);

impl Mistakes {
    fn one(mistake: impl Display) -> Self {
        Self(vec![mistake.to_string()])
    }
}

impl From<CompileError> for Mistakes {
    fn from(error: CompileError) -> Self {
        Self(error.errors().iter().map(ToString::to_string).collect())
    }
}

impl From<Mistakes> for Fatal {
    fn from(mistakes: Mistakes) -> Self {
        Self::new(mistakes.0.join("; "))
    }
}

/// The folder of main.cf and master.cf.
pub(crate) fn folder() -> PathBuf {
    env::var_os(CONFIG_VARIABLE).map_or_else(|| CONFIG_DIRECTORY.into(), PathBuf::from)
}

/// Reads main.cf.
///
/// # Errors
/// It cannot be read, or a line is no setting.
pub(crate) fn main_cf(folder: &Path) -> Result<MainCf, Mistakes> {
    let mut main_cf = MainCf::read(folder.join("main.cf")).map_err(Mistakes::one)?;
    main_cf.set_host_name(&machine::host_name());
    Ok(main_cf)
}

/// Reads the services of master.cf.
///
/// # Errors
/// It cannot be read.
pub(crate) fn services(folder: &Path) -> Result<Vec<Result<Service, BadLine>>, Mistakes> {
    let path = folder.join("master.cf");
    let failed = |error| Mistakes::one(format_args!("open {}: {}", path.display(), words(&error)));
    let text = std::fs::read(&path).map_err(failed)?;
    Ok(master_cf::services(&String::from_utf8_lossy(&text)).collect())
}

/// Reads main.cf, with what the command line sets over it.
///
/// # Errors
/// All mistakes.
pub(crate) fn config(options: &CommandLine) -> Result<(MainCf, Config), Fatal> {
    let mut main_cf = main_cf(&folder())?;
    let config = complete(&mut main_cf, options)?;
    Ok((main_cf, config))
}

/// Adds to main.cf what the command line says.
///
/// # Errors
/// All mistakes.
pub(crate) fn complete(main_cf: &mut MainCf, options: &CommandLine) -> Result<Config, Mistakes> {
    main_cf.set_service_name(&options.service_name);
    let set = options
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    // The queue manager counts how many deliveries there are at a destination.
    let unlimited = format!("{}_destination_concurrency_limit=0", protocol(options));
    for setting in set.chain([unlimited]) {
        main_cf.set(&setting).map_err(Mistakes::one)?;
    }
    Ok(main_cf.checked(protocol(options))?)
}

/// The number of requests that the service may serve at once; `None`: as many as come.
///
/// # Errors
/// A mistake in main.cf, or a master.cf that cannot be read.
pub(crate) fn process_limit(options: &CommandLine) -> Result<Option<u32>, Fatal> {
    let limit = match () {
        () if options.has(Switch::Alone) => 1,
        () if options.has(Switch::Unlimited) => 0,
        () => {
            let services = services(&folder())?;
            let ours = services.into_iter().flatten().find(|service| {
                service.name == options.service_name && service.transport == "unix"
            });
            match ours.and_then(|service| service.limit) {
                Some(limit) => limit,
                None => config(options)?.1.daemon.default_process_limit,
            }
        }
    };
    Ok((limit > 0).then_some(limit))
}

/// Reads everything that main.cf names. Tables of proxymap(8) are asked for by way of this client.
///
/// # Errors
/// All mistakes, in one text.
/// Reads everything that main.cf names. `proxies` is where `proxy:` tables are opened.
///
/// # Errors
/// All mistakes.
pub(crate) fn compile(
    main_cf: &MainCf,
    config: Config,
    proxies: ProxyTables,
) -> Result<Site, Mistakes> {
    if !Log::knows_facility(&config.daemon.syslog_facility) {
        let name = &config.daemon.syslog_facility;
        return Err(Mistakes::one(format_args!(
            "syslog_facility: unknown facility: {name}"
        )));
    }
    let services = machine::services();
    let machine = Machine {
        addresses: &machine::addresses(),
        services: &services,
    };
    let resolver = machine::resolver();
    let Compiled { policy, mut tables } =
        compile_client(main_cf, &config, resolver, machine, proxies.clone())?;
    let mut context = TableContext::new(main_cf.directory()).with_proxies(proxies);
    let parents = &config.general.parent_domain_matches_subdomains;
    let kind = match parents.iter().any(|name| name == "fast_flush_domains") {
        true => MatchKind::HostsWithSubdomains,
        false => MatchKind::Hosts,
    };
    let flush_domains = match_list_in(&config.daemon.fast_flush_domains, kind, &mut context)
        .map_err(|error| Mistakes::one(format_args!("fast_flush_domains: {error}")))?;
    tables.append(&mut context.take_opened());
    let warnings = policy.warnings().iter().map(ToString::to_string);
    let warnings = warnings.chain(context.take_warnings()).collect();
    Ok(Site {
        config,
        warnings,
        policy: Arc::new(policy),
        tables,
        flush_domains,
    })
}

/// The socket of the service that writes `maillog_file`.
pub(crate) fn postlog_socket(config: &Config) -> PathBuf {
    let public = config.general.queue_directory.join("public");
    public.join(&config.daemon.postlog_service_name)
}

/// Opens the log as main.cf wants it.
pub(crate) fn open_log(config: &Config, options: &CommandLine) -> Log {
    let daemon = &config.daemon;
    let target = match daemon.maillog_file.is_empty() {
        true => Target::Syslog(daemon.syslog_facility.clone()),
        false => Target::Postlog {
            socket: postlog_socket(config),
            host: log::first_label(&config.general.myhostname),
        },
    };
    // Whatever the program is called: those who read logs look for these names.
    let tag = format!("{}/{}", *daemon.syslog_name, protocol(options));
    Log::open(target, tag, options.has(Switch::LogToStderr))
}
