//! Messages, their texts and their recipients.

use bytes::Bytes;
use tokio_postgres::GenericClient;

use crate::{
    model::{Message, MessageId, QueuedRecipient, TaskId, Timestamp},
    store::{
        Chunk,
        words::{Word, notify_number, time_number},
    },
};

use super::{
    StoreError,
    rows::{self, Raw, all, folded, message_columns, recipient_columns},
    send::{Tx, column},
};

/// The most bytes of texts that go out in one statement.
const STATEMENT: usize = 4 * 1024 * 1024;

const LOCK: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM @message WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

const INSERT: &str = concat!(
    "INSERT INTO @message (",
    message_columns!(),
    ", folded) SELECT * FROM UNNEST($1::bigint[], $2::smallint[], ",
    "$3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], ",
    "$11::text[])",
);

const REPLACE: &str = concat!(
    "UPDATE @message AS m SET (",
    message_columns!(),
    ", folded) = (n.id, n.kind, n.state, n.sender, n.envelope, ",
    "n.size, n.arrived, n.unsettled, n.report_at, n.finished, n.folded) FROM UNNEST($1::bigint[], $2::smallint[], ",
    "$3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], ",
    "$11::text[]) AS n(",
    message_columns!(),
    ", folded) WHERE m.id = n.id",
);

// Most deferrals change nothing about a message, and a row that is written as it is would be another one to vacuum.
const SAVE: &str = "UPDATE @message AS m SET kind = n.kind, state = n.state, unsettled = n.unsettled, \
    report_at = n.report_at, finished = n.finished FROM UNNEST($1::bigint[], $2::smallint[], $3::smallint[], \
    $4::bigint[], $5::bigint[], $6::bigint[]) AS n(id, kind, state, unsettled, report_at, finished) WHERE m.id = n.id AND (m.kind, m.state, m.unsettled, \
    m.report_at, m.finished) IS DISTINCT FROM (n.kind, n.state, n.unsettled, n.report_at, n.finished)";

const OWING: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM @message WHERE report_at IS NOT NULL AND report_at <= $1 ",
    "ORDER BY report_at, id LIMIT $2 FOR UPDATE SKIP LOCKED",
);

const FINISHED: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM @message WHERE state = 2 AND finished < $1 ",
    "ORDER BY finished LIMIT $2 FOR UPDATE SKIP LOCKED",
);

const ARRIVING: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM @message WHERE state = 0 AND arrived < $1 ",
    "ORDER BY arrived LIMIT $2 FOR UPDATE SKIP LOCKED",
);

const INSERT_CHUNKS: &str = "INSERT INTO @chunk (message, number, bytes) \
    SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::bytea[]) \
    ON CONFLICT (message, number) DO UPDATE SET bytes = excluded.bytes";

const INSERT_RECIPIENTS: &str = concat!(
    "INSERT INTO @recipient (",
    recipient_columns!(),
    ", folded) SELECT * FROM UNNEST($1::bigint[], $2::bigint[], ",
    "$3::bigint[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::smallint[], $9::boolean[], $10::text[], ",
    "$11::smallint[], $12::text[])",
);

const SAVE_RECIPIENTS: &str = "UPDATE @recipient AS r SET fate = n.fate, doubtful = n.doubtful, verdict = n.verdict, \
    owed = n.owed FROM UNNEST($1::bigint[], $2::bigint[], $3::smallint[], $4::boolean[], $5::text[], $6::smallint[]) \
    AS n(message, number, fate, doubtful, verdict, owed) WHERE r.message = n.message AND r.number = n.number \
    AND (r.fate, r.doubtful, r.verdict, r.owed) IS DISTINCT FROM (n.fate, n.doubtful, n.verdict, n.owed)";

