//! The command line of `outpost queue`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::ffi::OsString;

use clap::Args;

const NOTES: &str = "\
Exit status: that of outpost-queue, and
  69  outpost-queue is not there

Examples:
  outpost queue help
  outpost queue demo
  outpost queue submit -f me@example.org you@example.com < message.eml
  outpost queue run
  outpost queue list";

/// Run outpost-queue, the queue that tries deferred mail again for days.
///
/// It is a program of its own, found beside this one or in PATH, and installed with the
/// package outpost-queue or by 'cargo install outpost-queue --features cli'. All arguments
/// are handed on to it.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct QueueArgs {
    /// The command of outpost-queue, and its arguments.
    #[arg(value_name = "ARGS", required = true)]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}
