//! The queue as operators see it.

use core::time::Duration;
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tokio_postgres::{GenericClient, Row, types::ToSql};

use crate::{
    model::{Counts, Filter, Load, Message, MessageId, Timestamp},
    store::words::Word,
};

use super::{
    StoreError,
    messages::limit,
    rows::{self, all, destination_columns, message_columns},
    send::Tx,
};

/// Tasks in one go, whose state decides where they count. What is not read by any index is read once.
const COUNTS: &str = "SELECT (SELECT count(*) FROM @message WHERE state <> 2), \
    count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1 AND due <= $1), \
    count(*) FILTER (WHERE state = 1 AND due > $1), count(*) FILTER (WHERE state = 2), \
    count(*) FILTER (WHERE state >= 3), count(*) FILTER (WHERE doubt IS NOT NULL), \
    (SELECT count(*) FROM @destination WHERE dead_until > $1), min(arrived) FROM @task";

const LOADS: &str = concat!(
    "SELECT ",
    destination_columns!(),
    ", l.tasks, l.oldest, l.all_tasks FROM (SELECT destination, count(*) AS tasks, min(arrived) AS oldest, ",
    "(sum(count(*)) OVER ())::bigint AS all_tasks FROM @task GROUP BY destination) AS l ",
    "JOIN @destination AS d ON d.name = l.destination ORDER BY l.tasks DESC, d.name LIMIT $1",
);

/// For so many times the time that counting took, it is not done again.
const PAUSE: u32 = 20;

/// So many tasks are counted each time.
const FEW: u64 = 50_000;

/// A result of counting, which is good until then.
struct Kept<T> {
    value: T,
    until: Instant,
}

type Place<T> = Mutex<Option<Kept<T>>>;

/// Counts that are kept for a while, since they took long.
#[derive(Default)]
pub(super) struct Cache {
    counts: Place<Counts>,
    loads: Place<(usize, Vec<Load>)>,
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

fn kept<T: Clone>(place: &Place<T>) -> Option<T> {
    let kept = place.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_ref()
        .filter(|kept| kept.until > Instant::now())
        .map(|kept| kept.value.clone())
}

fn keep<T: Clone>(place: &Place<T>, value: &T, tasks: u64, took: Duration) {
    if tasks > FEW {
        let kept = Kept {
            value: value.clone(),
            until: Instant::now() + took.saturating_mul(PAUSE),
        };
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

impl<C: GenericClient + Sync> Tx<'_, C> {
    pub(super) async fn counts(&mut self, now: Timestamp) -> Result<Counts, StoreError> {
        if let Some(counts) = kept(&self.common.views.counts) {
            return Ok(counts);
        }
        let begun = Instant::now();
        let rows = self.read_all(COUNTS, &[&now.micros()]).await?;
        let mut counts = Counts {
            oldest: Timestamp::NEVER,
            ..Counts::default()
        };
        let places = [
            &mut counts.messages,
            &mut counts.new,
            &mut counts.due,
            &mut counts.deferred,
            &mut counts.leased,
            &mut counts.held,
            &mut counts.in_doubt,
            &mut counts.dead,
        ];
        for row in &rows {
            let oldest: Option<i64> = rows::value(row, "task", places.len())?;
            if let Some(oldest) = oldest {
                counts.oldest = Timestamp::from_micros(oldest);
            }
        }
        if let Some(row) = rows.first() {
            for (index, place) in places.into_iter().enumerate() {
                *place = count(row, index)?;
            }
        }
        let tasks = counts.new + counts.due + counts.deferred + counts.leased + counts.held;
        keep(&self.common.views.counts, &counts, tasks, begun.elapsed());
        Ok(counts)
    }

    pub(super) async fn loads(&mut self, most: usize) -> Result<Vec<Load>, StoreError> {
        if let Some((asked, mut loads)) = kept(&self.common.views.loads)
            && asked >= most
        {
            loads.truncate(most);
            return Ok(loads);
        }
        let begun = Instant::now();
        let rows = self.read_all(LOADS, &[&limit(most)]).await?;
        let loads = all(&rows, |row| {
            Ok(Load {
                destination: rows::destination(row)?,
                tasks: count(row, 10)?,
                oldest: Timestamp::from_micros(rows::value(row, "task", 11)?),
            })
        })?;
        let tasks = rows.first().map_or(Ok(0), |row| count(row, 12))?;
        let kept = (most, loads.clone());
        keep(&self.common.views.loads, &kept, tasks, begun.elapsed());
        Ok(loads)
    }

    /// A question about all rows of a table, which no index answers faster.
    async fn read_all(
        &mut self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.post("SAVEPOINT plan");
        if self.is_tuned() {
            self.post("SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_bitmapscan = on");
        }
        let rows = self.read_once(sql, params).await?;
        // With it go the settings.
        self.post("ROLLBACK TO SAVEPOINT plan");
        Ok(rows)
    }

    pub(super) async fn list(
        &mut self,
        filter: &Filter,
        after: Option<MessageId>,
        most: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let (after, most) = (after.map_or(i64::MIN, |id| id.0), limit(most));
        let state = filter.state.map(Word::number);
        let destination = filter.destination.as_ref().map(|name| name.as_str());
        let before = filter.before.map(Timestamp::micros);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&after, &most];
        let mut sql = concat!(
            "SELECT ",
            message_columns!(),
            " FROM @message AS m WHERE id > $1"
        )
        .to_owned();
        let and = |sql: &mut String, condition: &str| {
            sql.push_str(" AND ");
            sql.push_str(condition);
        };
        match &state {
            None => and(&mut sql, "state <> 2"),
            Some(state) => {
                params.push(state);
                and(&mut sql, &format!("state = ${}", params.len()));
            }
        }
        if let Some(sender) = &filter.sender {
            params.push(sender);
            and(
                &mut sql,
                &format!("coalesce(folded, lower(sender)) = ${}", params.len()),
            );
        }
        if let Some(recipient) = &filter.recipient {
            params.push(recipient);
            let number = params.len();
            and(
                &mut sql,
                &format!(
                    "EXISTS (SELECT 1 FROM @recipient AS r WHERE r.message = m.id AND coalesce(r.folded, lower(r.address)) = ${number})"
                ),
            );
        }
        if let Some(destination) = &destination {
            params.push(destination);
            let number = params.len();
            and(
                &mut sql,
                &format!(
                    "EXISTS (SELECT 1 FROM @task AS t WHERE t.message = m.id AND t.destination = ${number})"
                ),
            );
        }
        if filter.held {
            and(
                &mut sql,
                "EXISTS (SELECT 1 FROM @task AS t WHERE t.message = m.id AND t.state >= 3)",
            );
        }
        if let Some(before) = &before {
            params.push(before);
            and(&mut sql, &format!("arrived < ${}", params.len()));
        }
        sql.push_str(" ORDER BY id LIMIT $2");
        all(&self.read_once(&sql, &params).await?, rows::message)
    }
}

fn count(row: &Row, index: usize) -> Result<u64, StoreError> {
    let number: i64 = rows::value(row, "task", index)?;
    u64::try_from(number)
        .map_err(|_| StoreError::Damaged(format!("table task: it has {number} rows of a kind")))
}
