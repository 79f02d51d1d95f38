//! The envelope of each message: from the command line, or from the header of the message.

use std::{collections::BTreeSet, fmt, sync::Arc};

use outpost::{Message, address};
use smtp_policy::{
    Protocol,
    line_ends::StrayCr,
    policy::Policy,
    request::{Nexthop, QueueId, Recipient, Request},
};
use smtp_proto::address::{Address, ReversePath};

use crate::{
    cli::{DeliverArgs, ProtocolName},
    exit::{Exit, Failure, OrExit},
    header::{self, Header, addresses, field::Field},
    hints,
    job::{Job, Origin},
    output::complain,
};

/// A next hop with those who are reached by it.
type Group = (Nexthop, Vec<Recipient>);

/// The settings of the command line for the envelopes and for the header.
#[derive(Debug)]
pub(crate) struct Envelope {
    protocol: Protocol,
    nexthop: Option<Nexthop>,
    /// The sender; `None` where each message has its own.
    sender: Option<ReversePath>,
    recipients: Vec<Address>,
    /// The recipients by next hop, where those of the message do not come in addition.
    groups: Option<Vec<Group>>,
    replace: Vec<Field>,
    add: Vec<Field>,
    smtputf8: bool,
}

impl Envelope {
    /// Understands the command line.
    ///
    /// # Errors
    /// An address or a next hop makes no sense.
    pub(crate) fn new(args: &DeliverArgs, policy: &Policy) -> Result<Self, Failure> {
        let protocol = match args.protocol {
            None | Some(ProtocolName::Smtp) => Protocol::Smtp,
            Some(ProtocolName::Lmtp) => Protocol::Lmtp,
        };
        let sender = match args.header.from_header {
            true => None,
            false => Some(sender(args.from.as_deref().unwrap_or_default())?),
        };
        if let Some(nexthop) = &args.nexthop {
            check_next_hop(policy, protocol, nexthop, "--nexthop")?;
        }
        let client = policy.settings(protocol);
        let relayhost = client.connect.relayhost.as_ref().map(Nexthop::as_str);
        let nexthop = args.nexthop.as_deref().or(relayhost);
        let nexthop = nexthop.map(Nexthop::parse).transpose();
        let nexthop = nexthop.or_exit(Exit::Usage)?;
        let recipients = recipients(&args.to)?;
        let groups = group(&recipients, nexthop.as_ref())
            .map_err(|why| Failure::new(Exit::Usage, format!("--to {why}")))?;
        for (nexthop, _) in &groups {
            hints::next_hop(policy, protocol, nexthop, args.surroundings.sts.mta_sts);
        }
        Ok(Self {
            protocol,
            nexthop,
            sender,
            recipients,
            groups: (!args.header.to_header).then_some(groups),
            replace: args.header.header.clone(),
            add: args.header.add_header.clone(),
            smtputf8: client.content.smtputf8,
        })
    }

    /// The protocol to speak.
    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The requests for one message, one for each next hop; their ids count from `number` on.
    ///
    /// # Errors
    /// The header does not say what it should.
    pub(crate) fn jobs(
        &self,
        message: Message,
        number: usize,
        origin: Option<&Arc<Origin>>,
    ) -> anyhow::Result<Vec<Job>> {
        let (message, sender, groups) = self.addressed(message)?;
        let mut jobs = Vec::with_capacity(groups.len());
        for (nexthop, recipients) in groups {
            let mut request = Request::new(self.protocol, nexthop, sender.clone(), recipients);
            request.id = id(number + jobs.len())?;
            request.encoding = message.facts().encoding();
            // The line ends have been read already.
            request.stray_cr = StrayCr::Pass;
            // As for mail from sendmail(1): smtputf8_autodetect_classes.
            request.smtputf8 = self.smtputf8;
            request.header_utf8 = message.facts().header_utf8;
            request.smtputf8 = request.needs_smtputf8();
            jobs.push(Job {
                origin: origin.cloned(),
                ..Job::new(request, message.clone())
            });
        }
        Ok(jobs)
    }

