//! Tests of standard error: `-v`, RUST_LOG, and nothing told twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::common::{MESSAGE, RUNTIMES, Run, Sink, folder, outpost, write};

/// Delivers to this sink with these arguments and this RUST_LOG.
fn deliver(sink: &Sink, args: &[&str], log: &str) -> Run {
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    let nexthop = sink.nexthop();
    let mut command = outpost();
    command
        .args([
            "deliver",
            "--nexthop",
            &nexthop,
            "--from",
            "a@b",
            "--to",
            "c@d",
        ])
        .args([&message])
        .args(args);
    if !log.is_empty() {
        command.env("RUST_LOG", log);
    }
    Run::of(command.output().unwrap())
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn the_dialogue_is_shown_with_v_or_by_its_level_and_each_line_once() {
    let sink = Sink::start(&[]);
    let port = sink.address.port();
    for runtime in RUNTIMES {
        for (args, log) in [
            (&["-v"][..], "info"),
            (&[], "debug"),
            (&[], "outpost=debug"),
        ] {
            let args = [args, &["--runtime", runtime]].concat();
            let run = deliver(&sink, &args, log).exits(0);
            let peer = format!("127.0.0.1[127.0.0.1]:{port}: ");
            for line in [
                format!("> {peer}EHLO "),
                format!("< {peer}250 2.1.5 Ok id="),
                format!("> {peer}MAIL FROM:<a@b> "),
                format!("> {peer}[message text of {} bytes] id=", MESSAGE.len()),
                format!("> {peer}. id="),
            ] {
                let line = format!(" DEBUG outpost: {line}");
                assert_eq!(count(&run.stderr, &line), 1, "{args:?} {log} {run:#?}");
            }
            assert!(!run.stderr.contains("One line."), "{run:#?}");
            assert!(!run.stderr.contains('\u{1b}'), "{run:#?}");
            for library in ["mio", "rustls", "polling", "async_io"] {
                let target = format!(" {library}:");
                let nested = format!(" {library}::");
                assert!(!run.stderr.contains(&target) && !run.stderr.contains(&nested));
            }
        }
        let quiet = deliver(&sink, &["--runtime", runtime], "").exits(0);
        assert_eq!(quiet.stderr, "", "{runtime}");
        let info = deliver(&sink, &["--runtime", runtime], "info").exits(0);
        assert!(!info.stderr.contains("EHLO"), "{runtime}: {info:#?}");
    }
}

#[test]
fn v_alone_shows_the_dialogue_for_people() {
    let sink = Sink::start(&["--fault", "RCPT c@=550 5.1.1 no"]);
    for runtime in RUNTIMES {
        let run = deliver(&sink, &["-v", "--runtime", runtime], "").exits(69);
        for line in [
            " M1 ? connect to ".to_owned(),
            format!(
                " M1 * connected to 127.0.0.1[127.0.0.1]:{}\n",
                sink.address.port()
            ),
            " M1 > EHLO ".to_owned(),
            " M1 > MAIL FROM:<a@b> ".to_owned(),
            " M1 < 550 5.1.1 no\n".to_owned(),
        ] {
            assert_eq!(count(&run.stderr, &line), 1, "{line:?} {run:#?}");
        }
        assert!(!run.stderr.contains('\u{1b}'), "{run:#?}");
        let times = run.stderr.lines().map(|line| line.get(..7).unwrap().trim());
        assert!(
            times.clone().all(|time| time.parse::<f64>().is_ok()),
            "{run:#?}"
        );
    }
    let colored = deliver(&sink, &["-v", "--color", "always"], "").exits(69);
    assert!(
        colored
            .stderr
            .contains("\u{1b}[31m< 550 5.1.1 no\u{1b}[0m\n"),
        "{colored:#?}"
    );
    deliver(&sink, &["-v", "--color", "blue"], "").exits(64);
}

#[test]
fn given_twice_questions_are_shown_too() {
    let sink = Sink::start(&[]);
    let question = format!("}}: outpost: connect to {}", sink.address);
    for runtime in RUNTIMES {
        let run = deliver(&sink, &["-vv", "--runtime", runtime], "").exits(0);
        assert!(run.stderr.contains("EHLO"), "{run:#?}");
        assert_eq!(count(&run.stderr, &question), 1, "{run:#?}");
        let once = deliver(&sink, &["-v", "--runtime", runtime], "info").exits(0);
        assert_eq!(count(&once.stderr, &question), 0, "{once:#?}");
    }
}

#[test]
fn a_note_is_told_once_in_the_log_or_on_standard_error() {
    let sink = Sink::start(&["--fault", "CONNECT=450 4.3.2 busy"]);
    let line = "]: < 127.0.0.1[127.0.0.1]:";
    let log = deliver(&sink, &["--report", "log", "-v"], "").exits(75);
    assert_eq!(count(&log.stdout, line), 1, "{log:#?}");
    assert!(!log.stderr.contains("< 127.0.0.1["), "{log:#?}");
    let text = deliver(&sink, &["-v"], "").exits(75);
    assert_eq!(count(&text.stderr, " < 450 4.3.2 busy"), 1, "{text:#?}");
}

#[test]
fn a_warning_is_told_once_with_and_without_a_trace() {
    let fault = format!("EHLO=250 {}", "long".repeat(600));
    let sink = Sink::start(&["--fault", &fault]);
    let warning = "response longer than 2048: ";
    for runtime in RUNTIMES {
        let args = ["--runtime", runtime];
        let plain = deliver(&sink, &args, "");
        assert!(plain.stderr.starts_with("outpost: warning: "), "{plain:#?}");
        for log in ["", "warn", "debug"] {
            let run = deliver(&sink, &args, log);
            assert_eq!(count(&run.stderr, warning), 1, "{log} {run:#?}");
        }
        let log = deliver(&sink, &[&args[..], &["--report", "log"]].concat(), "");
        assert_eq!(count(&log.stdout, warning), 1, "{log:#?}");
        assert_eq!(log.stderr, "", "{log:#?}");
    }
}

#[test]
fn directives_that_make_no_sense_are_told() {
    let sink = Sink::start(&[]);
    let run = deliver(&sink, &[], "outpost=loud").exits(0);
    run.complains("RUST_LOG=outpost=loud");
}
