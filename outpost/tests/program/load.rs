//! `outpost load` against the program's own server, servers that fail, and servers with TLS.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::tls as server;

use std::net::TcpListener;

use crate::common::{Run, Sink, outpost, run};
use serde_json::Value;
use server::{Tls, certificate, serve};

/// Runs `outpost load` against this server, and ends with this status.
fn load(server: &str, args: &[&str], exit: i32) -> Run {
    let mut all = vec!["load"];
    all.extend(args);
    all.push(server);
    run(&all).exits(exit)
}

/// The same with `--json`.
fn report(server: &str, args: &[&str], exit: i32) -> Value {
    let mut all = vec!["--json"];
    all.extend(args);
    load(server, &all, exit).report()
}

#[test]
fn what_is_counted_is_what_the_server_got() {
    let sink = Sink::start(&[]);
    let args = ["--sessions", "8", "--messages", "50"];
    let report = report(&sink.nexthop(), &args, 0);
    assert_eq!(sink.messages().len(), 50);
    assert_eq!(report["messages"]["begun"], 50);
    assert_eq!(report["messages"]["accepted"], 50);
    assert_eq!(report["recipients"]["sent"], 50);
    assert_eq!(report["connections"]["made"], 50);
    assert_eq!(report["bytes"], 50 * 4096);
    for latency in ["connect", "message"] {
        let latency = &report["latency"][latency];
        assert_eq!(latency["count"], 50);
        assert!(latency["min"].as_f64() <= latency["p50"].as_f64());
        assert!(latency["p99_9"].as_f64() <= latency["max"].as_f64());
    }
    assert_eq!(report["latency"]["tls"], Value::Null);
    assert_eq!(report["latency"]["response"], Value::Null);
    let buckets = report["histogram"].as_array().unwrap();
    let counts = buckets
        .iter()
        .map(|bucket| bucket["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 50);
}

#[test]
fn one_message_is_sent_unless_more_are_asked_for() {
    let sink = Sink::start(&[]);
    load(&sink.nexthop(), &[], 0);
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn a_connection_takes_as_many_messages_as_it_may() {
    let sink = Sink::start(&[]);
    for (most, made) in [("1", 12), ("3", 4), ("unlimited", 1), ("0", 1)] {
        let args = ["--messages", "12", "--per-connection", most];
        let report = report(&sink.nexthop(), &args, 0);
        assert_eq!(report["connections"]["made"], made, "{most}");
        assert_eq!(report["messages"]["accepted"], 12);
    }
}

#[test]
fn messages_have_the_sizes_that_were_asked_for() {
    let sink = Sink::start(&[]);
    let args = ["--messages", "20", "--size", "1KiB..3KiB"];
    let report = report(&sink.nexthop(), &args, 0);
    let on_the_wire = |message: Vec<u8>| {
        let ends = message.iter().filter(|byte| **byte == b'\n').count();
        message.len() + ends
    };
    let sizes: Vec<usize> = sink.messages().into_iter().map(on_the_wire).collect();
    assert_eq!(report["bytes"], sizes.iter().sum::<usize>());
    assert!(
        sizes.iter().all(|size| (1024..=3072).contains(size)),
        "{sizes:?}"
    );
    assert!(sizes.iter().any(|size| *size != sizes[0]), "{sizes:?}");
}

#[test]
fn addresses_have_the_numbers_of_message_and_recipient() {
    let mut sink = Sink::start(&[]);
    let args = [
        "--messages",
        "2",
        "--recipients",
        "3",
        "--from",
        "s{m}@example.org",
        "--to",
        "u@example.com",
    ];
    let sent = report(&sink.nexthop(), &args, 0);
    assert_eq!(sent["recipients"]["sent"], 6);
    assert_eq!(sent["connections"]["made"], 2);
    for number in 1..=2 {
        let line = sink.line();
        let to = "to=<u1@example.com>,<u2@example.com>,<u3@example.com>";
        assert!(
            line.contains(&format!("from=<s{number}@example.org> {to}")),
            "{line}"
        );
    }
    let args = [
        "--recipients",
        "2",
        "--from",
        "<>",
        "--to",
        "u{r}.{m}@example.com",
    ];
    load(&sink.nexthop(), &args, 0);
    let line = sink.line();
    assert!(
        line.contains("from=<> to=<u1.1@example.com>,<u2.1@example.com>"),
        "{line}"
    );
}

#[test]
fn a_transaction_is_not_split_by_the_recipient_limit() {
    let mut sink = Sink::start(&[]);
    let sent = report(&sink.nexthop(), &["--recipients", "120", "--to", "u@x"], 0);
    assert_eq!(sent["recipients"]["sent"], 120);
    assert!(sink.line().contains("<u120@x>"));
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn refusals_are_counted_with_their_reasons_and_decide_the_exit_status() {
    let sink = Sink::start(&[
        "--fault",
        "RCPT <u3@=550 5.1.1 nobody here",
        "--fault",
        "RCPT <u5@=450 4.2.0 full",
    ]);
    let to = ["--to", "u{m}@example.com", "--messages"];
    let run = |count| report(&sink.nexthop(), &[&to[..], &[count]].concat(), 69);
    let refused = run("4");
    assert_eq!(refused["messages"]["accepted"], 3);
    assert_eq!(refused["messages"]["failed"], 1);
    assert_eq!(refused["recipients"]["bounced"], 1);
    let reason = refused["failures"][0]["text"].as_str().unwrap();
    assert!(reason.starts_with("bounced (5.1.1): "), "{reason}");
    assert!(reason.contains("nobody here"), "{reason}");
    let both = load(&sink.nexthop(), &[&to[..], &["8"]].concat(), 75);
    for line in [
        "messages     8 begun, 6 accepted, 2 failed\n",
        "recipients   6 sent, 1 deferred, 1 bounced\n",
        "failures     1 x bounced (5.1.1): ",
        "\n             1 x deferred (4.2.0): ",
    ] {
        assert!(both.stdout.contains(line), "no {line:?} in {both:#?}");
    }
}

#[test]
fn a_message_that_some_recipients_are_refused_for_is_partly_accepted() {
    let sink = Sink::start(&["--fault", "RCPT <u2@=550 5.1.1 nobody here"]);
    let args = ["--recipients", "2", "--to", "u@example.com"];
    let report = report(&sink.nexthop(), &args, 69);
    assert_eq!(report["messages"]["partly"], 1);
    assert_eq!(report["recipients"]["sent"], 1);
}

#[test]
fn lmtp_is_spoken_where_it_is_asked_for() {
    let sink = Sink::start(&["--lmtp"]);
    let args = [
        "--protocol",
        "lmtp",
        "--messages",
        "3",
        "--per-connection",
        "2",
    ];
    let report = report(&sink.nexthop(), &args, 0);
    assert_eq!(report["protocol"], "lmtp");
    assert_eq!(report["connections"]["made"], 2);
}

#[test]
fn a_handshake_is_measured_and_counted() {
    let (_, config) = certificate("mx.example");
    let server = serve(Tls::Start(config));
    let args = ["-o", "smtp_tls_security_level=encrypt", "--messages", "3"];
    let report = report(&server, &args, 0);
    assert_eq!(report["connections"]["encrypted"], 3);
    assert_eq!(report["latency"]["tls"]["count"], 3);
}

#[test]
fn a_server_without_tls_gets_nothing_where_tls_is_demanded() {
    let sink = Sink::start(&[]);
    let args = ["-o", "smtp_tls_security_level=encrypt"];
    let report = report(&sink.nexthop(), &args, 75);
    assert_eq!(report["messages"]["failed"], 1);
    assert!(sink.messages().is_empty());
}

#[test]
fn a_run_ends_when_too_much_has_failed_in_a_row() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = free.local_addr().unwrap().to_string();
    drop(free);
    let args = ["--messages", "1000", "--give-up", "7"];
    let report = report(&server, &args, 75);
    assert_eq!(report["messages"]["failed"], 7);
    assert_eq!(report["connections"]["failed"], 7);
    assert_eq!(report["gave_up"], true);
    assert_eq!(report["histogram"].as_array().unwrap().len(), 0);
    let text = load(&server, &["--messages", "3"], 75).stdout;
    assert!(text.contains("3 x deferred (4.4.1): connect to"), "{text}");
    assert!(!text.contains("latency"), "{text}");
}

#[test]
fn a_server_that_dies_in_the_middle_ends_the_run() {
    let mut sink = Sink::start(&[]);
    let child = outpost()
        .args([
            "load",
            "--json",
            "--rate",
            "200/s",
            "--duration",
            "1h",
            "--give-up",
            "5",
        ])
        .args([
            "--sessions",
            "2",
            "--per-connection",
            "unlimited",
            &sink.nexthop(),
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..3 {
        sink.line();
    }
    drop(sink);
    let run = Run::of(child.wait_with_output().unwrap()).exits(75);
    let report = run.report();
    assert_eq!(report["gave_up"], true);
    // The sink tells of a message before it answers it.
    assert!(
        report["messages"]["accepted"].as_u64() >= Some(1),
        "{report}"
    );
    assert!(report["messages"]["failed"].as_u64() >= Some(5), "{report}");
}

#[test]
fn a_rate_shows_the_response_since_each_message_was_due() {
    let sink = Sink::start(&[]);
    let args = ["--rate", "100/s", "--messages", "5", "--sessions", "2"];
    let report = report(&sink.nexthop(), &args, 0);
    assert_eq!(report["rate"], 100.0);
    assert_eq!(report["latency"]["response"]["count"], 5);
    let text = load(&sink.nexthop(), &args, 0).stdout;
    assert!(text.contains("\nresponse latency, messages\n"), "{text}");
}

#[test]
fn messages_that_were_due_and_did_not_begin_are_told() {
    // The server never answers the text, so that only one message begins.
    let (server, told) = crate::common::mute_server();
    let child = outpost()
        .args(["load", "--json", "--rate", "1000/s", "--duration", "20ms"])
        .args(["-o", "smtp_data_done_timeout=1s", &server])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    let report = Run::of(child.wait_with_output().unwrap())
        .exits(75)
        .report();
    assert_eq!(report["messages"]["begun"], 1);
    assert_eq!(report["messages"]["late"], 19);
    assert_eq!(report["recipients"]["uncertain"], 1);
}

#[test]
fn bars_are_plain_ascii_unless_the_locale_says_utf_8() {
    let sink = Sink::start(&[]);
    let with = |locale| {
        let mut command = outpost();
        command
            .args(["load", &sink.nexthop()])
            .env("LC_ALL", locale);
        Run::of(command.output().unwrap()).exits(0).stdout
    };
    let ascii = with("C");
    assert!(ascii.is_ascii() && ascii.contains(" 1 ####"), "{ascii}");
    assert!(with("C.UTF-8").contains(" 1 ████"));
}

#[test]
fn json_has_the_fields_that_help_names() {
    let sink = Sink::start(&["--fault", "RCPT <u2@=450 4.2.0 full"]);
    let args = ["--messages", "3", "--rate", "100", "--to", "u{m}@x"];
    let report = report(&sink.nexthop(), &args, 75);
    let help = run(&["load", "--help"]).exits(0).stdout;
    let words: Vec<&str> = help
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let mut unnamed = Vec::new();
    crate::common::field_names(&report, &mut |name| {
        if !words.contains(&name) {
            unnamed.push(name.to_owned());
        }
    });
    assert_eq!(unnamed, [""; 0]);
}

#[test]
fn the_summary_that_cannot_be_written_is_74() {
    let sink = Sink::start(&[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return };
    let mut command = outpost();
    command.args(["load", &sink.nexthop()]).stdout(full);
    Run::of(command.output().unwrap()).exits(74);
}

#[test]
fn mistakes_on_the_command_line_are_64_and_in_the_configuration_78() {
    for (args, said) in [
        (&[][..], "SERVER"),
        (&["--size", "big", "x"], "expected a size"),
        (&["--size", "2K..1K", "x"], "greater than the second"),
        (&["--rate", "fast", "x"], "expected a rate"),
        (&["--rate", "0/s", "x"], "expected a rate"),
        (&["--duration", "soon", "x"], "expected a time"),
        (&["--per-connection=-1", "x"], "--per-connection"),
        (&["--sessions", "0", "x"], "1..=10000"),
        (&["--messages", "0", "x"], "--messages"),
        (
            &["--wait", "1s", "--rate", "1/s", "x"],
            "cannot be used with",
        ),
        (&["--to", "a b@c", "x"], "--to 'a b@c'"),
        (&["--to", "a{x}@c", "x"], "there are {m} and {r}"),
        (&["--from", "@c", "x"], "--from '@c'"),
        (&["unix:/nowhere"], "needs --protocol lmtp"),
        (&["::1"], "needs brackets"),
        (&["a,b"], "expected one server"),
        (&["127.0.0.1:99999999"], "server '[127.0.0.1]:99999999'"),
    ] {
        let mut all = vec!["load"];
        all.extend(args);
        run(&all).exits(64).complains(said);
    }
    run(&["load", "--config", "/nowhere/main.cf", "x"])
        .exits(78)
        .complains("/nowhere/main.cf");
    run(&["load", "-o", "smtp_tls_security_level=nonsense", "x"]).exits(78);
}

#[test]
fn a_socket_that_is_not_there_is_a_failure_of_each_message() {
    let args = ["--protocol", "lmtp", "--messages", "2"];
    let report = report("unix:/nowhere/at/all", &args, 75);
    assert_eq!(report["recipients"]["deferred"], 2);
}

#[cfg(unix)]
mod interrupted {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    use super::*;

    #[test]
    fn the_first_ctrl_c_begins_nothing_more_and_prints_the_summary() {
        let mut sink = Sink::start(&[]);
        let child = outpost()
            .args([
                "load",
                "--json",
                "--rate",
                "50/s",
                "--duration",
                "1h",
                &sink.nexthop(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sink.line();
        crate::common::signal(child.id(), "INT");
        let report = Run::of(child.wait_with_output().unwrap()).exits(0).report();
        assert_eq!(report["interrupted"], true);
        assert_eq!(report["messages"]["begun"], report["messages"]["accepted"]);
        assert_eq!(sink.messages().len() as u64, report["messages"]["accepted"]);
    }

    #[test]
    fn pauses_and_waits_for_the_next_moment_are_kept_and_end_with_ctrl_c() {
        for wait in [["--wait", "1h..2h"], ["--rate", "1/h"]] {
            let mut sink = Sink::start(&[]);
            let child = outpost()
                .args(["load", "--json", "--messages", "2"])
                .args(wait)
                .arg(sink.nexthop())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            sink.line();
            crate::common::signal(child.id(), "INT");
            let report = Run::of(child.wait_with_output().unwrap()).exits(0).report();
            assert_eq!(report["messages"]["begun"], 1, "{wait:?}");
            assert_eq!(report["interrupted"], true, "{wait:?}");
        }
    }

    #[test]
    fn the_second_ctrl_c_ends_at_once_with_what_there_is() {
        let (server, told) = crate::common::mute_server();
        let mut child = outpost()
            .args(["load", "--messages", "10", "--sessions", "2", &server])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        told.recv().unwrap();
        told.recv().unwrap();
        crate::common::signal(child.id(), "INT");
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("once more ends at once"), "{line}");
        crate::common::signal(child.id(), "INT");
        let rest: Vec<String> = stderr.lines().map_while(Result::ok).collect();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let begun = "messages     2 begun, 0 accepted, 2 under way";
        assert!(rest.iter().any(|line| line == begun), "{rest:#?}");
    }
}
