//! The command line of `outpost deliver`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::NonEmptyStringValueParser};
use smtp_policy::line_ends::StrayCr;

use super::{
    EXIT_STATUS, EventArgs, ProtocolName, SurroundingsArgs, content::HeaderArgs, many::ManyArgs,
};
use outpost::SizeLimit;

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
  All messages of a directory, 20 at once; to resume, run the same command:
    outpost deliver --from me@example.org --to you@example.com \\
        --jobs 20 --journal sent.journal messages/
  An mbox, each message to the recipients in its header:
    outpost deliver --from-header --to-header archive.mbox
  A generated test message, with the dialogue on the terminal:
    outpost deliver -v --test --header 'Subject: hello' \\
        --from me@example.org --to you@example.com
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
With --report jsonl: a line for each verdict, as soon as it is known, and one at
the end of each request. Requests are counted from 1.
  verdict       event (\"verdict\"), request, id, recipient, and the fields of
                recipients[]
  end           event (\"request\"), request, id or error, and how many recipients
                were sent, deferred, bounced
Where messages come from several sources, both have source, too. A summary is on
standard error then, and the report as text has a line for each recipient.
New fields may be added; these stay. 'outpost schema report' and 'outpost schema
report-line' have them as JSON Schemas.

If the report cannot be written, it continues on standard error, a line for each
verdict, and no new delivery begins. A second Ctrl-C writes there, in every form
of the report, which recipients are settled, in doubt (the message was sent and
not answered), not delivered, or not begun.";

/// Deliver messages, or the requests of a file, and report on each recipient.
///
/// Without --nexthop a message goes to relayhost if main.cf sets it, else to
/// the domains of its recipients, one after the other, or several at once with --jobs.
#[derive(Debug, Args)]
#[command(after_help = DELIVER_EXAMPLES)]
#[command(after_long_help = format!("{DELIVER_JSON}\n\n{DELIVER_EXAMPLES}\n{EXIT_STATUS}"))]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) surroundings: SurroundingsArgs,

    /// Validate DNS answers in this program instead of trusting the DNS servers, which
    /// have to pass DNSSEC signatures on. Only with --runtime tokio, in a program that
    /// was built with the feature dnssec.
    #[arg(long)]
    pub(crate) dnssec_validate: bool,

    /// Trust the DNSKEY records in this file instead of the keys of the root zone.
    #[arg(long, value_name = "FILE", requires = "dnssec_validate")]
    pub(crate) trust_anchor: Option<PathBuf>,

    /// Report format: text for people, json or jsonl for programs, log as Postfix logs.
    ///
    /// Each verdict is written as soon as it is known; with json, all are at the end.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,

    #[command(flatten)]
    pub(crate) events: EventArgs,

    /// Deliver the requests of this JSON file, one after the other, or several at once with --jobs.
    ///
    /// The file is {"protocol": "smtp" or "lmtp", "requests": [...]}. A request has nexthop,
    /// sender, recipients (a list of address, original, orcpt, notify), message_base64, and
    /// optionally id, envid, ret, smtputf8, require_tls, encoding, size, client, flags, probe,
    /// connection_cache, age, pause_ms.
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["protocol", "nexthop", "from", "to", "source"])]
    pub(crate) request: Option<PathBuf>,

    /// The protocol to speak [default: smtp].
    #[arg(long, value_enum)]
    pub(crate) protocol: Option<ProtocolName>,

    /// Next hop of the mail: a domain, [host]:port, or a list of them; for LMTP also
    /// unix:/path and inet:host:port.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) nexthop: Option<String>,

    /// The envelope sender; '' or '<>' is the null sender.
    #[arg(long, value_name = "ADDR")]
    #[arg(required_unless_present_any = ["request", "from_header"])]
    pub(crate) from: Option<String>,

    /// An envelope recipient. May be given several times.
    #[arg(long, value_name = "ADDR")]
    #[arg(required_unless_present_any = ["request", "to_header"])]
    pub(crate) to: Vec<String>,

    /// Treatment of a carriage return in the message that does not end a line. Servers
    /// refuse such mail, or do not agree on where it ends. Requests of --request are
    /// sent as they are.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = StrayCarriageReturn::Replace)]
    #[arg(conflicts_with = "request")]
    pub(crate) stray_cr: StrayCarriageReturn,

    /// Largest size of a message: bytes, or with K, M or G for powers of 1024.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "256M",
        conflicts_with = "request"
    )]
    pub(crate) size_limit: SizeLimit,

    #[command(flatten)]
    pub(crate) header: HeaderArgs,

    #[command(flatten)]
    pub(crate) many: ManyArgs,

    /// The message file, or - for standard input; or any number of message files,
    /// directories of them, Maildirs and mboxes. Lines end in LF or CRLF.
    #[arg(value_name = "SOURCE", default_value = "-")]
    pub(crate) source: Vec<PathBuf>,
}

/// Treatments of a carriage return that does not end a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StrayCarriageReturn {
    /// Put a space in its place, as Postfix does
    Replace,
    /// Refuse the message, with exit status 65
    Refuse,
    /// Send it as it is
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
    /// For programs: a line of JSON for each verdict, as soon as it is known
    Jsonl,
    /// The lines that Postfix would log
    Log,
}
