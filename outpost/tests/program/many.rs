//! Many messages: directories, Maildirs, mboxes, and what can be wrong with them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::common::{RUNTIMES, Run, Sink, folder, mute_server, outpost, run, signal};
use serde_json::Value;
use tempfile::TempDir;

/// The arguments of a delivery to a sink.
fn deliver<'a>(nexthop: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["deliver", "--nexthop", nexthop, "--from", "a@example.org"];
    args.extend(["--to", "b@example.com"]);
    args.extend(more);
    args
}

/// A directory with so many messages.
fn spool(many: usize) -> TempDir {
    let spool = folder();
    for number in 0..many {
        put(&spool, &format!("{number:04}.eml"), number);
    }
    spool
}

fn put(folder: &TempDir, name: &str, number: usize) {
    let text = format!("Subject: {number}\n\nbody\n");
    fs::write(folder.path().join(name), text).unwrap();
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// The subjects that arrived, in order.
fn subjects(sink: &Sink) -> Vec<usize> {
    let number = |message: Vec<u8>| -> usize {
        let text = String::from_utf8(message).unwrap();
        let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
        subject.unwrap().parse().unwrap()
    };
    let mut subjects: Vec<usize> = sink.messages().into_iter().map(number).collect();
    subjects.sort_unstable();
    subjects
}

fn all(many: usize) -> Vec<usize> {
    (0..many).collect()
}

#[test]
fn each_file_of_a_directory_is_a_message_and_the_rest_is_told() {
    for runtime in RUNTIMES {
        let sink = Sink::start(&[]);
        let spool = spool(30);
        fs::write(spool.path().join(".hidden"), "x").unwrap();
        fs::create_dir(spool.path().join("inner")).unwrap();
        put(&spool, "inner/deep.eml", 99);
        let nexthop = sink.nexthop();
        let args = deliver(
            &nexthop,
            &["--jobs", "7", "--runtime", runtime, path(&spool)],
        );
        let run = run(&args).exits(0);
        assert_eq!(subjects(&sink), all(30), "{runtime}");
        let run = run
            .complains(": skipped: .hidden, inner")
            .complains("30 messages, 30 recipients: 30 sent, 0 deferred, 0 bounced; ")
            .complains(" messages/s)");
        assert_eq!(run.stderr.lines().count(), 2, "{run:#?}");
        assert_eq!(run.stdout.lines().count(), 30, "{run:#?}");
        let line = format!("{}/0007.eml: <b@example.com>: sent (2.0.0, ", path(&spool));
        assert!(run.stdout.contains(&line), "{run:#?}");
    }
}

#[test]
fn messages_go_out_by_name_where_there_is_one_job() {
    let sink = Sink::start(&[]);
    let spool = spool(5);
    let nexthop = sink.nexthop();
    let run = run(&deliver(&nexthop, &[path(&spool)])).exits(0);
    let names: Vec<&str> = run
        .stdout
        .lines()
        .map(|line| line.rsplit_once('/').unwrap().1.split(':').next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["0000.eml", "0001.eml", "0002.eml", "0003.eml", "0004.eml"]
    );
}

#[test]
fn a_maildir_has_two_folders_and_trashed_messages_stay() {
    let sink = Sink::start(&[]);
    let maildir = folder();
    for part in ["new", "cur", "tmp"] {
        fs::create_dir(maildir.path().join(part)).unwrap();
    }
    put(&maildir, "new/1.a", 0);
    put(&maildir, "cur/2.a:2,S", 1);
    put(&maildir, "cur/3.a:2,ST", 2);
    put(&maildir, "tmp/4.a", 3);
    put(&maildir, "dovecot.index", 4);
    let nexthop = sink.nexthop();
    run(&deliver(&nexthop, &[path(&maildir)]))
        .exits(0)
        .complains(": skipped: 3.a:2,ST\n");
    assert_eq!(subjects(&sink), all(2));
}

#[test]
fn an_mbox_is_cut_into_messages() {
    for runtime in RUNTIMES {
        let sink = Sink::start(&[]);
        let folder = folder();
        let mut mbox = String::new();
        for number in 0..20 {
            mbox += "From a@example.org Mon Nov 30 12:00:00 2026\n";
            mbox += &format!("Subject: {number}\n\n>From here\n>>From there\n\n");
        }
        let file = crate::common::write(&folder, "box", mbox);
        let nexthop = sink.nexthop();
        let more = [
            "--jobs",
            "3",
            "--runtime",
            runtime,
            "--report",
            "jsonl",
            &file,
        ];
        let run = run(&deliver(&nexthop, &more)).exits(0);
        assert_eq!(subjects(&sink), all(20), "{runtime}");
        let texts = sink.messages();
        assert!(
            texts[0].ends_with(b"\n\nFrom here\n>From there\n"),
            "{texts:?}"
        );
        let lines: Vec<Value> = run
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let source = format!("{file}#20");
        let is_last = |line: &&Value| line["source"] == source.as_str();
        assert_eq!(lines.iter().filter(is_last).count(), 2, "{run:#?}");
    }
}

#[test]
fn what_is_named_an_mbox_has_to_be_one_and_what_is_named_a_message_is_one() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let plain = crate::common::write(&folder, "plain", "Subject: 1\n\nx\n");
    let from = crate::common::write(&folder, "from", "From x\nSubject: 1\n\nx\n");
    let nexthop = sink.nexthop();
    let run_it = |more: &[&str]| run(&deliver(&nexthop, more));
    run_it(&["--input", "mbox", &plain])
        .exits(65)
        .complains("it is no mbox: its first line does not begin with \"From \"");
    assert_eq!(sink.messages().len(), 0);
    run_it(&["--input", "message", &from]).exits(0);
    assert!(sink.messages()[0].starts_with(b"From x\n"));
    run_it(&["--input", "directory", &plain])
        .exits(65)
        .complains("Not a directory");
    run_it(&["--input", "maildir", path(&folder)])
        .exits(65)
        .complains("No such file");
}

