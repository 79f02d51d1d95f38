//! The command line of `outpost sink`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::socket_address;

const SINK_NOTES: &str = "\
A fault is EVENT[#N][ TEXT]=ANSWER:
  EVENT   CONNECT, EHLO, HELO, LHLO, MAIL, RCPT, DATA, RSET, QUIT, any other
          verb, or . (a single dot) for the end of the message text
  #N      only the N-th such event of a connection
  TEXT    only if the command holds this text, in upper or lower case
  ANSWER  the reply to give (\\n separates the lines of a long one), or one of
          close, reset (end the connection), silent (never answer again)
Of several faults that fit, the first one counts.

Exit status:
   0  ended by Ctrl-C
  64  the command line is wrong
  71  the operating system refused something, such as the port or the Maildir
  74  a line could not be written to standard output

Examples:
  outpost sink --maildir /tmp/got
  outpost sink --listen 127.0.0.1:2525 --fault 'RCPT bob@=450 4.2.0 try later'
  outpost sink --fault 'CONNECT=554 no service here' --fault '.#2=close'
  outpost deliver --nexthop '[127.0.0.1]:2525' \\
      --from a@example.org --to b@example.com hello.eml";

/// Run a small SMTP or LMTP server that accepts every message, for trying things
/// out.
///
/// It prints a line for each message and runs until it is interrupted.
#[derive(Debug, Args)]
#[command(after_help = SINK_NOTES)]
pub(crate) struct SinkArgs {
    /// Address and port to listen on; port 0 takes any free port, which is printed.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:2525")]
    #[arg(value_parser = socket_address)]
    pub(crate) listen: SocketAddr,

    /// Speak LMTP instead of SMTP.
    #[arg(long)]
    pub(crate) lmtp: bool,

    /// Keep the messages in this Maildir, which is created if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) maildir: Option<PathBuf>,

    /// Misbehave: EVENT[#N][ TEXT]=ANSWER (see below). May be given several
    /// times.
    #[arg(long, value_name = "SPEC")]
    pub(crate) fault: Vec<String>,
}
