//! Standard output that cannot be written to: one clear line, exit status 74.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    fs::File,
    process::{Command, Stdio},
};

use crate::common::{MESSAGE, RUNTIMES, Run, Sink, folder, outpost, request, request_file, write};
use serde_json::json;

/// Runs the program with a full disk, then with a reader that went away, as
/// standard output. Standard error says so in one line, which is followed by these.
fn fails(args: &[&str], also: &[&str]) {
    let full = Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    for (stdout, reason) in [(full, "No space left"), (Stdio::from(gone), "Broken pipe")] {
        let mut command: Command = outpost();
        let output = command
            .args(args)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Run::of(output.wait_with_output().unwrap())
            .exits(74)
            .complains("cannot write to standard output")
            .complains(reason);
        let lines: Vec<&str> = run.stderr.lines().skip(1).collect();
        assert_eq!(lines.len(), also.len(), "{args:?}: {run:#?}");
        for (line, start) in lines.iter().zip(also) {
            assert!(line.starts_with(start), "{args:?}: {line} is not {start}");
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_is_74() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    let nexthop = sink.nexthop();
    let verdict = "outpost: <b@example.com>: sent (2.0.0, plaintext): 250 2.0.0 Ok: kept as ";
    let start = ["deliver", "--nexthop", &nexthop, "--from", "a@example.org"];
    for report in ["text", "json", "jsonl", "log"] {
        let more = ["--to", "b@example.com", "--report", report, &message];
        fails(&[&start[..], &more].concat(), &[verdict]);
    }
    // The mail went out, and this was told.
    assert_eq!(sink.messages().len(), 8);
}

#[test]
fn no_delivery_begins_when_the_report_cannot_be_written() {
    for runtime in RUNTIMES {
        let sink = Sink::start(&[]);
        let folder = folder();
        let one = |to| request(&sink.nexthop(), to);
        let path = request_file(&folder, json!([one("a@x"), one("b@x"), one("c@x")]));
        let start = ["deliver", "--runtime", runtime, "--request", &path];
        let not_begun = [
            "outpost: request 2: <b@x>: not begun",
            "outpost: request 3: <c@x>: not begun",
        ];
        for report in ["jsonl", "log"] {
            let first = "outpost: request 1: <a@x>: sent (2.0.0, plaintext): 250 2.0.0 Ok";
            let also = [&[first], &not_begun[..]].concat();
            fails(&[&start[..], &["--report", report]].concat(), &also);
        }
        assert_eq!(sink.messages().len(), 4, "{runtime}");
        // The text has a heading before the first request.
        let first = "outpost: request 1: <a@x>: not begun";
        fails(&start, &[&[first], &not_begun[..]].concat());
        assert_eq!(sink.messages().len(), 4, "{runtime}");
    }
}

#[test]
fn none_begins_behind_several_at_once_either() {
    for runtime in RUNTIMES {
        let sink = Sink::start(&[]);
        let folder = folder();
        let all = ["a@x", "b@x", "c@x", "d@x"].map(|to| request(&sink.nexthop(), to));
        let path = request_file(&folder, json!(all));
        let start = ["deliver", "--runtime", runtime, "--at-once", "2"];
        for report in ["text", "jsonl", "log"] {
            let more = ["--request", &path, "--report", report];
            // The second one may be sent, cancelled, or not begun.
            let also = [
                "outpost: request ",
                "outpost: request ",
                "outpost: request 3: <c@x>: not begun",
                "outpost: request 4: <d@x>: not begun",
            ];
            fails(&[&start[..], &more].concat(), &also);
        }
    }
}

#[test]
fn what_a_limit_splits_is_not_begun_either() {
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    for runtime in RUNTIMES {
        let before = sink.messages().len();
        let limit = "smtp_destination_recipient_limit=1";
        let start = [
            "deliver",
            "--runtime",
            runtime,
            "-o",
            limit,
            "--nexthop",
            &nexthop,
        ];
        let envelope = ["--from", "", "--to", "a@x", "--to", "b@x", &message];
        let also = [
            "outpost: <a@x>: sent (2.0.0, plaintext): ",
            "outpost: <b@x>: deferred (4.3.2): delivery was cancelled",
        ];
        fails(&[&start[..], &envelope].concat(), &also);
        assert_eq!(sink.messages().len(), before + 2, "{runtime}");
    }
}

#[test]
fn help_parameters_and_the_sink_tell_as_well() {
    fails(&["--help"], &[]);
    fails(&["--version"], &[]);
    fails(&["config", "-d", "smtp_helo_timeout"], &[]);
    fails(&["sink", "--listen", "127.0.0.1:0"], &[]);
    fails(&["demo"], &[]);
}
