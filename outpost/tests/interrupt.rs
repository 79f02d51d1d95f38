//! Ctrl-C: a polite end with a report, then an end at once.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Stdio},
    sync::mpsc,
};

use common::{RUNTIMES, Run, Sink, folder, outpost, request, request_file, signal, write};
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
        assert!(
            text.as_str().unwrap().contains("cancelled"),
            "{runtime}: {text}"
        );
    }
}

/// A server that takes a message and never answers its end; tells when it is
/// there.
fn server_without_an_answer() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    let (there, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(b"220 mute ESMTP\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            match line.as_str() {
                "DATA" => stream.write_all(b"354 go on\r\n").unwrap(),
                "." => there.send(()).unwrap(),
                line if line.starts_with(['E', 'M', 'R']) && line.contains([' ', ':']) => {
                    stream.write_all(b"250 ok\r\n").unwrap();
                }
                _ => {}
            }
        }
    });
    (nexthop, told)
}

#[test]
fn the_second_one_ends_at_once() {
    for runtime in RUNTIMES {
        let (nexthop, told) = server_without_an_answer();
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
