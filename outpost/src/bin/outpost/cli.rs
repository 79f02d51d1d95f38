//! The command line.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use smtp_policy::line_ends::StrayCr;

use crate::size::SizeLimit;

const EXIT_STATUS: &str = "\
Exit status (sysexits.h):
   0  every recipient was sent
  64  the command line is wrong
  65  a request or a message cannot be read; what could be read was delivered
  69  a recipient bounced, and none was deferred
  71  the operating system refused something, such as a port to listen on
  74  the report could not be written to standard output
  75  a recipient was deferred (also after the first Ctrl-C)
  78  the configuration is wrong
 130  ended by a second Ctrl-C
Of several, 74 wins over 65, 65 over 75, and 75 over 69.";

const DELIVER_EXAMPLES: &str = "\
Examples:
  Deliver a message file to the mail exchangers of its recipient's domain:
    outpost deliver --from me@example.org --to you@example.com message.eml
  The same from standard input, to one server, with parameters of your own:
    outpost deliver -o smtp_tls_security_level=encrypt \\
        --nexthop '[mail.example.com]:587' \\
        --from me@example.org --to you@example.com - < message.eml
  To a local mailbox server by LMTP, reported as Postfix logs it:
    outpost deliver --protocol lmtp --nexthop unix:/run/dovecot/lmtp \\
        --report log --from me@example.org --to joe@example.com message.eml
  Several requests with all details, asking one DNS server:
    outpost deliver --config main.cf --dns 192.0.2.53:53 \\
        --request request.json --report json
";

