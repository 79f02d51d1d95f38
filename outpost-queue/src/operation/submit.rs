//! A message comes into the queue.

use core::{fmt, time::Duration};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

use bytes::Bytes;
use smtp_policy::request::Recipient;

use crate::{
    model::{
        DestinationName, Fate, Fence, Kind, Message, MessageId, MessageState, QueuedRecipient,
        Shared, Task, TaskId, TaskState, Timestamp,
    },
    store::{CHUNK, Chunk, Operation, StoreError, Transaction},
};

/// Adds messages. Nobody sees one before it is there as a whole, and then it is there for good.
///
/// It may be run again when nobody knows whether it was committed: what has the same key is added once, and the names of the
/// first time are the answer. That holds for an hour.
#[derive(Clone, Debug)]
pub struct Submit {
    /// Its name among all that are submitted.
    pub key: SubmissionKey,
    /// The messages.
    pub submissions: Vec<Submission>,
}

/// The name of a [`Submit`]. Text form: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionKey(pub u128);

impl SubmissionKey {
    /// A name that no other has: 128 random bits, which are no secret.
    pub fn random() -> Self {
        let random = RandomState::new();
        let (high, low) = (random.hash_one(0), random.hash_one(1));
        Self((u128::from(high) << 64) | u128::from(low))
    }
}

impl fmt::Display for SubmissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The topic of the keys of what was submitted, among what workers share.
const TOPIC: &str = "submission";

/// The time for which a key is known.
const KEPT: Duration = Duration::from_secs(3600);

/// A message that comes into the queue.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Mail, or a report.
    pub kind: Kind,
    /// The envelope sender, unquoted; empty for the null sender.
    pub sender: String,
    /// As [`Message::envelope`].
    pub envelope: String,
    /// The recipients in the order of the envelope; at least one.
    pub recipients: Vec<Addressee>,
    /// The most recipients of a task; zero is no limit.
    pub recipient_limit: u32,
    /// The text, or the name under which it was written before.
    pub text: Submitted,
}

/// A recipient with its destination.
#[derive(Clone, Debug)]
pub struct Addressee {
    /// The recipient.
    pub recipient: Recipient,
    /// The destination that takes mail for it.
    pub destination: DestinationName,
}

/// The text of a message that is submitted.
#[derive(Clone, Debug)]
pub enum Submitted {
    /// All of it; its lines end in LF.
    Text(Bytes),
    /// It was written by [`Begin`] and [`Append`], and has this many bytes.
    Before(MessageId, u64),
}

impl Operation for Submit {
    type Output = Vec<MessageId>;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<MessageId>, StoreError> {
        let now = tx.now().await?;
        let rows = Rows::of(tx, &self.submissions, now).await?;
        if !self.is_first(tx, &rows.ids, now).await? {
            return self.known(tx, now).await;
        }
        rows.write(tx).await
    }
}

/// Adds messages as a part of another operation, which sees to it that they are added once.
pub(super) async fn add<T: Transaction>(
    tx: &mut T,
    submissions: &[Submission],
    now: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    match submissions {
        [] => Ok(Vec::new()),
        _ => Rows::of(tx, submissions, now).await?.write(tx).await,
    }
}

#[derive(Default)]
struct Rows {
    ids: Vec<MessageId>,
    messages: Vec<Message>,
    before: Vec<Message>,
    chunks: Vec<Chunk>,
    tasks: Vec<Task>,
    recipients: Vec<QueuedRecipient>,
}

/// Recipients of one destination with their places in the envelope.
type Part = (DestinationName, Vec<(u32, Recipient)>);

impl Submission {
    /// The number of recipients.
    fn count(&self) -> Result<u32, StoreError> {
        match u32::try_from(self.recipients.len()) {
            Ok(count) if count > 0 => Ok(count),
            // Nothing would ever finish it.
            Ok(_) => Err(StoreError::Other("a message has no recipients".to_owned())),
            Err(_) => Err(StoreError::Other(
                "a message has too many recipients".to_owned(),
            )),
        }
    }

