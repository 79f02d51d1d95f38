//! The tables, and how older ones become those of today.
//!
//! Each step is a list of statements that every database of the family should understand. What makes PostgreSQL itself
//! faster stands beside it, and others are spared it.
//!
//! Rows of a queue live for a short time, and what is next stands at the head of an index, among entries of rows that are
//! gone. So there are partial indexes by state, which a row leaves with its state; rows have room on their page for their
//! next version, so that marks and renewals touch no index; and tables are vacuumed early.

use tokio_postgres::{Client, error::SqlState};

use super::{StoreError, errors};

/// The newest version of the schema that is known here.
pub(super) const VERSION: i64 = 1;

/// A step from one version to the next.
struct Step {
    /// The statements that every database understands. `@` stands for the schema.
    plain: &'static str,
    /// The statements for PostgreSQL itself.
    tuning: &'static str,
}

const STEPS: [Step; 1] = [Step {
    plain: r#"
        CREATE SEQUENCE @number INCREMENT BY 1024;
        CREATE TABLE @message (
            id BIGINT PRIMARY KEY, kind SMALLINT NOT NULL, state SMALLINT NOT NULL, sender TEXT NOT NULL, folded TEXT,
            envelope TEXT NOT NULL, size BIGINT NOT NULL, arrived BIGINT NOT NULL, unsettled BIGINT NOT NULL,
            report_at BIGINT, finished BIGINT);
        CREATE INDEX message_open ON @message (id) WHERE state <> 2;
        CREATE INDEX message_owing ON @message (report_at, id) WHERE report_at IS NOT NULL;
        CREATE INDEX message_finished ON @message (finished) WHERE state = 2;
        CREATE INDEX message_arriving ON @message (arrived) WHERE state = 0;
        CREATE TABLE @chunk (
            message BIGINT NOT NULL, number BIGINT NOT NULL, bytes BYTEA NOT NULL, PRIMARY KEY (message, number));
        CREATE TABLE @task (
            id BIGINT PRIMARY KEY, message BIGINT NOT NULL, destination TEXT COLLATE "C" NOT NULL, state SMALLINT NOT NULL,
            due BIGINT NOT NULL, fence BIGINT NOT NULL, attempts BIGINT NOT NULL, deaths BIGINT NOT NULL, doubt BIGINT,
            worker TEXT, until BIGINT, arrived BIGINT NOT NULL, watch BIGINT, warned BOOLEAN NOT NULL);
        CREATE INDEX task_message ON @task (message);
        CREATE INDEX task_new ON @task (id) WHERE state = 0;
        CREATE INDEX task_ready ON @task (destination, due, id) WHERE state = 1;
        CREATE INDEX task_leased ON @task (id) WHERE state = 2;
        CREATE INDEX task_watched ON @task (watch, id) WHERE state = 1 OR state >= 3;
        CREATE TABLE @recipient (
            message BIGINT NOT NULL, number BIGINT NOT NULL, task BIGINT NOT NULL, address TEXT NOT NULL, folded TEXT,
            original TEXT, orcpt TEXT, notify SMALLINT NOT NULL, fate SMALLINT NOT NULL, doubtful BOOLEAN NOT NULL,
            verdict TEXT, owed SMALLINT, PRIMARY KEY (message, number));
        CREATE INDEX recipient_task ON @recipient (task);
        CREATE TABLE @destination (
            name TEXT COLLATE "C" PRIMARY KEY, running BIGINT NOT NULL, concurrency BIGINT NOT NULL,
            success DOUBLE PRECISION NOT NULL, failure DOUBLE PRECISION NOT NULL, fail_cohorts DOUBLE PRECISION NOT NULL,
            dead_until BIGINT, dead_why TEXT, next_start BIGINT NOT NULL, ready_at BIGINT);
        CREATE INDEX destination_ready ON @destination (ready_at) WHERE ready_at IS NOT NULL;
        CREATE TABLE @shared (
            topic TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, value TEXT NOT NULL, number BIGINT NOT NULL,
            until BIGINT, PRIMARY KEY (topic, key));
        CREATE INDEX shared_until ON @shared (until) WHERE until IS NOT NULL;
    "#,
    tuning: "
        ALTER TABLE @chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
        ALTER TABLE @chunk SET (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.05,
            autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE @message SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE @recipient SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE @task SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
            autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE @destination SET (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02,
            autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
        ALTER TABLE @shared SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
    ",
}];

/// The times that making the schema is tried: somebody else may be about it in the same moment.
const TRIALS: u32 = 10;

/// Brings the schema to the newest version. Several may do so at once, and one of them does the work.
pub(super) async fn migrate(client: &Client, prefix: &str, tune: bool) -> Result<(), StoreError> {
    let mut last = StoreError::Conflict("the schema is being made".to_owned());
    for _ in 0..TRIALS {
        match step_up(client, prefix, tune).await {
            Err(StoreError::Conflict(why)) => last = StoreError::Conflict(why),
            result => return result,
        }
        // What is left of the transaction.
        client
            .batch_execute("ROLLBACK")
            .await
            .map_err(|why| errors::of_statement(&why))?;
    }
    Err(last)
}

async fn step_up(client: &Client, prefix: &str, tune: bool) -> Result<(), StoreError> {
    let wrong = |why: tokio_postgres::Error| match why.code().map(SqlState::code) {
        // Of two that make the same thing at once, one hears that it is there.
        Some("42P06" | "42P07" | "42710") => StoreError::Conflict(why.to_string()),
        _ => errors::of_statement(&why),
    };
    match version(client, prefix, false).await? {
        Some(VERSION) => return Ok(()),
        Some(_) => {}
        None => {
            let schema = prefix.trim_end_matches('.');
            let make = format!(
                "CREATE SCHEMA IF NOT EXISTS {schema};
                 CREATE TABLE IF NOT EXISTS {prefix}version (one BOOLEAN PRIMARY KEY, version BIGINT NOT NULL);
                 INSERT INTO {prefix}version VALUES (true, 0) ON CONFLICT DO NOTHING"
            );
            client.batch_execute(&make).await.map_err(wrong)?;
        }
    }
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        .await
        .map_err(wrong)?;
    // Whoever has this row is the one.
    let found = version(client, prefix, true).await?.unwrap_or(0);
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        client
            .batch_execute(&step.plain.replace('@', prefix))
            .await
            .map_err(wrong)?;
        if tune {
            client
                .batch_execute(&step.tuning.replace('@', prefix))
                .await
                .map_err(wrong)?;
        }
    }
    if found != VERSION {
        let write = format!("UPDATE {prefix}version SET version = {VERSION}");
        client.batch_execute(&write).await.map_err(wrong)?;
    }
    client.batch_execute("COMMIT").await.map_err(wrong)
}

/// The version of the schema; none if there is no schema. A newer one than is known here is an error.
async fn version(client: &Client, prefix: &str, lock: bool) -> Result<Option<i64>, StoreError> {
    let lock = if lock { " FOR UPDATE" } else { "" };
    let question = format!("SELECT version FROM {prefix}version{lock}");
    let rows = match client.query(&question, &[]).await {
        Err(why) if matches!(why.code().map(SqlState::code), Some("42P01" | "3F000")) => {
            return Ok(None);
        }
        answer => answer.map_err(|why| errors::of_statement(&why))?,
    };
    rows.first().map(check).transpose()
}

/// The version in a row of the table of that name, if it is known here.
pub(super) fn check(row: &tokio_postgres::Row) -> Result<i64, StoreError> {
    let wrong = |why| StoreError::Damaged(format!("table version, column version: {why}"));
    match row.try_get(0).map_err(wrong)? {
        found if found > VERSION => Err(StoreError::Version {
            found,
            known: VERSION,
        }),
        found if found < 0 => Err(StoreError::Damaged(format!(
            "table version, column version: {found}"
        ))),
        found => Ok(found),
    }
}
