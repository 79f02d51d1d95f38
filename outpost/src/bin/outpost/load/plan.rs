//! The plan of a run: the options, checked and read.

use std::{sync::Arc, time::SystemTime};

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    policy::Policy,
    request::{CacheHints, Encoding, Nexthop, Recipient, Request},
};
use smtp_proto::address::{Address, ReversePath};

use super::{
    template::Template,
    text::{Letterhead, Text},
    values::{Between, Size},
};
use crate::{
    cli::{LoadArgs, ParameterArgs, ProtocolName, Runtime, StsArgs, SurroundingsArgs},
    envelope::check_next_hop,
    exit::{Exit, Failure, OrExit},
    settings,
};

/// The rules by which every message of a run is made.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) policy: Arc<Policy>,
    pub(super) protocol: Protocol,
    nexthop: Nexthop,
    from: Sender,
    to: Template,
    recipients: u64,
    size: Between<Size>,
    cache: CacheHints,
    letterhead: Letterhead,
}

/// The envelope sender.
#[derive(Debug)]
enum Sender {
    Null,
    Mailbox(Template),
}

impl Plan {
    /// Reads the options.
    ///
    /// # Errors
    /// The exit status says whose mistake it is: that of the command line, or that of the
    /// configuration.
    pub(super) fn new(args: &LoadArgs) -> Result<Self, Failure> {
        let protocol = match args.protocol {
            ProtocolName::Smtp => Protocol::Smtp,
            ProtocolName::Lmtp => Protocol::Lmtp,
        };
        let nexthop = nexthop(&args.server, protocol)?;
        let policy = policy(args, protocol)?;
        check_next_hop(&policy, protocol, &nexthop, "server")?;
        let host = policy.settings(protocol).identity.host.to_string();
        let own = format!("load@{host}");
        let several = args.recipients > 1;
        let to = template("--to", args.to.as_deref().unwrap_or(&own), several)?;
        let from = match args.from.as_deref().unwrap_or(&own).trim() {
            "" | "<>" => Sender::Null,
            text => Sender::Mailbox(template("--from", text, false)?),
        };
        let keeps = args.per_connection.0 != Some(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let date = Timestamp::try_from(SystemTime::now()).or_exit(Exit::Software)?;
        let date = DateTimePrinter::new().timestamp_to_string(&date);
        Ok(Self {
            policy,
            protocol,
            nexthop: Nexthop::parse(&nexthop).or_exit(Exit::Usage)?,
            from,
            to,
            recipients: args.recipients.into(),
            size: args.size,
            cache: CacheHints {
                load: keeps,
                store: keeps,
            },
            letterhead: Letterhead {
                date: date.or_exit(Exit::Software)?,
                host,
                run: u64::try_from(now.as_nanos()).unwrap_or_default(),
            },
        })
    }

    /// The message with this number.
    ///
    /// # Errors
    /// A template makes no address of the number.
    pub(super) fn message(&self, number: u64) -> Result<(Request, Text), String> {
        let sender = match &self.from {
            Sender::Null => ReversePath::Null,
            Sender::Mailbox(template) => ReversePath::Mailbox(template.address(number, 1)?),
        };
        let recipient = |at| self.to.address(number, at).map(Recipient::new);
        let recipients: Vec<Recipient> = (1..=self.recipients)
            .map(recipient)
            .collect::<Result<_, _>>()?;
        let only = match recipients.as_slice() {
            [only] => Some(only.address.as_str()),
            _ => None,
        };
        let from = sender.address().map_or("", Address::as_str);
        let size = self.size.pick(number);
        let text = self.letterhead.message(number, from, only, size);
        let nexthop = self.nexthop.clone();
        let mut request = Request::new(self.protocol, nexthop, sender, recipients);
        request.encoding = Encoding::SevenBit;
        request.stray_cr = StrayCr::Pass;
        request.size = Some(text.wire);
        request.cache = self.cache;
        Ok((request, text))
    }
}

fn template(argument: &str, text: &str, several: bool) -> Result<Template, Failure> {
    let wrong = |why| Failure::new(Exit::Usage, format!("{argument} '{text}': {why}"));
    Template::new(text, several).map_err(wrong)
}

/// The server as a next hop: a host, of which no mail exchangers are looked up.
fn nexthop(server: &str, protocol: Protocol) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::new(Exit::Usage, format!("server '{server}': {why}"));
    if server.starts_with("unix:") {
        return match protocol {
            Protocol::Lmtp => Ok(server.to_owned()),
            _ => Err(wrong("a socket needs --protocol lmtp")),
        };
    }
    let server = server.strip_prefix("inet:").unwrap_or(server);
    if server.contains([',', ' ', '\t']) {
        return Err(wrong("expected one server"));
    }
    if server.starts_with('[') {
        return Ok(server.to_owned());
    }
    match server.split_once(':') {
        None => Ok(format!("[{server}]")),
        Some((_, port)) if port.contains(':') => {
            Err(wrong("an IPv6 address needs brackets: [ADDRESS]:PORT"))
        }
        Some((host, port)) if host.is_empty() || port.is_empty() => {
            Err(wrong("expected HOST:PORT"))
        }
        Some((host, port)) => Ok(format!("[{host}]:{port}")),
    }
}

/// The policy with what a run needs besides the parameters that were given.
fn policy(args: &LoadArgs, protocol: Protocol) -> Result<Arc<Policy>, Failure> {
    let given = settings::main_cf(&args.parameters)?;
    let own = |name: &str| format!("{}_{name}", protocol.as_str());
    let is_set = |name: &str| given.written(&own(name)).is_some();
    let mut set = vec![
        "connection_cache_ttl_limit=1h".to_owned(),
        format!("{}=1h", own("connection_cache_time_limit")),
        format!("{}=1h", own("connection_reuse_time_limit")),
    ];
    if !is_set("host_lookup") && !is_set("dns_support_level") {
        set.push(format!("{}=native", own("host_lookup")));
    }
    set.extend(args.parameters.set.iter().cloned());
    let uses = args.per_connection.0.map_or(0, |most| most - 1);
    set.extend([
        format!("{}=0", own("destination_concurrency_limit")),
        format!("{}={uses}", own("connection_reuse_count_limit")),
    ]);
    settings::policy(&SurroundingsArgs {
        parameters: ParameterArgs {
            config: args.parameters.config.clone(),
            set,
        },
        runtime: Runtime::Tokio,
        dns: args.dns.clone(),
        sts: StsArgs {
            mta_sts: false,
            mta_sts_ca: None,
        },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_without_mail_exchangers() {
        for (server, hop) in [
            ("mx.example", "[mx.example]"),
            ("mx.example:2525", "[mx.example]:2525"),
            ("127.0.0.1:2525", "[127.0.0.1]:2525"),
            ("[::1]:2525", "[::1]:2525"),
            ("inet:mx.example:25", "[mx.example]:25"),
        ] {
            assert_eq!(nexthop(server, Protocol::Smtp).unwrap(), hop);
        }
        for server in ["a:1:2", "::1", ":25", "a:", "a, b", "unix:/x"] {
            let failure = nexthop(server, Protocol::Smtp).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{server}");
        }
        assert_eq!(nexthop("unix:/x", Protocol::Lmtp).unwrap(), "unix:/x");
    }
}