    /// The recipients that go together with their places, and their destination.
    fn parts(&self) -> Vec<Part> {
        let limit = match self.recipient_limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let mut parts: Vec<Part> = Vec::new();
        let mut open: BTreeMap<&DestinationName, usize> = BTreeMap::new();
        for (number, addressee) in (0..).zip(&self.recipients) {
            let one = (number, addressee.recipient.clone());
            let part = open
                .get(&addressee.destination)
                .and_then(|part| parts.get_mut(*part));
            match part {
                Some((_, others)) if others.len() < limit => others.push(one),
                _ => {
                    open.insert(&addressee.destination, parts.len());
                    parts.push((addressee.destination.clone(), vec![one]));
                }
            }
        }
        parts
    }
}

impl Rows {
    /// The rows of messages that come now.
    async fn of<T: Transaction>(
        tx: &mut T,
        submissions: &[Submission],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let parts: Vec<_> = submissions.iter().map(Submission::parts).collect();
        let fresh = |one: &&Submission| matches!(one.text, Submitted::Text(_));
        let fresh = submissions.iter().filter(fresh).count();
        let count = parts.iter().map(Vec::len).sum::<usize>() + fresh;
        let mut numbers = tx.allocate(count).await?.into_iter();
        let mut rows = Self::default();
        for (submission, parts) in submissions.iter().zip(parts) {
            rows.add(submission, parts, &mut numbers, now)?;
        }
        Ok(rows)
    }

    /// Writes them. Returns the names of the messages.
    async fn write<T: Transaction>(self, tx: &mut T) -> Result<Vec<MessageId>, StoreError> {
        tx.insert_messages(&self.messages).await?;
        finish_before(tx, &self.before).await?;
        tx.insert_chunks(&self.chunks).await?;
        tx.insert_tasks(&self.tasks).await?;
        tx.insert_recipients(&self.recipients).await?;
        Ok(self.ids)
    }

    fn add(
        &mut self,
        submission: &Submission,
        parts: Vec<Part>,
        numbers: &mut impl Iterator<Item = i64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut number = || {
            let short = || StoreError::Other("fewer numbers came than were asked for".to_owned());
            numbers.next().ok_or_else(short)
        };
        let (id, size) = match &submission.text {
            Submitted::Text(text) => (MessageId(number()?), text.len() as u64),
            Submitted::Before(id, size) => (*id, *size),
        };
        let message = Message {
            id,
            kind: submission.kind,
            state: MessageState::Queued,
            sender: submission.sender.clone(),
            envelope: submission.envelope.clone(),
            size,
            arrived: now,
            unsettled: submission.count()?,
            report_at: Timestamp::NEVER,
            finished: Timestamp::NEVER,
        };
        self.ids.push(id);
        match &submission.text {
            Submitted::Text(text) => {
                self.chunks.extend(chunks(id, 0, text));
                self.messages.push(message);
            }
            Submitted::Before(..) => self.before.push(message),
        }
        for (destination, recipients) in parts {
            let task = TaskId(number()?);
            self.tasks.push(new_task(task, id, destination, now));
            let recipients = recipients
                .into_iter()
                .map(|(number, recipient)| QueuedRecipient {
                    message: id,
                    number,
                    task,
                    recipient,
                    fate: Fate::Pending,
                    doubtful: false,
                    verdict: None,
                    owed: None,
                });
            self.recipients.extend(recipients);
        }
        Ok(())
    }
}

fn new_task(id: TaskId, message: MessageId, destination: DestinationName, now: Timestamp) -> Task {
    Task {
        id,
        message,
        destination,
        state: TaskState::New,
        due: now,
        fence: Fence::default(),
        attempts: 0,
        deaths: 0,
        doubt: None,
        arrived: now,
        watch: Timestamp::NEVER,
        warned: false,
    }
}

/// The pieces of a text, the first of which has the given number.
fn chunks(message: MessageId, first: u32, text: &Bytes) -> impl Iterator<Item = Chunk> {
    let starts = (0..text.len()).step_by(CHUNK);
    (first..).zip(starts).map(move |(number, start)| Chunk {
        message,
        number,
        bytes: text.slice(start..text.len().min(start + CHUNK)),
    })
}

impl Submit {
    /// Adds messages under a key of their own.
    pub fn new(submissions: Vec<Submission>) -> Self {
        Self {
            key: SubmissionKey::random(),
            submissions,
        }
    }

