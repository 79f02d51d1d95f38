//! `--test`, `--header`, `--add-header`, `--from-header`, `--to-header`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{Run, Sink, folder, run, run_with_input, write};

fn deliver(sink: &Sink, more: &[&str], text: &str) -> Run {
    let nexthop = sink.nexthop();
    let args = ["deliver", "--nexthop", &nexthop];
    run_with_input(&[&args[..], more].concat(), text.as_bytes())
}

fn last(sink: &Sink) -> String {
    String::from_utf8(sink.messages().pop().unwrap()).unwrap()
}

#[test]
fn a_test_message_needs_no_file() {
    let sink = Sink::start(&[]);
    let envelope = ["--from", "a@example.org", "--to", "b@example.com"];
    let more = [
        "--test",
        "--header",
        "Subject: mine",
        "--add-header",
        "X-A: 1",
    ];
    deliver(&sink, &[&envelope[..], &more].concat(), "").exits(0);
    let text = last(&sink);
    for line in [
        "From: a@example.org\n",
        "To: b@example.com\n",
        "Subject: mine\n",
        "Message-ID: <",
        "Date: ",
        "X-A: 1\n\nThis is a test message, made by outpost ",
    ] {
        assert_eq!(text.matches(line).count(), 1, "{line}: {text}");
    }
    let args = [&envelope[..], &["--test", "message.eml"]].concat();
    deliver(&sink, &args, "").exits(64);
}

#[test]
fn fields_are_replaced_or_added() {
    let sink = Sink::start(&[]);
    let text = "Subject: old\nX-A: 0\nSubject: older\n\nbody\n";
    let more = ["--header", "subject: new", "--add-header", "X-A: 1"];
    let envelope = ["--from", "a@example.org", "--to", "b@example.com"];
    deliver(&sink, &[&envelope[..], &more].concat(), text).exits(0);
    assert_eq!(last(&sink), "subject: new\nX-A: 0\nX-A: 1\n\nbody\n");
    for bad in [
        "Subject",
        "Sub ject: x",
        "A: b\r\nC: d",
        "A: b\nC: d",
        ": x",
    ] {
        deliver(&sink, &[&envelope[..], &["--header", bad]].concat(), text).exits(64);
        deliver(
            &sink,
            &[&envelope[..], &["--add-header", bad]].concat(),
            text,
        )
        .exits(64);
    }
    let long = format!("A: {}", "x".repeat(1000));
    deliver(&sink, &[&envelope[..], &["--header", &long]].concat(), text).exits(64);
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn the_envelope_can_come_from_the_header_and_bcc_does_not_go_out() {
    let mut sink = Sink::start(&[]);
    let text = "Return-Path: <r@example.org>\nFrom: Ann <a@example.org>\n\
                To: b@example.com,\n \"C, c\" <c@example.com>\nBcc: d@example.com\n\
                Cc: friends: B@EXAMPLE.com, b@example.com, e@example.com;\n\nbody\n";
    let more = ["--from-header", "--to-header", "--to", "f@example.com"];
    deliver(&sink, &more, text).exits(0);
    let line = sink.line();
    for address in ["r@example.org", "b@", "c@", "d@", "B@", "e@", "f@"] {
        assert!(line.contains(address), "{address}: {line}");
    }
    let got = last(&sink);
    assert!(
        !got.contains("Bcc") && !got.contains("d@example.com"),
        "{got}"
    );
    assert!(!got.contains("Return-Path"), "{got}");
    assert!(got.contains("\"C, c\" <c@example.com>\n"), "{got}");
}

#[test]
fn a_header_that_does_not_say_who_is_a_fault_of_its_message() {
    let sink = Sink::start(&[]);
    for (text, said) in [
        (
            "From: a@x\n\nTo: b@y\n",
            "there is no recipient in To, Cc and Bcc",
        ),
        ("To: b@y\n\n", "there is no sender: neither Return-Path"),
        ("From: a@x\nTo: b@y c@y\n\n", "To: b@y c@y: "),
        ("From: a@x\nTo: Ben <b@y\n\n", "To: Ben <b@y: "),
        ("From: a@x\nTo: undisclosed:;\n\n", "there is no recipient"),
        ("Return-Path: a b\nTo: b@y\n\n", "Return-Path: a b: "),
    ] {
        let more = ["--from-header", "--to-header"];
        let run = deliver(&sink, &more, text).exits(65).complains(said);
        assert_eq!(run.stdout, "", "{text:?}");
    }
    // In a directory the others go out.
    let folder = folder();
    write(&folder, "1", "From: a@x\nTo: no body\n\n");
    write(&folder, "2", "From: a@x\nTo: b@y\n\n");
    let nexthop = sink.nexthop();
    let path = folder.path().to_str().unwrap();
    let args = [
        "deliver",
        "--nexthop",
        &nexthop,
        "--from-header",
        "--to-header",
        path,
    ];
    let run = run(&args).exits(65);
    assert!(run.stdout.contains("/1: To: no body: "), "{run:#?}");
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn sender_and_recipients_have_to_come_from_somewhere() {
    let sink = Sink::start(&[]);
    deliver(&sink, &["--from", "a@x"], "").exits(64);
    deliver(&sink, &["--to", "a@x"], "").exits(64);
    deliver(
        &sink,
        &["--from-header", "--from", "a@x", "--to", "b@x"],
        "",
    )
    .exits(64);
}
