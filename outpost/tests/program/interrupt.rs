//! Ctrl-C: a polite end with a report, then an end at once.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
    sync::mpsc,
};

use crate::common::{
    RUNTIMES, Run, Sink, folder, mute_server, outpost, request, request_file, signal, write,
};
use serde_json::json;
use tempfile::TempDir;

/// Waits until the program has said something on standard error.
fn heard(child: &mut Child, text: &str) -> String {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut all = String::new();
    while !all.contains(text) {
        if stderr.read_line(&mut all).unwrap() == 0 {
            return all;
        }
    }
    std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
    all
}

#[test]
fn the_first_one_ends_politely_and_the_report_is_printed() {
    for runtime in RUNTIMES {
        let sink = Sink::start(&[
            "--fault",
            "DATA stall=close",
            "--fault",
            "RCPT stall@=silent",
        ]);
        let folder = folder();
        let good = request(&sink.nexthop(), "b@example.com");
        let stalled = request(&sink.nexthop(), "stall@example.com");
        let path = request_file(&folder, json!([good, stalled, good]));
        let mut child = outpost()
            .args([
                "deliver",
                "--runtime",
                runtime,
                "--report",
                "json",
                "--request",
                &path,
            ])
            .env("RUST_LOG", "outpost=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The first request is settled; the second one can only stall.
        let stderr = heard(&mut child, "settled");
        assert!(stderr.contains("settled"), "{runtime}: {stderr}");
        signal(child.id(), "INT");
        let report = Run::of(child.wait_with_output().unwrap())
            .exits(75)
            .report();
        let words: Vec<&str> = (0..3)
            .map(|n| {
                report["requests"][n]["recipients"][0]["status"]
                    .as_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(words, ["sent", "deferred", "deferred"], "{runtime}");
        let text = &report["requests"][1]["recipients"][0]["text"];
        assert!(
            text.as_str().unwrap().contains("cancelled"),
            "{runtime}: {text}"
        );
    }
}

#[test]
fn the_second_one_ends_at_once() {
    for runtime in RUNTIMES {
        let (nexthop, told) = mute_server();
        let folder = folder();
        let message = write(&folder, "message.eml", "x: y\n\nz\n");
        let mut child = outpost()
            .args(["deliver", "--runtime", runtime, "--nexthop", &nexthop])
            .args(["--from", "a@example.org", "--to", "b@example.com", &message])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        told.recv().unwrap();
        // The text is complete: the polite end waits for its verdict.
        signal(child.id(), "INT");
        assert!(
            heard(&mut child, "interrupted").contains("interrupted"),
            "{runtime}"
        );
        signal(child.id(), "INT");
        let run = Run::of(child.wait_with_output().unwrap()).exits(130);
        assert_eq!(run.stdout, "", "{runtime}");
    }
}

/// The lines of the program on standard error, as they come.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (told, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = told.send(line);
        }
    });
    lines
}

/// Interrupts the program twice, and returns what it says after the second time.
fn interrupt_twice(child: &mut Child) -> Vec<String> {
    let lines = lines_of(child);
    signal(child.id(), "INT");
    while !lines.recv().unwrap().contains("interrupted") {}
    signal(child.id(), "INT");
    let last: Vec<String> = lines.iter().collect();
    assert_eq!(last[0], "outpost: ended at once", "{last:?}");
    last
}

#[test]
fn the_second_one_says_who_is_settled_and_who_is_not() {
    for runtime in RUNTIMES {
        for report in ["text", "json", "jsonl", "log"] {
            let sink = Sink::start(&[]);
            let (mute, told) = mute_server();
            let folder = folder();
            let mut doubtful = request(&mute, "b@x");
            doubtful["recipients"] = json!([
                { "address": "b@x" }, { "address": "bad@x" }, { "address": "c@x" }
            ]);
            let requests = json!([
                request(&sink.nexthop(), "a@x"),
                doubtful,
                request(&mute, "d@x")
            ]);
            let path = request_file(&folder, requests);
            let mut child = outpost()
                .args(["deliver", "--runtime", runtime, "--report", report])
                .args(["--request", &path])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            told.recv().unwrap();
            let last = interrupt_twice(&mut child);
            let sent = "outpost: request 1: <a@x>: sent (2.0.0, plaintext)";
            let refused = "outpost: request 2: <bad@x>: bounced (5.0.0)";
            match report {
                "json" => {
                    assert_eq!(last[1], format!("{sent}: 250 2.0.0 Ok: kept as 1"));
                    let text = "host 127.0.0.1[127.0.0.1] said: 550 no";
                    assert!(
                        last[3].starts_with(&format!("{refused}: {text}")),
                        "{last:?}"
                    );
                }
                _ => {
                    assert_eq!(last[1], format!("{sent}, as reported"));
                    assert_eq!(last[3], format!("{refused}, as reported"));
                }
            }
            let doubt = ": in doubt: the whole message was sent, and not answered yet";
            assert_eq!(last[2], format!("outpost: request 2: <b@x>{doubt}"));
            assert_eq!(last[4], format!("outpost: request 2: <c@x>{doubt}"));
            assert_eq!(last[5], "outpost: request 3: <d@x>: not begun");
            assert_eq!(last.len(), 6, "{runtime} {report}: {last:?}");
            Run::of(child.wait_with_output().unwrap()).exits(130);
        }
    }
}

