//! The command line of `outpost probe`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{ProtocolName, SurroundingsArgs};
use crate::probe::{Days, Limits, Seconds};

const PROBE_NOTES: &str = "\
Exit status:
   0  all servers can be used
  64  the command line is wrong
  65  the list of --from-file cannot be read
  69  there is no server, or none can be used, and mail would be returned
  74  the findings could not be written to standard output
  75  only some servers can be used, or mail would be deferred
  78  the configuration is wrong
Of several destinations the worst counts: 69, then 75, then 0.

With --nagios:
   0  OK        all servers can be used, within all limits
   1  WARNING   some servers cannot be used, or a WARN limit is exceeded
   2  CRITICAL  no server can be used, or a CRIT limit is exceeded, or there is
                no certificate where --certificate-days asks for one
   3  UNKNOWN   wrong command line or configuration, or interrupted
A server without TLS is OK unless TLS is demanded, as for mail: by
-o smtp_tls_security_level=encrypt, or =secure, which demands a certificate that
fits. Performance data: time (seconds of the slowest look-up or server),
certificate_days (of the certificate that expires first), servers, usable; with
several destinations the name of each comes first.

Examples:
  outpost probe example.com
  outpost probe -o smtp_tls_security_level=dane \\
      -o smtp_dns_support_level=dnssec example.com
  outpost probe --config main.cf '[mail.example.com]:587'
  outpost probe --protocol lmtp unix:/run/dovecot/lmtp
  outpost probe --address 192.0.2.1 --json example.com
  outpost probe --jobs 20 --json --from-file domains.txt
  outpost probe --nagios -o smtp_tls_security_level=encrypt \\
      --certificate-days 14,7 --time 5,10 '[mail.example.com]:587'";

const PROBE_JSON: &str = "\
With --json: one object for one destination; for several, or with --from-file,
an object in a line for each, as they end. It has destination, protocol, verdict
(usable, partly usable, unusable for now, unusable), servers, usable (both
counts), destinations, hosts.
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
New fields may be added; these stay.";

/// Show what a delivery would find: servers, TLS, certificates, and whether mail can
/// be sent.
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

    /// Print one JSON object at the end, or a line of JSON for each of several
    /// destinations; --help names the fields, 'outpost schema probe' describes them.
    #[arg(long, conflicts_with = "nagios")]
    pub(crate) json: bool,

    /// Print one line for a monitoring system, as Nagios and Icinga want it, and end
    /// with its exit status. Several destinations have a line each after the first one.
    #[arg(long)]
    pub(crate) nagios: bool,

    /// Warn when a server's certificate is valid for fewer days than WARN; critical below
    /// CRIT, and without a certificate.
    #[arg(long, value_name = "WARN,CRIT", requires = "nagios")]
    pub(crate) certificate_days: Option<Limits<Days>>,

    /// Warn when the slowest look-up or server took longer than WARN seconds; critical
    /// above CRIT.
    #[arg(long, value_name = "WARN,CRIT", requires = "nagios")]
    pub(crate) time: Option<Limits<Seconds>>,

    /// Read further destinations from this file, or - for standard input: one per line.
    /// Empty lines and those that begin with # are ignored.
    #[arg(long, value_name = "LIST")]
    pub(crate) from_file: Option<PathBuf>,

    /// Number of destinations to visit at the same time, 1000 at most.
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) jobs: u16,

    /// Next hop of the mail: a domain, [host]:port, or a list of them; for LMTP also
    /// unix:/path and inet:host:port. May be given several times.
    #[arg(value_name = "DESTINATION", value_parser = NonEmptyStringValueParser::new())]
    #[arg(required_unless_present = "from_file")]
    pub(crate) destination: Vec<String>,
}
