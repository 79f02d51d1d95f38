//! Options for what is in the messages: envelope from the header, header fields, a generated
//! message.

use clap::Args;

use crate::header::field::Field;

/// Options that read or change the header of each message.
#[derive(Debug, Args)]
#[command(next_help_heading = "Header")]
pub(crate) struct HeaderArgs {
    /// Take the envelope sender of each message from its header: Return-Path, which is
    /// removed, or else Sender, or else From.
    #[arg(long, conflicts_with_all = ["request", "from", "test"])]
    pub(crate) from_header: bool,

    /// Take the envelope recipients of each message from its header: To, Cc and Bcc, of
    /// which Bcc is removed. Those of --to are added.
    #[arg(long, conflicts_with_all = ["request", "test"])]
    pub(crate) to_header: bool,

    /// Deliver a generated test message instead of one that is given.
    #[arg(long, conflicts_with_all = ["request", "source"])]
    pub(crate) test: bool,

    /// Replace all fields of this name with this field, or add it if there is none. May be
    /// given several times.
    ///
    /// Long values are folded at spaces. Control characters are refused, and so is a line of
    /// more than 998 bytes. Text that is not ASCII stays as it is, so that the server must
    /// offer SMTPUTF8.
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "request")]
    pub(crate) header: Vec<Field>,

    /// Add this field, even where its name is there already. May be given several times.
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "request")]
    pub(crate) add_header: Vec<Field>,
}
