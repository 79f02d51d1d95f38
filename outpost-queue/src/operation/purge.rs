//! Cleaning up: messages that are finished, and those that never came to their end.

use core::time::Duration;

use crate::{
    model::MessageId,
    store::{Operation, StoreError, Transaction},
};

/// The most things that workers share and that are over, which are removed with each `limit` of messages. Each submission
/// leaves one ([`SubmissionKey`](super::SubmissionKey)), dozens a second where there is much mail.
const SHARED: usize = 10_000;

/// Removes old messages with all that belongs to them, at most `limit`, and what workers shared and is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purge {
    /// The time for which a message is kept after it was finished, with the verdicts on its recipients.
    pub finished: Duration,
    /// The time that a message may take to arrive. What is older has lost whoever was writing it.
    pub arriving: Duration,
    /// The most messages that are removed.
    pub limit: usize,
}

impl Operation for Purge {
    /// The messages that were removed.
    type Output = Vec<MessageId>;

    /// Rows that come back after a crash are removed again.
    fn is_durable(&self) -> bool {
        false
    }

    async fn run<T: Transaction>(&self, tx: &mut T) -> Result<Vec<MessageId>, StoreError> {
        let now = tx.now().await?;
        let finished = now.before(self.finished);
        let arriving = now.before(self.arriving);
        let stale = tx.lock_stale(finished, arriving, self.limit).await?;
        let mut ids: Vec<MessageId> = stale.iter().map(|message| message.id).collect();
        ids.sort_unstable();
        tx.delete_messages(&ids).await?;
        tx.purge_shared(now, SHARED).await?;
        Ok(ids)
    }
}
