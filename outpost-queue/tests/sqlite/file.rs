//! Faults of a file: missing, foreign, newer, full, read-only, cut off in the middle.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use outpost_queue::{
    model::{Message, MessageId, MessageState},
    operation::Submitted,
    store::{
        Operation, Store, StoreError,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use rusqlite::Connection;

use super::{
    block_on,
    conformance::{
        rows::{submission, submit},
        script,
    },
};

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, &SqliteOptions::default())
}

fn run<O: Operation>(store: &SqliteStore, operation: O) -> Result<O::Output, StoreError> {
    block_on(store.run(operation))
}

/// Submits a message of so many bytes.
fn put(store: &SqliteStore, bytes: usize) -> Result<MessageId, StoreError> {
    let mut one = submission(&["a@a.example"]);
    one.text = Submitted::Text(vec![b'x'; bytes].into());
    Ok(run(store, submit(vec![one]))?[0])
}

/// The size of the text that is there of a message that waits.
fn size(store: &SqliteStore, id: MessageId) -> Option<usize> {
    run(
        store,
        script!(tx [id: MessageId] -> Option<usize> {
            let messages: Vec<Message> = tx.messages(&[*id]).await?;
            if messages.iter().all(|one| one.state != MessageState::Queued) {
                return Ok(None);
            }
            assert_eq!(tx.recipients_of(*id).await?.len(), 1);
            let (mut pieces, mut size) = (0, 0);
            while let Some(piece) = tx.chunk(*id, pieces).await? {
                pieces += 1;
                size += piece.len();
            }
            assert_eq!(size as u64, messages[0].size);
            Ok(Some(size))
        }),
    )
    .unwrap()
}

#[test]
fn a_file_is_made_for_its_owner_alone_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path).unwrap();
    let id = put(&store, 10).unwrap();
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
    // Everything is in the one file.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(size(&open(&path).unwrap(), id), Some(10));
}

#[test]
fn what_is_no_store_is_refused_by_name_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "Dear diary, ".repeat(1000)).unwrap();
    let foreign = folder.path().join("photos.db");
    let conn = Connection::open(&foreign).unwrap();
    conn.execute_batch("CREATE TABLE photo (id INTEGER PRIMARY KEY)")
        .unwrap();
    conn.close().unwrap();
    let marked = folder.path().join("other.db");
    let conn = Connection::open(&marked).unwrap();
    conn.execute_batch("PRAGMA application_id = 7").unwrap();
    conn.close().unwrap();
    let missing = folder.path().join("nowhere/queue.db");
    let below = text.join("queue.db");
    let pipe = Path::new("/dev/null").to_owned();
    for (path, says) in [
        (&text, "it is no database of SQLite"),
        (
            &foreign,
            "it is a database of SQLite that another program has made",
        ),
        (
            &marked,
            "it is a database of SQLite that another program has made",
        ),
        (&missing, "nowhere does not exist"),
        (&folder.path().to_owned(), "it is a directory"),
        (&below, "directory"),
        (&pipe, "it is no ordinary file"),
    ] {
        let before = fs::read(path).ok();
        let Err(StoreError::Unusable(why)) = open(path) else {
            unreachable!("{path:?}");
        };
        assert!(why.to_lowercase().contains(&says.to_lowercase()), "{why}");
        assert!(why.contains(path.to_str().unwrap()), "{why}");
        assert_eq!(fs::read(path).ok(), before);
    }
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let id = put(&open(&path).unwrap(), 10).unwrap();
    let conn = Connection::open(&path).unwrap();
    let version = |conn: &Connection| -> i64 {
        conn.query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    };
    let known = version(&conn);
    conn.pragma_update(None, "user_version", known + 1).unwrap();
    let error = open(&path).unwrap_err();
    let wanted = StoreError::Version {
        found: known + 1,
        known,
    };
    assert_eq!(error, wanted);
    assert_eq!(version(&conn), known + 1);
    conn.pragma_update(None, "user_version", known).unwrap();
    assert_eq!(size(&open(&path).unwrap(), id), Some(10));
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path).unwrap();
    let id = put(&store, 100_000).unwrap();
    drop(store);
    // All but the first page, which says what the file is.
    let mut bytes = fs::read(&path).unwrap();
    bytes[8192..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let read = |store: &SqliteStore| {
        run(
            store,
            script!(tx [id: MessageId] -> usize { Ok(tx.messages(&[*id]).await?.len()) }),
        )
    };
    let error = open(&path).and_then(|store| read(&store)).unwrap_err();
    let StoreError::Damaged(why) = error else {
        unreachable!("{error:?}");
    };
    assert!(why.contains("queue.db"), "{why}");
}

