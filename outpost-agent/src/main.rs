//! A delivery agent for Postfix: master(8) starts it in the place of smtp(8) or lmtp(8), and the queue manager hands it
//! its requests. What it does with them is decided by the other crates; here are the process, its rights, its log, and
//! the reports to Postfix's other processes.
//!
//! It is not a program for the command line: that is `outpost`.

mod agent;
mod by_hand;
mod check;
mod classic;
mod fatal;
mod inherited;
mod jail;
mod log;
mod machine;
mod master_cf;
mod message;
mod order;
mod pass;
mod poll;
mod proxymap;
mod reporter;
mod serve;
mod shared;
mod site;
mod talk;
#[cfg(test)]
mod tests;
mod watchdog;
mod worker;

use std::{env, process::ExitCode, sync::Arc, thread};

use nix::sys::signal::{SigSet, Signal};
use postfix_config::tables::ProxyTables;
use postfix_ipc::command_line::{CommandLine, Mode, Switch};

use crate::{
    agent::Agent,
    fatal::{FATAL_PAUSE, Fatal},
    inherited::Inherited,
    jail::Jail,
    log::{Log, Severity},
    proxymap::ProxyMap,
    shared::{Guard, Leash},
};

fn main() -> ExitCode {
    if let Some(status) = by_hand::answer() {
        return status;
    }
    inherited::go_by_command();
    keep_alive();
    let arguments = env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let mut log = Arc::new(Log::open(log::early(), log::early_tag(), false));
    let result = run(arguments, &mut log);
    match result {
        Ok(()) => {
            log.flush(log::PATIENCE);
            ExitCode::SUCCESS
        }
        Err(fatal) => {
            log.record(Severity::Fatal, &fatal);
            log.flush(log::PATIENCE);
            thread::sleep(FATAL_PAUSE);
            ExitCode::FAILURE
        }
    }
}

/// Lets a write beyond the limit of a file's size fail, as one to a peer who is gone does; neither ends the process. The first
/// is done for a process and its threads when it begins, the second by Rust.
fn keep_alive() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // Where the system refuses, it is as it was.
    let _ = signals.thread_block();
}

fn run(arguments: impl Iterator<Item = String>, log: &mut Arc<Log>) -> Result<(), Fatal> {
    if shared::is_worker() {
        return work(arguments, log);
    }
    let inherited = Inherited::claim()?;
    let options = read_options(arguments)?;
    let jail = Jail::of(&options)?;
    if options.mode == Mode::Shared {
        // What is wrong with main.cf is said once, before there is a worker.
        let general = site::config(&options)?.1.general;
        let guard = Guard::start(inherited)?;
        jail::enter(jail, &general.queue_directory, &general.mail_owner)?;
        return guard.run();
    }
    let agent = begin(&options, log)?;
    let lock = match options.has(Switch::Alone) {
        true => None,
        false => Some(jail::accept_lock(
            agent.queue_directory(),
            &options.service_name,
        )?),
    };
    jail::enter(jail, agent.queue_directory(), agent.owner())?;
    watchdog::start(&agent, || {})?;
    classic::run(&agent, inherited, lock)
}

/// The life of a worker.
fn work(arguments: impl Iterator<Item = String>, log: &mut Arc<Log>) -> Result<(), Fatal> {
    let leash = Leash::claim()?;
    let options = read_options(arguments)?;
    let limit = site::process_limit(&options)?;
    let agent = begin(&options, log)?;
    jail::enter(Jail::of(&options)?, agent.queue_directory(), agent.owner())?;
    watchdog::start(&agent, leash.farewell()?)?;
    worker::work(&agent, leash, limit)
}

/// Everything that needs the rights which are given up then.
fn begin(options: &CommandLine, log: &mut Arc<Log>) -> Result<Arc<Agent>, Fatal> {
    let (main_cf, config) = site::config(options)?;
    *log = Arc::new(site::open_log(&config, options));
    // The sockets of Postfix's other processes have the same names from there as from inside the jail.
    jail::go_to_queue(&config.general.queue_directory)?;
    jail::raise_file_limit();
    let proxymap = ProxyMap::new(&config, Arc::clone(log));
    let proxies = ProxyTables::Elsewhere(Arc::clone(&proxymap) as _);
    let site = site::compile(&main_cf, config, proxies).map_err(Fatal::from)?;
    Agent::new(options, site, Arc::clone(log), proxymap).map(Arc::new)
}

fn read_options(arguments: impl Iterator<Item = String>) -> Result<CommandLine, Fatal> {
    let arguments: Vec<String> = arguments.collect();
    CommandLine::parse(arguments.iter().map(String::as_str)).map_err(Fatal::new)
}
