//! Deliveries to the sink, seen from both sides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{
    MESSAGE, RUNTIMES, Sink, folder, outpost, request, request_file, run, run_with_input, write,
};
use serde_json::json;

/// Delivers a message of about so many bytes by each runtime, and compares.
fn big_message(bytes: usize) {
    let sink = Sink::start(&[]);
    let folder = folder();
    let mut text = b"Subject: big\n\n".to_vec();
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        let dots = [".", "", ".."][number % 3];
        text.extend_from_slice(
            format!("{dots}{number} 0123456789abcdef0123456789abcdef\n").as_bytes(),
        );
    }
    let file = write(&folder, "big.eml", &text);
    let nexthop = sink.nexthop();
    let envelope = [
        "deliver",
        "--nexthop",
        &nexthop,
        "--from",
        "a@b.example",
        "--to",
        "c@d.example",
    ];
    for runtime in RUNTIMES {
        let args = [&envelope[..], &["--runtime", runtime]].concat();
        run(&[&args[..], &[&file]].concat()).exits(0);
        run_with_input(&args, &text).exits(0);
    }
    let messages = sink.messages();
    assert_eq!(messages.len(), 2 * RUNTIMES.len());
    for message in &messages {
        assert_eq!(message.len(), text.len());
        assert!(message == &text, "another message of the same length");
    }
}

#[test]
fn a_big_message_arrives_whole_from_a_file_and_from_a_pipe() {
    big_message(8_000_000);
}

#[test]
#[ignore = "takes long in a debug build; run by hand"]
fn a_message_of_50_megabytes_arrives_whole() {
    big_message(50_000_000);
}

#[test]
fn crlf_in_a_file_is_a_line_end() {
    let mut sink = Sink::start(&[]);
    let folder = folder();
    let file = write(&folder, "dos.eml", MESSAGE.replace('\n', "\r\n"));
    let nexthop = sink.nexthop();
    let args = [
        "deliver",
        "--nexthop",
        &nexthop,
        "--from",
        "",
        "--to",
        "joe",
        &file,
    ];
    run(&args).exits(0);
    assert!(sink.line().contains("from=<> to=<joe>"));
    assert_eq!(sink.messages(), [MESSAGE.as_bytes()]);
}

#[test]
fn recipients_of_several_domains_become_several_requests() {
    let sink = Sink::start(&[]);
    // The default next hop is the recipient's domain: an address literal here.
    let port = format!("smtp_tcp_port={}", sink.address.port());
    let args = [
        "deliver",
        "-o",
        &port,
        "--from",
        "a@example.org",
        "--to",
        "b@[127.0.0.1]",
        "--to",
        "c@[127.0.0.2]",
        "--to",
        "d@[127.0.0.1]",
        "--report",
        "json",
    ];
    let report = run_with_input(&args, MESSAGE.as_bytes()).report();
    let names = |request: usize| -> Vec<String> {
        let recipients = report["requests"][request]["recipients"]
            .as_array()
            .unwrap();
        recipients
            .iter()
            .map(|r| r["address"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(0), ["b@[127.0.0.1]", "d@[127.0.0.1]"]);
    assert_eq!(names(1), ["c@[127.0.0.2]"]);
    assert_eq!(report["requests"][0]["recipients"][0]["status"], "sent");
}

#[test]
fn the_recipient_limit_splits_what_comes_from_the_command_line_and_not_from_a_queue() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let nexthop = sink.nexthop();
    let limit = "smtp_destination_recipient_limit=2";
    let start = ["deliver", "-o", limit, "--report", "json"];
    let mut all = request(&nexthop, "a@x");
    all["recipients"] = json!([{"address": "a@x"}, {"address": "b@x"}, {"address": "c@x"}]);
    let file = request_file(&folder, json!([all]));
    let envelope = [
        "--nexthop",
        &nexthop,
        "--from",
        "",
        "--to",
        "a@x",
        "--to",
        "b@x",
        "--to",
        "c@x",
    ];
    for runtime in RUNTIMES {
        let start = [&start[..], &["--runtime", runtime]].concat();
        let before = sink.messages().len();
        let split = run_with_input(&[&start[..], &envelope].concat(), MESSAGE.as_bytes());
        assert_eq!(sink.messages().len(), before + 2, "{runtime}");
        let whole = run(&[&start[..], &["--request", &file]].concat());
        assert_eq!(sink.messages().len(), before + 3, "{runtime}");
        for report in [split.exits(0).report(), whole.exits(0).report()] {
            let recipients = report["requests"][0]["recipients"].as_array().unwrap();
            let names: Vec<_> = recipients.iter().map(|r| r["address"].as_str()).collect();
            assert_eq!(names, [Some("a@x"), Some("b@x"), Some("c@x")], "{runtime}");
        }
    }
}

#[test]
fn relayhost_takes_what_has_no_next_hop() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let main_cf = write(
        &folder,
        "main.cf",
        format!("relayhost = {}\n", sink.nexthop()),
    );
    let args = [
        "deliver",
        "--config",
        &main_cf,
        "--from",
        "a@example.org",
        "--to",
        "b@one.example",
        "--to",
        "c@two.example",
    ];
    let run = run_with_input(&args, MESSAGE.as_bytes()).exits(0);
    assert!(
        run.stdout.contains("2 sent, 0 deferred, 0 bounced"),
        "{run:#?}"
    );
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn lmtp_gives_each_recipient_its_own_answer() {
    let sink = Sink::start(&["--lmtp"]);
    let nexthop = format!("inet:127.0.0.1:{}", sink.address.port());
    let args = [
        "deliver",
        "--protocol",
        "lmtp",
        "--nexthop",
        &nexthop,
        "--from",
        "a@example.org",
        "--to",
        "b@x",
        "--to",
        "c@x",
        "--report",
        "json",
    ];
    let report = run_with_input(&args, MESSAGE.as_bytes()).exits(0).report();
    let recipients = &report["requests"][0]["recipients"];
    assert_eq!(recipients[0]["text"], "250 2.1.5 <b@x> Ok: kept as 1");
    assert_eq!(recipients[1]["text"], "250 2.1.5 <c@x> Ok: kept as 1");
}

#[test]
fn the_log_report_has_the_shape_of_postfix() {
    let sink = Sink::start(&["--fault", "RCPT c@=550 5.1.1 no such user"]);
    let folder = folder();
    let mut requests = request(&sink.nexthop(), "b@example.com");
    requests["recipients"] = json!([
        { "address": "b@example.com", "original": "old@example.com" },
        { "address": "c@example.com", "original": "C@example.com" },
    ]);
    requests["id"] = json!("4XyZ");
    requests["age"] = json!(12);
    let path = request_file(&folder, json!([requests]));
    let run = run(&["deliver", "--request", &path, "--report", "log"]).exits(69);
    let lines: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.contains("status="))
        .collect();
    assert_eq!(lines.len(), 2, "{run:#?}");
    let bounced = lines.iter().find(|line| line.contains("to=<c@")).unwrap();
    let sent = lines.iter().find(|line| line.contains("to=<b@")).unwrap();
    assert!(bounced.starts_with("outpost/smtp["), "{bounced}");
    let relay = format!("relay=127.0.0.1[127.0.0.1]:{}", sink.address.port());
    assert!(bounced.contains(&format!(
        "4XyZ: to=<c@example.com>, {relay}, delay=12, delays=12/0/"
    )));
    assert!(bounced.contains(", dsn=5.1.1, status=bounced (") && bounced.ends_with(')'));
    assert!(sent.contains("]: 4XyZ: to=<b@example.com>, orig_to=<old@example.com>, relay="));
    assert!(
        sent.ends_with(", dsn=2.0.0, status=sent (250 2.0.0 Ok: kept as 1)"),
        "{sent}"
    );
}

