//! The command line of `outpost-queue run`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::PlaceArgs;

const NOTES: &str = "\
The first SIGINT or SIGTERM ends it politely: no new attempt begins, and those
that are under way come to their end. A second one ends it at once; its tasks
are tried again by whoever runs next, when their leases are over.

Exit status:
   0  ended by a signal, or with --drain because nothing was due
  64  the command line is wrong
  69  the store cannot be used
  71  the operating system refused something
  74  the events could not be written; the deliveries went on
  78  the settings are wrong
 130  ended by a second signal

Examples:
  outpost-queue run
  outpost-queue run --store postgres://outpost@db.example.org/outpost --slots 200
  outpost-queue run --listen 127.0.0.1:9580 --events /var/log/outpost/queue.jsonl";

/// Deliver what is in the queue, until a signal comes.
#[derive(Clone, Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct RunArgs {
    /// The most deliveries at a time.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) slots: u16,

    /// End when nothing is due, and nothing under way.
    #[arg(long)]
    pub(crate) drain: bool,

    /// Apply the MTA-STS policies of domains (RFC 8461), unless smtp_tls_policy_maps or
    /// DANE says more.
    #[arg(long)]
    pub(crate) mta_sts: bool,

    /// Count what becomes of TLS, and send each day a report to the domains that ask for it
    /// (RFC 8460).
    #[arg(long)]
    pub(crate) tls_reports: bool,

    /// Write what happens to this file, or with - to standard output: a line of JSON for
    /// each event, as 'outpost-queue schema queue-event' describes it. An older file is
    /// continued.
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Serve metrics (/metrics), a page for people (/) and a sign of life (/healthz) over
    /// HTTP at this address. Whoever reaches it can read it: it should be of this machine.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}
