//! `outpost probe` for several destinations, and for monitoring systems.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::tls as server;

use std::net::TcpListener;

use crate::common::{RUNTIMES, Run, Sink, folder, run, run_with_input, write};
use serde_json::Value;
use server::{Tls, certificate, certificate_for_days, serve};

/// A destination where nobody listens.
fn dead() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("[127.0.0.1]:{}", free.local_addr().unwrap().port())
}

/// A server that returns all mail.
fn refusing() -> Sink {
    Sink::start(&["--fault", "CONNECT=554 5.7.1 go away | now"])
}

/// Runs `outpost probe` with these arguments and destinations, and ends with this status.
fn probe(args: &[&str], destinations: &[&str], exit: i32) -> Run {
    let mut all = vec!["probe"];
    all.extend(args);
    all.extend(destinations);
    run(&all).exits(exit)
}

/// The only line of `outpost probe --nagios`, in words and performance data.
fn check(args: &[&str], destination: &str, exit: i32) -> (String, String) {
    let mut all = vec!["--nagios"];
    all.extend(args);
    let run = probe(&all, &[destination], exit);
    let line = run.stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{run:#?}");
    let (words, data) = line.split_once('|').unwrap();
    assert!(!data.contains('|'), "{run:#?}");
    (words.to_owned(), data.to_owned())
}

#[test]
fn several_destinations_are_shown_in_their_order() {
    let (one, other) = (Sink::start(&[]), Sink::start(&[]));
    let dead = dead();
    let all = [one.nexthop(), dead, other.nexthop()];
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for runtime in RUNTIMES {
        let run = probe(&["--runtime", runtime], &all, 75);
        let places: Vec<usize> = all
            .iter()
            .map(|name| run.stdout.find(&format!("Destination {name}\n")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{run:#?}");
        assert_eq!(
            run.stdout.matches("\nThe server can be used.\n\n").count(),
            2
        );
        assert_eq!(
            run.stdout
                .matches("\nThe server cannot be used.\n\n")
                .count(),
            1
        );
        assert!(
            run.stdout.ends_with("\n2 of 3 destinations can be used.\n"),
            "{run:#?}"
        );
    }
}

#[test]
fn the_exit_status_is_that_of_the_worst_destination() {
    let (good, bad) = (Sink::start(&[]), refusing());
    let (good, bad, dead) = (good.nexthop(), bad.nexthop(), dead());
    probe(&[], &[&good, &good], 0);
    probe(&[], &[&good, &dead], 75);
    let args = ["-o", "smtp_skip_5xx_greeting=no"];
    probe(&args, &[&good, &bad], 69);
    probe(&args, &[&bad, &dead, &good], 69);
}

#[test]
fn json_of_several_destinations_is_a_line_for_each() {
    let sink = Sink::start(&[]);
    let (alive, dead) = (sink.nexthop(), dead());
    let run = probe(&["--json", "--jobs", "1"], &[&dead, &alive], 75);
    let lines: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["destination"], dead.as_str());
    assert_eq!(lines[0]["verdict"], "unusable for now");
    assert_eq!(lines[1]["destination"], alive.as_str());
    assert_eq!(lines[1]["verdict"], "usable");
    // The same object that a single destination has.
    let single = probe(&["--json"], &[&alive], 0).report();
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&lines[1]), names(&single));
    assert_eq!(names(&lines[1]["hosts"][0]), names(&single["hosts"][0]));
}

#[test]
fn destinations_come_from_a_file_or_standard_input() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let list = format!("# servers\n\n  {}  \r\n", sink.nexthop());
    let path = write(&folder, "list", &list);
    let run = probe(&["--json", "--from-file", &path], &[], 0);
    assert_eq!(run.stdout.lines().count(), 1, "a file has lines: {run:#?}");
    assert_eq!(run.report()["destination"], sink.nexthop().as_str());
    let both = ["probe", "--json", "--from-file", "-", &sink.nexthop()];
    let run = run_with_input(&both, list.as_bytes()).exits(0);
    assert_eq!(run.stdout.lines().count(), 2, "{run:#?}");
}