const DELIVER_JSON: &str = "\
With --report json: {\"requests\": [{\"recipients\": [...]}]}, in the order of the
requests, with error in the place of those that could not be understood.
  recipients[]  address, status (sent, deferred, bounced, SOFTBOUNCE,
                deliverable, undeliverable), dsn, relay, text, action (relayed,
                delivered, delayed, failed), scope (session, site, message,
                recipient), uncertain, connection_uses, tls, times, and where
                there is one: report, original, host, server (host, address,
                port), stage, reply (code, dsn, lines), queue_id (the server's)
  tls           null where TLS was not tried, or established, error, version,
                cipher, bits, trust (Verified, Trusted, Untrusted, Anonymous),
                problem
  times         seconds: queue, setup, connection, transmission
With --report jsonl: a line for each verdict, as soon as it has fallen, and one
at the end of each request. Counts begin with 1.
  verdict       event (\"verdict\"), request, id, recipient, and the fields of
                recipients[]
  end           event (\"request\"), request, id or error, and how many recipients
                were sent, deferred, bounced
New fields may come; these stay.

A report that cannot be written goes on on standard error, a line for each
verdict, and no new delivery begins. A second Ctrl-C writes there, in every form
of the report, which recipients are settled, in doubt (the message was sent and
not answered), not delivered, or not begun.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  outpost config -d smtp_helo_timeout       the default of one parameter
  outpost config --config main.cf -n        what main.cf sets
  outpost config --config main.cf relayhost smtp_tls_security_level";

const PROBE_NOTES: &str = "\
Exit status:
   0  all servers can be used
  64  the command line is wrong
  69  there is no server, or none can be used, and mail would be returned
  75  only some servers can be used, or mail would be deferred
  78  the configuration is wrong

Examples:
  outpost probe example.com
  outpost probe -o smtp_tls_security_level=dane \\
      -o smtp_dns_support_level=dnssec example.com
  outpost probe --config main.cf '[mail.example.com]:587'
  outpost probe --protocol lmtp unix:/run/dovecot/lmtp
  outpost probe --address 192.0.2.1 --json example.com";

const PROBE_JSON: &str = "\
With --json: one object with destination, protocol, verdict (usable, partly
usable, unusable for now, unusable), servers, usable (both counts),
destinations, hosts.
  destinations[]  destination, fallback, mx {name, owner, dnssec} or null,
                  addresses [{host, address, port, preference, dnssec,
                  canonical}], failure, log
  hosts[]         destination, host, address, port, preference, dnssec,
                  beyond_limit, plaintext_retry, usable, encrypted, verified,
                  logs_in, failure, banner, hello, policy, starttls, tls,
                  tls_hello, log
  failure         null or action (deferred, bounced), dsn, text, ends_delivery
  banner, starttls
                  null or code, lines
  hello, tls_hello
                  null or command, name, lines, auth (mechanisms, a text for
                  each line), size
  policy          null or level, configured, source (parameter,
                  tls_policy_maps, tls_per_site), key, entry, wanted,
                  dane {applies, why_not, lookups [{name, result (signed,
                  unsigned, absent, failed), records, error}]} or null,
                  mta_sts {domain, mode, names_host} or null
  tls             null or established, error, version, cipher, bits,
                  key_exchange, signature, trust (Verified, Trusted,
                  Untrusted, Anonymous), matched, matched_by {by (name, tlsa,
                  certificate-fingerprint, key-fingerprint), name, tlsa} or
                  null, problem, showed_certificate, chain [{subject, issuer,
                  names, not_before, not_after, key, sha256, key_sha256}]
New fields may come; these stay.";

const SINK_EXAMPLES: &str = "\
A fault is EVENT[#N][ TEXT]=ANSWER:
  EVENT   CONNECT, EHLO, HELO, LHLO, MAIL, RCPT, DATA, RSET, QUIT, any other
          verb, or . (a single dot) for the end of the message text
  #N      only the N-th such event of a connection
  TEXT    only if the command line holds this text, in any case
  ANSWER  the reply to give (\\n separates the lines of a long one), or one of
          close, reset (end the connection), silent (never answer again)
Of several faults that fit, the first one counts.

Examples:
  outpost sink --maildir /tmp/got
  outpost sink --listen 127.0.0.1:2525 --fault 'RCPT bob@=450 4.2.0 try later'
  outpost sink --fault 'CONNECT=554 no service here' --fault '.#2=close'
  outpost deliver --nexthop '[127.0.0.1]:2525' \\
      --from a@example.org --to b@example.com hello.eml";

const DEMO_EXAMPLES: &str = "\
Examples:
  outpost demo
  outpost demo --runtime blocking message.eml";

/// Deliver mail as Postfix's SMTP and LMTP client does: same dialogue, same
/// parameters, same verdict for each recipient.
///
/// The environment variable RUST_LOG sets what is traced on standard error: a level for
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

/// How much is traced on standard error.
#[derive(Debug, Args)]
pub(crate) struct VerbosityArgs {
    /// Show the dialogue with servers on standard error, without passwords and message
    /// texts; given twice, also questions to name servers and the like, and what the
    /// libraries below have to say.
    #[arg(short = 'v', long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Deliver(DeliverArgs),
    Config(ConfigArgs),
    Probe(ProbeArgs),
    Sink(SinkArgs),
    Demo(DemoArgs),
}

/// Which parameters apply.
#[derive(Clone, Debug, Args)]
pub(crate) struct ParameterArgs {
    /// Read parameters from this main.cf, or from main.cf in this directory.
    ///
    /// Without it every parameter has its default.
    #[arg(long, value_name = "MAIN.CF")]
    pub(crate) config: Option<PathBuf>,

    /// Set a parameter, over what main.cf says. May be given several times.
    #[arg(short = 'o', value_name = "NAME=VALUE", value_parser = parameter_setting)]
    pub(crate) set: Vec<String>,
}

/// Whether MTA-STS policies count.
#[derive(Clone, Debug, Args)]
pub(crate) struct StsArgs {
    /// Hold servers to the MTA-STS policy of their domain (RFC 8461), where
    /// neither smtp_tls_policy_maps nor DANE says more.
    #[arg(long)]
    pub(crate) mta_sts: bool,

    /// Trust the authorities in this PEM file, besides those of the system, when
    /// an MTA-STS policy is fetched.
    #[arg(long, value_name = "FILE", requires = "mta_sts")]
    pub(crate) mta_sts_ca: Option<PathBuf>,
}

/// What decides on deliveries, and who does the work.
#[derive(Debug, Args)]
pub(crate) struct SurroundingsArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// The runtime that does the work. All give the same result.
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,

    /// Ask this DNS server instead of those in /etc/resolv.conf, at port 53 if none
    /// is named. May be given several times.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    pub(crate) dns: Vec<SocketAddr>,

    #[command(flatten)]
    pub(crate) sts: StsArgs,
}

/// Deliver a message, or the requests of a file, and report on each recipient.
///
/// Without --nexthop a message goes to relayhost if main.cf sets it, else to
/// the domains of its recipients, one after the other or --at-once.
#[derive(Debug, Args)]
#[command(after_help = DELIVER_EXAMPLES)]
#[command(after_long_help = format!("{DELIVER_JSON}\n\n{DELIVER_EXAMPLES}\n{EXIT_STATUS}"))]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,

    /// Validate DNS answers here instead of taking the word of the DNS servers, which
    /// have to pass DNSSEC signatures on. Only with --runtime tokio, in a program that
    /// was built with the feature dnssec.
    #[arg(long)]
    pub(crate) dnssec_validate: bool,

    /// Trust the DNSKEY records in this file instead of the keys of the root zone.
    #[arg(long, value_name = "FILE", requires = "dnssec_validate")]
    pub(crate) trust_anchor: Option<PathBuf>,

    /// How to report: text for people, json or jsonl for programs, log as Postfix logs.
    ///
    /// Each verdict is written as soon as it has fallen; with json, all are at the end.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,

    /// Deliver the requests of this JSON file, one after the other or --at-once.
    ///
    /// The file is {"protocol": "smtp" or "lmtp", "requests": [...]}. A request has nexthop,
    /// sender, recipients (a list of address, original, orcpt, notify), message_base64, and if
    /// need be id, envid, ret, smtputf8, require_tls, encoding, size, client, flags, probe,
    /// connection_cache, age, pause_ms.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["protocol", "nexthop", "from", "to", "message"])]
    pub(crate) request: Option<PathBuf>,

    /// Have so many requests under way at the same time, 1000 at most.
    ///
    /// They begin in their order and share the connections that are kept; a destination gets
    /// as many as transport_destination_concurrency_limit allows. Each domain of --to is a
    /// request. The report as text names the request of each verdict.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) at_once: u16,

    /// The protocol to speak [default: smtp].
    #[arg(long, value_enum)]
    pub(crate) protocol: Option<ProtocolName>,

    /// Where to deliver: a domain, [host]:port, a list of them; for LMTP also
    /// unix:/path and inet:host:port.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) nexthop: Option<String>,

    /// The envelope sender; '' or '<>' is the null sender.
    #[arg(long, value_name = "ADDR", required_unless_present = "request")]
    pub(crate) from: Option<String>,

    /// An envelope recipient. May be given several times.
    #[arg(long, value_name = "ADDR", required_unless_present = "request")]
    pub(crate) to: Vec<String>,

    /// What becomes of a carriage return in the message that ends no line. Servers
    /// refuse such mail, or do not agree on where it ends. Requests of --request
    /// pass theirs.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = StrayCarriageReturn::Replace)]
    #[arg(conflicts_with = "request")]
    pub(crate) stray_cr: StrayCarriageReturn,

    /// The most that the message may have: bytes, or with K, M or G for the powers of
    /// 1024.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "256M",
        conflicts_with = "request"
    )]
    pub(crate) size_limit: SizeLimit,

    /// The message file, or - for standard input. CRLF line ends are taken as
    /// line ends.
    #[arg(value_name = "MESSAGE", default_value = "-")]
    pub(crate) message: PathBuf,
}

