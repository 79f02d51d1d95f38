//! Each exit status of the program, and what it says then.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{MESSAGE, Sink, folder, request, request_file, run, run_with_input, write};
use serde_json::json;

/// Delivers [`MESSAGE`] to this sink.
fn deliver(sink: &Sink, more: &[&str]) -> crate::common::Run {
    let nexthop = sink.nexthop();
    let mut args = vec!["deliver", "--from", "a@example.org", "--nexthop", &nexthop];
    args.extend(["--report", "json"]);
    args.extend(more);
    run_with_input(&args, MESSAGE.as_bytes())
}

#[test]
fn all_sent_is_0() {
    let mut sink = Sink::start(&[]);
    let run = deliver(&sink, &["--to", "b@example.com", "--to", "c@example.com"]).exits(0);
    let report = run.report();
    for (rcpt, address) in [(0, "b@example.com"), (1, "c@example.com")] {
        let recipient = &report["requests"][0]["recipients"][rcpt];
        assert_eq!(recipient["address"], address);
        assert_eq!(recipient["status"], "sent");
        assert_eq!(recipient["dsn"], "2.0.0");
        assert_eq!(recipient["text"], "250 2.0.0 Ok: kept as 1");
        let relay = format!("127.0.0.1[127.0.0.1]:{}", sink.address.port());
        assert_eq!(recipient["relay"], relay);
        assert_eq!(recipient["uncertain"], false);
    }
    assert!(
        sink.line()
            .contains("from=<a@example.org> to=<b@example.com>,<c@example.com> bytes=")
    );
    assert_eq!(sink.messages(), [MESSAGE.as_bytes()]);
}

#[test]
fn something_deferred_is_75_even_when_something_bounced() {
    let faults = [
        "--fault",
        "RCPT b@=450 4.2.0 later",
        "--fault",
        "RCPT c@=550 5.1.1 no",
    ];
    let sink = Sink::start(&faults);
    let run = deliver(
        &sink,
        &[
            "--to",
            "b@x.example",
            "--to",
            "c@x.example",
            "--to",
            "d@x.example",
        ],
    );
    let report = run.exits(75).report();
    let recipients = &report["requests"][0]["recipients"];
    let words: Vec<&str> = recipients
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["deferred", "bounced", "sent"]);
    assert_eq!(recipients[0]["dsn"], "4.2.0");
    assert_eq!(
        recipients[1]["reply"],
        json!({ "code": 550, "dsn": "5.1.1", "lines": ["550 5.1.1 no"] })
    );
}

#[test]
fn something_bounced_and_nothing_deferred_is_69() {
    let sink = Sink::start(&["--fault", "RCPT c@=550 5.1.1 no"]);
    let run = deliver(&sink, &["--to", "b@x.example", "--to", "c@x.example"]).exits(69);
    assert_eq!(
        run.report()["requests"][0]["recipients"][1]["status"],
        "bounced"
    );
}

