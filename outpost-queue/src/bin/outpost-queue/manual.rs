//! `outpost-queue manual` and `outpost-queue completions`: the command line's description as manual pages, and as scripts for
//! shells.

use anyhow::Context;
use clap::CommandFactory;

use crate::{
    cli::{Cli, CompletionsArgs, ManualArgs},
    exit::{Exit, Failure, OrExit},
    output::Output,
};

/// Writes the pages.
pub(crate) fn run(args: &ManualArgs) -> Result<Exit, Failure> {
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("cannot write to {}", args.folder.display()))
        .or_exit(Exit::Output)?;
    Ok(Exit::Ok)
}

/// Prints the script of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "outpost-queue",
        &mut script,
    );
    let mut output = Output::default();
    output.text(&String::from_utf8_lossy(&script));
    output.finish(Exit::Ok)
}
