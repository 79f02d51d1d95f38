//! State that all requests of a process share.

use std::{path::Path, sync::Arc, time::Duration};

use postfix_config::tables::OpenedTable;
use postfix_ipc::{announce::Service, command_line::CommandLine, queue_file::Hashing};
use smtp_policy::{
    Protocol,
    policy::Policy,
    request::{DeliveryFlags, ServiceName},
    settings::Settings,
    tables::MatchList,
};

use crate::{
    fatal::Fatal,
    log::Log,
    proxymap::ProxyMap,
    site::{self, Site},
    watchdog::Watchdog,
};

/// A service of Postfix, as this program runs it.
pub(crate) struct Agent {
    pub(crate) log: Arc<Log>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) protocol: Protocol,
    pub(crate) service: ServiceName,
    pub(crate) flags: DeliveryFlags,
    pub(crate) hashing: Hashing,
    pub(crate) flush_domains: MatchList,
    pub(crate) watchdog: Watchdog,
    config: postfix_config::Config,
    tables: Vec<OpenedTable>,
    proxymap: Arc<ProxyMap>,
}

impl Agent {
    /// Prepares everything that needs the rights which the process is about to give up.
    ///
    /// # Errors
    /// The service has a name that can be none.
    pub(crate) fn new(
        options: &CommandLine,
        site: Site,
        log: Arc<Log>,
        proxymap: Arc<ProxyMap>,
    ) -> Result<Self, Fatal> {
        let Site {
            config,
            policy,
            tables,
            flush_domains,
            warnings,
        } = site;
        for warning in warnings {
            log.warning(warning);
        }
        let service = ServiceName::parse(&*options.service_name).map_err(Fatal::new)?;
        let daemon = &config.daemon;
        let depth = usize::try_from(daemon.hash_queue_depth).unwrap_or(usize::MAX);
        Ok(Self {
            log,
            settings: Arc::clone(policy.settings(site::protocol(options))),
            policy,
            protocol: site::protocol(options),
            service,
            flags: options.flags,
            hashing: Hashing::new(&daemon.hash_queue_names.join(" "), depth),
            flush_domains,
            watchdog: Watchdog::default(),
            config,
            tables,
            proxymap,
        })
    }

    /// `queue_directory`.
    pub(crate) fn queue_directory(&self) -> &Path {
        &self.config.general.queue_directory
    }

    /// `myhostname`.
    pub(crate) fn host_name(&self) -> &str {
        &self.config.general.myhostname
    }

    /// `mail_owner`.
    pub(crate) fn owner(&self) -> &str {
        &self.config.general.mail_owner
    }

    /// `ipc_timeout`.
    pub(crate) fn ipc_timeout(&self) -> Duration {
        self.config.daemon.ipc_timeout
    }

    /// `daemon_timeout`.
    pub(crate) fn daemon_timeout(&self) -> Duration {
        self.config.general.daemon_timeout
    }

    /// `max_idle`.
    pub(crate) fn max_idle(&self) -> Duration {
        self.config.daemon.max_idle
    }

    /// `max_use`.
    pub(crate) fn max_use(&self) -> u32 {
        self.config.daemon.max_use
    }

    /// `address_verify_negative_cache`.
    pub(crate) fn keeps_negative_probes(&self) -> bool {
        self.config.daemon.address_verify_negative_cache
    }

    /// The name of a service in master.cf.
    pub(crate) fn name_of(&self, service: Service) -> &str {
        let daemon = &self.config.daemon;
        match service {
            Service::Bounce => &daemon.bounce_service_name,
            Service::Defer => &daemon.defer_service_name,
            Service::Trace => &daemon.trace_service_name,
            Service::Verify => &daemon.address_verify_service_name,
            Service::Flush => &daemon.flush_service_name,
            Service::Cleanup => &daemon.cleanup_service_name,
            other => other.default_name().unwrap_or_default(),
        }
    }

    /// Returns whether a table has changed since it was read; then the log says so.
    ///
    /// # Errors
    /// A table of proxymap(8) is refused by now.
    pub(crate) fn is_outdated(&self) -> Result<bool, Fatal> {
        if let Some(fault) = self.proxymap.fault() {
            return Err(fault);
        }
        let Some(table) = self.tables.iter().find(|table| table.has_changed()) else {
            return Ok(false);
        };
        let spec = table.spec();
        self.log
            .info(format_args!("table {spec} has changed -- restarting"));
        Ok(true)
    }
}