#[test]
fn a_full_store_loses_nothing_and_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let mut options = SqliteOptions::default();
    options.size_limit = Some(2 << 20);
    let store = SqliteStore::open(&path, &options).unwrap();
    let mut ids = Vec::new();
    let error = loop {
        match put(&store, 100_000) {
            Ok(id) => ids.push(id),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, StoreError::Full(why) if why.contains("queue.db")),
        "{error}"
    );
    assert!(error.passes() && ids.len() > 10);
    assert!(matches!(put(&store, 100_000), Err(StoreError::Full(_))));
    let all = |store: &SqliteStore, ids: &[MessageId]| {
        assert!(ids.iter().all(|id| size(store, *id) == Some(100_000)));
    };
    all(&store, &ids);
    // What is removed leaves room.
    let gone: Vec<MessageId> = ids.drain(..3).collect();
    run(
        &store,
        script!(tx [gone: Vec<MessageId>] -> () { tx.delete_messages(gone).await }),
    )
    .unwrap();
    ids.push(put(&store, 100_000).unwrap());
    all(&store, &ids);
    drop(store);
    let store = open(&path).unwrap();
    ids.push(put(&store, 100_000).unwrap());
    all(&store, &ids);
}

/// Runs a test of this file in a process of its own.
fn another_process(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("OUTPOST_TEST_FILE", path)
        .current_dir("/");
    command
}

fn given_file() -> std::path::PathBuf {
    std::env::var_os("OUTPOST_TEST_FILE").unwrap().into()
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    put(&open(&path).unwrap(), 10).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let mut command = another_process("file::reading_is_not_enough", &path);
    if fs::metadata(&path).unwrap().uid() == 0 {
        // Everything may be written by root. The program has to be where anybody may run it.
        let program = folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(program);
        command
            .args(args)
            .env("OUTPOST_TEST_FILE", &path)
            .current_dir("/");
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{output:?}"
    );
}

#[test]
#[ignore = "another test runs it"]
fn reading_is_not_enough() {
    let path = given_file();
    let error = open(&path).unwrap_err();
    let StoreError::ReadOnly(why) = &error else {
        unreachable!("{error:?}");
    };
    assert!(why.contains("queue.db") && !error.passes(), "{why}");
    let inside = path.parent().unwrap().join("new.db");
    let error = open(&inside).unwrap_err().to_string();
    assert!(
        error.contains("new.db") && error.contains("ermission"),
        "{error}"
    );
}

#[test]
fn a_killed_process_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let mut ids: Vec<MessageId> = Vec::new();
    for round in 1..=3 {
        let mut child = another_process("file::submitting_until_killed", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = |ids: &mut Vec<MessageId>| {
            let line = lines.next()?.unwrap();
            ids.extend(
                line.strip_prefix("has ")
                    .map(|id| id.parse::<MessageId>().unwrap()),
            );
            Some(())
        };
        while ids.len() < round * 40 {
            acknowledged(&mut ids).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had still to say was answered, too.
        while acknowledged(&mut ids).is_some() {}
        let store = open(&path).unwrap();
        assert!(ids.iter().all(|id| size(&store, *id) == Some(20_000)));
    }
    let conn = Connection::open(&path).unwrap();
    let whole: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

#[test]
#[ignore = "another test runs it"]
fn submitting_until_killed() {
    let store = open(&given_file()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let id = put(&store, 20_000).unwrap();
                    println!("\nhas {id}");
                }
            });
        }
    });
}

#[test]
fn two_processes_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let mut options = SqliteOptions::default();
    options.wait = Duration::from_millis(50);
    let one = SqliteStore::open(&path, &options).unwrap();
    let two = open(&path).unwrap();
    let before = block_on(one.foreign_changes()).unwrap();
    let mine = put(&one, 10).unwrap();
    assert_eq!(block_on(one.foreign_changes()).unwrap(), before);
    let theirs = put(&two, 11).unwrap();
    assert_ne!(block_on(one.foreign_changes()).unwrap(), before);
    assert_ne!(mine, theirs);
    for store in [&one, &two] {
        assert_eq!(
            (size(store, mine), size(store, theirs)),
            (Some(10), Some(11))
        );
    }
    // Somebody who does not let go is a conflict, after which it goes on.
    let third = Connection::open(&path).unwrap();
    third.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = put(&one, 12).unwrap_err();
    assert!(
        matches!(error, StoreError::Conflict(_)) && error.passes(),
        "{error}"
    );
    third.execute_batch("ROLLBACK").unwrap();
    assert!(put(&one, 12).is_ok());
}

#[test]
fn processes_that_begin_at_the_same_time_make_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = open(&path).unwrap();
                for _ in 0..10 {
                    put(&store, 10).unwrap();
                }
            });
        }
    });
    let store = open(&path).unwrap();
    let count = run(
        &store,
        script!(tx [] -> usize { Ok(tx.lock_new(1000).await?.len()) }),
    )
    .unwrap();
    assert_eq!(count, 80);
}
