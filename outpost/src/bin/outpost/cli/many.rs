//! Options for many messages: where they come from, how many go out at once, the journal.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options for the delivery of many messages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Many messages")]
pub(crate) struct ManyArgs {
    /// Number of deliveries to run at the same time, 1000 at most.
    ///
    /// They begin in order and share the connections that are kept; a destination gets as
    /// many as transport_destination_concurrency_limit allows. Each domain of a message's
    /// recipients is a delivery of its own. The report as text names the message, or the request, of
    /// each verdict.
    #[arg(long, alias = "at-once", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: u16,

    /// Kind of the sources.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = InputKind::Auto)]
    #[arg(conflicts_with_all = ["request", "test"])]
    pub(crate) input: InputKind,

    /// Keep a journal in this file, so that a run that was stopped can be resumed.
    ///
    /// With the same sources and the same journal, recipients that were sent or bounced are
    /// left out, and those that were deferred are tried again. --doubt decides on those whose
    /// message may have been accepted without an answer. The file has a JSON object in each
    /// line; it is created if it does not exist, and locked. A message is refused if the
    /// journal knows another one by its name, and so are other sources. An incomplete last
    /// line is ignored; any other fault is an error.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "test"])]
    pub(crate) journal: Option<PathBuf>,

    /// Moments at which the journal is forced to the disk.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = JournalSync::Doubt)]
    #[arg(requires = "journal")]
    pub(crate) journal_sync: JournalSync,

    /// Treatment of recipients in doubt: the journal of an earlier run says that their
    /// message was sent, or about to be, and not what the server answered.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Doubt::Hold)]
    #[arg(requires = "journal")]
    pub(crate) doubt: Doubt,
}

/// Kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputKind {
    /// A directory with new/ and cur/ is a Maildir, a file that begins with "From " is an
    /// mbox
    Auto,
    /// A file is a message, whatever it begins with
    Message,
    /// Each regular file of the directory is a message, in the order of their names; not
    /// those whose names begin with a dot, nor those in subdirectories
    Directory,
    /// Messages in new/ and cur/, except those with the flag T (trashed)
    Maildir,
    /// Messages begin with a line "From "; ">From " is read as "From " (mboxo, mboxrd)
    Mbox,
}

/// Moments at which the journal is forced to the disk (fdatasync).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum JournalSync {
    /// Before a message goes into doubt, and at the end: survives a power failure
    Doubt,
    /// Only at the end: survives a crash of the program, but not of the system
    End,
}

/// Treatments of recipients in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Doubt {
    /// List them on standard error and do not send again; the exit status is 75
    Hold,
    /// Send again; they may get a second copy
    Retry,
}
