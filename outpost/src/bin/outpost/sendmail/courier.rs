//! A message on its way: from an envelope and a text to a verdict for each recipient.

use std::collections::BTreeMap;

use outpost::{Address, Envelope, Message, Outcome, Recipient, Report, Status, address, is_same};

use crate::{
    account::{Account, Accounts, Teller, Way},
    exit::{Exit, Failure},
    interrupt::Interrupt,
    output::complain,
};

/// The most aliases of aliases.
const DEPTH: u32 = 10;

/// Sends a message to all its recipients; the first signal ends that politely. A queue takes it as a whole, or not at all.
///
/// # Errors
/// The queue does not take it.
pub(super) fn send(
    way: &Way,
    envelope: Envelope,
    message: Message,
    interrupt: &Interrupt,
) -> Result<Report, Failure> {
    match way {
        Way::Mailer(mailer) => {
            let canceller = mailer.clone();
            interrupt.on_first(Box::new(move || canceller.cancel()));
            Ok(mailer.send_watched(envelope, message, Teller))
        }
        Way::Queue(queue) => queue.submit(envelope, &message),
    }
}

/// Gives every recipient a domain: by the aliases of the file, or that of the account. One that is
/// named twice is there once.
///
/// # Errors
/// A name has no domain, and nobody knows which ([`Exit::NoUser`]).
pub(super) fn with_domains(
    recipients: Vec<Recipient>,
    accounts: &Accounts,
    account: &Account,
) -> Result<Vec<Recipient>, Failure> {
    let mut found: Vec<Recipient> = Vec::new();
    for recipient in recipients {
        let mut addresses = Vec::new();
        expand(&recipient.address, accounts, account, 0, &mut addresses)?;
        for address in addresses {
            if !found.iter().any(|known| is_same(&known.address, &address)) {
                let mut one = recipient.clone();
                one.address = address;
                found.push(one);
            }
        }
    }
    Ok(found)
}

fn expand(
    address: &Address,
    accounts: &Accounts,
    account: &Account,
    depth: u32,
    found: &mut Vec<Address>,
) -> Result<(), Failure> {
    if address.domain().is_some_and(|domain| !domain.is_empty()) {
        found.push(address.clone());
        return Ok(());
    }
    let wrong = |why: String| Failure::new(Exit::NoUser, format!("recipient '{address}': {why}"));
    let aliases = &accounts.aliases;
    let named = aliases.get(&address.as_str().to_lowercase());
    let rest = || aliases.get("*").filter(|_| account.domain.is_none());
    let Some(targets) = named.or_else(rest) else {
        let Some(domain) = &account.domain else {
            let file = &accounts.file;
            return Err(wrong(format!(
                "it has no domain: {file} can have an alias for it, or the account '{}' a domain",
                account.name
            )));
        };
        let whole = Address::parse(&format!("{address}@{domain}"));
        found.push(whole.map_err(|why| wrong(why.to_string()))?);
        return Ok(());
    };
    if depth >= DEPTH {
        return Err(wrong(format!(
            "the aliases of {} go round in circles",
            accounts.file
        )));
    }
    for target in targets {
        let target = address::parse(target).map_err(|why| wrong(why.to_string()))?;
        expand(&target, accounts, account, depth + 1, found)?;
    }
    Ok(())
}

/// The exit status for a report. What can be tried again wins; recipients that nobody knows have a
/// status of their own, and so have messages that a server does not take for what they are.
pub(super) fn exit_of(report: &Report) -> Exit {
    let outcomes = || report.recipients.iter().map(|(_, outcome)| outcome);
    let bounced = || outcomes().filter(|outcome| outcome.status == Status::Bounced);
    if outcomes().any(|outcome| outcome.status == Status::Deferred) {
        Exit::Deferred
    } else if bounced().next().is_none() {
        Exit::Ok
    } else if bounced().all(is_unknown_user) {
        Exit::NoUser
    } else if bounced().all(is_about_the_message) {
        Exit::Data
    } else {
        Exit::Bounced
    }
}

/// `X.1.1`, `X.1.10` (RFC 3463 section 3.2, RFC 7505), and a mailbox that has moved.
fn is_unknown_user(outcome: &Outcome) -> bool {
    matches!(
        (outcome.code.subject(), outcome.code.detail()),
        (1, 1 | 6 | 10)
    )
}

/// `X.6.x`, and too large for the mailbox or the system.
fn is_about_the_message(outcome: &Outcome) -> bool {
    matches!(
        (outcome.code.subject(), outcome.code.detail()),
        (6, _) | (2, 3) | (3, 4)
    )
}

/// Tells what became of recipients: failures always, the others where `all` are wanted, or where not all
/// were sent.
pub(super) fn tell(report: &Report, all: bool) {
    let mut sent = BTreeMap::new();
    for (recipient, outcome) in &report.recipients {
        let line = line(recipient, outcome);
        match outcome.status {
            Status::Sent => drop(sent.insert(recipient.address.as_str(), line)),
            Status::Deferred | Status::Bounced => complain(line),
        }
    }
    if all || sent.len() < report.recipients.len() {
        sent.values().for_each(complain);
    }
}

/// A verdict in one line.
pub(super) fn line(recipient: &Recipient, outcome: &Outcome) -> String {
    let doubt = match outcome.uncertain && outcome.status != Status::Sent {
        true => "; a copy may have been delivered",
        false => "",
    };
    format!(
        "<{}>: {} ({}): {}{doubt}",
        recipient.address, outcome.status, outcome.code, outcome.text
    )
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
