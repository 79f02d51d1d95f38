//! The command line of `outpost probe`.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "doc comments here are help texts, where brackets are brackets"
)]

use std::net::IpAddr;

use clap::{Args, builder::NonEmptyStringValueParser};

use super::{ProtocolName, SurroundingsArgs};

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
