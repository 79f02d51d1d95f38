//! The command line of `outpost sendmail`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{ArgAction, Args};

const EXAMPLES: &str = "\
Examples:
  A message with its recipients in the header, as from php and mail programs:
    outpost sendmail -t -i < message.eml
  In place of the system's sendmail, for cron, at, mailx, php, logwatch:
    ln -s /usr/bin/outpost /usr/sbin/sendmail
  mutt, in ~/.muttrc:
    set sendmail = \"outpost sendmail\"
  git send-email:
    git config --global sendemail.sendmailCmd 'outpost sendmail'
  A dialogue by hand, or by a program that speaks SMTP to its child:
    outpost sendmail -bs
The servers and passwords are in ~/.config/outpost/config.toml: see
'outpost account --help'.";

const EXIT_STATUS: &str = "\
The message is sent before the program ends, or is in the queue that the account
names; it stays with the caller if the status is not 0. Standard error has the
reasons.

Exit status:
   0  every recipient was sent
  64  the command line is wrong, or there is no recipient
  65  the message cannot be read, or a server refuses it for what it is
  67  recipients that bounced are unknown
  69  a recipient bounced for another reason
  71  the operating system refused something
  75  a recipient was deferred: try again later
  78  the accounts file is missing or wrong
If several apply, 75 wins over the others.";

/// Send a message from standard input as sendmail(1) does, through one of your accounts.
///
/// The header gets From, Date and Message-ID if it has none, and loses Bcc,
/// Resent-Bcc, Return-Path and Content-Length; all else goes out as it is.
///
/// The link 'sendmail' or 'outpost-sendmail' to the program does the same. Options of
/// sendmail(1) that only matter to a queue or to other mail systems are accepted and do
/// nothing.
#[derive(Clone, Debug, Default, Args)]
#[command(disable_help_flag = true, args_override_self = true)]
#[command(after_help = format!("{EXIT_STATUS}\n\n{EXAMPLES}"))]
pub(crate) struct SendmailArgs {
    /// Use this account of the accounts file.
    ///
    /// Without it the sender decides, from -f or else from the From field: the account
    /// that has it as 'from' or in 'from_patterns', else the default.
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,

    /// Read accounts from this file. The environment variable OUTPOST_CONFIG does the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Send to the addresses in To, Cc and Bcc too; if the message has Resent-To,
    /// Resent-Cc or Resent-Bcc, to those instead.
    #[arg(short = 't')]
    pub(crate) extract: bool,

    /// Do not end the message at a line with a single dot. The same as -oi.
    #[arg(short = 'i')]
    pub(crate) ignore_dots: bool,

    /// The envelope sender; '' or '<>' is the null sender.
    ///
    /// Without it the sender is the address in From if that belongs to the account, else
    /// the account's own.
    #[arg(short = 'f', value_name = "ADDR", allow_hyphen_values = true)]
    pub(crate) sender: Option<String>,

    /// The same as -f.
    #[arg(short = 'r', value_name = "ADDR", allow_hyphen_values = true)]
    pub(crate) sender_too: Option<String>,

    /// The sender's name, for a From field that is missing.
    #[arg(short = 'F', value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) full_name: Option<String>,

    /// The reports that the sender wants: never, or any of delay, failure, success,
    /// separated by commas.
    #[arg(short = 'N', value_name = "DSN", allow_hyphen_values = true)]
    pub(crate) notify: Option<String>,

    /// The part of the message that a report returns: full or hdrs.
    #[arg(short = 'R', value_name = "RET", allow_hyphen_values = true)]
    pub(crate) ret: Option<String>,

    /// An identifier of the message for reports.
    #[arg(short = 'V', value_name = "ENVID", allow_hyphen_values = true)]
    pub(crate) envid: Option<String>,

    /// The body type, 7BIT or 8BITMIME. It changes nothing: the message itself decides.
    #[arg(short = 'B', value_name = "TYPE", allow_hyphen_values = true)]
    pub(crate) body: Option<String>,

    /// The mode: m sends a message (the default), s speaks SMTP on standard input and
    /// output. There is no queue to list (p) and no table to build (i).
    #[arg(short = 'b', value_name = "MODE", allow_hyphen_values = true)]
    pub(crate) mode: Option<String>,

    /// REQUIRETLS=yes sends the message only where TLS is verified all the way (RFC 8689).
    /// Other settings do nothing.
    #[arg(short = 'O', value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub(crate) settings: Vec<String>,

    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    pub(crate) help: Option<bool>,

    /// Recipients: addresses, with or without names, also several separated by commas.
    #[arg(value_name = "RECIPIENT")]
    pub(crate) recipients: Vec<String>,

    #[command(flatten)]
    pub(crate) others: OtherArgs,
}

/// Options of sendmail(1) that do nothing here, or cannot be had.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct OtherArgs {
    #[arg(short = 'o', hide = true, allow_hyphen_values = true)]
    pub(crate) old: Vec<String>,
    #[arg(long = "queue-run", hide = true)]
    pub(crate) queue_run: bool,
    #[arg(short = 'I', hide = true)]
    pub(crate) new_aliases: bool,
    #[arg(short = 'n', hide = true)]
    pub(crate) no_aliases: bool,
    #[arg(short = 'C', hide = true, allow_hyphen_values = true)]
    pub(crate) config: Option<String>,
    #[arg(short = 'X', hide = true, allow_hyphen_values = true)]
    pub(crate) log: Option<String>,
    #[arg(short = 'A', hide = true, allow_hyphen_values = true)]
    submission: Option<String>,
    #[arg(short = 'L', hide = true, allow_hyphen_values = true)]
    label: Option<String>,
    #[arg(short = 'e', hide = true, allow_hyphen_values = true)]
    errors: Option<String>,
    #[arg(short = 'p', hide = true, allow_hyphen_values = true)]
    protocol: Option<String>,
    #[arg(short = 'G', hide = true)]
    gateway: bool,
    #[arg(short = 'U', hide = true)]
    user: bool,
    #[arg(short = 'c', hide = true)]
    connect: bool,
    #[arg(short = 'm', hide = true)]
    me_too: bool,
    #[arg(short = 'x', hide = true)]
    unknown: bool,
}
