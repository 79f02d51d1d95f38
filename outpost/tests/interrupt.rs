//! Ctrl-C: a polite end with a report, then an end at once.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Stdio},
};

use common::{RUNTIMES, Run, Sink, folder, outpost, request, request_file, signal};
use serde_json::json;

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
        assert!(!text.as_str().unwrap().is_empty(), "{runtime}");
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