/// Show parameters, as postconf(1) does.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES, after_long_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// Show defaults instead of what is set.
    #[arg(short = 'd', conflicts_with = "non_default")]
    pub(crate) defaults: bool,

    /// Show only what main.cf or -o sets.
    #[arg(short = 'n')]
    pub(crate) non_default: bool,

    /// The parameters to show; all of them when none is named.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Show what a delivery would meet: servers, TLS, certificates, and what becomes of
/// mail.
///
/// Makes the decisions that a delivery makes, with the same parameters, but visits every
/// server and sends no mail: it says EHLO, STARTTLS if a delivery would, EHLO again, and
/// QUIT. It does not log in. Each server is shown as soon as it has been visited.
#[derive(Debug, Args)]
#[command(after_help = PROBE_NOTES, after_long_help = format!("{PROBE_JSON}\n\n{PROBE_NOTES}"))]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,

    /// The protocol to speak.
    #[arg(long, value_enum, default_value_t = ProtocolName::Smtp)]
    pub(crate) protocol: ProtocolName,

    /// Visit only servers with this address.
    #[arg(long, value_name = "ADDR")]
    pub(crate) address: Option<IpAddr>,

    /// Print one JSON object at the end; --help names its fields.
    #[arg(long)]
    pub(crate) json: bool,

    /// Where mail would go: a domain, [host]:port, a list of them; for LMTP also
    /// unix:/path and inet:host:port.
    #[arg(value_name = "DESTINATION", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) destination: String,
}

/// Run a small SMTP or LMTP server that takes every message, for trying things
/// out.
///
/// It prints a line for each message and runs until it is interrupted.
#[derive(Debug, Args)]
#[command(after_help = SINK_EXAMPLES, after_long_help = SINK_EXAMPLES)]
pub(crate) struct SinkArgs {
    /// Where to listen; port 0 takes any free port and says which.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:2525")]
    #[arg(value_parser = socket_address)]
    pub(crate) listen: SocketAddr,

    /// Speak LMTP instead of SMTP.
    #[arg(long)]
    pub(crate) lmtp: bool,

    /// Keep the messages in this maildir, which is made if need be.
    #[arg(long, value_name = "DIR")]
    pub(crate) maildir: Option<PathBuf>,

    /// Misbehave: EVENT[#N][ TEXT]=ANSWER, see below. May be given several
    /// times.
    #[arg(long, value_name = "SPEC")]
    pub(crate) fault: Vec<String>,
}

/// Deliver a message to a server inside this program, and show how it went.
///
/// Needs no network beyond the loopback interface, and no configuration. The
/// server refuses one of three recipients, to show that each gets a verdict of
/// its own.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES, after_long_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// The runtime that does the work.
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,

    /// The message to deliver; a short one is built in.
    #[arg(value_name = "MESSAGE")]
    pub(crate) message: Option<PathBuf>,
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

/// What becomes of a carriage return that ends no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrayCarriageReturn {
    /// A blank takes its place, as in Postfix
    Replace,
    /// The message is refused, with exit status 65
    Refuse,
    /// It goes out as it is
    Pass,
}

impl From<StrayCarriageReturn> for StrayCr {
    fn from(how: StrayCarriageReturn) -> Self {
        match how {
            StrayCarriageReturn::Replace => Self::Replace,
            StrayCarriageReturn::Refuse => Self::Refuse,
            StrayCarriageReturn::Pass => Self::Pass,
        }
    }
}

/// The forms of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For programs: one JSON object at the end
    Json,
    /// For programs: a JSON object in a line for each verdict, as it falls
    Jsonl,
    /// The lines that Postfix would log
    Log,
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
