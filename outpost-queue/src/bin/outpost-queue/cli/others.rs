//! The command lines of `outpost-queue check`, `migrate`, `demo`, `schema`, `completions` and `manual`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use super::PlaceArgs;

const CHECK: &str = "\
Exit status:
   0  all is well
  64  the command line is wrong
  69  the store cannot be used
  70  the store holds something that it should not
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue check
  outpost-queue check --main-cf /etc/postfix -o queue_doubt=hold";

const MIGRATE: &str = "\
Exit status:
   0  the schema is there, in the version of this program
  64  the command line is wrong
  69  the store cannot be used, or has a newer schema
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue migrate --store postgres://outpost@db.example.org/outpost";

const DEMO: &str = "\
Exit status:
   0  everything went as planned
  64  the command line is wrong
  70  something did not go as planned
  71  the operating system refused something
  74  standard output could not be written

Examples:
  outpost-queue demo";

const SCHEMA: &str = "\
Exit status:
   0  the schema, or the list, was printed
  64  the command line is wrong
  74  it could not be written to standard output

Examples:
  outpost-queue schema
  outpost-queue schema queue-event > queue-event.schema.json";

const COMPLETIONS: &str = "\
Exit status:
   0  the script was printed
  64  the command line is wrong
  74  it could not be written to standard output

Examples:
  outpost-queue completions bash \\
      > ~/.local/share/bash-completion/completions/outpost-queue";

/// Check the settings and the store: its schema, and that what it holds fits together.
///
/// Nothing is changed but an older schema, which is brought up to date. Numbers of a queue
/// that is at work are looked at twice.
#[derive(Clone, Debug, Args)]
#[command(after_help = CHECK)]
pub(crate) struct CheckArgs {
    /// Print the parameters of the queue with their defaults, and look at nothing.
    #[arg(long)]
    pub(crate) parameters: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Make the schema of a store, or bring an older one up to date.
///
/// Every other command does so too when it opens the store: this one is for a database
/// whose workers may not create tables.
#[derive(Clone, Debug, Args)]
#[command(after_help = MIGRATE)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Queue messages for servers inside this program that take them, refuse them and put them
/// off, and show what becomes of each recipient.
///
/// Needs no network beyond the loopback interface, no configuration and no database server:
/// the queue is an SQLite file in a scratch folder, which is removed.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEMO)]
pub(crate) struct DemoArgs {}

/// Print the JSON Schema (draft 2020-12) of the JSON that this program writes.
///
/// Without NAME the schemas are listed. New fields may be added; those that are described
/// stay.
#[derive(Clone, Debug, Args)]
#[command(after_help = SCHEMA)]
pub(crate) struct SchemaArgs {
    /// The schema to print.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) name: Option<SchemaName>,
}

/// The names of the schemas, which are those of their files: apart from those of `outpost schema`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaName {
    /// A line of run --events
    #[value(name = "queue-event")]
    Event,
    /// A line of list --json
    #[value(name = "queue-list")]
    List,
    /// The message of show --json
    #[value(name = "queue-show")]
    Show,
    /// The numbers of stats --json
    #[value(name = "queue-stats")]
    Stats,
}

/// Print a completion script of this program for a shell.
#[derive(Clone, Debug, Args)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell that will use the script.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Write the manual pages of this program and its commands into a directory.
#[derive(Clone, Debug, Args)]
#[command(hide = true)]
pub(crate) struct ManualArgs {
    /// The directory, which has to be there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
