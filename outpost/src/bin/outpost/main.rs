//! The `outpost` program: mail delivery from the command line.
//!
//! It is a thin face over the library crates, and none of them needs it. Exit
//! statuses are those of `sysexits.h`; `outpost --help` lists them.

mod account;
mod cli;
mod config;
mod deliver;
mod demo;
mod dialogue;
mod dnssec;
mod envelope;
mod events;
mod exit;
mod generated;
mod header;
mod hints;
mod interrupt;
mod job;
mod journal;
mod load;
mod log_line;
mod manual;
mod output;
mod probe;
mod progress;
mod queue;
mod report;
mod request;
mod runtime;
mod schema;
mod sendmail;
mod settings;
mod sink;
mod source;
mod texts;
mod trace;
mod user;
mod watch;

use std::{env, ffi::OsString, io, process::ExitCode};

use clap::Parser;

use cli::{Cli, Command, LogFormat};
use exit::{Exit, Failure};

fn main() -> ExitCode {
    let exit = match Cli::try_parse_from(sendmail::arguments(env::args_os())) {
        Ok(cli) => {
            output::set_log_format(cli.verbosity.log_format);
            trace::start(&cli.verbosity);
            run(&cli.command)
        }
        Err(answer) => usage(&answer),
    };
    exit.unwrap_or_else(|failure| {
        output::complain(&failure);
        failure.exit
    })
    .into()
}

fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Deliver(args) => deliver::run(args),
        Command::Config(args) => config::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Sink(args) => sink::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Load(args) => load::run(args),
        Command::Sendmail(args) => sendmail::run(args),
        Command::Account(args) => account::run(args),
        Command::Queue(args) => queue::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => manual::completions(args),
        Command::Manual(args) => manual::run(args),
    }
}

/// Prints what clap has to say: help and version when asked for, else what is
/// wrong with the command line.
fn usage(answer: &clap::Error) -> Result<Exit, Failure> {
    let has = |word: &str| env::args_os().any(|argument| argument == word);
    if answer.use_stderr() && has("probe") && has("--nagios") {
        return probe::misused(answer);
    }
    // What is wrong is quoted, and others may have had a say in it.
    let is_odd = |argument: OsString| argument.to_string_lossy().contains(char::is_control);
    let wants_json = asks_for_json(env::args_os());
    if wants_json {
        output::set_log_format(LogFormat::Json);
    }
    if answer.use_stderr() && (wants_json || env::args_os().any(is_odd)) {
        let text = answer.render().to_string();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.for_each(output::complain);
        return Ok(Exit::Usage);
    }
    let printed = answer
        .print()
        .and_then(|()| io::Write::flush(&mut io::stdout().lock()));
    match (answer.use_stderr(), printed) {
        (true, _) => Ok(Exit::Usage),
        (false, Ok(())) => Ok(Exit::Ok),
        (false, Err(error)) => Err(Failure::new(
            Exit::Output,
            format!("cannot write to standard output: {error}"),
        )),
    }
}

/// Returns whether a command line that makes no sense asks for messages as JSON.
fn asks_for_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.collect();
    let apart = |pair: &[OsString]| pair == ["--log-format", "json"];
    arguments.windows(2).any(apart) || arguments.iter().any(|one| one == "--log-format=json")
}
