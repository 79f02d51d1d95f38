//! The methods of [`Transaction`] on SQLite. Nobody else writes while one runs, so that everything is locked that it sees.

use bytes::Bytes;

use super::{destination, fault::Fault, link::Link, message, recipient, shared, task, view};
use crate::{
    model::{
        Counts, Destination, DestinationName, Filter, Load, Message, MessageId, QueuedRecipient,
        Shared, Task, TaskId, Timestamp,
    },
    store::{Chunk, StoreError, Transaction},
};

type Answer<T> = Result<T, StoreError>;

/// A transaction.
pub(super) struct SqliteTransaction<'a> {
    /// The connection, on which it has begun.
    pub(super) link: &'a mut Link,
}

impl SqliteTransaction<'_> {
    fn done<T>(&self, result: Result<T, Fault>) -> Answer<T> {
        result.map_err(|fault| fault.at(&self.link.path))
    }
}

/// The methods that another function carries out, which gets the connection and the same arguments.
macro_rules! methods {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty = $function:path;)*) => {$(
        async fn $name(&mut self, $($argument: $type),*) -> Answer<$output> {
            let result = $function(self.link, $($argument),*);
            self.done(result)
        }
    )*};
}

impl Transaction for SqliteTransaction<'_> {
    async fn now(&mut self) -> Answer<Timestamp> {
        Ok(self.link.now())
    }

    async fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> Answer<Vec<Destination>> {
        let result = destination::lock(self.link, names, &new);
        self.done(result)
    }

    methods! {
        allocate(count: usize) -> Vec<i64> = Link::allocate;

        insert_messages(messages: &[Message]) -> () = message::insert;
        replace_messages(messages: &[Message]) -> () = message::replace;
        insert_chunks(chunks: &[Chunk]) -> () = message::insert_chunks;
        messages(ids: &[MessageId]) -> Vec<Message> = message::find;
        lock_messages(ids: &[MessageId]) -> Vec<Message> = message::find;
        save_messages(messages: &[Message]) -> () = message::save;
        lock_owing(now: Timestamp, limit: usize) -> Vec<Message> = message::owing;
        delete_texts(ids: &[MessageId]) -> () = message::delete_texts;
        delete_messages(ids: &[MessageId]) -> () = message::delete;
        lock_stale(finished: Timestamp, arriving: Timestamp, limit: usize) -> Vec<Message> = message::stale;
        chunk(message: MessageId, number: u32) -> Option<Bytes> = message::chunk;
        first_chunks(ids: &[MessageId]) -> Vec<Chunk> = message::first_chunks;

        insert_recipients(recipients: &[QueuedRecipient]) -> () = recipient::insert;
        recipients(tasks: &[TaskId], pending: bool) -> Vec<QueuedRecipient> = recipient::of_tasks;
        owed_recipients(message: MessageId, limit: usize) -> Vec<QueuedRecipient> = recipient::owed;
        recipients_of(message: MessageId) -> Vec<QueuedRecipient> = recipient::of_message;
        save_recipients(recipients: &[QueuedRecipient]) -> () = recipient::save;

        insert_tasks(tasks: &[Task]) -> () = task::insert;
        lock_tasks(ids: &[TaskId]) -> Vec<Task> = task::find;
        lock_new(limit: usize) -> Vec<Task> = task::new;
        lock_due(turns: &[(DestinationName, u32)], now: Timestamp) -> Vec<Task> = task::due;
        next_due(names: &[DestinationName]) -> Vec<(DestinationName, Timestamp)> = task::next_due;
        lock_abandoned(now: Timestamp, limit: usize) -> Vec<Task> = task::abandoned;
        lock_watched(now: Timestamp, limit: usize) -> Vec<Task> = task::watched;
        tasks_of(ids: &[MessageId]) -> Vec<Task> = task::of_messages;
        save_tasks(tasks: &[Task]) -> () = task::save;
        delete_tasks(ids: &[TaskId]) -> () = task::delete;

        lock_ready(now: Timestamp, limit: usize) -> Vec<Destination> = destination::ready;
        save_destinations(destinations: &[Destination]) -> () = destination::save;

        list(filter: &Filter, after: Option<MessageId>, limit: usize) -> Vec<Message> = view::list;
        counts(now: Timestamp) -> Counts = view::counts;
        loads(limit: usize) -> Vec<Load> = view::loads;

        shared(topic: &str, keys: &[String], now: Timestamp) -> Vec<Shared> = shared::find;
        scan_shared(topic: &str, after: &str, limit: usize, now: Timestamp) -> Vec<Shared> = shared::scan;
        put_shared(things: &[Shared]) -> () = shared::put;
        claim_shared(things: &[Shared], now: Timestamp) -> Vec<String> = shared::claim;
        add_shared(things: &[Shared]) -> () = shared::add;
        delete_shared(topic: &str, keys: &[String]) -> () = shared::delete;
        purge_shared(now: Timestamp, limit: usize) -> () = shared::purge;
    }
}