#[test]
fn a_killed_program_has_written_its_verdicts() {
    for runtime in RUNTIMES {
        for report in ["text", "jsonl", "log"] {
            let sink = Sink::start(&[]);
            let (mute, told) = mute_server();
            let folder = folder();
            let requests = json!([request(&sink.nexthop(), "a@x"), request(&mute, "b@x")]);
            let path = request_file(&folder, requests);
            let child = outpost()
                .args(["deliver", "--runtime", runtime, "--report", report])
                .args(["--request", &path])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            told.recv().unwrap();
            signal(child.id(), "KILL");
            let run = Run::of(child.wait_with_output().unwrap());
            assert!(
                run.stdout.contains("250 2.0.0 Ok: kept as 1"),
                "{report} {run:#?}"
            );
            assert!(!run.stdout.contains("b@x"), "{report} {run:#?}");
        }
    }
}

/// Requests whose verdicts, and whose dialogue, are more than a pipe holds.
fn much() -> (Sink, TempDir, String) {
    let sink = Sink::start(&[]);
    let folder = folder();
    let mut much = request(&sink.nexthop(), "a@x");
    let recipients = (0..2000).map(|number| json!({ "address": format!("a{number}@x") }));
    much["recipients"] = recipients.collect();
    let path = request_file(&folder, json!([much]));
    (sink, folder, path)
}

#[test]
fn a_reader_that_does_not_read_does_not_keep_the_account_back() {
    for runtime in RUNTIMES {
        let (mut sink, _folder, path) = much();
        let mut child = outpost()
            .args(["deliver", "--runtime", runtime, "--request", &path])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(sink.line().contains("a1999@x"));
        // The verdicts stay in the pipe, and the program with them.
        let last = interrupt_twice(&mut child);
        assert_eq!(last.len(), 2001, "{runtime}");
        for line in &last[1..] {
            assert!(
                line.contains("sent (2.0.0, plaintext)") || line.contains("in doubt"),
                "{runtime}: {line}"
            );
        }
        assert_eq!(child.wait().unwrap().code(), Some(130), "{runtime}");
    }
}

#[test]
fn nobody_who_reads_does_not_keep_the_end_back() {
    for runtime in RUNTIMES {
        let (_sink, _folder, path) = much();
        let mut child = outpost()
            .args(["deliver", "-v", "--runtime", runtime, "--request", &path])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The dialogue has begun, and does not fit into the pipe.
        child
            .stderr
            .as_mut()
            .unwrap()
            .read_exact(&mut [0; 100])
            .unwrap();
        // Two of a kind could become one.
        signal(child.id(), "INT");
        signal(child.id(), "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{runtime}");
    }
}

#[test]
fn a_pause_between_requests_ends_as_well() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let good = request(&sink.nexthop(), "b@example.com");
    let mut late = good.clone();
    late["pause_ms"] = json!(3_600_000);
    let path = request_file(&folder, json!([good, late]));
    let mut child = outpost()
        .args(["deliver", "--report", "json", "--request", &path])
        .env("RUST_LOG", "outpost=info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    heard(&mut child, "settled");
    signal(child.id(), "TERM");
    let report = Run::of(child.wait_with_output().unwrap())
        .exits(75)
        .report();
    assert_eq!(report["requests"][1]["recipients"][0]["status"], "deferred");
}

#[test]
fn the_sink_ends_well() {
    let mut sink = Sink::start(&[]);
    signal(sink.id(), "INT");
    assert_eq!(sink.wait(), Some(0));
}