#[test]
fn a_list_that_makes_no_sense_is_refused_before_anybody_is_asked() {
    let folder = folder();
    let bad = write(&folder, "bad", "127.0.0.1\n[oops\n");
    probe(&["--from-file", &bad], &[], 65).complains("bad, line 2: '[oops'");
    let bytes = write(&folder, "bytes", b"\n\xff\n");
    probe(&["--from-file", &bytes], &[], 65).complains("bytes, line 2: no UTF-8");
    let empty = write(&folder, "empty", "# nothing\n");
    probe(&["--from-file", &empty], &[], 65).complains("there are no destinations");
    probe(&["--from-file", "/nowhere/list"], &[], 65).complains("/nowhere/list");
    probe(&[], &["127.0.0.1", "[oops"], 64).complains("destination '[oops'");
    probe(&["--jobs", "0"], &["127.0.0.1"], 64).complains("1..=1000");
}

#[test]
fn a_server_that_takes_mail_is_ok() {
    let sink = Sink::start(&[]);
    let (words, data) = check(&[], &sink.nexthop(), 0);
    assert_eq!(words, "SMTP OK - 1 server usable, in plaintext");
    assert!(data.starts_with("time=0."), "{data}");
    assert!(
        data.ends_with("s;;;0 servers=1;;;0 usable=1;;;0;1"),
        "{data}"
    );
    let sink = Sink::start(&["--lmtp"]);
    let lmtp = ["--protocol", "lmtp"];
    let hop = format!("inet:127.0.0.1:{}", sink.address.port());
    assert!(check(&lmtp, &hop, 0).0.starts_with("LMTP OK - "));
}

#[test]
fn servers_that_cannot_be_used_are_critical_and_some_of_several_a_warning() {
    let (dead, bad) = (dead(), refusing());
    let (words, data) = check(&[], &dead, 2);
    assert!(
        words.starts_with("SMTP CRITICAL - mail is deferred (4.4.1): connect to"),
        "{words}"
    );
    assert!(data.ends_with("servers=1;;;0 usable=0;;;0;1"), "{data}");
    let args = ["-o", "smtp_skip_5xx_greeting=no"];
    let (words, _) = check(&args, &bad.nexthop(), 2);
    assert!(words.contains("mail is returned (5.7.1)"), "{words}");
    assert!(words.contains("go away / now"), "{words}");
    let sink = Sink::start(&[]);
    let (words, _) = check(&[], &format!("{dead}, {}", sink.nexthop()), 1);
    assert!(
        words.starts_with("SMTP WARNING - 1 of 2 servers usable: mail is deferred"),
        "{words}"
    );
}

#[test]
fn a_server_without_tls_is_critical_where_tls_is_demanded() {
    let sink = Sink::start(&[]);
    let args = ["-o", "smtp_tls_security_level=encrypt"];
    let (words, _) = check(&args, &sink.nexthop(), 2);
    assert!(
        words.contains("TLS is required, but was not offered"),
        "{words}"
    );
    let (_, config) = certificate("mx.example");
    let server = serve(Tls::Start(config));
    let (words, _) = check(&args, &server, 0);
    assert_eq!(
        words.split(", certificate").next().unwrap(),
        "SMTP OK - 1 server usable, encrypted, not verified"
    );
}

#[test]
fn the_days_of_a_certificate_have_limits() {
    let (_, config) = certificate_for_days("mx.example", 10);
    let server = serve(Tls::Start(config));
    let with = |limits, exit| {
        let args = [
            "-o",
            "smtp_tls_security_level=may",
            "--certificate-days",
            limits,
        ];
        check(&args, &server, exit)
    };
    let (words, data) = with("9,5", 0);
    assert!(words.ends_with("certificate valid for 10 days"), "{words}");
    assert!(data.contains(" certificate_days=10;9:;5: "), "{data}");
    assert!(with("14,5", 1).0.starts_with("SMTP WARNING - "));
    assert!(with("30,14", 2).0.starts_with("SMTP CRITICAL - "));
}