#[test]
fn a_wrong_command_line_is_64() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["deliver", "--colour", "red"],
            "unexpected argument '--colour'",
        ),
        (&["deliver", "--from", "a@b"], "--to <ADDR>"),
        (
            &[
                "deliver",
                "--from",
                "a@b",
                "--to",
                "c@d",
                "--runtime",
                "async",
            ],
            "possible values",
        ),
        (
            &[
                "deliver", "--from", "a@b", "--to", "c@d", "--dns", "nowhere",
            ],
            "--dns",
        ),
        (
            &[
                "deliver",
                "--from",
                "a@b",
                "--to",
                "c@d",
                "-o",
                "soft_bounce",
            ],
            "NAME=VALUE",
        ),
        (
            &["deliver", "--request", "x", "--to", "c@d"],
            "cannot be used with",
        ),
        (
            &["deliver", "--from", "a@b", "--to", "joe"],
            "--to 'joe': no domain",
        ),
        (&["deliver", "--from", "a@b", "--to", ""], "--to ''"),
        (&["deliver", "--from", "a\nb", "--to", "c@d"], "--from"),
        (&["sink", "--fault", "RCPT"], "fault 'RCPT'"),
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&[], "Usage:"),
    ];
    for (args, text) in cases {
        let run = run(args).exits(64).complains(text);
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn help_and_version_are_0_and_on_standard_output() {
    for args in [
        &["--help"][..],
        &["deliver", "--help"],
        &["config", "--help"],
        &["sink", "--help"],
    ] {
        let run = run(args).exits(0);
        assert!(run.stdout.contains("Usage: outpost"), "{args:?}");
        assert!(
            args.len() == 1 || run.stdout.contains("Examples:"),
            "{args:?}"
        );
        assert_eq!(run.stderr, "");
    }
    assert!(
        run(&["--version"])
            .exits(0)
            .stdout
            .starts_with("outpost 0.")
    );
    assert!(
        run(&["--help"])
            .stdout
            .contains("65  a request or a message cannot be read")
    );
}

#[test]
fn a_message_or_request_that_cannot_be_read_is_65() {
    let folder = folder();
    let cut = write(&folder, "cut.json", "{\"requests\": [");
    let list = write(&folder, "list.json", "[]");
    let cases: &[(&[&str], &str)] = &[
        (
            &[
                "deliver",
                "--from",
                "a@b.example",
                "--to",
                "c@d.example",
                "/no/such/file",
            ],
            "cannot read the message /no/such/file: No such file",
        ),
        (
            &[
                "deliver",
                "--from",
                "a@b.example",
                "--to",
                "c@d.example",
                "--input",
                "message",
                "/",
            ],
            "cannot read the message /: Is a directory",
        ),
        (
            &["deliver", "--request", "/no/such/file"],
            "cannot read /no/such/file: No such file",
        ),
        (
            &["deliver", "--request", &cut],
            "cut.json is not valid JSON: EOF",
        ),
        (
            &["deliver", "--request", &list],
            "list.json: expected an object",
        ),
    ];
    for (args, text) in cases {
        let run = run(args).exits(65).complains(text);
        assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
    }
}

#[test]
fn a_bad_request_does_not_hide_the_others() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let good = request(&sink.nexthop(), "b@example.com");
    let mut bad = good.clone();
    bad["colour"] = json!("red");
    let path = request_file(&folder, json!([good, bad, good]));
    let run = run(&["deliver", "--request", &path, "--report", "json"]).exits(65);
    let report = run.report();
    assert_eq!(report["requests"].as_array().unwrap().len(), 3);
    for number in [0, 2] {
        assert_eq!(
            report["requests"][number]["recipients"][0]["status"],
            "sent"
        );
    }
    let error = report["requests"][1]["error"].as_str().unwrap();
    assert!(
        error.contains("request.json: request 2: unknown field `colour`"),
        "{error}"
    );
    run.complains("request 2: unknown field `colour`");
    assert_eq!(sink.messages().len(), 2);
}

#[test]
fn a_broken_configuration_is_78() {
    let folder = folder();
    let broken = write(&folder, "broken.cf", "# fine\nsmtp_helo_timeout = soon\n");
    let envelope = ["--from", "a@b.example", "--to", "c@d.example"];
    let cases: &[(&[&str], &str)] = &[
        (&["--config", "/no/such/main.cf"], "/no/such/main.cf"),
        (&["--config", &broken], "smtp_helo_timeout"),
        (&["-o", "smtp_helo_timeout=soon"], "smtp_helo_timeout"),
    ];
    for (args, text) in cases {
        let args = [&["deliver"], *args, &envelope].concat();
        run(&args).exits(78).complains(text);
    }
}

#[test]
fn a_port_that_is_taken_is_71() {
    let sink = Sink::start(&[]);
    let listen = sink.address.to_string();
    run(&["sink", "--listen", &listen])
        .exits(71)
        .complains("cannot listen on 127.0.0.1:");
}

#[test]
fn authorities_for_mta_sts_must_be_there_and_need_mta_sts() {
    let envelope = ["--from", "a@b.example", "--to", "c@d.example"];
    let missing = ["deliver", "--mta-sts", "--mta-sts-ca", "/no/such/file"];
    let run_with = |args: &[&str]| run(&[args, &envelope].concat());
    let failed = run_with(&missing).exits(78);
    assert!(failed.stderr.contains("/no/such/file"), "{failed:?}");
    run_with(&["deliver", "--mta-sts-ca", "/no/such/file"]).exits(64);
}
