//! Tests of what only the inside of the store shows: how it looks rows up, how SQLite is set, how schemas change.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use futures_util::FutureExt;
use rusqlite::Connection;

use super::{
    SqliteOptions, fault::Fault, link::Link, open, schema, transaction::SqliteTransaction,
};
use crate::{
    model::{
        Destination, DestinationName, Fate, Fence, Filter, Kind, Lease, Message, MessageId,
        MessageState, QueuedRecipient, Shared, Task, TaskId, TaskState, Timestamp, WorkerName,
    },
    rules::Concurrency,
    store::{Chunk, StoreError, Transaction},
};

fn link(folder: &tempfile::TempDir) -> Link {
    let options = SqliteOptions::default();
    let path = folder.path().join("queue.db");
    let conn = open::open(&path, &options).unwrap();
    Link::new(conn, path, options.clock.clone(), options.wait)
}

fn number(link: &Link, pragma: &str) -> i64 {
    let sql = format!("PRAGMA {pragma}");
    link.conn.query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn task(state: TaskState) -> Task {
    Task {
        id: TaskId(2),
        message: MessageId(1),
        destination: "smtp:a.example".parse().unwrap(),
        state,
        due: Timestamp::default(),
        fence: Fence(1),
        attempts: 0,
        deaths: 0,
        doubt: None,
        arrived: Timestamp::default(),
        watch: Timestamp::default(),
        warned: false,
    }
}

fn message() -> Message {
    Message {
        id: MessageId(1),
        kind: Kind::Mail,
        state: MessageState::Queued,
        sender: "me@example.org".into(),
        envelope: "{}".into(),
        size: 0,
        arrived: Timestamp::default(),
        unsettled: 1,
        report_at: Timestamp::NEVER,
        finished: Timestamp::NEVER,
    }
}

fn recipient() -> QueuedRecipient {
    QueuedRecipient {
        message: MessageId(1),
        number: 0,
        task: TaskId(2),
        recipient: smtp_policy::request::Recipient::new("a@a.example".parse().unwrap()),
        fate: Fate::Pending,
        doubtful: false,
        verdict: None,
        owed: None,
    }
}

/// Calls every method, with rows that are there.
async fn use_everything<T: Transaction>(tx: &mut T) -> Result<(), StoreError> {
    write(tx).await?;
    find_work(tx).await?;
    read(tx).await?;
    use_shared(tx).await?;
    tx.delete_tasks(&[TaskId(2)]).await?;
    tx.delete_messages(&[MessageId(1)]).await
}

/// Puts rows in, and changes them.
async fn write<T: Transaction>(tx: &mut T) -> Result<(), StoreError> {
    let (messages, recipients) = ([message()], [recipient()]);
    let tasks = [task(TaskState::Ready)];
    let chunks = [Chunk {
        message: MessageId(1),
        number: 0,
        bytes: "text".into(),
    }];
    tx.allocate(2).await?;
    tx.insert_messages(&messages).await?;
    tx.replace_messages(&messages).await?;
    tx.save_messages(&messages).await?;
    tx.insert_chunks(&chunks).await?;
    tx.insert_tasks(&tasks).await?;
    tx.insert_recipients(&recipients).await?;
    tx.save_recipients(&recipients).await?;
    tx.save_tasks(&tasks).await
}

/// Looks for what is to be done, and locks it.
async fn find_work<T: Transaction>(tx: &mut T) -> Result<(), StoreError> {
    let now = Timestamp::default();
    let names = [task(TaskState::Ready).destination];
    let new = |name: &DestinationName| Destination::new(name.clone(), &Concurrency::default());
    let destinations = tx.lock_destinations(&names, new).await?;
    tx.save_destinations(&destinations).await?;
    tx.lock_ready(now, 9).await?;
    tx.lock_owing(now, 9).await?;
    tx.lock_stale(now, now, 9).await?;
    tx.lock_tasks(&[TaskId(2)]).await?;
    tx.lock_new(9).await?;
    tx.lock_due(&[(names[0].clone(), 9)], now).await?;
    tx.next_due(&names).await?;
    tx.lock_abandoned(now, 9).await?;
    tx.lock_watched(now, 9).await?;
    Ok(())
}

/// Reads messages with everything that belongs to them.
async fn read<T: Transaction>(tx: &mut T) -> Result<(), StoreError> {
    let (message, now) = (MessageId(1), Timestamp::default());
    tx.messages(&[message]).await?;
    tx.chunk(message, 0).await?;
    tx.first_chunks(&[message]).await?;
    for pending in [true, false] {
        tx.recipients(&[TaskId(2)], pending).await?;
    }
    tx.owed_recipients(message, 9).await?;
    tx.recipients_of(message).await?;
    tx.tasks_of(&[message]).await?;
    let states = [
        MessageState::Arriving,
        MessageState::Queued,
        MessageState::Finished,
    ];
    let name = task(TaskState::Ready).destination;
    for state in states.map(Some).into_iter().chain([None]) {
        for (destination, held) in [(None, false), (Some(name.clone()), false), (None, true)] {
            let filter = Filter {
                state,
                destination,
                held,
                recipient: Some("a@a.example".into()),
                ..Filter::default()
            };
            tx.list(&filter, None, 9).await?;
        }
    }
    tx.counts(now).await?;
    tx.loads(9).await?;
    Ok(())
}

/// Puts in, counts, reads and removes what workers share.
async fn use_shared<T: Transaction>(tx: &mut T) -> Result<(), StoreError> {
    let (now, keys) = (Timestamp::default(), ["k".to_owned()]);
    let things = [Shared {
        topic: "t".into(),
        key: "k".into(),
        value: String::new(),
        number: 1,
        until: now,
    }];
    tx.put_shared(&things).await?;
    tx.claim_shared(&things, now).await?;
    tx.add_shared(&things).await?;
    tx.shared("t", &keys, now).await?;
    tx.scan_shared("t", "", 9, now).await?;
    tx.purge_shared(now, 9).await?;
    tx.delete_shared("t", &keys).await
}

/// The tables that become large.
const TABLES: [&str; 7] = [
    "message",
    "chunk",
    "task",
    "recipient",
    "destination_name",
    "destination",
    "shared",
];

#[test]
fn every_row_is_looked_up_in_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut link = link(&folder);
    link.begin(true).unwrap();
    let mut tx = SqliteTransaction { link: &mut link };
    use_everything(&mut tx).now_or_never().unwrap().unwrap();
    link.commit().unwrap();
    let used = link.used.take();
    assert!(used.len() > 50, "{}", used.len());
    for sql in used {
        // There is one row.
        if sql.contains(" counter") {
            continue;
        }
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = link.conn.prepare(&explain).unwrap();
        for parameter in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(parameter, 1).unwrap();
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            // Counting goes over indexes that hold nothing but what is counted.
            let counts = sql.contains("count(*)") && step.contains("INDEX");
            let table = step
                .strip_prefix("SCAN ")
                .and_then(|rest| rest.split(' ').next());
            let scans = table.is_some_and(|table| TABLES.contains(&table));
            assert!(!scans || counts, "{sql}\n{step}");
            let sorts = step.contains("TEMP B-TREE");
            let few = sql.contains("DISTINCT") || sql.contains("count(*)");
            assert!(!sorts || few, "{sql}\n{step}");
        }
    }
}