fn numbers(ids: &[MessageId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

/// A limit as a database takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl<C: GenericClient + Sync> Tx<'_, C> {
    pub(super) async fn insert_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        self.write_messages(INSERT, messages).await
    }

    pub(super) async fn replace_messages(
        &mut self,
        messages: &[Message],
    ) -> Result<(), StoreError> {
        self.write_messages(REPLACE, messages).await
    }

    async fn write_messages(
        &mut self,
        sql: &'static str,
        messages: &[Message],
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(messages, |one| one.id.0),
            column(messages, |one| one.kind.number()),
            column(messages, |one| one.state.number()),
            column(messages, |one| one.sender.clone()),
            column(messages, |one| one.envelope.clone()),
            column(messages, |one| i64::try_from(one.size).unwrap_or(i64::MAX)),
            column(messages, |one| one.arrived.micros()),
            column(messages, |one| i64::from(one.unsettled)),
            column(messages, |one| time_number(one.report_at)),
            column(messages, |one| time_number(one.finished)),
            column(messages, |one| folded(&one.sender)),
        ];
        self.write(sql, columns).await
    }

    pub(super) async fn messages(&mut self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            message_columns!(),
            " FROM @message WHERE id = ANY($1) ORDER BY id"
        );
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        all(&self.read(SQL, &[&numbers(ids)]).await?, rows::message)
    }

    pub(super) async fn lock_messages(
        &mut self,
        ids: &[MessageId],
    ) -> Result<Vec<Message>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        all(&self.read(LOCK, &[&numbers(ids)]).await?, rows::message)
    }

    pub(super) async fn save_messages(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(messages, |one| one.id.0),
            column(messages, |one| one.kind.number()),
            column(messages, |one| one.state.number()),
            column(messages, |one| i64::from(one.unsettled)),
            column(messages, |one| time_number(one.report_at)),
            column(messages, |one| time_number(one.finished)),
        ];
        self.write(SAVE, columns).await
    }

    pub(super) async fn lock_owing(
        &mut self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Message>, StoreError> {
        all(
            &self.read(OWING, &[&now.micros(), &limit(most)]).await?,
            rows::message,
        )
    }

    pub(super) async fn delete_texts(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = Box::new(numbers(ids));
        self.write("DELETE FROM @chunk WHERE message = ANY($1)", vec![ids])
            .await
    }

    pub(super) async fn delete_messages(&mut self, ids: &[MessageId]) -> Result<(), StoreError> {
        const SQL: [&str; 3] = [
            "DELETE FROM @recipient WHERE message = ANY($1)",
            "DELETE FROM @task WHERE message = ANY($1)",
            "DELETE FROM @message WHERE id = ANY($1)",
        ];
        self.delete_texts(ids).await?;
        if ids.is_empty() {
            return Ok(());
        }
        for sql in SQL {
            self.write(sql, vec![Box::new(numbers(ids))]).await?;
        }
        Ok(())
    }

    pub(super) async fn lock_stale(
        &mut self,
        finished: Timestamp,
        arriving: Timestamp,
        most: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let mut stale = self
            .read(FINISHED, &[&finished.micros(), &limit(most)])
            .await?;
        let left = most.saturating_sub(stale.len());
        if left > 0 {
            stale.extend(
                self.read(ARRIVING, &[&arriving.micros(), &limit(left)])
                    .await?,
            );
        }
        let mut stale = all(&stale, rows::message)?;
        stale.sort_unstable_by_key(|one| one.id);
        Ok(stale)
    }

    pub(super) async fn insert_chunks(&mut self, chunks: &[Chunk]) -> Result<(), StoreError> {
        let mut rest = chunks;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|one| {
                bytes += one.bytes.len();
                bytes <= STATEMENT
            });
            let (now, later) = rest
                .split_at_checked(fits.count().max(1))
                .unwrap_or((rest, &[]));
            let columns = vec![
                column(now, |one| one.message.0),
                column(now, |one| i64::from(one.number)),
                column(now, |one| Raw(one.bytes.clone())),
            ];
            self.write(INSERT_CHUNKS, columns).await?;
            rest = later;
            if !rest.is_empty() {
                // A long text does not pile up in memory.
                self.settle().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn chunk(
        &mut self,
        message: MessageId,
        number: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        const SQL: &str = "SELECT bytes FROM @chunk WHERE message = $1 AND number = $2";
        let found = self.read(SQL, &[&message.0, &i64::from(number)]).await?;
        let bytes = |row| rows::value::<&[u8]>(row, "chunk", 0).map(Bytes::copy_from_slice);
        found.first().map(bytes).transpose()
    }

    pub(super) async fn first_chunks(
        &mut self,
        ids: &[MessageId],
    ) -> Result<Vec<Chunk>, StoreError> {
        const SQL: &str = "SELECT message, bytes FROM @chunk WHERE message = ANY($1) AND number = 0 ORDER BY message";
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        all(&self.read(SQL, &[&numbers(ids)]).await?, |row| {
            Ok(Chunk {
                message: MessageId(rows::value(row, "chunk", 0)?),
                number: 0,
                bytes: Bytes::copy_from_slice(rows::value(row, "chunk", 1)?),
            })
        })
    }

    pub(super) async fn insert_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> Result<(), StoreError> {
        if recipients.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(recipients, |one| one.message.0),
            column(recipients, |one| i64::from(one.number)),
            column(recipients, |one| one.task.0),
            column(recipients, |one| one.recipient.address.to_string()),
            column(recipients, |one| {
                one.recipient.original.as_ref().map(ToString::to_string)
            }),
            column(recipients, |one| {
                one.recipient.orcpt.as_ref().map(ToString::to_string)
            }),
            column(recipients, |one| notify_number(one.recipient.notify)),
            column(recipients, |one| one.fate.number()),
            column(recipients, |one| one.doubtful),
            column(recipients, |one| one.verdict.clone()),
            column(recipients, |one| one.owed.map(Word::number)),
            column(recipients, |one| folded(one.recipient.address.as_str())),
        ];
        self.write(INSERT_RECIPIENTS, columns).await
    }

    pub(super) async fn recipients(
        &mut self,
        tasks: &[TaskId],
        pending: bool,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        const ALL: &str = concat!(
            "SELECT ",
            recipient_columns!(),
            " FROM @recipient WHERE task = ANY($1) ORDER BY message, number",
        );
        const PENDING: &str = concat!(
            "SELECT ",
            recipient_columns!(),
            " FROM @recipient WHERE task = ANY($1) AND fate = 0 ORDER BY message, number",
        );
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let tasks: Vec<i64> = tasks.iter().map(|id| id.0).collect();
        all(
            &self
                .read(if pending { PENDING } else { ALL }, &[&tasks])
                .await?,
            rows::recipient,
        )
    }

    pub(super) async fn owed_recipients(
        &mut self,
        message: MessageId,
        most: usize,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            recipient_columns!(),
            " FROM @recipient WHERE message = $1 AND owed IS NOT NULL ORDER BY message, number LIMIT $2",
        );
        all(
            &self.read(SQL, &[&message.0, &limit(most)]).await?,
            rows::recipient,
        )
    }

    pub(super) async fn recipients_of(
        &mut self,
        message: MessageId,
    ) -> Result<Vec<QueuedRecipient>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            recipient_columns!(),
            " FROM @recipient WHERE message = $1 ORDER BY message, number"
        );
        all(&self.read(SQL, &[&message.0]).await?, rows::recipient)
    }

    pub(super) async fn save_recipients(
        &mut self,
        recipients: &[QueuedRecipient],
    ) -> Result<(), StoreError> {
        if recipients.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(recipients, |one| one.message.0),
            column(recipients, |one| i64::from(one.number)),
            column(recipients, |one| one.fate.number()),
            column(recipients, |one| one.doubtful),
            column(recipients, |one| one.verdict.clone()),
            column(recipients, |one| one.owed.map(Word::number)),
        ];
        self.write(SAVE_RECIPIENTS, columns).await
    }
}