#[test]
fn no_certificate_is_critical_where_its_days_have_limits() {
    let sink = Sink::start(&[]);
    let (words, _) = check(&["--certificate-days", "14,7"], &sink.nexthop(), 2);
    assert!(
        words.ends_with("shows no certificate (TLS level none)"),
        "{words}"
    );
}

#[test]
fn the_time_has_limits() {
    let sink = Sink::start(&[]);
    let nexthop = sink.nexthop();
    assert!(
        check(&["--time", "1000,1000"], &nexthop, 0)
            .1
            .contains("s;1000;1000;0")
    );
    assert!(
        check(&["--time", "0,1000"], &nexthop, 1)
            .0
            .contains(", took 0.")
    );
    check(&["--time", "0,0"], &nexthop, 2);
}

#[test]
fn what_nobody_could_find_out_is_unknown() {
    for (args, why) in [
        (
            &["--nagios"][..],
            "SMTP UNKNOWN - the following required arguments",
        ),
        (
            &["--nagios", "--json", "x"],
            "SMTP UNKNOWN - the argument '--",
        ),
        (
            &["--nagios", "--time", "5", "x"],
            "expected two numbers of seconds",
        ),
        (
            &["--nagios", "--certificate-days", "7,14", "x"],
            "expected two numbers of days",
        ),
        (&["--nagios", "[oops"], "SMTP UNKNOWN - destination '[oops'"),
        (
            &["--nagios", "--config", "/nowhere/main.cf", "x"],
            "/nowhere/main.cf",
        ),
        (
            &["--nagios", "--from-file", "/nowhere/list"],
            "cannot read /nowhere/list",
        ),
    ] {
        let run = probe(args, &[], 3);
        assert!(run.stdout.contains(why), "no {why:?} in {run:#?}");
        assert_eq!(run.stdout.lines().count(), 1, "{run:#?}");
    }
    // What others may have had a say in ends neither the line nor the words.
    let odd = probe(&["--nagios", "--jobs", "a\n|\x1b"], &["x"], 3);
    assert_eq!(odd.stdout.lines().count(), 1, "{odd:#?}");
    assert!(!odd.stdout.contains(['\x1b', '|']), "{odd:#?}");
    assert!(odd.stderr.is_empty(), "{odd:#?}");
    // Limits are for monitoring only.
    probe(&["--time", "5,10"], &["x"], 64).complains("--nagios");
}

#[test]
fn several_destinations_have_the_worst_status_and_a_line_each() {
    let sink = Sink::start(&[]);
    let (alive, dead) = (sink.nexthop(), dead());
    let run = probe(&["--nagios"], &[&alive, &dead, &alive], 2);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{run:#?}");
    let (words, data) = lines[0].split_once('|').unwrap();
    assert_eq!(words, "SMTP CRITICAL - 3 destinations, 1 CRITICAL, 2 OK");
    assert!(data.contains(&format!("'{dead} usable'=0;;;0;1")), "{data}");
    assert_eq!(
        lines[1],
        format!("[OK] {alive}: 1 server usable, in plaintext")
    );
    assert!(
        lines[2].starts_with(&format!("[CRITICAL] {dead}: mail is deferred")),
        "{run:#?}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_check_is_unknown_and_what_was_not_looked_at_is_told() {
    use std::{
        io::{BufRead, BufReader, Write},
        process::Stdio,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    let interrupted = |args: &[&str]| {
        let child = crate::common::outpost()
            .args(["probe", "--jobs", "1"])
            .args(args)
            .args([&nexthop, &nexthop])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The server never answers EHLO.
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mx.example\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        crate::common::signal(child.id(), "INT");
        Run::of(child.wait_with_output().unwrap())
    };
    let run = interrupted(&["--nagios"]).exits(3);
    assert!(
        run.stdout
            .starts_with("SMTP UNKNOWN - 2 destinations, 2 UNKNOWN|"),
        "{run:#?}"
    );
    let run = interrupted(&[])
        .exits(75)
        .complains("destinations not looked at: 1");
    assert!(
        run.stdout.ends_with("0 of 2 destinations can be used.\n"),
        "{run:#?}"
    );
}
