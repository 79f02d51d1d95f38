//! The command lines of `outpost-queue hold`, `release`, `retry`, `cancel`, `purge` and `suppress`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use outpost_queue::model::MessageId;

use super::{
    PlaceArgs,
    view::{FilterArgs, age},
};

macro_rules! notes {
    ($command:literal, $filter:literal) => {
        concat!(
            "\
Exit status:
   0  it was done, or nothing was there to do it to
  64  the command line is wrong
  65  a message that was named is not there, or finished
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now, or attempts go on that could not be stopped
  78  the settings are wrong

Examples:
  outpost-queue ",
            $command,
            " 2F 31
  outpost-queue ",
            $command,
            " ",
            $filter,
            "
  outpost-queue ",
            $command,
            " --all --yes"
        )
    };
}

pub(super) const HOLD: &str = notes!("hold", "--sender list@example.org");
pub(super) const RELEASE: &str = notes!("release", "--recipient ann@example.com");
pub(super) const RETRY: &str = notes!("retry", "--destination smtp:example.com");
pub(super) const CANCEL: &str = notes!("cancel", "--destination smtp:example.com --older-than 2d");

const PURGE: &str = "\
Workers do the same with the times of queue_keep_time and queue_arrival_time.

Exit status:
   0  it was done
  64  the command line is wrong
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue purge
  outpost-queue purge --finished 0";

const SUPPRESS: &str = "\
Exit status:
   0  it was done
  64  the command line is wrong
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue suppress list
  outpost-queue suppress add gone@example.com --time 30d
  outpost-queue suppress remove back@example.com";

/// Messages that something is done to.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("wanted").required(true).multiple(true)
    .args(["ids", "sender", "recipient", "destination", "held", "older_than", "all"]))]
pub(crate) struct Wanted {
    /// The queue ids.
    #[arg(value_name = "ID")]
    #[arg(conflicts_with_all = ["sender", "recipient", "destination", "held", "older_than", "all"])]
    pub(crate) ids: Vec<MessageId>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// All messages. Needs --yes.
    #[arg(long, requires = "yes")]
    pub(crate) all: bool,

    /// Yes, all of them.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Options of commands that change messages.
#[derive(Clone, Debug, Args)]
pub(crate) struct ManageArgs {
    #[command(flatten)]
    pub(crate) wanted: Wanted,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Remove messages that were finished some time ago, and those that never came to their end.
#[derive(Clone, Debug, Args)]
#[command(after_help = PURGE)]
pub(crate) struct PurgeArgs {
    /// Remove messages that were finished longer ago than this, such as 2h or 3d; without
    /// it, queue_keep_time.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub(crate) finished: Option<Duration>,

    /// Remove messages whose text began to arrive longer ago than this, and has not ended;
    /// without it, queue_arrival_time.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub(crate) arriving: Option<Duration>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Addresses that get no mail: what is for them bounces without an attempt.
#[derive(Clone, Debug, Args)]
#[command(after_help = SUPPRESS)]
pub(crate) struct SuppressArgs {
    #[command(subcommand)]
    pub(crate) command: SuppressCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SuppressCommand {
    /// List the addresses.
    #[command(after_help = SUPPRESS)]
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Add addresses.
    #[command(after_help = SUPPRESS)]
    Add {
        /// The addresses.
        #[arg(value_name = "ADDR", required = true)]
        addresses: Vec<String>,

        /// The reason, which the report on mail for them has.
        #[arg(long, value_name = "TEXT", default_value = "suppressed by an operator")]
        why: String,

        /// Suppress them for this time, such as 30d; without it, for good.
        #[arg(long, value_name = "TIME", value_parser = age)]
        time: Option<Duration>,

        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Remove addresses.
    #[command(after_help = SUPPRESS)]
    Remove {
        /// The addresses.
        #[arg(value_name = "ADDR", required = true)]
        addresses: Vec<String>,

        #[command(flatten)]
        place: PlaceArgs,
    },
}
