//! The demonstration, the README's first command.
#![allow(clippy::unwrap_used)]

use crate::common::{RUNTIMES, folder, run, write};

#[test]
fn it_goes_as_planned_on_each_runtime() {
    for runtime in RUNTIMES {
        let run = run(&["demo", "--runtime", runtime]).exits(0);
        for text in [
            format!("on the {runtime} runtime"),
            "S: 220 sink.demo.example ESMTP".to_owned(),
            "C: EHLO client.outpost.example".to_owned(),
            "C: RCPT TO:<nobody@demo.example>".to_owned(),
            "bytes, identical to what was sent.".to_owned(),
            "<nobody@demo.example>: bounced (5.1.1)".to_owned(),
            "<alice@demo.example>: sent (2.0.0, plaintext)".to_owned(),
            "2 sent, 0 deferred, 1 bounced, as planned".to_owned(),
        ] {
            assert!(run.stdout.contains(&text), "no {text:?} in {run:#?}");
        }
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn a_message_of_ones_own_can_be_shown() {
    let folder = folder();
    let path = write(
        &folder,
        "own.eml",
        "Subject: mine\r\n\r\nno line end after this",
    );
    let run = run(&["demo", &path]).exits(0);
    assert!(run.stdout.contains("own.eml"), "{run:#?}");
    assert!(run.stdout.contains("identical"), "{run:#?}");
    crate::common::run(&["demo", "/no/such/file"])
        .exits(65)
        .complains("/no/such/file");
}
