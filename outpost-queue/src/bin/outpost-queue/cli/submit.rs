//! The command line of `outpost-queue submit`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PlaceArgs;

const NOTES: &str = "\
The queue ids are printed, one a line, when the messages are in the queue for
good.

Exit status:
   0  all messages are in the queue
  64  the command line is wrong, or there is no recipient
  65  a message cannot be read; none is in the queue
  69  the store cannot be used
  74  the ids could not be written; the messages are in the queue
  75  the store cannot be reached or is full now: try again later
  78  the settings are wrong

Examples:
  outpost-queue submit -f me@example.org you@example.com < message.eml
  outpost-queue submit -t --file message.eml
  outpost-queue submit -f '' --notify never you@example.com < notice.eml";

/// Put messages into the queue.
///
/// The message comes from standard input, or from files. It goes out as it is: 'outpost
/// sendmail' completes a header that lacks something.
#[derive(Clone, Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct SubmitArgs {
    /// The envelope sender, which reports go to; '' or '<>' is the null sender.
    #[arg(
        short = 'f',
        long = "from",
        value_name = "ADDR",
        allow_hyphen_values = true
    )]
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) sender: String,

    /// Send to the addresses in To, Cc and Bcc too, and remove Bcc; if the message has
    /// Resent-To, Resent-Cc or Resent-Bcc, to those instead.
    #[arg(short = 't')]
    pub(crate) extract: bool,

    /// Read the message from this file. May be given several times: each is a message of
    /// its own.
    #[arg(long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The reports that the sender wants: never, or any of delay, failure, success,
    /// separated by commas.
    #[arg(long, value_name = "DSN")]
    pub(crate) notify: Option<String>,

    /// The part of the message that a report returns: full or hdrs.
    #[arg(long, value_name = "RET")]
    pub(crate) ret: Option<String>,

    /// An identifier of the message for reports.
    #[arg(long, value_name = "ENVID")]
    pub(crate) envid: Option<String>,

    /// Send the message only where TLS is verified all the way (RFC 8689).
    #[arg(long)]
    pub(crate) require_tls: bool,

    /// Send the message through this next hop, as relayhost has it, whatever the settings
    /// say.
    #[arg(long, value_name = "HOST")]
    pub(crate) nexthop: Option<String>,

    /// The protocol of the next hop.
    #[arg(long, value_enum, default_value_t = ProtocolName::Smtp, requires = "nexthop")]
    pub(crate) protocol: ProtocolName,

    /// Read the envelope from standard input too, as a line of JSON before the message: it is
    /// how 'outpost sendmail' hands mail over.
    #[arg(long, conflicts_with_all = ["sender", "extract", "files", "notify", "ret", "envid"])]
    #[arg(conflicts_with_all = ["require_tls", "recipients"])]
    pub(crate) pipe: bool,

    /// Recipients: addresses, one an argument.
    #[arg(value_name = "RECIPIENT")]
    pub(crate) recipients: Vec<String>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The protocols to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolName {
    /// The Simple Mail Transfer Protocol
    Smtp,
    /// The Local Mail Transfer Protocol
    Lmtp,
}
