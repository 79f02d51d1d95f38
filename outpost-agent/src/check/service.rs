//! The check of one service: the command line that master(8) makes for it, the settings that it has with that, its
//! rights, its tables.

use std::{collections::BTreeSet, sync::Arc};

use postfix_config::{Config, MainCf, Origin, tables::ProxyTables};
use postfix_ipc::command_line::{CommandLine, Mode, Switch};
use smtp_policy::Protocol;

use super::{PROGRAM, proxied::Proxied, report::Section, surroundings::Installed};
use crate::{
    master_cf::Service,
    site::{self, Mistakes, Site},
};

/// Files that the system's look-up of host names reads.
const LOOK_UP_FILES: [&str; 3] = ["etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf"];

/// Checks a service with the settings of main.cf, of which `config` are those that master(8) goes by.
pub(super) fn check(
    main_cf: &MainCf,
    config: &Config,
    installed: &Installed,
    service: &Service,
) -> Section {
    let mut section = Section::of_service(format_args!(
        "service {} (line {} of master.cf)",
        service.name, service.line
    ));
    match installed.runs(service) {
        true => installed.check(service, &mut section),
        false => section.fact("would run as", line(service)),
    }
    if service.transport != "unix" {
        let transport = &service.transport;
        section.refusal(format_args!(
            "a socket of type {transport}: requests come over one of type unix"
        ));
    }
    let words = service.command_line(is_old(config), config.daemon.default_process_limit);
    match CommandLine::parse(words.iter().map(String::as_str)) {
        Ok(options) => settings(main_cf, &options, service, &mut section),
        Err(error) => section.refusal(error),
    }
    section
}

/// The line with which this program takes over a service.
fn line(service: &Service) -> String {
    let column = |set: bool| if set { "y" } else { "n" };
    let chroot = service.chroot.map_or("-", column);
    let limit = service
        .limit
        .map_or("-".to_owned(), |limit| limit.to_string());
    let unprivileged = if service.unprivileged { "-" } else { "n" };
    let mut line = format!(
        "{}  unix  -  {unprivileged}  {chroot}  -  {limit}  {PROGRAM}",
        service.name
    );
    if service.program() == "lmtp" {
        line += " protocol=lmtp";
    }
    line
}

/// Returns whether services without a word about it are in a jail (`compatibility_level` below 1).
fn is_old(config: &Config) -> bool {
    let level = &config.general.compatibility_level;
    level
        .split('.')
        .next()
        .is_some_and(|major| major.trim_matches('0').is_empty())
}

/// Checks the settings that a service has with its command line.
fn settings(main_cf: &MainCf, options: &CommandLine, service: &Service, section: &mut Section) {
    let mut main_cf = main_cf.clone();
    let read = site::complete(&mut main_cf, options);
    for (name, value) in &options.parameters {
        section.fact("override", format_args!("{name} = {value}"));
    }
    let warnings = main_cf.warnings().into_iter();
    for warning in warnings.filter(|warning| warning.origin == Origin::Override) {
        section.warning(warning);
    }
    let proxied = Arc::<Proxied>::default();
    let site = read.and_then(|config| {
        manner(&config, options, service, section);
        let proxies = ProxyTables::Elsewhere(Arc::clone(&proxied) as _);
        site::compile(&main_cf, config, proxies)
    });
    match site {
        Ok(site) => {
            opened(&site, options, section);
            for table in proxied.names() {
                section.fact("table of proxymap(8)", table);
            }
        }
        Err(Mistakes(mistakes)) => mistakes.iter().for_each(|mistake| section.refusal(mistake)),
    }
}

/// The processes of the service, and their rights.
fn manner(config: &Config, options: &CommandLine, service: &Service, section: &mut Section) {
    let protocol = match site::protocol(options) {
        Protocol::Smtp => "SMTP",
        Protocol::Lmtp => "LMTP",
    };
    section.fact("protocol", protocol);
    let limit = service.limit.unwrap_or(config.daemon.default_process_limit);
    let most = match limit {
        0 => "as many as there are".to_owned(),
        limit => format!("at most {limit}"),
    };
    match options.mode {
        Mode::Classic => section.fact(
            "mode",
            format_args!("classic, a process for each request, {most}"),
        ),
        Mode::Shared => section.fact(
            "mode",
            format_args!("shared, one process for all requests, {most} at once"),
        ),
    }
    let owner = &config.general.mail_owner;
    match options.has(Switch::Unprivileged) {
        true => section.fact("runs as", owner),
        false => section.fact("runs as", "root (column 4 of its line)"),
    }
    if options.has(Switch::Chroot) {
        jail(config, section);
    } else {
        section.fact("chroot", "no");
    }
    if options.has(Switch::Standalone) {
        section.refusal("-S: there is no service without master(8)");
    }
    if options.has(Switch::Debugger) {
        section.warning("-D: no debugger is started");
    }
}

/// The jail of the service. Name servers, tables, keys and the time zone are read before it is entered.
fn jail(config: &Config, section: &mut Section) {
    let queue = &config.general.queue_directory;
    let system = config.lookup.host_lookup.native;
    let needs = match system {
        true => "nothing besides the queue but what the look-up of host names by the system needs",
        false => "nothing besides the queue",
    };
    section.fact(
        "chroot",
        format_args!("{}, where it needs {needs}", queue.display()),
    );
    let missing = LOOK_UP_FILES
        .iter()
        .filter(|file| system && !queue.join(file).exists());
    for file in missing {
        section.warning(format_args!(
            "{} is missing for that",
            queue.join(file).display()
        ));
    }
}

/// The files that were read, and what is questionable about them.
fn opened(site: &Site, options: &CommandLine, section: &mut Section) {
    let settings = site.policy.settings(site::protocol(options));
    section.fact("TLS", settings.tls.level);
    let tables = site.tables.iter();
    let tables: BTreeSet<_> = tables.map(|table| (table.spec(), table.source())).collect();
    for (table, source) in tables {
        section.fact("table", format_args!("{table}, from {}", source.display()));
    }
    if let Err(why) = &settings.tls.material {
        section.warning(why);
    }
    for warning in &site.warnings {
        section.warning(warning);
    }
}
