//! The settings of a service out of main.cf: the policy of the client, and what the process needs besides.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use postfix_config::{
    Compiled, Config, Machine, MainCf, compile_client,
    tables::{OpenedTable, TableContext, match_list_in},
};
use postfix_ipc::command_line::{CommandLine, Switch};
use smtp_policy::{
    Protocol,
    policy::Policy,
    tables::{MatchKind, MatchList},
};

use crate::{
    fatal::Fatal,
    log::{self, Log, Target},
    machine, master_cf,
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
    /// The tables, to look whether they change.
    pub(crate) tables: Vec<OpenedTable>,
    /// The domains whose waiting messages flush(8) knows (`fast_flush_domains`).
    pub(crate) flush_domains: MatchList,
}

/// The client that a service is.
pub(crate) fn protocol(options: &CommandLine) -> Protocol {
    options.protocol().unwrap_or(Protocol::Smtp)
}

/// The folder of main.cf and master.cf.
fn folder() -> PathBuf {
    env::var_os(CONFIG_VARIABLE).map_or_else(|| CONFIG_DIRECTORY.into(), PathBuf::from)
}

/// Reads main.cf, with what the command line sets over it.
///
/// # Errors
/// The first mistake.
pub(crate) fn config(options: &CommandLine) -> Result<(MainCf, Config), Fatal> {
    let mut main_cf = MainCf::read(folder().join("main.cf")).map_err(Fatal::new)?;
    main_cf.set_host_name(&machine::host_name());
    let config = complete(&mut main_cf, options)?;
    Ok((main_cf, config))
}

/// Adds to main.cf what the command line says.
///
/// # Errors
/// The first mistake.
pub(crate) fn complete(main_cf: &mut MainCf, options: &CommandLine) -> Result<Config, Fatal> {
    main_cf.set_service_name(&options.service_name);
    let set = options
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    // The queue manager counts how many deliveries there are at a destination.
    let unlimited = format!("{}_destination_concurrency_limit=0", protocol(options));
    for setting in set.chain([unlimited]) {
        main_cf.set(&setting).map_err(Fatal::new)?;
    }
    main_cf.config(protocol(options)).map_err(Fatal::new)
}

/// The number of requests that the service may serve at once; `None`: as many as come.
///
/// # Errors
/// A mistake in main.cf.
pub(crate) fn process_limit(options: &CommandLine) -> Result<Option<u32>, Fatal> {
    let text = || std::fs::read(folder().join("master.cf")).unwrap_or_default();
    let limit = match () {
        () if options.has(Switch::Alone) => 1,
        () if options.has(Switch::Unlimited) => 0,
        () => {
            match master_cf::process_limit(&String::from_utf8_lossy(&text()), &options.service_name)
                .flatten()
            {
                Some(limit) => limit,
                None => config(options)?.1.daemon.default_process_limit,
            }
        }
    };
    Ok((limit > 0).then_some(limit))
}

/// Reads main.cf and everything that it names.
///
/// # Errors
/// All mistakes, in one text.
pub(crate) fn read(options: &CommandLine) -> Result<Site, Fatal> {
    let (main_cf, config) = config(options)?;
    compile(&main_cf, config)
}

/// Reads everything that main.cf names.
///
/// # Errors
/// All mistakes, in one text.
pub(crate) fn compile(main_cf: &MainCf, config: Config) -> Result<Site, Fatal> {
    if !Log::knows_facility(&config.daemon.syslog_facility) {
        let name = &config.daemon.syslog_facility;
        return Err(Fatal::new(format!(
            "syslog_facility: unknown facility: {name}"
        )));
    }
    let services = machine::services();
    let machine = Machine {
        addresses: &machine::addresses(),
        services: &services,
    };
    let Compiled { policy, mut tables } =
        compile_client(main_cf, &config, machine::resolver(), machine).map_err(Fatal::new)?;
    let mut context = TableContext::new(main_cf.directory());
    let parents = &config.general.parent_domain_matches_subdomains;
    let kind = match parents.iter().any(|name| name == "fast_flush_domains") {
        true => MatchKind::HostsWithSubdomains,
        false => MatchKind::Hosts,
    };
    let flush_domains = match_list_in(&config.daemon.fast_flush_domains, kind, &mut context)
        .map_err(|error| Fatal::new(format!("fast_flush_domains: {error}")))?;
    tables.append(&mut context.take_opened());
    Ok(Site {
        config,
        policy: Arc::new(policy),
        tables,
        flush_domains,
    })
}

impl Site {
    /// `queue_directory`.
    pub(crate) fn queue_directory(&self) -> &Path {
        &self.config.general.queue_directory
    }

    /// Opens the log as main.cf wants it.
    pub(crate) fn open_log(&self, options: &CommandLine) -> Log {
        let daemon = &self.config.daemon;
        let target = match daemon.maillog_file.is_empty() {
            true => Target::Syslog(daemon.syslog_facility.clone()),
            false => Target::Postlog {
                socket: self
                    .queue_directory()
                    .join("public")
                    .join(&daemon.postlog_service_name),
                host: log::first_label(&self.config.general.myhostname),
            },
        };
        // Whatever the program is called: those who read logs look for these names.
        let tag = format!("{}/{}", *daemon.syslog_name, protocol(options));
        Log::open(target, tag, options.has(Switch::LogToStderr))
    }
}
