//! The `outpost-queue` program: a queue of outgoing mail from the command line.
//!
//! It is a thin face over the library. Exit statuses are those of `sysexits.h`; `outpost-queue --help` lists them.

mod check;
mod cli;
mod demo;
mod exit;
mod head;
mod manage;
mod manual;
mod output;
mod place;
mod schema;
mod serve;
mod settings;
mod submission;
mod submit;
mod suppress;
mod view;
mod work;

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use cli::{Cli, Command};
use exit::{Exit, Failure, OrExit};
use outpost_queue::operation::Change;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => {
            trace();
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
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => manual::completions(args),
        Command::Manual(args) => manual::run(args),
        others => {
            survive_limits().or_exit(Exit::System)?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .or_exit(Exit::System)?;
            let exit = runtime.block_on(run_async(others));
            // A look-up that hangs need not be waited for.
            runtime.shutdown_background();
            exit
        }
    }
}

/// Sees to it that a file that may not grow (RLIMIT_FSIZE) is an error of whoever writes it, and not the end of the program.
fn survive_limits() -> std::io::Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default())?;
    Ok(())
}

async fn run_async(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Submit(args) => submit::run(args).await,
        Command::Run(args) => work::run(args).await,
        Command::List(args) => view::list(args).await,
        Command::Show(args) => view::show(args).await,
        Command::Stats(args) => view::stats(args).await,
        Command::Hold(args) => manage::run(args, Change::Hold).await,
        Command::Release(args) => manage::run(args, Change::Release).await,
        Command::Retry(args) => manage::run(args, Change::Retry).await,
        Command::Cancel(args) => manage::run(args, Change::Cancel).await,
        Command::Purge(args) => manage::purge(args).await,
        Command::Suppress(args) => suppress::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Migrate(args) => check::migrate(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Schema(_) | Command::Completions(_) | Command::Manual(_) => Ok(Exit::Usage),
    }
}

/// Shows what `RUST_LOG` asks for.
fn trace() {
    let wanted = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    if wanted.is_empty() {
        return;
    }
    let started = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(wanted))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none())
        .try_init();
    if let Err(why) = started {
        output::complain(format_args!("warning: no trace: {why}"));
    }
}

/// Prints what clap has to say: help and version when asked for, else what is wrong with the command line.
fn usage(answer: &clap::Error) -> Result<Exit, Failure> {
    if answer.use_stderr() {
        // What is wrong is quoted, and others may have had a say in it.
        let is_odd =
            |argument: std::ffi::OsString| argument.to_string_lossy().contains(char::is_control);
        if env::args_os().any(is_odd) {
            let text = answer.render().to_string();
            let lines = text.lines().filter(|line| !line.is_empty());
            lines.for_each(output::complain);
            return Ok(Exit::Usage);
        }
    }
    let printed = answer.print().and_then(|()| io::stdout().lock().flush());
    match (answer.use_stderr(), printed) {
        (true, _) => Ok(Exit::Usage),
        (false, Ok(())) => Ok(Exit::Ok),
        (false, Err(error)) => Err(Failure::new(
            Exit::Output,
            format!("cannot write to standard output: {error}"),
        )),
    }
}
