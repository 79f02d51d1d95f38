//! The command line of `outpost account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The help on the accounts file. Its example is one that is understood.
pub(crate) const FILE: &str = "\
The accounts file is $OUTPOST_CONFIG if that is set, else the first that exists
of ~/.config/outpost/config.toml ($XDG_CONFIG_HOME in place of ~/.config) and
/etc/outpost/config.toml:

  default = \"work\"                 # for senders that no account names

  [accounts.work]
  host = \"smtp.example.com\"
  tls = \"starttls\"                 # or \"implicit\"; the certificate is verified
  port = 587                       # by default 587; 465 with implicit TLS
  user = \"me\"
  password_command = [\"pass\", \"show\", \"mail/work\"]
  from = \"me@example.com\"          # the sender if none is given
  from_patterns = [\"*@example.com\"]

  [accounts.direct]
  direct = true                    # to the mail exchangers of each domain
  from = \"me@example.org\"

  [accounts.queue]
  queue = \"default\"                # to outpost-queue, which tries again for days
  from = \"me@example.net\"

  [aliases]                        # names without a domain, as cron has them
  root = \"me@example.com\"
  \"*\" = \"me@example.com\"

The password comes from one of
  password_command  a list: program and arguments, run without a shell; the
                    first line counts
  password_file     a file that nobody else may read; its first line
  keyring = true    secret-tool lookup service smtp host HOST user USER
  password          a text, if nobody else may read the accounts file
A queue is \"default\", or an address as of outpost-queue --store.
Further keys of an account:
  ca_file           a PEM file of authorities, in place of the system's
  min_tls           \"1.2\" or \"1.3\"
  local_hostname    the name of this machine in EHLO and Message-ID
  domain            for addresses that have none and are no alias
  full_name         for a From field that is missing
  dns               with direct: name servers in place of the system's
  tls = \"none\"      with insecure = true only: mail and password can be read
                    by anybody on the way
Anything else in the file is an error, and then no mail goes out.

Examples:
  outpost account check                     what the accounts would do
  outpost account check --login work        try the login of one account";

const CHECK_NOTES: &str = "\
Exit status:
   0  all is well
  64  the command line is wrong
  69  a server refuses the login, or mail from or to the sender
  74  the findings could not be written to standard output
  75  that cannot be known for now: try again later
  78  the accounts file is missing or wrong

Examples:
  outpost account check                     what the accounts would do
  outpost account check --login work        try the login of one account";

/// Check the accounts of 'outpost sendmail'.
#[derive(Debug, Args)]
#[command(after_help = FILE, arg_required_else_help = true)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    Check(CheckArgs),
}

/// Read the accounts file, and show what each account would do.
#[derive(Debug, Args)]
#[command(after_help = CHECK_NOTES)]
pub(crate) struct CheckArgs {
    /// Read accounts from this file. The environment variable OUTPOST_CONFIG does the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Log in at the server, and ask whether it takes mail from the sender and to the
    /// sender. No message is sent.
    #[arg(long)]
    pub(crate) login: bool,

    /// The account to check; all of them when none is named.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}
