//! Tests of stores that are not there, or not what they should be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;

use crate::common::{MESSAGE, Queue, Run, program, run};

#[test]
fn a_store_that_is_not_there_is_made_by_those_who_put_something_in() {
    let queue = Queue::new();
    for command in [
        &["list"][..],
        &["stats"],
        &["check"],
        &["show", "1"],
        &["hold", "1"],
        &["purge"],
    ] {
        queue.run(command).exits(69).says("there is no queue");
    }
    assert!(fs::read_dir(queue.folder.path()).unwrap().next().is_none());
    queue.run(&["migrate"]).exits(0);
    queue.run(&["check"]).exits(0).says("0 messages looked at");
    let nowhere = queue.path("none/queue.db");
    run(&["migrate", "--store", &nowhere]).exits(69);
}

#[test]
fn the_default_place_is_in_the_data_folder_and_the_environment_goes_before() {
    let queue = Queue::new();
    let at = |name: &str, value: &str, args: &[&str]| {
        let output = program().args(args).env(name, value).output();
        Run::of(output.unwrap())
    };
    let named = queue.path("named.db");
    at("OUTPOST_STORE", &named, &["migrate"])
        .exits(0)
        .says("named.db");
    assert!(fs::metadata(&named).unwrap().len() > 0);
    let set = format!("queue_store={}", queue.path("set.db"));
    run(&["migrate", "-o", &set]).exits(0).says("set.db");
    let home = queue.path("data");
    let run = at("XDG_DATA_HOME", &home, &["list"]).exits(69);
    // Root has a place of its own.
    let is_root = run.stderr.contains("/var/lib/outpost/queue.db");
    assert!(
        is_root || run.stderr.contains("data/outpost/queue.db"),
        "{run:?}"
    );
}

#[test]
fn a_newer_schema_and_a_file_of_another_kind_are_refused() {
    let queue = Queue::new();
    queue.run(&["migrate"]).exits(0);
    let file = rusqlite::Connection::open(queue.store()).unwrap();
    let version: i64 = file
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    file.pragma_update(None, "user_version", version + 100)
        .unwrap();
    drop(file);
    queue.run(&["list"]).exits(69).says("schema");
    queue
        .run_with(&["submit", "a@x.example"], MESSAGE.as_bytes())
        .exits(69);
    let other = queue.path("other.db");
    fs::write(
        &other,
        "this is no database, but a text that is long enough".repeat(100),
    )
    .unwrap();
    let run = run(&["list", "--store", &other]);
    assert!(matches!(run.exit, Some(69 | 70)), "{run:?}");
}

#[test]
fn a_store_that_may_not_be_written_is_one_that_cannot_be_used() {
    let queue = Queue::new();
    queue.run(&["migrate"]).exits(0);
    let mut permissions = fs::metadata(queue.store()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(queue.store(), permissions).unwrap();
    if fs::OpenOptions::new()
        .write(true)
        .open(queue.store())
        .is_ok()
    {
        // Root may do everything.
        return;
    }
    let run = queue.run_with(&["submit", "a@x.example"], MESSAGE.as_bytes());
    run.exits(69).says("queue.db");
}

#[test]
fn a_password_is_not_shown() {
    for url in [
        "postgres://me:4711@127.0.0.1:1/d",
        "postgres://127.0.0.1:1/d?user=me&password=4711",
        "frob://me:4711@x/d",
    ] {
        let run = run(&["list", "--store", url]);
        assert!(matches!(run.exit, Some(69 | 75)), "{run:?}");
        assert!(!run.stderr.contains("4711"), "{run:?}");
    }
}

#[test]
fn settings_that_cannot_be_understood_are_told_with_their_line() {
    let queue = Queue::new();
    let file = queue.path("main.cf");
    fs::write(
        &file,
        "minimal_backoff_time = 10m\nqueue_doubt = maybe\nsmtp_helo_timeout = 5x\n",
    )
    .unwrap();
    let run = queue.run(&["check", "--main-cf", &file]).exits(78);
    run.says("main.cf: line 2: queue_doubt: \"maybe\" is not one of retry, hold");
    fs::write(&file, "queue_doubt = hold\nqueue_lease_time = $minimal_backoff_time\nminimal_backoff_time = 10m\n").unwrap();
    queue.run(&["migrate"]).exits(0);
    let run = queue.run(&["check", "--main-cf", &file]).exits(0);
    assert_eq!(run.stderr, "");
    queue
        .run(&["check", "-o", "smtp_helo_timeout=5x"])
        .exits(78)
        .says("smtp_helo_timeout");
    queue
        .run(&["check", "-o", "queue_duobt=hold"])
        .exits(0)
        .says("unused parameter: queue_duobt=hold");
}
