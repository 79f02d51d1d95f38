//! The work of a store in a transaction, by the parts that do it.

use bytes::Bytes;
use tokio_postgres::GenericClient;

use crate::{
    model::{
        Counts, Destination, DestinationName, Filter, Load, Message, MessageId, QueuedRecipient,
        Shared, Task, TaskId, Timestamp,
    },
    store::{Chunk, StoreError, Transaction},
};

use super::send::Tx;

// Each of these calls the method of the same name of the type itself, which goes before that of the trait.
impl<C: GenericClient + Sync> Transaction for Tx<'_, C> {
    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        Tx::now(self).await
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        Tx::allocate(self, count).await
    }

    async fn insert_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        Tx::insert_messages(self, messages).await
    }

    async fn replace_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        Tx::replace_messages(self, messages).await
    }

    async fn insert_chunks(&mut self, chunks: &[Chunk]) -> Result<(), StoreError> {
        Tx::insert_chunks(self, chunks).await
    }

    async fn insert_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> Result<(), StoreError> {
        Tx::insert_recipients(self, recipients).await
    }

    async fn insert_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        Tx::insert_tasks(self, tasks).await
    }

    async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        Tx::messages(self, ids).await
    }

    async fn lock_messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        Tx::lock_messages(self, ids).await
    }

    async fn save_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        Tx::save_messages(self, messages).await
    }

    async fn lock_owing(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Tx::lock_owing(self, now, limit).await
    }

    async fn delete_texts(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        Tx::delete_texts(self, ids).await
    }

    async fn delete_messages(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        Tx::delete_messages(self, ids).await
    }

    async fn lock_stale(
        &mut self,
        finished: Timestamp,
        arriving: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Tx::lock_stale(self, finished, arriving, limit).await
    }

    async fn chunk(
        &mut self,
        message: MessageId,
        number: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        Tx::chunk(self, message, number).await
    }

    async fn first_chunks(&mut self, ids: &[MessageId]) -> Result<Vec<Chunk>, StoreError> {
        Tx::first_chunks(self, ids).await
    }

    async fn recipients(
        &mut self,
        tasks: &[TaskId],
        pending: bool,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        Tx::recipients(self, tasks, pending).await
    }

    async fn owed_recipients(
        &mut self,
        message: MessageId,
        limit: usize,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        Tx::owed_recipients(self, message, limit).await
    }

    async fn save_recipients(&mut self, recipients: &[QueuedRecipient]) -> Result<(), StoreError> {
        Tx::save_recipients(self, recipients).await
    }

    async fn lock_tasks(&mut self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        Tx::lock_tasks(self, ids).await
    }

    async fn lock_new(&mut self, limit: usize) -> Result<Vec<Task>, StoreError> {
        Tx::lock_new(self, limit).await
    }

    async fn lock_due(
        &mut self,
        turns: &[(DestinationName, u32)],
        now: Timestamp,
    ) -> Result<Vec<Task>, StoreError> {
        Tx::lock_due(self, turns, now).await
    }

    async fn next_due(
        &mut self,
        names: &[DestinationName],
    ) -> Result<Vec<(DestinationName, Timestamp)>, StoreError> {
        Tx::next_due(self, names).await
    }

    async fn lock_abandoned(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        Tx::lock_abandoned(self, now, limit).await
    }

    async fn lock_watched(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Task>, StoreError> {
        Tx::lock_watched(self, now, limit).await
    }

    async fn save_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        Tx::save_tasks(self, tasks).await
    }

    async fn delete_tasks(&mut self, ids: &[TaskId]) -> Result<(), StoreError> {
        Tx::delete_tasks(self, ids).await
    }

    async fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> Result<Vec<Destination>, StoreError> {
        Tx::lock_destinations(self, names, new).await
    }

    async fn lock_ready(
        &mut self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Destination>, StoreError> {
        Tx::lock_ready(self, now, limit).await
    }

    async fn save_destinations(&mut self, destinations: &[Destination]) -> Result<(), StoreError> {
        Tx::save_destinations(self, destinations).await
    }

    async fn list(
        &mut self,
        filter: &Filter,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Tx::list(self, filter, after, limit).await
    }

    async fn tasks_of(&mut self, ids: &[MessageId]) -> Result<Vec<Task>, StoreError> {
        Tx::tasks_of(self, ids).await
    }

    async fn recipients_of(
        &mut self,
        message: MessageId,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        Tx::recipients_of(self, message).await
    }

    async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        Tx::counts(self, now).await
    }

    async fn loads(&mut self, limit: usize) -> Result<Vec<Load>, StoreError> {
        Tx::loads(self, limit).await
    }

    async fn shared(
        &mut self,
        topic: &str,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        Tx::shared(self, topic, keys, now).await
    }

    async fn scan_shared(
        &mut self,
        topic: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        Tx::scan_shared(self, topic, after, limit, now).await
    }

    async fn put_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        Tx::put_shared(self, things).await
    }

    async fn claim_shared(
        &mut self,
        things: &[Shared],
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        Tx::claim_shared(self, things, now).await
    }

    async fn add_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        Tx::add_shared(self, things).await
    }

    async fn delete_shared(&mut self, topic: &str, keys: &[String]) -> Result<(), StoreError> {
        Tx::delete_shared(self, topic, keys).await
    }

    async fn purge_shared(&mut self, now: Timestamp, limit: usize) -> Result<(), StoreError> {
        Tx::purge_shared(self, now, limit).await
    }
}
