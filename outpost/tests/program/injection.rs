//! Tests of injection: what strangers have a say in cannot forge a line of the log, the report or the sink,
//! and no control character of theirs reaches a terminal.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
};

use crate::common::{Run, Sink, folder, outpost, request, request_file, run};
use serde_json::{Value, json};

/// The end of a text and another transaction.
const EVIL: &str =
    "x\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.net>\r\n\u{1b}[2J\u{9b}2J";
/// An address that can be sent, and commands a terminal that shows it.
const LOUD: &str = "a\u{1b}[2J\u{7f}\u{9b}2Jb@example.com";

/// Asserts that nothing but lines was written.
#[track_caller]
fn shows_lines_only(run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(odd), "{run:#?}");
    }
}

#[test]
fn a_text_that_ends_a_line_is_no_part_of_a_request() {
    let sink = Sink::start(&[]);
    let good = request(&sink.nexthop(), "b@example.com");
    let with = |pointer: &str, value: &str| {
        let mut bad = good.clone();
        bad["client"] = json!({});
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = json!(value);
        bad["flags"] = json!("DOR");
        bad
    };
    let typed = format!("rfc822;{EVIL}");
    let cases = [
        (
            "/id",
            EVIL,
            "key \"id\": the queue id has the character U+000D",
        ),
        (
            "/id",
            "a b",
            "key \"id\": the queue id has the character U+0020",
        ),
        ("/nexthop", EVIL, "key \"nexthop\": the next hop has"),
        (
            "/sender",
            EVIL,
            "key \"sender\": the address has a byte 0x0d",
        ),
        ("/envid", EVIL, "key \"envid\": the envelope identifier has"),
        (
            "/recipients/0/address",
            EVIL,
            "recipient 1: key \"address\": ",
        ),
        (
            "/recipients/0/original",
            EVIL,
            "recipient 1: key \"original\": the original recipient has",
        ),
        (
            "/recipients/0/original",
            "a\u{9b}b",
            "recipient 1: key \"original\": the original recipient has",
        ),
        (
            "/recipients/0/orcpt",
            &typed,
            "recipient 1: key \"orcpt\": the address of ORCPT has",
        ),
        (
            "/recipients/0/orcpt",
            "a\n;b",
            "recipient 1: key \"orcpt\": the type of ORCPT has",
        ),
        (
            "/client/name",
            EVIL,
            "key \"client\": key \"name\": the client attribute has",
        ),
        (
            "/client/address",
            EVIL,
            "key \"client\": key \"address\": the client attribute has",
        ),
        (
            "/client/port",
            EVIL,
            "key \"client\": key \"port\": the client attribute has",
        ),
        (
            "/client/proto",
            EVIL,
            "key \"client\": key \"proto\": the client attribute has",
        ),
        (
            "/client/helo",
            EVIL,
            "key \"client\": key \"helo\": the client attribute has",
        ),
        (
            "/client/ident",
            EVIL,
            "key \"client\": key \"ident\": the client attribute has",
        ),
        ("/client/source", EVIL, "key \"client\": key \"source\": "),
        ("/flags", EVIL, "key \"flags\": unknown letter"),
        ("/ret", EVIL, "key \"ret\": "),
        (EVIL, EVIL, "unknown field"),
    ];
    let bad: Vec<Value> = cases
        .iter()
        .map(|(pointer, value, _)| match pointer.starts_with('/') {
            true => {
                let mut bad = with(pointer, value);
                if *pointer == "/flags" {
                    bad["flags"] = json!(value);
                }
                bad
            }
            false => with(&format!("/{pointer}"), value),
        })
        .collect();
    let folder = folder();
    let path = request_file(&folder, json!(bad));
    for report in ["text", "json", "log"] {
        let run = run(&["deliver", "--request", &path, "--report", report]).exits(65);
        shows_lines_only(&run);
        let said: Vec<&str> = run.stderr.lines().collect();
        assert_eq!(said.len(), cases.len(), "{run:#?}");
        for (((_, _, text), line), number) in cases.iter().zip(said).zip(1..) {
            let place = format!("request.json: request {number}: ");
            assert!(
                line.contains(&place) && line.contains(text),
                "{line:?}: {text:?}"
            );
        }
    }
    assert_eq!(sink.messages().len(), 0);
}

#[test]
fn no_address_commands_the_terminal_or_forges_a_line() {
    let mut sink = Sink::start(&[]);
    let folder = folder();
    let path = request_file(&folder, json!([request(&sink.nexthop(), LOUD)]));
    for report in ["text", "json", "log"] {
        let delivered = run(&["deliver", "--request", &path, "--report", report]).exits(0);
        shows_lines_only(&delivered);
        if report == "json" {
            let recipients = &delivered.report()["requests"][0]["recipients"];
            assert_eq!(recipients[0]["address"], LOUD);
        } else {
            assert!(delivered.stdout.contains("a?[2J??2Jb"), "{delivered:#?}");
        }
        let line = sink.line();
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    }
    let mut command = outpost();
    command.env("RUST_LOG", "debug").env("NO_COLOR", "1");
    let args = ["deliver", "--request", &path, "--report", "log"];
    shows_lines_only(&Run::of(command.args(args).output().unwrap()));
}

#[test]
fn what_the_sink_is_told_is_one_line() {
    let mut sink = Sink::start(&[]);
    let stream = TcpStream::connect(sink.address).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |command: &str| {
        (&stream).write_all(command.as_bytes()).unwrap();
        replies.next().unwrap().unwrap()
    };
    say("");
    say("HELO x\r2: client=forged\u{1b}[2J\u{85}\r\n");
    say("MAIL FROM:<a\u{1b}[2J\r\u{9b}2J@b>\r\n");
    say("RCPT TO:<c\u{7f}\r3: client=forged\r@d>\r\n");
    say("DATA\r\n");
    say("Subject: hi\r\n\r\n.\r\n");
    let line = sink.line();
    assert!(line.starts_with("1: client=127.0.0.1"), "{line:?}");
    assert!(
        !line.trim_end_matches('\n').contains(char::is_control),
        "{line:?}"
    );
}

#[test]
fn parameters_and_complaints_are_shown_without_control_characters() {
    let setting = "relayhost=a\u{1b}[2J\u{9b}b";
    let shown = run(&["config", "-o", setting, "relayhost"]).exits(0);
    shows_lines_only(&shown);
    assert!(shown.stdout.contains("relayhost = a?[2J?b"), "{shown:#?}");

    let evil = "x\n\u{1b}[2J";
    for args in [
        &["deliver", "--to", evil, "--from", "a@b"][..],
        &["deliver", "--to", "a@b", "--from", evil],
        &["deliver", "--to", "a@b", "--from", "a@b", "--nexthop", evil],
        &["probe", evil],
    ] {
        let refused = run(args).exits(64);
        shows_lines_only(&refused);
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:#?}");
    }
    for args in [&["deliver", "--x\u{1b}[2J\u{9b}2J"][..], &["\u{1b}[2J"]] {
        let refused = run(args).exits(64);
        shows_lines_only(&refused);
        assert!(
            refused.stderr.contains("unexpected argument")
                || refused.stderr.contains("unrecognized")
        );
    }
    let missing = format!("/no/such/{LOUD}");
    shows_lines_only(&run(&["deliver", "--request", &missing]).exits(65));
}