#[test]
fn several_sources_are_checked_before_anything_is_sent() {
    let sink = Sink::start(&[]);
    let spool = spool(2);
    let nexthop = sink.nexthop();
    let missing = deliver(&nexthop, &[path(&spool), "/no/such/file"]);
    let run_it = run(&missing)
        .exits(65)
        .complains("cannot read the message /no/such/file: No such file");
    assert_eq!(run_it.stdout, "");
    assert_eq!(sink.messages().len(), 0);
    let more = folder();
    put(&more, "one", 2);
    let file = more.path().join("one");
    let both = deliver(&nexthop, &[path(&spool), file.to_str().unwrap()]);
    run(&both).exits(0).complains("3 messages");
    assert_eq!(subjects(&sink), all(3));
}

#[test]
fn an_empty_directory_is_told_and_no_failure() {
    let empty = folder();
    run(&deliver("[127.0.0.1]:1", &[path(&empty)]))
        .exits(0)
        .complains(": no messages")
        .complains("0 messages, 0 recipients: 0 sent");
}

#[test]
fn what_cannot_be_read_is_no_fault_of_the_others() {
    let sink = Sink::start(&[]);
    let spool = spool(3);
    std::os::unix::fs::symlink("/no/such/file", spool.path().join("0001.link")).unwrap();
    fs::write(spool.path().join("0001.huge"), vec![b'x'; 5000]).unwrap();
    let nexthop = sink.nexthop();
    for (report, has) in [
        ("text", "/0001.link: cannot read the message"),
        ("json", "\"error\""),
        ("jsonl", "\"error\""),
        ("log", ""),
    ] {
        let more = ["--size-limit", "1000", "--report", report, path(&spool)];
        let run = run(&deliver(&nexthop, &more))
            .exits(65)
            .complains("5 messages, 3 recipients: 3 sent, 0 deferred, 0 bounced; 2 messages not");
        assert!(run.stdout.contains(has), "{run:#?}");
        let told = run.stderr.matches("larger than the limit of 1000 bytes");
        assert_eq!(told.count(), 1, "{run:#?}");
    }
}

#[test]
fn a_message_that_vanishes_during_the_run_is_a_fault_of_its_own() {
    let (nexthop, told) = mute_server();
    let spool = spool(3);
    let mut child = outpost()
        .args(deliver(&nexthop, &["--jobs", "1", path(&spool)]))
        .args(["-o", "smtp_data_done_timeout=1s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    fs::remove_file(spool.path().join("0001.eml")).unwrap();
    told.recv().unwrap();
    assert!(child.wait().is_ok());
    let run = Run::of(child.wait_with_output().unwrap()).exits(65);
    assert!(
        run.stdout.contains("/0001.eml: cannot read the message"),
        "{run:#?}"
    );
    run.complains("3 messages, 2 recipients: 0 sent, 2 deferred");
}

#[test]
fn an_interrupted_run_begins_nothing_more() {
    for runtime in RUNTIMES {
        let (nexthop, told) = mute_server();
        let spool = spool(20);
        let child = outpost()
            .args(deliver(
                &nexthop,
                &["--jobs", "2", "--runtime", runtime, path(&spool)],
            ))
            .args(["-o", "smtp_data_done_timeout=1s"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        told.recv().unwrap();
        told.recv().unwrap();
        signal(child.id(), "INT");
        let run = Run::of(child.wait_with_output().unwrap())
            .exits(75)
            .complains("interrupted: 18 messages not begun");
        assert_eq!(run.stdout.lines().count(), 2, "{runtime}: {run:#?}");
    }
}

#[test]
fn the_second_interrupt_tells_of_those_under_way_by_the_names_of_their_messages() {
    let (nexthop, told) = mute_server();
    let spool = spool(20);
    let mut child = outpost()
        .args(deliver(&nexthop, &["--jobs", "2", path(&spool)]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    told.recv().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    signal(child.id(), "INT");
    assert!(lines.next().unwrap().unwrap().contains("interrupted"));
    signal(child.id(), "INT");
    let last: Vec<String> = lines.map_while(Result::ok).collect();
    let doubt = "in doubt: the whole message was sent, and not answered yet";
    let named = |name: &str| format!("outpost: {}/{name}: <b@example.com>: {doubt}", path(&spool));
    assert_eq!(
        last[..3],
        [
            "outpost: ended at once".to_owned(),
            named("0000.eml"),
            named("0001.eml")
        ]
    );
    assert!(last[3].contains("nothing else was begun"), "{last:?}");
    Run::of(child.wait_with_output().unwrap()).exits(130);
}

#[test]
fn unreadable_directories_are_told() {
    // Root can read everything, but not what is none.
    let spool = spool(1);
    let file = spool.path().join("0000.eml/below");
    run(&deliver("[127.0.0.1]:1", &[file.to_str().unwrap()]))
        .exits(65)
        .complains("Not a directory");
}
