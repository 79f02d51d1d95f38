//! The command line of `outpost load`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::net::SocketAddr;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{ParameterArgs, ProtocolName, dns_server};
use crate::load::values::{Between, Most, Rate, Size, Span};

const EXAMPLES: &str = "\
Examples:
  20000 messages of 4 KiB in 64 sessions, each on a connection of its own:
    outpost load --sessions 64 --messages 20000 127.0.0.1:2525
  The same on 64 connections that stay open:
    outpost load --sessions 64 --messages 20000 --per-connection unlimited \\
        127.0.0.1:2525
  200 messages per second for a minute, with TLS:
    outpost load --sessions 100 --rate 200/s --duration 1m \\
        -o smtp_tls_security_level=encrypt mail.example.com:25
  Each message to 10 recipients, with random sizes:
    outpost load --messages 1000 --recipients 10 --size 1KiB..64KiB \\
        --to 'user{r}@example.com' mail.example.com
  A mailbox server, by LMTP:
    outpost load --messages 1000 --protocol lmtp --to joe@example.com \\
        unix:/run/dovecot/lmtp
";

const NOTES: &str = "\
Latencies:
  connect   from the first step of a delivery to the open connection; the
            look-up of SERVER is part of it, where that is a name
  TLS       from STARTTLS (with smtp_tls_wrappermode, from the connection) to
            the end of the handshake
  message   from MAIL to the reply to the final dot, of messages that were
            accepted for at least one recipient
  response  with --rate: the same messages, from the moment when each was due.
            A server that is too slow shows here, since delay counts in full.
            The clock has steps of a millisecond.

Parameters such as those of TLS and of the login are set by -o or --config, as
for outpost deliver. Two have other defaults here: kept connections live for an
hour, and smtp_host_lookup is native, so that names in /etc/hosts are found,
unless it or smtp_dns_support_level is set. A message goes out in one
transaction, however many recipients it has, and the only limit on sessions is
--sessions.

The first Ctrl-C begins no new message, lets those under way end, and prints the
summary. The second prints what there is on standard error and ends at once.

Exit status (sysexits.h):
   0  every recipient was accepted
  64  the command line is wrong
  69  a recipient was refused, and none was deferred
  71  the operating system refused something
  74  the summary could not be written to standard output
  75  a recipient was deferred, or no message was sent
  78  the configuration is wrong
 130  ended by a second Ctrl-C";

const JSON: &str = "\
With --json: one object. Times are seconds.
  server, protocol, sessions, per_connection (null: unlimited), rate (messages
  per second, or null), interrupted, gave_up, seconds, messages_per_second,
  bytes (of accepted messages)
  messages     begun, accepted (for all recipients), partly (for some),
               failed, late (due and not begun)
  recipients   sent, deferred, bounced, uncertain (deferred or bounced, but the
               server may have taken the message)
  connections  made, failed, encrypted
  failures     [{text, count}], the first five that differ; other_failures: how
               many more
  latency      connect, tls, message, response: null or count, min, mean, p50,
               p90, p99, p99_9, max
  histogram    [{from, to, count}] of response, or else of message
New fields may be added; these stay.";

/// Send generated messages to one server, many at once, and measure how it copes.
///
/// Does the job of smtp-source(1). All sessions run on one thread, so that the server is
/// what is measured. Never aim it at a server that is not yours.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(after_long_help = format!("{NOTES}\n\n{JSON}\n\n{EXAMPLES}"))]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,

    /// Ask this DNS server instead of those in /etc/resolv.conf; the port is 53 unless
    /// given. May be given several times.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    pub(crate) dns: Vec<SocketAddr>,

    /// The protocol to speak.
    #[arg(long, value_enum, default_value_t = ProtocolName::Smtp)]
    pub(crate) protocol: ProtocolName,

    /// Number of messages to send at the same time, 10000 at most. Each takes a file
    /// descriptor (ulimit -n).
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) sessions: u16,

    /// Number of messages to send [default: 1, or no limit with --duration].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,

    /// Time after which no message begins: 30s, 5m, 1h.
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<Span>,

    /// Number of messages to send over a connection before it ends; unlimited (or 0) keeps
    /// connections open.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) per_connection: Most,

    /// Size of each message, with its header and with CRLF at the ends of lines, or a range
    /// from which sizes are drawn at random, the same ones in each run.
    #[arg(long, value_name = "SIZE[..SIZE]", default_value = "4KiB")]
    pub(crate) size: Between<Size>,

    /// Number of recipients of each message, 10000 at most.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) recipients: u16,

    /// Steady rate over all sessions: 100/s, 90/m. Messages are due at fixed moments, and
    /// the time that one waits for a session counts (see response in --help).
    #[arg(long, value_name = "N/s")]
    pub(crate) rate: Option<Rate>,

    /// Pause of each session before its next message, or a range from which pauses are drawn
    /// at random: 1s, 0..500ms.
    #[arg(long, value_name = "TIME[..TIME]", conflicts_with = "rate")]
    pub(crate) wait: Option<Between<Span>>,

    /// The envelope sender; '' or '<>' is the null sender. {m} is the number of the
    /// message [default: load@ and the name of this machine].
    #[arg(long, value_name = "ADDR")]
    pub(crate) from: Option<String>,

    /// The envelope recipient. {m} is the number of the message, {r} that of the recipient
    /// in it. Without {r}, the number of each of several recipients goes before the @
    /// [default: load@ and the name of this machine].
    #[arg(long, value_name = "ADDR", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) to: Option<String>,

    /// Number of failed messages in a row that ends the run; unlimited (or 0) goes on.
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) give_up: Most,

    /// Print the summary as one JSON object; --help names its fields, 'outpost schema load'
    /// describes them.
    #[arg(long)]
    pub(crate) json: bool,

    /// The server: HOST, HOST:PORT, [ADDRESS]:PORT; with --protocol lmtp also
    /// unix:/PATH. No mail exchangers are looked up.
    #[arg(value_name = "SERVER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) server: String,
}