    /// Takes the key for these messages. Returns whether nobody has it yet.
    async fn is_first<T: Transaction>(
        &self,
        tx: &mut T,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let thing = Shared {
            topic: TOPIC.to_owned(),
            key: self.key.to_string(),
            value: names.join(" "),
            number: 0,
            until: now.after(KEPT),
        };
        Ok(!tx.claim_shared(&[thing], now).await?.is_empty())
    }

    /// The names of the messages that were added under this key before.
    async fn known<T: Transaction>(
        &self,
        tx: &mut T,
        now: Timestamp,
    ) -> Result<Vec<MessageId>, StoreError> {
        let key = self.key.to_string();
        let found = tx.shared(TOPIC, core::slice::from_ref(&key), now).await?;
        let gone = || StoreError::Conflict(format!("submission {key} went away just now"));
        let names = &found.first().ok_or_else(gone)?.value;
        let wrong = |why| StoreError::Damaged(format!("shared submission {key}: {why}"));
        let names = names.split_whitespace().map(str::parse);
        names.collect::<Result<_, _>>().map_err(wrong)
    }
}

/// Ends messages whose text was written before.
async fn finish_before<T: Transaction>(tx: &mut T, before: &[Message]) -> Result<(), StoreError> {
    if before.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<MessageId> = before.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    let found = tx.lock_messages(&ids).await?;
    let arriving = found
        .iter()
        .filter(|one| one.state == MessageState::Arriving)
        .count();
    if arriving != before.len() {
        let why = "a message whose text was written before is not there, or has ended already";
        return Err(StoreError::Other(why.to_owned()));
    }
    for message in before {
        if !is_complete(tx, message).await? {
            return Err(StoreError::Other(format!(
                "the text of message {} has not come as a whole",
                message.id
            )));
        }
    }
    tx.replace_messages(before).await
}

/// Returns whether the last piece of a text is there, and ends where the text ends.
async fn is_complete<T: Transaction>(tx: &mut T, message: &Message) -> Result<bool, StoreError> {
    let size = CHUNK as u64;
    let Ok(pieces) = u32::try_from(message.size.div_ceil(size)) else {
        return Ok(false);
    };
    let last = pieces.saturating_sub(1);
    let rest = message.size - u64::from(last) * size;
    let found = tx.chunk(message.id, last).await?;
    let more = tx.chunk(message.id, last.saturating_add(1)).await?;
    Ok(found.map_or(0, |bytes| bytes.len() as u64) == rest && more.is_none())
}

/// Begins a message whose text comes in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Begin;

impl Operation for Begin {
    /// The name of the message. It lasts: whoever gets a name must be the only one that writes under it.
    type Output = MessageId;

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<MessageId, StoreError> {
        let now = tx.now().await?;
        let numbers = tx.allocate(1).await?;
        let short = || StoreError::Other("no number came".to_owned());
        let id = MessageId(numbers.first().copied().ok_or_else(short)?);
        let message = Message {
            id,
            kind: Kind::Mail,
            state: MessageState::Arriving,
            sender: String::new(),
            envelope: String::new(),
            size: 0,
            arrived: now,
            unsettled: 0,
            report_at: Timestamp::NEVER,
            finished: Timestamp::NEVER,
        };
        tx.insert_messages(&[message]).await?;
        Ok(id)
    }
}

/// Adds text to a message that was begun: `CHUNK` bytes at a time, less only at the end.
#[derive(Clone, Debug)]
pub struct Append {
    /// The message.
    pub message: MessageId,
    /// The number of the first piece.
    pub number: u32,
    /// The bytes.
    pub text: Bytes,
}

impl Operation for Append {
    type Output = ();

    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<(), StoreError> {
        let found = tx.lock_messages(&[self.message]).await?;
        if !found.iter().any(|one| one.state == MessageState::Arriving) {
            return Err(StoreError::Other(format!(
                "message {} is not there, or its text has ended",
                self.message
            )));
        }
        let pieces: Vec<Chunk> = chunks(self.message, self.number, &self.text).collect();
        tx.insert_chunks(&pieces).await
    }
}
