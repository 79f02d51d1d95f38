//! The envelope from the command line.

use std::{io::IsTerminal, path::Path};

use smtp_policy::{
    config::Protocol,
    policy::Policy,
    request::{Recipient, Request},
};
use smtp_proto::address::{Address, ReversePath};

use crate::{
    cli::{DeliverArgs, ProtocolName},
    exit::{Exit, Failure, OrExit},
    job::{Job, encoding_of},
    message::Message,
    output::complain,
    settings,
};

/// The requests that the command line asks for: one for each next hop.
pub(crate) fn jobs(args: &DeliverArgs, policy: &Policy) -> Result<Vec<Job>, Failure> {
    let protocol = match args.protocol {
        None | Some(ProtocolName::Smtp) => Protocol::Smtp,
        Some(ProtocolName::Lmtp) => Protocol::Lmtp,
    };
    let sender = sender(args.from.as_deref().unwrap_or_default())?;
    let config = policy.config(protocol);
    let relayhost = Some(config.connect.relayhost.as_str()).filter(|relay| !relay.is_empty());
    let nexthop = args.nexthop.as_deref().or(relayhost);
    let groups = group(&args.to, nexthop)?;
    let message = message(&args.message)?;

    let mut jobs = Vec::new();
    for (nexthop, recipients) in groups {
        let mut request = Request::new(protocol, nexthop, sender.clone(), recipients);
        request.id = format!("M{}", jobs.len() + 1);
        request.encoding = encoding_of(message.facts);
        // As for mail from sendmail(1): smtputf8_autodetect_classes.
        request.smtputf8 = *config.general.smtputf8_enable;
        request.header_utf8 = message.facts.header_utf8;
        request.smtputf8 = request.needs_smtputf8();
        jobs.push(Job::new(request, message.clone()));
    }
    let requests = jobs.iter().map(|job| &job.request);
    settings::complain_without_smtputf8(&args.surroundings.parameters, config, requests);
    Ok(jobs)
}

fn sender(text: &str) -> Result<ReversePath, Failure> {
    let inner = if text == "<>" { "" } else { text };
    ReversePath::parse(inner)
        .map_err(|error| Failure::new(Exit::Usage, format!("--from '{text}': {error}")))
}

fn message(path: &Path) -> Result<Message, Failure> {
    if path != Path::new("-") {
        return Message::open(path).or_exit(Exit::Data);
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        complain("reading the message from the terminal, up to Ctrl-D");
    }
    Message::spool(input.lock()).map_err(|error| {
        Failure::new(
            Exit::Data,
            format!("cannot read the message from standard input: {error}"),
        )
    })
}

/// Recipients by next hop: the one that is given, or else their domain. Next
/// hops and recipients keep the order in which they were named.
fn group(to: &[String], nexthop: Option<&str>) -> Result<Vec<(String, Vec<Recipient>)>, Failure> {
    let mut groups: Vec<(String, Vec<Recipient>)> = Vec::new();
    for text in to {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("--to '{text}': {why}"))
        };
        let address = Address::parse(text).map_err(|error| wrong(&error))?;
        let domain = address.domain().filter(|domain| !domain.is_empty());
        let hop = match nexthop.or(domain) {
            Some(hop) => hop.to_owned(),
            None => return Err(wrong(&"no domain to deliver to, and no --nexthop is given")),
        };
        let recipient = Recipient::new(address);
        match groups
            .iter_mut()
            .find(|(name, _)| name.eq_ignore_ascii_case(&hop))
        {
            Some((_, members)) => members.push(recipient),
            None => groups.push((hop, vec![recipient])),
        }
    }
    Ok(groups)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn grouped(to: &[&str], nexthop: Option<&str>) -> Vec<(String, Vec<String>)> {
        let to: Vec<String> = to.iter().map(|text| (*text).to_owned()).collect();
        let names = |recipients: Vec<Recipient>| {
            recipients
                .iter()
                .map(|r| r.address.as_str().to_owned())
                .collect()
        };
        group(&to, nexthop)
            .unwrap()
            .into_iter()
            .map(|(hop, r)| (hop, names(r)))
            .collect()
    }

    #[test]
    fn recipients_are_grouped_by_domain_in_the_order_given() {
        let groups = grouped(&["a@one.example", "b@two.example", "c@ONE.example"], None);
        assert_eq!(
            groups,
            [
                (
                    "one.example".to_owned(),
                    vec!["a@one.example".to_owned(), "c@ONE.example".to_owned()]
                ),
                ("two.example".to_owned(), vec!["b@two.example".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_next_hop_takes_all_recipients() {
        let groups = grouped(&["a@one.example", "joe"], Some("[relay.example]"));
        assert_eq!(
            groups,
            [(
                "[relay.example]".to_owned(),
                vec!["a@one.example".to_owned(), "joe".to_owned()]
            )]
        );
    }

    #[test]
    fn a_recipient_without_a_domain_needs_a_next_hop() {
        let failure = group(&["joe".to_owned()], None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains("--to 'joe': no domain"));
    }
}
