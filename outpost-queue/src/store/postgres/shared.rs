//! The things that workers share, the time, and numbers.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::GenericClient;

use crate::{
    model::{Shared, Timestamp},
    store::words::time_number,
};

use super::{
    StoreError,
    messages::limit,
    rows::{self, all, shared_columns},
    send::{Param, Tx, column},
};

/// The numbers that the sequence gives out at a time.
const BLOCK: i64 = 1024;

const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

const NUMBERS: &str = "SELECT nextval('@number') FROM generate_series(1, $1::bigint)";

const FIND: &str = concat!(
    "SELECT ",
    shared_columns!(),
    " FROM @shared WHERE topic = $1 AND key = ANY($2::text[]) ",
    "AND (until IS NULL OR until > $3) ORDER BY key",
);

const SCAN: &str = concat!(
    "SELECT ",
    shared_columns!(),
    " FROM @shared WHERE topic = $1 AND key > $2 ",
    "AND (until IS NULL OR until > $4) ORDER BY topic, key LIMIT $3",
);

macro_rules! insert {
    () => {
        concat!(
            "INSERT INTO @shared AS s (",
            shared_columns!(),
            ") SELECT * FROM UNNEST($1::text[], $2::text[], ",
            "$3::text[], $4::bigint[], $5::bigint[]) ON CONFLICT (topic, key) DO UPDATE SET ",
        )
    };
}

const PUT: &str = concat!(
    insert!(),
    "value = excluded.value, number = excluded.number, until = excluded.until"
);

const CLAIM: &str = concat!(
    insert!(),
    "value = excluded.value, number = excluded.number, until = excluded.until ",
    "WHERE s.until <= $6 RETURNING topic, key",
);

const ADD: &str = concat!(insert!(), "number = s.number + excluded.number");

const PURGE: &str = "DELETE FROM @shared WHERE (topic, key) IN \
    (SELECT topic, key FROM @shared WHERE until IS NOT NULL AND until <= $1 ORDER BY until LIMIT $2 \
    FOR UPDATE SKIP LOCKED)";

type Name<'t> = (&'t str, &'t str);

fn name(thing: &Shared) -> Name<'_> {
    (&thing.topic, &thing.key)
}

/// The things in the order of their names, so that two that write the same do not wait for each other.
fn values<'t>(things: &BTreeMap<Name<'t>, Shared>) -> Vec<Param> {
    let things = || things.values();
    vec![
        column(things(), |one: &Shared| one.topic.clone()),
        column(things(), |one: &Shared| one.key.clone()),
        column(things(), |one: &Shared| one.value.clone()),
        column(things(), |one: &Shared| one.number),
        column(things(), |one: &Shared| time_number(one.until)),
    ]
}

impl<C: GenericClient + Sync> Tx<'_, C> {
    pub(super) async fn now(&mut self) -> Result<Timestamp, StoreError> {
        let rows = self.read(NOW, &[]).await?;
        let none = || StoreError::Other("the server tells no time".to_owned());
        let row = rows.first().ok_or_else(none)?;
        Ok(Timestamp::from_micros(rows::value(row, "(time)", 0)?))
    }

    /// Numbers come in blocks, which are gone if nobody takes all of them.
    pub(super) async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let count = limit(count);
        if let Some(numbers) = self.common.take_numbers(count) {
            return Ok(numbers.collect());
        }
        let blocks = count.div_euclid(BLOCK) + 1;
        let rows = self.read(NUMBERS, &[&blocks]).await?;
        let starts = all(&rows, |row| rows::value::<i64>(row, "number", 0))?;
        let numbers = starts
            .into_iter()
            .flat_map(|start| start..start.saturating_add(BLOCK));
        let mut numbers: Vec<i64> = numbers.collect();
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        // The rest is a part of the last block, since each is larger than what was too much for one less.
        let rest = numbers.split_off(wanted.min(numbers.len()));
        if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
            self.common.stock_numbers(*first..last.saturating_add(1));
        }
        Ok(numbers)
    }

    pub(super) async fn shared(
        &mut self,
        topic: &str,
        keys: &[String],
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        all(
            &self.read(FIND, &[&topic, &keys, &now.micros()]).await?,
            rows::shared,
        )
    }

    pub(super) async fn scan_shared(
        &mut self,
        topic: &str,
        after: &str,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Shared>, StoreError> {
        all(
            &self
                .read(SCAN, &[&topic, &after, &limit(most), &now.micros()])
                .await?,
            rows::shared,
        )
    }

    pub(super) async fn put_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        if things.is_empty() {
            return Ok(());
        }
        let things = things.iter().map(|one| (name(one), one.clone())).collect();
        self.write(PUT, values(&things)).await
    }

    pub(super) async fn claim_shared(
        &mut self,
        things: &[Shared],
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        if things.is_empty() {
            return Ok(Vec::new());
        }
        // Of two with one name the first counts.
        let wanted: BTreeMap<_, _> = things
            .iter()
            .rev()
            .map(|one| (name(one), one.clone()))
            .collect();
        let mut params = values(&wanted);
        params.push(Box::new(now.micros()));
        let params: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = params
            .iter()
            .map(|one| &**one as &(dyn tokio_postgres::types::ToSql + Sync))
            .collect();
        self.note_write();
        let rows = self.read(CLAIM, &params).await?;
        let mut claimed: BTreeSet<Name<'_>> =
            all(&rows, |row| Ok((rows::text(row, 0)?, rows::text(row, 1)?)))?
                .into_iter()
                .collect();
        let first = things.iter().filter(|one| claimed.remove(&name(one)));
        Ok(first.map(|one| one.key.clone()).collect())
    }

    pub(super) async fn add_shared(&mut self, things: &[Shared]) -> Result<(), StoreError> {
        if things.is_empty() {
            return Ok(());
        }
        let mut sums: BTreeMap<Name<'_>, Shared> = BTreeMap::new();
        for thing in things {
            let sum = sums.entry(name(thing)).or_insert_with(|| Shared {
                number: 0,
                ..thing.clone()
            });
            sum.number = sum.number.saturating_add(thing.number);
        }
        self.write(ADD, values(&sums)).await
    }

    pub(super) async fn delete_shared(
        &mut self,
        topic: &str,
        keys: &[String],
    ) -> Result<(), StoreError> {
        const SQL: &str = "DELETE FROM @shared WHERE topic = $1 AND key = ANY($2::text[])";
        if keys.is_empty() {
            return Ok(());
        }
        self.write(
            SQL,
            vec![Box::new(topic.to_owned()), Box::new(keys.to_vec())],
        )
        .await
    }

    pub(super) async fn purge_shared(
        &mut self,
        now: Timestamp,
        most: usize,
    ) -> Result<(), StoreError> {
        self.write(PURGE, vec![Box::new(now.micros()), Box::new(limit(most))])
            .await
    }
}
