//! Tasks and destinations.

use tokio_postgres::GenericClient;

use crate::{
    model::{Destination, DestinationName, MessageId, Task, TaskId, TaskState, Timestamp},
    store::words::{StateWord, Word, time_number},
};

use super::{
    StoreError,
    messages::limit,
    rows::{self, all, destination_columns, destination_name, task_columns},
    send::{Param, Tx, column},
};

const INSERT: &str = concat!(
    "INSERT INTO @task (",
    task_columns!(),
    ") SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], ",
    "$4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], ",
    "$12::bigint[], $13::bigint[], $14::boolean[])",
);

const SAVE: &str = "UPDATE @task AS t SET state = n.state, due = n.due, fence = n.fence, attempts = n.attempts, \
    deaths = n.deaths, doubt = n.doubt, worker = n.worker, until = n.until, watch = n.watch, warned = n.warned \
    FROM UNNEST($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
    $8::text[], $9::bigint[], $10::bigint[], $11::boolean[]) \
    AS n(id, state, due, fence, attempts, deaths, doubt, worker, until, watch, warned) WHERE t.id = n.id";

const LOCK: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM @task WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

const NEW: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM @task WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED",
);

const DUE: &str = concat!(
    "SELECT t.* FROM UNNEST($1::text[], $2::bigint[]) AS w(name, turns) CROSS JOIN LATERAL (SELECT ",
    task_columns!(),
    " FROM @task WHERE destination = w.name COLLATE \"C\" AND state = 1 AND due <= $3 ORDER BY due, id LIMIT w.turns ",
    "FOR UPDATE SKIP LOCKED) AS t",
);

const NEXT_DUE: &str = "SELECT w.name, (SELECT due FROM @task WHERE destination = w.name COLLATE \"C\" AND state = 1 \
    ORDER BY destination, due, id LIMIT 1) FROM UNNEST($1::text[]) AS w(name)";

const ABANDONED: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM @task WHERE state = 2 AND until < $1 ORDER BY until, id LIMIT $2 FOR UPDATE SKIP LOCKED",
);

const WATCHED: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM @task WHERE (state = 1 OR state >= 3) AND watch <= $1 ",
    "ORDER BY watch, id LIMIT $2 FOR UPDATE SKIP LOCKED",
);

const OF_MESSAGES: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM @task WHERE message = ANY($1) ORDER BY id"
);

const LOCK_DESTINATIONS: &str = concat!(
    "SELECT ",
    destination_columns!(),
    " FROM @destination WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE",
);

const INSERT_DESTINATIONS: &str = concat!(
    "INSERT INTO @destination (",
    destination_columns!(),
    ") SELECT * FROM UNNEST($1::text[], $2::bigint[], ",
    "$3::bigint[], $4::float8[], $5::float8[], $6::float8[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[]) ",
    "ON CONFLICT (name) DO NOTHING",
);

const SAVE_DESTINATIONS: &str = concat!(
    "UPDATE @destination AS d SET running = n.running, concurrency = n.concurrency, success = n.success, ",
    "failure = n.failure, fail_cohorts = n.fail_cohorts, dead_until = n.dead_until, dead_why = n.dead_why, ",
    "next_start = n.next_start, ready_at = n.ready_at FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], ",
    "$4::float8[], $5::float8[], $6::float8[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[]) AS n(",
    destination_columns!(),
    ") WHERE d.name = n.name COLLATE \"C\"",
);

const READY: &str = concat!(
    "SELECT ",
    destination_columns!(),
    " FROM @destination WHERE ready_at IS NOT NULL AND ready_at <= $1 ",
    "ORDER BY ready_at LIMIT $2 FOR UPDATE SKIP LOCKED",
);

