//! Tests of stores that are not there, or not what they should be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    process::{Command, Stdio},
};

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

/// The program as somebody runs it who may not write what belongs to whoever runs this test: root may write anything.
fn of_another_user(queue: &Queue) -> Command {
    let own = fs::metadata(queue.folder.path()).unwrap();
    let mut command = program();
    if own.uid() == 0 {
        // It has to be where anybody may run it.
        let copy = queue.folder.path().join("program");
        fs::copy(command.get_program(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        command = Command::new(copy);
        command.uid(65534).gid(65534).env_clear();
    }
    fs::set_permissions(queue.folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    command.current_dir("/").stdin(Stdio::null());
    command
}

#[test]
fn a_store_that_may_not_be_written_is_one_that_cannot_be_used() {
    let queue = Queue::new();
    let id = queue.submit("[127.0.0.1]:1", &["a@x.example"]);
    let mail = queue.path("mail");
    fs::write(&mail, MESSAGE).unwrap();
    let store = queue.store();
    let submit = ["submit", "--store", &store, "--file", &mail, "a@x.example"];
    for mode in [0o444, 0o666] {
        // With the second, the file may be written, and nothing may be laid beside it.
        fs::set_permissions(&store, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = of_another_user(&queue);
        let output = command.args(submit).output().unwrap();
        Run::of(output).exits(69).says("queue.db");
        fs::set_permissions(queue.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    let there = queue.list(&[]);
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["queue_id"].as_str().unwrap(), id);
}

/// Runs a script of the shell with the program in `$program` and a folder in `$folder`.
fn script(shell: &[&str], queue: &Queue, script: &str) -> Run {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", script]);
    command.env("program", program().get_program());
    command.env("folder", queue.folder.path());
    command.env_remove("OUTPOST_STORE").stdin(Stdio::null());
    Run::of(command.output().unwrap())
}

/// Submits until there is no room, then some more, looks at what is there, and submits once more when there is room.
const FILL: &str = r#"
    export OUTPOST_STORE="$folder/room/queue.db"
    submit() { "$program" submit a@x.example < "$folder/mail" > /dev/null; }
    taken=0
    while limited submit; do taken=$((taken + 1)); done
    limited submit; first=$?
    limited submit; second=$?
    "$program" check > /dev/null; whole=$?
    there=$("$program" list --json | grep -c queue_id)
    more_room
    submit; after=$?
    "$program" check > /dev/null || whole=$?
    later=$("$program" list --json | grep -c queue_id)
    echo "$((taken > 1)) $((there - taken)) $((later - there)) $first $second $after $whole"
"#;

/// A message that fills a small disk soon.
fn a_large_message(queue: &Queue) {
    let line = format!("{}\n", "x".repeat(79));
    let text = format!("{MESSAGE}{}", line.repeat(2000));
    fs::write(queue.path("mail"), text).unwrap();
    fs::create_dir(queue.path("room")).unwrap();
}

#[test]
fn a_full_disk_is_a_reason_to_come_later() {
    let queue = Queue::new();
    a_large_message(&queue);
    // A disk of one's own takes a user of one's own, which not every system allows.
    let disk = r#"mount -t tmpfs -o size=2m none "$folder/room""#;
    let own = ["unshare", "--mount", "--map-root-user", "sh"];
    let is_there = Command::new(own[0]).arg("--version").output().is_ok();
    if !is_there || script(&own, &queue, disk).exit != Some(0) {
        eprintln!("no file system of one's own: a limit of sizes has to do");
        return;
    }
    let full = format!(
        r#"{disk}; limited() {{ "$@"; }}
        more_room() {{ mount -o remount,size=9m "$folder/room"; }}
        {FILL}"#
    );
    let run = script(&own, &queue, &full).exits(0);
    assert_eq!(run.stdout, "1 0 1 75 75 0 0\n", "{run:#?}");
    run.says("the store is full");
}

#[test]
fn a_file_that_may_not_grow_is_a_reason_to_come_later() {
    let queue = Queue::new();
    a_large_message(&queue);
    for trap in ["trap '' XFSZ", "true"] {
        fs::remove_dir_all(queue.path("room")).unwrap();
        fs::create_dir(queue.path("room")).unwrap();
        let limited = format!(
            r#"limited() {{ ({trap}; ulimit -f 2000; "$@"); }}
            more_room() {{ true; }}
            {FILL}"#
        );
        let run = script(&["sh"], &queue, &limited).exits(0);
        assert_eq!(run.stdout, "1 0 1 75 75 0 0\n", "{trap}: {run:#?}");
        run.says("queue.db");
    }
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
