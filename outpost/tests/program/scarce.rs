//! Too few file descriptors: a clear end or a verdict, never a panic.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

use crate::common::{MESSAGE, RUNTIMES, Run, Sink, folder, write};

/// Runs the program where `limit` files can be open at once.
fn run_with_files(limit: u32, args: &[&str]) -> Run {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string()])
        .arg(env!("CARGO_BIN_EXE_outpost"))
        .args(args)
        .stdin(std::process::Stdio::null())
        .env_remove("RUST_LOG");
    Run::of(command.output().unwrap())
}

/// Four are the three standard ones, and one that starting a program takes.
const LIMITS: std::ops::Range<u32> = 4..12;

/// Whatever the limit is: it works, or ends in one of these ways and says why.
fn ends_well(run: &Run, good: i32, others: &[i32], context: &str) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains("panicked"), "{context}: {run:#?}");
    assert!(!said.contains("cancelled"), "{context}: {run:#?}");
    if run.exit == Some(good) {
        return;
    }
    let known = run.exit.is_some_and(|exit| others.contains(&exit));
    assert!(known, "{context}: {run:#?}");
    let text = said.find("Too many open files");
    let before = text.and_then(|at| said.get(..at)).unwrap_or_default();
    let what = before.lines().last().unwrap_or_default();
    assert!(
        what.trim_start_matches("outpost: ").len() > 5,
        "{context}: what cannot be opened? {run:#?}"
    );
}

#[test]
fn a_delivery_with_few_files_is_deferred_or_says_what_it_cannot_open() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    let big = write(&folder, "big.eml", MESSAGE.repeat(20_000));
    let spooled = write(
        &folder,
        "crlf.eml",
        MESSAGE.replace('\n', "\r\n").repeat(20_000),
    );
    let nexthop = sink.nexthop();
    for runtime in RUNTIMES {
        for message in [&message, &big, &spooled] {
            for limit in LIMITS.take(5) {
                let args = [
                    "deliver",
                    "--runtime",
                    runtime,
                    "--nexthop",
                    &nexthop,
                    "--from",
                    "a@b.example",
                    "--to",
                    "c@d.example",
                    message,
                ];
                let run = run_with_files(limit, &args);
                let context = format!("{runtime}, {limit} files, {message}");
                ends_well(&run, 0, &[71, 75], &context);
            }
        }
    }
}

#[test]
fn a_name_that_cannot_be_looked_up_for_want_of_files_is_deferred() {
    for runtime in RUNTIMES {
        for limit in LIMITS {
            let args = [
                "probe",
                "--runtime",
                runtime,
                "--dns",
                "127.0.0.1:9",
                "-o",
                "daemon_timeout=3s",
                "host.example",
            ];
            let run = run_with_files(limit, &args);
            let context = format!("{runtime}, {limit} files");
            assert!(matches!(run.exit, Some(71 | 75)), "{context}: {run:#?}");
            assert!(!run.stderr.contains("panicked"), "{context}: {run:#?}");
        }
    }
}

#[test]
fn other_commands_with_few_files_say_what_they_cannot_open() {
    let folder = folder();
    let main_cf = write(&folder, "main.cf", "smtp_helo_timeout = 10s\n");
    let maildir = folder.path().join("maildir");
    let maildir = maildir.to_str().unwrap();
    let request = write(&folder, "request.json", "{\"requests\": []}");
    let commands: [(&[&str], i32); 5] = [
        (&["config", "--config", &main_cf, "-n"], 0),
        (
            &[
                "deliver", "--from", "", "--to", "a@b", "--config", &main_cf, "/no",
            ],
            65,
        ),
        (&["deliver", "--request", &request], 0),
        (&["demo"], 0),
        (
            &[
                "sink",
                "--listen",
                "127.0.0.1:0",
                "--maildir",
                maildir,
                "--fault",
                "?",
            ],
            64,
        ),
    ];
    for (args, good) in commands {
        for limit in LIMITS {
            let run = run_with_files(limit, args);
            ends_well(
                &run,
                good,
                &[71, 70, 75],
                &format!("{args:?}, {limit} files"),
            );
        }
    }
}
