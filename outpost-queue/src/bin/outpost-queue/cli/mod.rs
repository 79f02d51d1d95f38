//! The command line: what all commands have alike, and a module for each kind of them.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

mod manage;
mod others;
mod run;
mod submit;
mod view;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use manage::{ManageArgs, PurgeArgs, SuppressArgs, SuppressCommand, Wanted};
pub(crate) use others::{
    CheckArgs, CompletionsArgs, DemoArgs, ManualArgs, MigrateArgs, SchemaArgs, SchemaName,
};
pub(crate) use run::RunArgs;
pub(crate) use submit::{ProtocolName, SubmitArgs};
pub(crate) use view::{FilterArgs, ListArgs, ShowArgs, StateName, StatsArgs};

const EXIT_STATUS: &str = "\
Exit status (sysexits.h):
   0  it was done
  64  the command line is wrong
  65  a message cannot be read, or there is no such message
  69  the store cannot be used: it is not there, may not be written, or has a
      schema that is not known here
  70  something of our own did not do what it should, or the store is damaged
  71  the operating system refused something, such as a port to listen on
  74  standard output could not be written
  75  the store cannot be reached or is full now: try again later
  78  the settings are wrong
 130  ended by a second signal";

/// Queue outgoing mail, and try it again for days: on SQLite for one machine, on PostgreSQL
/// for many.
///
/// The store is an SQLite file of this user unless --store says otherwise. Any number of
/// workers (outpost-queue run) may share a PostgreSQL database.
///
/// The environment variable RUST_LOG selects a trace on standard error, such as
/// RUST_LOG=info.
#[derive(Debug, Parser)]
#[command(name = "outpost-queue", version, after_help = EXIT_STATUS, after_long_help = EXIT_STATUS)]
#[command(arg_required_else_help = true, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Submit(SubmitArgs),
    Run(RunArgs),
    List(ListArgs),
    Show(ShowArgs),
    /// Hold messages: they wait until they are released.
    ///
    /// An attempt that is under way is stopped, unless the end of the text may have gone out:
    /// the answer tells how many go on.
    #[command(after_help = manage::HOLD)]
    #[command(override_usage = "outpost-queue hold [OPTIONS] <ID...|FILTER|--all --yes>")]
    Hold(ManageArgs),
    /// Let held messages go on, for whatever reason they are held.
    #[command(after_help = manage::RELEASE)]
    #[command(override_usage = "outpost-queue release [OPTIONS] <ID...|FILTER|--all --yes>")]
    Release(ManageArgs),
    /// Try deferred messages now, also at destinations that rest.
    ///
    /// What is held stays so.
    #[command(after_help = manage::RETRY)]
    #[command(override_usage = "outpost-queue retry [OPTIONS] <ID...|FILTER|--all --yes>")]
    Retry(ManageArgs),
    /// Take messages out of the queue. Nobody is told.
    ///
    /// Recipients who have a verdict keep it. An attempt that is under way is stopped, unless
    /// the end of the text may have gone out: the answer tells how many go on, and who is
    /// deferred by them stays in the queue.
    #[command(after_help = manage::CANCEL)]
    #[command(override_usage = "outpost-queue cancel [OPTIONS] <ID...|FILTER|--all --yes>")]
    Cancel(ManageArgs),
    Purge(PurgeArgs),
    Stats(StatsArgs),
    Suppress(SuppressArgs),
    Check(CheckArgs),
    Migrate(MigrateArgs),
    Demo(DemoArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    Manual(ManualArgs),
}

/// Options for the store.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StoreArgs {
    /// The store: sqlite:PATH, a path, or postgres://USER@HOST/DATABASE.
    ///
    /// Without it, the environment variable OUTPOST_STORE, else queue_store of main.cf, else
    /// an SQLite file: /var/lib/outpost/queue.db for root,
    /// ~/.local/share/outpost/queue.db ($XDG_DATA_HOME) for others. A password is better
    /// kept in PGPASSWORD or ~/.pgpass than on a command line that all users can see.
    #[arg(long, value_name = "URL", display_order = 900)]
    pub(crate) store: Option<String>,
}

/// Options for settings.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingsArgs {
    /// Read settings from this main.cf of Postfix, or from main.cf in this directory.
    ///
    /// Without it every parameter has its default: no file of Postfix is read.
    #[arg(long, value_name = "FILE", display_order = 901)]
    pub(crate) main_cf: Option<PathBuf>,

    /// Set a parameter, whatever main.cf says. May be given several times.
    #[arg(short = 'o', value_name = "NAME=VALUE", value_parser = parameter_setting)]
    #[arg(display_order = 902)]
    pub(crate) set: Vec<String>,
}

/// Options that all commands share that open the store.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlaceArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

fn parameter_setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
