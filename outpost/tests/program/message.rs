//! Message files as people have them: line ends, size, strange content.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{
    RUNTIMES, Run, Sink, folder, outpost, request, request_file, run, run_with_input, write,
};
use serde_json::json;

/// Delivers from standard input.
fn deliver(sink: &Sink, more: &[&str], text: &[u8]) -> Run {
    let nexthop = sink.nexthop();
    let mut args = vec!["deliver", "--from", "a@example.org", "--nexthop", &nexthop];
    args.extend(["--to", "b@example.com"]);
    args.extend(more);
    run_with_input(&args, text)
}

const STRAY: &[u8] = b"Subject: x\r\n\r\na\r.\r\nb\r\r\nc\n";

#[test]
fn a_stray_carriage_return_is_replaced() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let file = write(&folder, "stray.eml", STRAY);
    // One that is read where it is, were it not for its last byte.
    let mut big = b"0123456789abcdef\n".repeat(100_000);
    big.push(b'\r');
    let big_file = write(&folder, "big.eml", &big);
    for runtime in RUNTIMES {
        deliver(&sink, &["--runtime", runtime], STRAY).exits(0);
        deliver(&sink, &["--runtime", runtime, &file], b"").exits(0);
        deliver(&sink, &["--runtime", runtime, &big_file], b"").exits(0);
    }
    let messages = sink.messages();
    assert_eq!(messages.len(), 3 * RUNTIMES.len());
    for message in messages {
        if message.len() < 100 {
            assert_eq!(message, b"Subject: x\n\na .\nb \nc\n");
        } else {
            assert!(message.ends_with(b"f\n \n"));
        }
    }
}

#[test]
fn a_stray_carriage_return_passes_when_asked_for() {
    let sink = Sink::start(&[]);
    deliver(&sink, &["--stray-cr", "pass"], STRAY).exits(0);
    assert_eq!(sink.messages(), [b"Subject: x\n\na\r.\nb\r\nc\n"]);
}

#[test]
fn a_stray_carriage_return_is_refused_when_asked_for() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let file = write(&folder, "stray.eml", STRAY);
    let clean = write(&folder, "clean.eml", "a\r\nb\n");
    for args in [
        &["--stray-cr", "refuse"][..],
        &["--stray-cr", "refuse", &file],
    ] {
        let run = deliver(&sink, args, STRAY)
            .exits(65)
            .complains("line 3 of the message has a carriage return without a line feed");
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
    }
    deliver(&sink, &["--stray-cr", "refuse", &clean], b"").exits(0);
    assert_eq!(sink.messages(), [b"a\nb\n"]);
}

#[test]
fn a_request_speaks_for_a_queue_and_its_carriage_returns_pass() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let sink = Sink::start(&[]);
    let folder = folder();
    let mut request = request(&sink.nexthop(), "b@example.com");
    request["message_base64"] = json!(STANDARD.encode(b"a\r.\nb\r\n"));
    let path = request_file(&folder, json!([request]));
    run(&["deliver", "--request", &path]).exits(0);
    assert_eq!(sink.messages(), [b"a\r.\nb\r\n"]);
}

#[test]
#[cfg(target_os = "linux")]
fn what_never_ends_is_not_read_for_ever() {
    let envelope = ["deliver", "--from", "a@b.example", "--to", "c@d.example"];
    let small = [&envelope[..], &["--size-limit", "4M"]].concat();
    for more in [&["/dev/zero"][..], &["--stray-cr", "pass", "/dev/zero"]] {
        run(&[&small[..], more].concat())
            .exits(65)
            .complains("cannot read the message /dev/zero: it is larger than the limit of 4 MiB");
    }
    run(&["deliver", "--request", "/dev/zero"])
        .exits(65)
        .complains("cannot read /dev/zero: it is larger than the limit of 256 MiB");
    let stdin = std::fs::File::open("/dev/zero").unwrap();
    let output = outpost().args(&small).stdin(stdin).output().unwrap();
    Run::of(output).exits(65).complains(
        "cannot read the message from standard input: it is larger than the limit of 4 MiB",
    );
}

#[test]
fn a_message_has_the_size_that_is_allowed() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let text = b"0123456789abcde\n".repeat(128 * 1024);
    let file = write(&folder, "two-mebibytes.eml", &text);
    for (limit, status) in [("2M", 0), ("2097151", 65)] {
        deliver(&sink, &["--size-limit", limit], &text).exits(status);
        deliver(&sink, &["--size-limit", limit, &file], b"").exits(status);
    }
    assert_eq!(sink.messages().len(), 2);
    deliver(&sink, &["--size-limit", "much"], b"")
        .exits(64)
        .complains("expected a number of bytes");
}

#[test]
fn what_is_in_a_message_is_no_matter() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let cases: [(&[u8], &[u8]); 4] = [
        (b"Subject: x\n\nno end", b"Subject: x\n\nno end\n"),
        (b"Subject: nul\n\na\0b\n\0", b"Subject: nul\n\na\0b\n\0\n"),
        (b"\n\n\n", b"\n\n\n"),
        (b"no header\n.\n..\n", b"no header\n.\n..\n"),
    ];
    for (text, _) in cases {
        let file = write(&folder, "message.eml", text);
        assert_eq!(deliver(&sink, &[&file], b"").exits(0).stderr, "");
    }
    let arrived = sink.messages();
    assert_eq!(arrived.len(), cases.len());
    for (_, text) in cases {
        assert!(arrived.iter().any(|message| message == text), "{text:?}");
    }
}

#[test]
fn an_empty_message_is_sent_with_a_warning() {
    let sink = Sink::start(&[]);
    let run = deliver(&sink, &[], b"").exits(0);
    assert_eq!(run.stderr, "outpost: warning: the message is empty\n");
    assert_eq!(sink.messages(), [b""]);
}
