//! Tests of `outpost queue`, and of accounts that hand mail to it. In the place of `outpost-queue` is a script that says what
//! it was given.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, folder, write};

/// The program in a folder of its own, with a script beside it.
struct Installed {
    folder: TempDir,
}

impl Installed {
    /// `script` is what `outpost-queue` does; none: it is not there.
    fn with(script: Option<&str>) -> Self {
        let folder = folder();
        let program = folder.path().join("outpost");
        if fs::hard_link(env!("CARGO_BIN_EXE_outpost"), &program).is_err() {
            fs::copy(env!("CARGO_BIN_EXE_outpost"), &program).unwrap();
        }
        if let Some(script) = script {
            let path = write(&folder, "outpost-queue", format!("#!/bin/sh\n{script}\n"));
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str], input: &str) -> Run {
        let mut child = Command::new(self.path("outpost"))
            .args(args)
            .env("PATH", "/usr/bin:/bin")
            .env("OUT", self.folder.path())
            .env_remove("RUST_LOG")
            .env_remove("OUTPOST_STORE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It need not read to the end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Run::of(child.wait_with_output().unwrap())
    }

    /// Sends a message by an account whose queue is this.
    fn send(&self, queue: &str, args: &[&str], input: &str) -> Run {
        let file = format!("[accounts.q]\nqueue = \"{queue}\"\nfrom = \"me@home.example\"\n");
        let file = write(&self.folder, "config.toml", file);
        self.run(&[&["sendmail", "--file", &file], args].concat(), input)
    }
}

#[test]
fn all_arguments_are_handed_on_and_the_status_is_kept() {
    let installed = Installed::with(Some("echo \"$#: $*\"; exit 42"));
    let run = installed.run(&["queue", "list", "--json", "--help", "-x", "a b"], "");
    assert_eq!(run.stdout, "5: list --json --help -x a b\n");
    run.exits(42);
}

#[test]
fn where_it_is_not_installed_is_said_how_to_get_it() {
    let installed = Installed::with(None);
    let run = installed.run(&["queue", "list"], "").exits(69);
    run.complains("neither beside this program nor in PATH")
        .complains("cargo install outpost-queue");
    let run = installed.send("default", &["a@x.example"], "Subject: x\n\n");
    run.exits(69).complains("outpost-queue is neither");
}

const TAKE: &str = "cat > \"$OUT/input\"; echo \"$*\" > \"$OUT/args\"; echo \"$OUTPOST_STORE\" > \"$OUT/store\"; echo 2F";

#[test]
fn a_message_goes_through_a_pipe_with_its_envelope() {
    let installed = Installed::with(Some(TAKE));
    let args = [
        "-N",
        "failure,delay",
        "-R",
        "hdrs",
        "-V",
        "id",
        "-O",
        "REQUIRETLS=yes",
    ];
    let args = [&args[..], &["-t", "-oi", "b@y.example"]].concat();
    let text = "To: Ann <a@x.example>\nBcc: c@z.example\nSubject: hi\n\n.\nline\n";
    let store = "postgres://me@db/mail";
    let run = installed.send(store, &args, text).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let read = |name: &str| fs::read_to_string(installed.path(name)).unwrap();
    assert_eq!(
        (read("args").trim(), read("store").trim()),
        ("submit --pipe", store)
    );
    let input = read("input");
    let (head, text) = input.split_once('\n').unwrap();
    let head: Value = serde_json::from_str(head).unwrap();
    assert_eq!(head["sender"], "me@home.example");
    assert_eq!(
        (&head["ret"], &head["envid"]),
        (&Value::from("HDRS"), &Value::from("id"))
    );
    let to: Vec<&str> = head["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["address"].as_str().unwrap())
        .collect();
    assert_eq!(to, ["b@y.example", "a@x.example", "c@z.example"]);
    assert!(
        head["recipients"][0]["notify"]
            .as_str()
            .unwrap()
            .contains("DELAY")
    );
    assert_eq!(head["require_tls"], true);
    assert!(
        text.contains("Subject: hi\n") && text.ends_with("\n\n.\nline\n"),
        "{text}"
    );
    assert!(
        !text.contains("c@z.example") && text.contains("Message-Id: "),
        "{text}"
    );
}

#[test]
fn what_the_queue_says_is_the_exit_status() {
    for (script, status) in [
        ("cat > /dev/null; exit 75", 75),
        ("exit 69", 69),
        ("exit 78", 78),
        ("cat > /dev/null; exit 1", 75),
        ("kill -9 $$", 75),
    ] {
        let installed = Installed::with(Some(script));
        let text = format!("Subject: x\n\n{}", "line\n".repeat(100_000));
        let run = installed.send("default", &["a@x.example"], &text);
        run.exits(status).complains("has not taken the message");
    }
}

#[test]
fn the_dialogue_answers_for_the_queue() {
    let dialogue = "EHLO me\r\nMAIL FROM:<me@home.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n";
    let installed = Installed::with(Some(TAKE));
    let run = installed.send("default", &["-bs"], dialogue).exits(0);
    assert!(
        run.stdout.contains("\r\n250 2.0.0 Ok: sent to 1"),
        "{run:?}"
    );
    let installed = Installed::with(Some("cat > /dev/null; exit 75"));
    let run = installed.send("default", &["-bs"], dialogue);
    assert!(run.stdout.contains("\r\n451 4.3.0 "), "{run:?}");
}

#[test]
fn mailq_lists_the_queue_of_the_account() {
    let installed = Installed::with(Some("echo \"$* $OUTPOST_STORE\""));
    let run = installed.send("/var/q.db", &["-bp"], "").exits(0);
    assert_eq!(run.stdout, "list /var/q.db\n");
}
