//! Options for what is in the messages: envelope from the header, header fields, a generated
//! message.

use clap::Args;

use crate::header::field::Field;

/// What is taken from the header of each message, and what is put there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Header")]
pub(crate) struct HeaderArgs {
    /// Take the envelope sender of each message from its header: Return-Path, which is taken
    /// out, or else Sender, or else From.
    #[arg(long, conflicts_with_all = ["request", "from", "test"])]
    pub(crate) from_header: bool,

    /// Take the envelope recipients of each message from its header: To, Cc and Bcc, of
    /// which Bcc is taken out. Those of --to come in addition.
    #[arg(long, conflicts_with_all = ["request", "test"])]
    pub(crate) to_header: bool,

    /// Deliver a generated test message instead of one that is given.
    #[arg(long, conflicts_with_all = ["request", "source"])]
    pub(crate) test: bool,

    /// Put this field in the place of all fields of its name, or add it. May be given
    /// several times.
    ///
    /// The value is folded into lines at its blanks. Control characters are refused, and so
    /// is a line of more than 998 bytes. Text that is not ASCII stays as it is, so that a
    /// server must offer SMTPUTF8.
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "request")]
    pub(crate) header: Vec<Field>,

    /// Add this field, whatever is there already. May be given several times.
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "request")]
    pub(crate) add_header: Vec<Field>,
}
