//! Addresses that get no more mail for a time: they come in when they bounce hard or an operator wants it, and are looked at
//! whenever a worker takes a task. Their recipients bounce without an attempt.
//!
//! That holds for mail of the null sender, too: a mailbox that is not there gets no reports either.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use smtp_policy::report::{Outcome, Status};
use smtp_proto::{Address, EnhancedStatus};

use crate::{
    model::{MessageId, QueuedRecipient, Shared, Task, TaskId, Timestamp},
    report::date,
    rules::{
        Rules,
        schedule::is_null,
        settle::{Settled, settle},
        suppression::is_hard,
    },
    store::{Operation, StoreError, Transaction},
};

use super::conclude::{account, save_messages};

/// The topic of these addresses, among what workers share.
const TOPIC: &str = "suppression";

/// The most characters of a reason that are kept.
const REASON: usize = 500;

/// An address that gets no mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suppressed {
    /// The address, in lower case.
    pub address: String,
    /// The reason.
    pub why: String,
    /// The time at which it came in.
    pub since: Timestamp,
    /// The time at which it gets mail again; [`Timestamp::NEVER`]: when an operator takes it out.
    pub until: Timestamp,
}

impl Suppressed {
    fn of(thing: Shared) -> Self {
        Self {
            address: thing.key,
            why: thing.value,
            since: Timestamp::from_micros(thing.number),
            until: thing.until,
        }
    }
}

/// The name of an address: case makes no difference here, whatever the server thinks of it.
fn key(address: &Address) -> String {
    address.as_str().to_lowercase()
}

fn entry(address: &Address, why: &str, time: Duration, now: Timestamp) -> Shared {
    Shared {
        topic: TOPIC.to_owned(),
        key: key(address),
        value: why.chars().take(REASON).collect(),
        number: now.micros(),
        until: now.after(time),
    }
}

/// Lets addresses get no more mail. Those that are there already are replaced.
#[derive(Clone, Debug)]
pub struct Suppress {
    /// The addresses.
    pub addresses: Vec<Address>,
    /// The reason, for the senders of mail to them.
    pub why: String,
    /// The time for which they get no mail; [`Duration::MAX`]: until they are taken out.
    pub time: Duration,
}

impl Operation for Suppress {
    type Output = ();

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let now = tx.now().await?;
        let entry = |address| entry(address, &self.why, self.time, now);
        let entries = self.addresses.iter().map(entry);
        let entries: BTreeMap<String, Shared> = entries.map(|one| (one.key.clone(), one)).collect();
        let entries: Vec<Shared> = entries.into_values().collect();
        tx.put_shared(&entries).await
    }
}

/// Lets addresses get mail again.
#[derive(Clone, Debug)]
pub struct Unsuppress {
    /// The addresses.
    pub addresses: Vec<Address>,
}

impl Operation for Unsuppress {
    /// The number of those that got none before.
    type Output = usize;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<usize, StoreError> {
        let now = tx.now().await?;
        let keys: BTreeSet<String> = self.addresses.iter().map(key).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let known = tx.shared(TOPIC, &keys, now).await?.len();
        tx.delete_shared(TOPIC, &keys).await?;
        Ok(known)
    }
}

/// Tells which addresses get no mail, in their order.
#[derive(Clone, Debug)]
pub struct ListSuppressed {
    /// The last one of the page before; empty for the first page.
    pub after: String,
    /// The most addresses.
    pub limit: usize,
}

impl Operation for ListSuppressed {
    type Output = Vec<Suppressed>;

    fn is_durable(&self) -> bool {
        false
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<Suppressed>, StoreError> {
        let now = tx.now().await?;
        let found = tx.scan_shared(TOPIC, &self.after, self.limit, now).await?;
        Ok(found.into_iter().map(Suppressed::of).collect())
    }
}

/// Takes down addresses that bounced hard. One that is there already stays as it is.
pub(super) async fn enter<'a, T: Transaction>(
    tx: &mut T,
    verdicts: impl IntoIterator<Item = (&'a QueuedRecipient, &'a Outcome)>,
    rules: &Rules,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(suppression) = &rules.suppression else {
        return Ok(());
    };
    let mut entries = BTreeMap::new();
    for (recipient, outcome) in verdicts {
        if let Some(reason) = is_hard(outcome) {
            let why = format!("{reason} ({} {})", outcome.code, outcome.text);
            let entry = entry(&recipient.recipient.address, &why, suppression.time, now);
            entries.insert(entry.key.clone(), entry);
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    let entries: Vec<Shared> = entries.into_values().collect();
    tx.claim_shared(&entries, now).await?;
    Ok(())
}

/// Gives recipients up that get no mail, of tasks that are locked. What is left of the tasks is for the caller.
pub(super) async fn sift<T: Transaction>(
    tx: &mut T,
    tasks: &[Task],
    rules: &Rules,
    now: Timestamp,
) -> Result<(), StoreError> {
    if rules.suppression.is_none() || tasks.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    let mut recipients = tx.recipients(&ids, true).await?;
    let keys: BTreeSet<String> = recipients
        .iter()
        .map(|one| key(&one.recipient.address))
        .collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let found = tx.shared(TOPIC, &keys, now).await?;
    let found: BTreeMap<String, Suppressed> = found
        .into_iter()
        .map(|thing| (thing.key.clone(), Suppressed::of(thing)))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    recipients.retain(|one| found.contains_key(&key(&one.recipient.address)));
    refuse(tx, recipients, &found, now).await
}

async fn refuse<T: Transaction>(
    tx: &mut T,
    mut recipients: Vec<QueuedRecipient>,
    found: &BTreeMap<String, Suppressed>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: BTreeSet<MessageId> = recipients.iter().map(|one| one.message).collect();
    let ids: Vec<MessageId> = ids.into_iter().collect();
    let mut messages = tx.lock_messages(&ids).await?;
    for message in &mut messages {
        let null_sender = is_null(message.kind, &message.sender);
        let mut settled = Settled::default();
        for one in recipients
            .iter_mut()
            .filter(|one| one.message == message.id)
        {
            if let Some(suppressed) = found.get(&key(&one.recipient.address)) {
                settle(one, &verdict(suppressed), null_sender, &mut settled);
            }
        }
        account(message, settled, now);
    }
    tx.save_recipients(&recipients).await?;
    save_messages(tx, messages).await
}

/// The verdict on a recipient that gets no mail: the code is that of a mailbox that is not there, as with others who keep such
/// lists.
fn verdict(suppressed: &Suppressed) -> Outcome {
    let Suppressed { why, since, .. } = suppressed;
    let text = format!(
        "not tried: this address has got no mail from here since {}: {why}",
        date(*since)
    );
    Outcome::new(Status::Bounced, EnhancedStatus::new(5, 1, 1), text)
}