#[test]
fn what_is_answered_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut link = link(&folder);
    let mode: String = link
        .conn
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    for (durable, level) in [(true, 2), (false, 1), (true, 2)] {
        link.begin(durable).unwrap();
        assert_eq!(number(&link, "synchronous"), level);
        link.commit().unwrap();
    }
    assert_eq!(number(&link, "page_size"), 8192);
    assert_eq!(number(&link, "wal_autocheckpoint"), 4000);
    assert_eq!(number(&link, "application_id"), schema::APPLICATION);
    assert_eq!(number(&link, "user_version"), schema::NEWEST);
}

#[test]
fn an_older_schema_is_brought_up_to_date_or_left_as_it_is() {
    let conn = Connection::open_in_memory().unwrap();
    let first = "CREATE TABLE a (x) STRICT";
    let version = |conn: &Connection| {
        let contents = schema::look(conn).unwrap();
        schema::check(contents, 9).unwrap()
    };
    let first = &first.replace("(x)", "(x INTEGER)");
    schema::take(&conn, &[first]).unwrap();
    assert_eq!(version(&conn), 1);
    conn.execute("INSERT INTO a VALUES (7)", []).unwrap();
    // The second half of a step fails.
    let bad = "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO nothing VALUES (1)";
    assert!(schema::take(&conn, &[first, bad]).is_err());
    assert_eq!(version(&conn), 1);
    let good = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1";
    for _ in 0..2 {
        schema::take(&conn, &[first, good, "CREATE TABLE b (z INTEGER) STRICT"]).unwrap();
        assert_eq!(version(&conn), 3);
    }
    let y: i64 = conn
        .query_row("SELECT y FROM a", [], |row| row.get(0))
        .unwrap();
    assert_eq!(y, 8);
    let newer = schema::take(&conn, &[first]).unwrap_err();
    let wanted = StoreError::Version { found: 3, known: 1 };
    assert!(matches!(newer, Fault::Store(error) if error == wanted));
}

#[test]
fn what_should_not_be_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut link = link(&folder);
    let lease = TaskState::Leased(Lease {
        worker: WorkerName("w".into()),
        until: Timestamp::default(),
    });
    super::task::insert(&link, &[task(lease)]).unwrap();
    for (change, says) in [
        (
            "UPDATE task SET state = 17",
            "table task, row 2, column state: 17 has no meaning",
        ),
        (
            "UPDATE task SET state = 2, until = NULL",
            "table task, row 2, column worker: a lease",
        ),
        (
            "UPDATE task SET until = 1, attempts = -1",
            "table task, row 2, column attempts: -1",
        ),
        (
            "UPDATE task SET attempts = 1, destination = 77",
            "table destination_name, row 77",
        ),
    ] {
        link.conn.execute_batch(change).unwrap();
        let mut tx = SqliteTransaction { link: &mut link };
        let error = tx.lock_tasks(&[TaskId(2)]).now_or_never().unwrap();
        let Err(StoreError::Damaged(why)) = error else {
            unreachable!("{error:?}");
        };
        assert!(why.contains("queue.db") && why.contains(says), "{why}");
    }
}
