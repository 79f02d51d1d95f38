//! The command lines of what is for other programs: `outpost schema`, `outpost
//! completions`, `outpost manual`, and the form of standard error.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

const SCHEMA_NOTES: &str = "\
Exit status:
   0  the schema, or the list, was printed
  64  the command line is wrong
  74  it could not be written to standard output

Examples:
  outpost schema
  outpost schema report > report.schema.json";

const COMPLETION_NOTES: &str = "\
Exit status:
   0  the script was printed
  64  the command line is wrong
  74  it could not be written to standard output

Examples:
  bash, from the next login on:
    outpost completions bash \\
        > ~/.local/share/bash-completion/completions/outpost
  zsh, in a folder of $fpath:
    outpost completions zsh > ~/.zfunc/_outpost
  fish, for one user:
    outpost completions fish > ~/.config/fish/completions/outpost.fish";

/// Print the JSON Schema (draft 2020-12) of the JSON that this program writes or reads.
///
/// Without NAME the schemas are listed. New fields may be added to what the program writes;
/// those that are described stay.
#[derive(Debug, Args)]
#[command(after_help = SCHEMA_NOTES)]
pub(crate) struct SchemaArgs {
    /// The schema to print.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) name: Option<SchemaName>,
}

/// The names of the schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaName {
    /// The file of deliver --request
    Request,
    /// The report of deliver --report json
    Report,
    /// A line of deliver --report jsonl
    ReportLine,
    /// A line of deliver --events
    Event,
    /// A line of the file of deliver --journal
    Journal,
    /// The findings of probe --json; a line where there are several destinations
    Probe,
    /// The summary of load --json
    Load,
    /// A line of standard error with --log-format json
    Log,
}

/// Print a completion script of this program for a shell.
#[derive(Debug, Args)]
#[command(after_help = COMPLETION_NOTES)]
pub(crate) struct CompletionsArgs {
    /// The shell that will use the script.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Write the manual pages of this program and its commands into a directory.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct ManualArgs {
    /// The directory, which has to be there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// Events of deliveries.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Write the events of each delivery to this file as they happen, or with - to the
    /// report (which has to be jsonl): a line of JSON for each.
    ///
    /// An event has time, request (its number, from 1 on), id, level (trace, debug, info,
    /// warning), log (the line that Postfix would log), event (its kind), and what belongs to
    /// the kind: 'outpost schema event' describes them all. The dialogue is there with -v. An
    /// older file is overwritten. If an event cannot be written, none follows; the deliveries
    /// go on, and the exit status is 74.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
}

/// Formats of standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: a line of JSON for each message; 'outpost schema log' describes it
    Json,
}
