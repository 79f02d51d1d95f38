//! The command line: what all subcommands have alike, and a module for each.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

mod account;
mod config;
mod content;
mod deliver;
mod demo;
mod load;
mod machine;
mod many;
mod probe;
mod queue;
mod sendmail;
mod sink;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

#[cfg(test)]
pub(crate) use account::FILE as ACCOUNTS_HELP;
pub(crate) use account::{AccountArgs, AccountCommand, CheckArgs};
pub(crate) use config::ConfigArgs;
pub(crate) use deliver::{DeliverArgs, ReportFormat};
pub(crate) use demo::DemoArgs;
pub(crate) use load::LoadArgs;
pub(crate) use machine::{
    CompletionsArgs, EventArgs, LogFormat, ManualArgs, SchemaArgs, SchemaName,
};
pub(crate) use many::{Doubt, InputKind, JournalSync};
pub(crate) use probe::ProbeArgs;
pub(crate) use queue::QueueArgs;
pub(crate) use sendmail::SendmailArgs;
pub(crate) use sink::SinkArgs;

const EXIT_STATUS: &str = "\
Exit status (sysexits.h):
   0  every recipient was sent
  64  the command line is wrong
  65  a request or a message cannot be read; what could be read was delivered
  69  a recipient bounced, and none was deferred
  71  the operating system refused something, such as a port to listen on
  74  the report, to standard output, or the journal could not be written
  75  a recipient was deferred (also after the first Ctrl-C), or is in doubt and
      was held back
  78  the configuration is wrong
 130  ended by a second Ctrl-C
If several apply, 74 wins over 65, 65 over 75, and 75 over 69.";

/// Deliver mail as Postfix's SMTP and LMTP client does: same dialogue, same
/// parameters, same verdict for each recipient.
///
/// The environment variable RUST_LOG selects a trace on standard error: a level for
/// this program, such as RUST_LOG=info, or directives such as RUST_LOG=outpost=debug,rustls=info.
#[derive(Debug, Parser)]
#[command(name = "outpost", version, after_help = EXIT_STATUS, after_long_help = EXIT_STATUS)]
#[command(arg_required_else_help = true, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options for what is shown on standard error.
#[derive(Debug, Args)]
pub(crate) struct VerbosityArgs {
    /// Show the dialogue with servers on standard error, without passwords and message
    /// texts. Lines are marked: > to the server, < from it, ~ TLS, ? queries to name
    /// servers and the like; each has the seconds since the start. Given twice (-vv), show
    /// a trace instead, with the messages of the libraries in use.
    #[arg(short = 'v', long, global = true, action = ArgAction::Count, display_order = 996)]
    pub(crate) verbose: u8,

    /// Use of colour by -v; auto uses it on a terminal, unless the environment variable
    /// NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    #[arg(display_order = 997)]
    pub(crate) color: ColorChoice,

    /// Format of all that is written to standard error.
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value_t)]
    #[arg(display_order = 998)]
    pub(crate) log_format: LogFormat,
}

/// Uses of colour on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Deliver(DeliverArgs),
    Config(ConfigArgs),
    Probe(ProbeArgs),
    Sink(SinkArgs),
    Demo(DemoArgs),
    Load(LoadArgs),
    Sendmail(SendmailArgs),
    Account(AccountArgs),
    Queue(QueueArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    Manual(ManualArgs),
}

/// Options for parameters.
#[derive(Clone, Debug, Args)]
pub(crate) struct ParameterArgs {
    /// Read parameters from this main.cf, or from main.cf in this directory.
    ///
    /// Without it every parameter has its default.
    #[arg(long, value_name = "MAIN.CF")]
    pub(crate) config: Option<PathBuf>,

    /// Set a parameter, whatever main.cf says. May be given several times.
    #[arg(short = 'o', value_name = "NAME=VALUE", value_parser = parameter_setting)]
    pub(crate) set: Vec<String>,
}

/// Options for MTA-STS policies.
#[derive(Clone, Debug, Args)]
pub(crate) struct StsArgs {
    /// Apply the MTA-STS policies of domains (RFC 8461), unless smtp_tls_policy_maps or
    /// DANE says more.
    #[arg(long)]
    pub(crate) mta_sts: bool,

    /// Trust the authorities in this PEM file, besides those of the system, when
    /// an MTA-STS policy is fetched.
    #[arg(long, value_name = "FILE", requires = "mta_sts")]
    pub(crate) mta_sts_ca: Option<PathBuf>,
}

/// Options that all deliveries share: parameters, runtime, DNS servers, MTA-STS.
#[derive(Debug, Args)]
pub(crate) struct SurroundingsArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// The runtime that does the work. All give the same result.
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,

    /// Ask this DNS server instead of those in /etc/resolv.conf; the port is 53 unless
    /// given. May be given several times.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    pub(crate) dns: Vec<SocketAddr>,

    #[command(flatten)]
    pub(crate) sts: StsArgs,
}

/// The runtimes to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// Tasks on tokio
    Tokio,
    /// Tasks on smol
    Smol,
    /// A plain thread
    Blocking,
}

/// The protocols to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolName {
    /// The Simple Mail Transfer Protocol
    Smtp,
    /// The Local Mail Transfer Protocol
    Lmtp,
}

fn parameter_setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    const PORT: u16 = 53;
    let alone: Option<IpAddr> = text.parse().ok();
    match alone {
        Some(address) => Ok(SocketAddr::new(address, PORT)),
        None => socket_address(text),
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let what = "expected an IP address and a port, such as 127.0.0.1:2525 or [::1]:2525";
    text.parse().map_err(|_| what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_dns_server_has_a_port_that_need_not_be_named() {
        for (text, server) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("192.0.2.53:5353", Some("192.0.2.53:5353")),
            ("::1", Some("[::1]:53")),
            ("[::1]:5353", Some("[::1]:5353")),
            ("dns.example", None),
            ("192.0.2.53:", None),
            ("192.0.2.53:99999", None),
        ] {
            let parsed = dns_server(text).ok().map(|server| server.to_string());
            assert_eq!(parsed.as_deref(), server, "{text}");
        }
    }
}
