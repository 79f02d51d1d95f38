//! Standard output that cannot be written to: one clear line, exit status 74.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs::File,
    process::{Command, Stdio},
};

use common::{MESSAGE, Run, Sink, folder, outpost, write};

/// Runs the program with a full disk, then with a reader that went away, as
/// standard output.
fn fails(args: &[&str]) {
    let full = Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    for (stdout, reason) in [(full, "No space left"), (Stdio::from(gone), "Broken pipe")] {
        let mut command: Command = outpost();
        let output = command
            .args(args)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Run::of(output.wait_with_output().unwrap())
            .exits(74)
            .complains("cannot write to standard output")
            .complains(reason);
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {run:#?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_74() {
    let sink = Sink::start(&[]);
    let folder = folder();
    let message = write(&folder, "message.eml", MESSAGE);
    let nexthop = sink.nexthop();
    for report in ["text", "json", "log"] {
        fails(&[
            "deliver",
            "--report",
            report,
            "--nexthop",
            &nexthop,
            "--from",
            "a@example.org",
            "--to",
            "b@example.com",
            &message,
        ]);
    }
    // The mail went out all the same.
    assert_eq!(sink.messages().len(), 6);
}

#[test]
fn help_parameters_and_the_sink_tell_as_well() {
    fails(&["--help"]);
    fails(&["--version"]);
    fails(&["config", "-d", "smtp_helo_timeout"]);
    fails(&["sink", "--listen", "127.0.0.1:0"]);
    fails(&["demo"]);
}
