//! The way into the queue for programs: a handle that takes messages. What many hand in at the same time goes into the store
//! together. It delivers nothing.
//!
//! ```
//! # use std::time::Duration;
//! use outpost::{Envelope, Message};
//! use outpost_queue::{model::Timestamp, queue::{Queue, Route}, store::memory::MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new(|| Timestamp::since_epoch(Duration::ZERO));
//! let queue = Queue::on_tokio(store);
//! let envelope = Envelope::new("me@example.org", ["ann@example.com", "bob@example.net"])?;
//! let message = Message::from("Subject: hello\n\nHi there.\n");
//! let id = queue.send(envelope, &message, &Route::Direct).await?;
//! println!("queued as {id}");
//! # Ok(())
//! # }
//! ```

mod submission;
mod text;

use std::{fmt, sync::Arc};

use outpost::{Envelope, Message};

pub use self::{
    submission::{Route, SubmitError},
    text::Incoming,
};
pub use crate::batch::{Spawn, Task};
use crate::{
    batch::{Batcher, Group, Limits},
    model::MessageId,
    operation::{Submission, SubmissionKey, Submit, Submitted},
    store::{Store, StoreError},
    worker::Bell,
};

/// The most messages that go into the store in one transaction.
const MESSAGES: usize = 500;
/// The most bytes of their texts, unless one has more.
const BYTES: usize = 8 << 20;
/// The most bytes of messages that wait; whoever brings more waits outside.
const WAITING: usize = 64 << 20;
/// The most bytes of a text that goes in as a whole.
const WHOLE: u64 = 1 << 20;
/// The most recipients of one delivery (`default_destination_recipient_limit`).
const RECIPIENTS: u32 = 50;

/// Takes messages into a store. Clones are the same queue.
pub struct Queue<S> {
    store: S,
    submits: Batcher<S, Submits>,
    recipient_limit: u32,
    bell: Option<Bell>,
}

/// Submissions of several callers are made together.
struct Submits;

impl Group for Submits {
    type Item = Submission;
    type Answer = MessageId;
    type Operation = Submit;
    const NAME: &'static str = "take messages";

    fn operation(&self, submissions: Vec<Submission>) -> Submit {
        Submit {
            key: SubmissionKey::random(),
            submissions,
        }
    }

    fn items(operation: Submit) -> Vec<Submission> {
        operation.submissions
    }

    fn answers(_: &Submit, output: Vec<MessageId>) -> Vec<MessageId> {
        output
    }
}

impl<S: Store> Queue<S> {
    /// A queue whose transactions run where `spawn` begins them.
    pub fn new(store: S, spawn: Spawn) -> Self {
        let limits = Limits {
            items: MESSAGES,
            bytes: BYTES,
            waiting: WAITING,
        };
        // Whoever submits hears of errors.
        let on_error = Arc::new(|_: &'static str, _: &StoreError| {});
        Self {
            submits: Batcher::new(store.clone(), Submits, limits, spawn, on_error),
            store,
            recipient_limit: RECIPIENTS,
            bell: None,
        }
    }

    /// A queue whose transactions run on the tokio runtime of whoever submits.
    #[cfg(feature = "tokio")]
    pub fn on_tokio(store: S) -> Self {
        use runtime_common::Runtime;

        Self::new(store, Arc::new(runtime_tokio::Tokio::detach))
    }

    /// Rings this bell when something has come in.
    #[must_use]
    pub fn with_bell(mut self, bell: Bell) -> Self {
        self.bell = Some(bell);
        self
    }

    /// Delivers to at most so many recipients at a time (`default_destination_recipient_limit`); zero is no limit. By
    /// default 50.
    #[must_use]
    pub const fn with_recipient_limit(mut self, limit: u32) -> Self {
        self.recipient_limit = limit;
        self
    }

    /// Adds a message. When this returns it is there for good, and delivered or reported some day.
    ///
    /// # Errors
    /// The reason why the store does not take it. The message may be there all the same where the store went away in the middle.
    pub async fn submit(&self, submission: Submission) -> Result<MessageId, StoreError> {
        let bytes = submission.bytes();
        let id = self.submits.push(submission, bytes).await;
        let id = id.map_err(|(_, error)| error)?;
        if let Some(bell) = &self.bell {
            bell.ring();
        }
        Ok(id)
    }

    /// Adds a message of a program on this way out.
    ///
    /// # Errors
    /// A recipient that has no destination; a text that cannot be read; what keeps the store from taking it.
    pub async fn send(
        &self,
        envelope: Envelope,
        message: &Message,
        route: &Route,
    ) -> Result<MessageId, SubmitError> {
        let facts = message.facts();
        let mut submission = route.submission(envelope, facts, self.recipient_limit)?;
        submission.text = match facts.length <= WHOLE {
            true => Submitted::Text(text::whole(message).await?),
            false => {
                let mut incoming = self.begin().await?;
                incoming.copy(message.text()).await?;
                incoming.into_text().await?
            }
        };
        Ok(self.submit(submission).await?)
    }
}

impl Submission {
    /// The bytes that it has in memory, more or less.
    fn bytes(&self) -> usize {
        let text = match &self.text {
            Submitted::Text(text) => text.len(),
            Submitted::Before(..) => 0,
        };
        text + self.envelope.len() + 256 * self.recipients.len()
    }
}

impl<S: Clone> Clone for Queue<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            submits: self.submits.clone(),
            recipient_limit: self.recipient_limit,
            bell: self.bell.clone(),
        }
    }
}

impl<S> fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("recipient_limit", &self.recipient_limit)
            .finish_non_exhaustive()
    }
}
