//! The command lines of what is for other programs: `outpost schema`, `outpost
//! completions`, `outpost manual`, and the form of standard error.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

const SCHEMA_EXAMPLES: &str = "\
Examples:
  outpost schema
  outpost schema report > report.schema.json";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  bash, from the next login on:
    outpost completions bash \\
        > ~/.local/share/bash-completion/completions/outpost
  zsh, in a folder of $fpath:
    outpost completions zsh > ~/.zfunc/_outpost
  fish:
    outpost completions fish > ~/.config/fish/completions/outpost.fish";

/// Print the JSON Schema (draft 2020-12) of what this program writes or reads as JSON.
///
/// Without NAME the schemas are listed. What the program writes may get new fields later;
/// those that are described stay as they are.
#[derive(Debug, Args)]
#[command(after_help = SCHEMA_EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// The schema to print.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) name: Option<SchemaName>,
}

/// The schemas, by what they describe.
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

/// Print a script with which a shell completes the command lines of this program.
#[derive(Debug, Args)]
#[command(after_help = COMPLETION_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
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
    /// Write what happens in each delivery into this file while it happens, or with - into
    /// the report (which has to be jsonl): an event is a JSON object in a line.
    ///
    /// An event has time, request (its number, from 1 on), id, level (trace, debug, info,
    /// warning), log (the line that Postfix would log), event (its kind), and what belongs to
    /// the kind: 'outpost schema event' describes them all. The dialogue is there with -v. An
    /// older file is overwritten. Where an event cannot be written, none follows; the mail
    /// goes on, and the exit status is 74.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
}

/// Forms of what goes to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: a JSON object in a line for each message. 'outpost schema log'
    /// describes it
    Json,
}
