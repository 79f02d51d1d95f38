//! The envelope from the command line.

use std::{io::IsTerminal, path::Path};

use outpost::{Message, address, is_same, message::Intake};
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    policy::Policy,
    request::{Nexthop, Recipient, Request},
};
use smtp_proto::address::ReversePath;

use crate::{
    cli::{DeliverArgs, ProtocolName},
    exit::{Exit, Failure, OrExit},
    hints,
    job::Job,
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
    if let Some(nexthop) = &args.nexthop {
        check_next_hop(policy, protocol, nexthop, "--nexthop")?;
    }
    let client = policy.settings(protocol);
    let relayhost = client.connect.relayhost.as_ref().map(Nexthop::as_str);
    let nexthop = args.nexthop.as_deref().or(relayhost);
    let groups = group(&args.to, nexthop)?;
    for (nexthop, _) in &groups {
        hints::next_hop(policy, protocol, nexthop, args.surroundings.sts.mta_sts);
    }
    let mut intake = Intake::default();
    intake.stray_cr = args.stray_cr.into();
    intake.limit = args.size_limit;
    let message = message(&args.message, intake)?;
    if message.facts().length == 0 {
        complain("warning: the message is empty");
    }

    let mut jobs = Vec::new();
    for (nexthop, recipients) in groups {
        let mut request = Request::new(protocol, nexthop, sender.clone(), recipients);
        let id = format!("M{}", jobs.len() + 1);
        request.id = id.parse().or_exit(Exit::Software)?;
        request.encoding = message.facts().encoding();
        // The line ends have been read already.
        request.stray_cr = StrayCr::Pass;
        // As for mail from sendmail(1): smtputf8_autodetect_classes.
        request.smtputf8 = client.content.smtputf8;
        request.header_utf8 = message.facts().header_utf8;
        request.smtputf8 = request.needs_smtputf8();
        jobs.push(Job::new(request, message.clone()));
    }
    let requests = jobs.iter().map(|job| &job.request);
    settings::complain_without_smtputf8(&args.surroundings.parameters, client, requests)?;
    Ok(jobs)
}

/// A next hop from the command line that makes no sense is no reason to try again later,
/// as one from a queue is.
pub(crate) fn check_next_hop(
    policy: &Policy,
    protocol: Protocol,
    nexthop: &str,
    argument: &str,
) -> Result<(), Failure> {
    let wrong = |error| Failure::new(Exit::Usage, format!("{argument} '{nexthop}': {error}"));
    let known = policy.destinations(protocol, nexthop);
    known.map(|_| ()).map_err(wrong)
}

fn sender(text: &str) -> Result<ReversePath, Failure> {
    if matches!(text.trim(), "" | "<>") {
        return Ok(ReversePath::Null);
    }
    address::parse(text)
        .map(ReversePath::Mailbox)
        .map_err(|error| Failure::new(Exit::Usage, format!("--from '{text}': {error}")))
}

fn message(path: &Path, intake: Intake) -> Result<Message, Failure> {
    if path != Path::new("-") {
        return Message::open_with(path, intake).or_exit(Exit::Data);
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        complain("reading the message from the terminal, up to Ctrl-D");
    }
    Message::read_with(input.lock(), intake)
        .map_err(|error| error.with_origin("from standard input"))
        .or_exit(Exit::Data)
}

/// Recipients by next hop: the one that is given, or else their domain. Next
/// hops and recipients keep the order in which they were named.
fn group(to: &[String], nexthop: Option<&str>) -> Result<Vec<(Nexthop, Vec<Recipient>)>, Failure> {
    let given = nexthop.map(Nexthop::parse).transpose();
    let given = given.or_exit(Exit::Usage)?;
    let mut groups: Vec<(Nexthop, Vec<Recipient>)> = Vec::new();
    for text in to {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Usage, format!("--to '{text}': {why}"))
        };
        let address = address::parse(text).map_err(|error| wrong(&error))?;
        let domain = address.domain().filter(|domain| !domain.is_empty());
        let hop = match (&given, domain) {
            (Some(hop), _) => hop.clone(),
            (None, Some(domain)) => Nexthop::parse(domain).map_err(|error| wrong(&error))?,
            (None, None) => {
                return Err(wrong(&"no domain to deliver to, and no --nexthop is given"));
            }
        };
        if groups
            .iter()
            .flat_map(|(_, members)| members)
            .any(|member| is_same(&member.address, &address))
        {
            complain(format_args!("warning: --to '{text}' is given twice"));
            continue;
        }
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
            .map(|(hop, r)| (hop.into(), names(r)))
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