#[test]
fn the_text_report_has_a_block_for_each_recipient() {
    let sink = Sink::start(&["--fault", "RCPT c@=450 4.2.0 try again"]);
    let nexthop = sink.nexthop();
    let args = [
        "deliver",
        "--nexthop",
        &nexthop,
        "--from",
        "a@example.org",
        "--to",
        "b@x",
        "--to",
        "c@x",
    ];
    let run = run_with_input(&args, MESSAGE.as_bytes()).exits(75);
    let blocks: Vec<&str> = run.stdout.split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{run:#?}");
    // In the order in which they fell.
    assert!(blocks[0].starts_with("<c@x>: deferred (4.2.0): not delivered now"));
    assert!(blocks[1].starts_with("<b@x>: sent (2.0.0, plaintext)\n  server     127.0.0.1["));
    assert_eq!(blocks[2], "1 sent, 1 deferred, 0 bounced\n");
    assert_eq!(run.stderr, "", "a pipe gets no progress bar");
}

#[test]
fn a_connection_lost_after_the_text_is_uncertain() {
    let sink = Sink::start(&["--fault", ".=close"]);
    let nexthop = sink.nexthop();
    let args = [
        "deliver",
        "--nexthop",
        &nexthop,
        "--from",
        "a@example.org",
        "--to",
        "b@x",
    ];
    let run = run_with_input(&args, MESSAGE.as_bytes()).exits(75);
    assert!(
        run.stdout
            .contains("uncertain  The connection was lost after"),
        "{run:#?}"
    );
    let json = [&args[..], &["--report", "json"]].concat();
    let report = run_with_input(&json, MESSAGE.as_bytes()).exits(75).report();
    assert_eq!(report["requests"][0]["recipients"][0]["uncertain"], true);
    assert_eq!(sink.unfinished(), 0);
}

#[test]
fn rust_log_traces_to_standard_error() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    let output = outpost()
        .args([
            "deliver",
            "--nexthop",
            &sink.nexthop(),
            "--from",
            "a@b",
            "--to",
            "c@d",
            &message,
        ])
        .env("RUST_LOG", "info")
        .output()
        .unwrap();
    let run = crate::common::Run::of(output).exits(0);
    assert!(
        run.stderr.contains("INFO") && run.stderr.contains("settled"),
        "{run:#?}"
    );
}
