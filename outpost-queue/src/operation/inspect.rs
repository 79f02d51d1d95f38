//! Views of the queue for operators. Nothing is locked, and nothing changed.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    model::{Counts, Filter, Load, Message, MessageId, QueuedRecipient, Task, Timestamp},
    store::{Operation, StoreError, Transaction},
};

/// Lists messages with their tasks and recipients, by name.
#[derive(Clone, Debug)]
pub struct List {
    /// The messages to list.
    pub filter: Filter,
    /// Those behind this one.
    pub after: Option<MessageId>,
    /// The most that are listed.
    pub limit: usize,
    /// The recipients are read as well.
    pub recipients: bool,
}

/// A message as it stands in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The message.
    pub message: Message,
    /// Its tasks, by name.
    pub tasks: Vec<Task>,
    /// Its recipients, by place; empty where they were not asked for.
    pub recipients: Vec<QueuedRecipient>,
}

impl Operation for List {
    /// The time, and the messages.
    type Output = (Timestamp, Vec<Listed>);

    fn is_durable(&self) -> bool {
        false
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(
        &self,
        tx: &mut T,
    ) -> Result<(Timestamp, Vec<Listed>), StoreError> {
        let now = tx.now().await?;
        let messages = tx.list(&self.filter, self.after, self.limit).await?;
        Ok((now, with_tasks(tx, messages, self.recipients).await?))
    }
}

async fn with_tasks<T: Transaction>(
    tx: &mut T,
    messages: Vec<Message>,
    recipients: bool,
) -> Result<Vec<Listed>, StoreError> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let mut tasks: BTreeMap<MessageId, Vec<Task>> = BTreeMap::new();
    for task in tx.tasks_of(&ids).await? {
        tasks.entry(task.message).or_default().push(task);
    }
    let mut listed = Vec::with_capacity(messages.len());
    for message in messages {
        listed.push(Listed {
            tasks: tasks.remove(&message.id).unwrap_or_default(),
            recipients: match recipients {
                true => tx.recipients_of(message.id).await?,
                false => Vec::new(),
            },
            message,
        });
    }
    Ok(listed)
}

/// Shows one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    /// The message.
    pub message: MessageId,
}

/// A message with the beginning of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The time.
    pub now: Timestamp,
    /// The message.
    pub listed: Listed,
    /// The first piece of its text; empty where there is none.
    pub text: Bytes,
}

impl Operation for Show {
    /// None: there is no such message.
    type Output = Option<Shown>;

    fn is_durable(&self) -> bool {
        false
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Option<Shown>, StoreError> {
        let now = tx.now().await?;
        let messages = tx.messages(&[self.message]).await?;
        let Some(listed) = with_tasks(tx, messages, true).await?.pop() else {
            return Ok(None);
        };
        let text = tx.chunk(self.message, 0).await?.unwrap_or_default();
        Ok(Some(Shown { now, listed, text }))
    }
}

/// Counts what is in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The most destinations that are shown, of those for which most tasks wait.
    pub destinations: usize,
}

/// The state of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The time.
    pub now: Timestamp,
    /// Numbers about all of it.
    pub counts: Counts,
    /// Destinations, those with most tasks first.
    pub loads: Vec<Load>,
}

impl Operation for Survey {
    type Output = State;

    fn is_durable(&self) -> bool {
        false
    }

    fn reads_only(&self) -> bool {
        true
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<State, StoreError> {
        let now = tx.now().await?;
        Ok(State {
            now,
            counts: tx.counts(now).await?,
            loads: tx.loads(self.destinations).await?,
        })
    }
}