fn numbers(ids: &[TaskId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

fn texts(names: &[DestinationName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn worker(task: &Task) -> Option<String> {
    match &task.state {
        TaskState::Leased(lease) => Some(lease.worker.to_string()),
        _ => None,
    }
}

fn until(task: &Task) -> Option<i64> {
    match &task.state {
        TaskState::Leased(lease) => Some(lease.until.micros()),
        _ => None,
    }
}

fn state(task: &Task) -> i16 {
    StateWord::from(&task.state).number()
}

impl<C: GenericClient + Sync> Tx<'_, C> {
    pub(super) async fn insert_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(tasks, |one| one.id.0),
            column(tasks, |one| one.message.0),
            column(tasks, |one| one.destination.to_string()),
            column(tasks, state),
            column(tasks, |one| one.due.micros()),
            column(tasks, |one| one.fence.0),
            column(tasks, |one| i64::from(one.attempts)),
            column(tasks, |one| i64::from(one.deaths)),
            column(tasks, |one| one.doubt.map(|fence| fence.0)),
            column(tasks, worker),
            column(tasks, until),
            column(tasks, |one| one.arrived.micros()),
            column(tasks, |one| time_number(one.watch)),
            column(tasks, |one| one.warned),
        ];
        self.write(INSERT, columns).await
    }

    pub(super) async fn save_tasks(&mut self, tasks: &[Task]) -> Result<(), StoreError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let columns = vec![
            column(tasks, |one| one.id.0),
            column(tasks, state),
            column(tasks, |one| one.due.micros()),
            column(tasks, |one| one.fence.0),
            column(tasks, |one| i64::from(one.attempts)),
            column(tasks, |one| i64::from(one.deaths)),
            column(tasks, |one| one.doubt.map(|fence| fence.0)),
            column(tasks, worker),
            column(tasks, until),
            column(tasks, |one| time_number(one.watch)),
            column(tasks, |one| one.warned),
        ];
        self.write(SAVE, columns).await
    }

    pub(super) async fn delete_tasks(&mut self, ids: &[TaskId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write(
            "DELETE FROM @task WHERE id = ANY($1)",
            vec![Box::new(numbers(ids))],
        )
        .await
    }

    pub(super) async fn lock_tasks(&mut self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        all(&self.read(LOCK, &[&numbers(ids)]).await?, rows::task)
    }

    pub(super) async fn lock_new(&mut self, most: usize) -> Result<Vec<Task>, StoreError> {
        all(&self.read(NEW, &[&limit(most)]).await?, rows::task)
    }

    pub(super) async fn lock_due(
        &mut self,
        turns: &[(DestinationName, u32)],
        now: Timestamp,
    ) -> Result<Vec<Task>, StoreError> {
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = turns.iter().map(|(name, _)| name.as_str()).collect();
        let most: Vec<i64> = turns.iter().map(|(_, turns)| i64::from(*turns)).collect();
        all(
            &self.read(DUE, &[&names, &most, &now.micros()]).await?,
            rows::task,
        )
    }

    pub(super) async fn next_due(
        &mut self,
        names: &[DestinationName],
    ) -> Result<Vec<(DestinationName, Timestamp)>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        all(&self.read(NEXT_DUE, &[&texts(names)]).await?, |row| {
            let due: Option<i64> = rows::value(row, "task", 1)?;
            let due = due.map_or(Timestamp::NEVER, Timestamp::from_micros);
            Ok((destination_name(row, "task", 0)?, due))
        })
    }

    pub(super) async fn lock_abandoned(
        &mut self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Task>, StoreError> {
        all(
            &self.read(ABANDONED, &[&now.micros(), &limit(most)]).await?,
            rows::task,
        )
    }

    pub(super) async fn lock_watched(
        &mut self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Task>, StoreError> {
        all(
            &self.read(WATCHED, &[&now.micros(), &limit(most)]).await?,
            rows::task,
        )
    }

    pub(super) async fn tasks_of(&mut self, ids: &[MessageId]) -> Result<Vec<Task>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        all(&self.read(OF_MESSAGES, &[&ids]).await?, rows::task)
    }

    pub(super) async fn lock_destinations(
        &mut self,
        names: &[DestinationName],
        new: impl Fn(&DestinationName) -> Destination + Send + Sync,
    ) -> Result<Vec<Destination>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let texts = texts(names);
        let mut found = self.read(LOCK_DESTINATIONS, &[&texts]).await?;
        if found.len() < names.len() {
            let new: Vec<Destination> = names.iter().map(new).collect();
            self.write(INSERT_DESTINATIONS, destination_values(&new))
                .await?;
            // What somebody else has added meanwhile is seen by another statement.
            found = self.read(LOCK_DESTINATIONS, &[&texts]).await?;
        }
        if found.len() < names.len() {
            return Err(StoreError::Conflict(
                "a destination went away just now".to_owned(),
            ));
        }
        all(&found, rows::destination)
    }

    pub(super) async fn lock_ready(
        &mut self,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Destination>, StoreError> {
        all(
            &self.read(READY, &[&now.micros(), &limit(most)]).await?,
            rows::destination,
        )
    }

    pub(super) async fn save_destinations(
        &mut self,
        destinations: &[Destination],
    ) -> Result<(), StoreError> {
        if destinations.is_empty() {
            return Ok(());
        }
        self.write(SAVE_DESTINATIONS, destination_values(destinations))
            .await
    }
}

fn destination_values(all: &[Destination]) -> Vec<Param> {
    // PostgreSQL has no NUL in texts.
    let why = |one: &Destination| {
        one.dead
            .as_ref()
            .map(|dead| dead.why.replace('\0', "\u{fffd}"))
    };
    vec![
        column(all, |one| one.name.to_string()),
        column(all, |one| i64::from(one.running)),
        column(all, |one| i64::from(one.window)),
        column(all, |one| one.success),
        column(all, |one| one.failure),
        column(all, |one| one.fail_cohorts),
        column(all, |one| one.dead.as_ref().map(|dead| dead.until.micros())),
        column(all, why),
        column(all, |one| one.next_start.micros()),
        column(all, |one| time_number(one.ready_at)),
    ]
}