    /// The message as it goes out, its sender, and its recipients.
    fn addressed(&self, message: Message) -> anyhow::Result<(Message, ReversePath, Vec<Group>)> {
        if let (Some(sender), Some(groups), []) =
            (&self.sender, &self.groups, self.edits().as_slice())
        {
            return Ok((message, sender.clone(), groups.clone()));
        }
        let old = Header::read(&mut message.text())?;
        let mut new = old.clone();
        let sender = match &self.sender {
            Some(sender) => sender.clone(),
            None => {
                let sender = addresses::sender(&old).map_err(anyhow::Error::msg)?;
                addresses::remove_return_path(&mut new);
                sender
            }
        };
        let groups = match &self.groups {
            Some(groups) => groups.clone(),
            None => {
                let found = addresses::recipients(&old).map_err(anyhow::Error::msg)?;
                addresses::remove_private(&mut new);
                self.groups_with(found)?
            }
        };
        new.replace(&self.replace);
        new.add(&self.add);
        let message = header::exchange(message, &old, &new)?;
        Ok((message, sender, groups))
    }

    /// The fields that the command line brings.
    fn edits(&self) -> Vec<&Field> {
        self.replace.iter().chain(&self.add).collect()
    }

    /// The recipients of the command line and these.
    fn groups_with(&self, found: Vec<Address>) -> anyhow::Result<Vec<Group>> {
        let all = self.recipients.iter().cloned().chain(found);
        let mut known = BTreeSet::new();
        let all: Vec<Address> = all.filter(|one| known.insert(folded(one))).collect();
        if all.is_empty() {
            anyhow::bail!("there is no recipient in To, Cc and Bcc");
        }
        group(&all, self.nexthop.as_ref()).map_err(anyhow::Error::msg)
    }
}

fn id(number: usize) -> anyhow::Result<QueueId> {
    Ok(format!("M{number}").parse()?)
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

/// The recipients of the command line, each once.
fn recipients(to: &[String]) -> Result<Vec<Address>, Failure> {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for text in to {
        let wrong =
            |why: &dyn fmt::Display| Failure::new(Exit::Usage, format!("--to '{text}': {why}"));
        let address = address::parse(text).map_err(|error| wrong(&error))?;
        if known.insert(folded(&address)) {
            all.push(address);
        } else {
            complain(format_args!("warning: --to '{text}' is given twice"));
        }
    }
    Ok(all)
}

/// Recipients by next hop: the one that is given, or else their domain. Next
/// hops and recipients keep the order in which they were named.
fn group(to: &[Address], nexthop: Option<&Nexthop>) -> Result<Vec<Group>, String> {
    let mut groups: Vec<Group> = Vec::new();
    for address in to {
        let wrong = |why: &dyn fmt::Display| format!("'{}': {why}", address.as_str());
        let domain = address.domain().filter(|domain| !domain.is_empty());
        let hop = match (nexthop, domain) {
            (Some(hop), _) => hop.clone(),
            (None, Some(domain)) => Nexthop::parse(domain).map_err(|error| wrong(&error))?,
            (None, None) => {
                return Err(wrong(&"no domain to deliver to, and no --nexthop is given"));
            }
        };
        let recipient = Recipient::new(address.clone());
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

/// Returns a key that addresses share if they are surely the same: case means nothing in domains, but
/// may in local parts.
fn folded(address: &Address) -> (String, Option<String>) {
    (
        address.local_part().to_owned(),
        address.domain().map(str::to_lowercase),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn grouped(to: &[&str], nexthop: Option<&str>) -> Vec<(String, Vec<String>)> {
        let to: Vec<Address> = to
            .iter()
            .map(|text| address::parse(text).unwrap())
            .collect();
        let nexthop = nexthop.map(|nexthop| Nexthop::parse(nexthop).unwrap());
        let names = |recipients: Vec<Recipient>| {
            recipients
                .iter()
                .map(|r| r.address.as_str().to_owned())
                .collect()
        };
        group(&to, nexthop.as_ref())
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
        let why = group(&[address::parse("joe").unwrap()], None).unwrap_err();
        assert!(why.starts_with("'joe': no domain"), "{why}");
    }
}
