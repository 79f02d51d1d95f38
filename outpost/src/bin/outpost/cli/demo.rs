//! The command line of `outpost demo`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::Args;

use super::Runtime;

const DEMO_NOTES: &str = "\
Exit status:
   0  everything went as planned
  64  the command line is wrong
  65  the message cannot be read
  70  something did not go as planned
  71  the operating system refused something
  74  the report could not be written to standard output

Examples:
  outpost demo
  outpost demo --runtime blocking message.eml";

/// Deliver a message to a server inside this program, and show what happened.
///
/// Needs no network beyond the loopback interface, and no configuration. The
/// server refuses one of three recipients, to show that each gets a verdict of
/// its own.
#[derive(Debug, Args)]
#[command(after_help = DEMO_NOTES)]
pub(crate) struct DemoArgs {
    /// The runtime that does the work. All give the same result.
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,

    /// The message to deliver; a short one is built in.
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: Option<PathBuf>,
}
