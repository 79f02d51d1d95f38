//! The command lines of `outpost-queue list`, `show` and `stats`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::time::Duration;

use clap::{Args, ValueEnum};
use outpost_queue::model::{DestinationName, MessageId};

use super::PlaceArgs;
use crate::settings;

const LIST: &str = "\
A line for each message has its queue id, its size, when it came, and its
sender; '*' behind the id is a message that is being delivered, '!' one that is
held. Below are its recipients who wait, with the reason.

Exit status:
   0  the messages were listed, or there is none
  64  the command line is wrong
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue list
  outpost-queue list --destination smtp:example.com --older-than 1d
  outpost-queue list --held --json";

const SHOW: &str = "\
Exit status:
   0  the message was shown
  64  the command line is wrong
  65  there is no such message
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue show 2F
  outpost-queue show 2F --json";

const STATS: &str = "\
Exit status:
   0  the numbers were printed
  64  the command line is wrong
  69  the store cannot be used
  74  standard output could not be written
  75  the store cannot be reached now
  78  the settings are wrong

Examples:
  outpost-queue stats
  outpost-queue stats --json --destinations 100";

/// Messages by what they are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Messages from this sender; '' is the null sender.
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    pub(crate) sender: Option<String>,

    /// Messages with this recipient.
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    pub(crate) recipient: Option<String>,

    /// Messages with recipients who wait at this destination, such as smtp:example.com; a
    /// name without protocol is one of smtp.
    #[arg(long, value_name = "NAME", value_parser = destination)]
    pub(crate) destination: Option<DestinationName>,

    /// Messages that are held.
    #[arg(long)]
    pub(crate) held: bool,

    /// Messages that came longer ago than this, such as 2h or 3d.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
}

/// List the messages in the queue.
#[derive(Clone, Debug, Args)]
#[command(after_help = LIST)]
pub(crate) struct ListArgs {
    /// Messages in this state; without it, all that are not finished.
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<StateName>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Begin behind this message.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<MessageId>,

    /// List so many messages at most.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Write a line of JSON for each message.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The states of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateName {
    /// Its text is being written
    Arriving,
    /// Recipients wait for their verdict, or the sender for a report
    Queued,
    /// Every recipient is settled
    Finished,
}

/// Show a message: its envelope, its recipients with their verdicts, its times, and the
/// header of its text.
#[derive(Clone, Debug, Args)]
#[command(after_help = SHOW)]
pub(crate) struct ShowArgs {
    /// The queue id.
    #[arg(value_name = "ID")]
    pub(crate) id: MessageId,

    /// Write it as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Print numbers about the queue: messages, tasks by state and age, and the destinations
/// for which most waits.
#[derive(Clone, Debug, Args)]
#[command(after_help = STATS)]
pub(crate) struct StatsArgs {
    /// Name so many destinations.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) destinations: usize,

    /// Write the numbers as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

fn destination(text: &str) -> Result<DestinationName, String> {
    let is_whole = text.starts_with("smtp:") || text.starts_with("lmtp:");
    let parsed = match is_whole {
        true => text.parse(),
        false => format!("smtp:{text}").parse(),
    };
    parsed.map_err(|why: outpost_queue::model::NameError| why.to_string())
}

pub(super) fn age(text: &str) -> Result<Duration, String> {
    settings::time(text, "d")
}
