//! Completions and manual pages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fs};

use crate::common::{folder, run};

/// The pages of all commands that help shows, and those below them. That of `outpost queue` is the page of outpost-queue,
/// which brings it itself: two packages cannot have the same file.
const PAGES: [&str; 12] = [
    "outpost",
    "outpost-account",
    "outpost-account-check",
    "outpost-completions",
    "outpost-config",
    "outpost-deliver",
    "outpost-demo",
    "outpost-load",
    "outpost-probe",
    "outpost-schema",
    "outpost-sendmail",
    "outpost-sink",
];

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    run(&["manual", path]).exits(0);
    let names = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(names, PAGES.map(|page| format!("{page}.1")).into());
    for page in PAGES {
        let text = fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"SEE ALSO\""] {
            assert!(
                text.contains(&format!(".SH {section}\n")),
                "{page}: {section}: {text}"
            );
        }
        assert!(!text.contains("outpost-manual"), "{page}");
        assert!(
            text.contains("\\fBoutpost\\-queue\\fR(1)"),
            "{page}: {text}"
        );
    }
    for page in [
        "outpost-deliver",
        "outpost-probe",
        "outpost-load",
        "outpost-sendmail",
    ] {
        let text = fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        for section in ["EXAMPLES", "\"EXIT STATUS\""] {
            assert!(
                text.contains(&format!(".SH {section}\n")),
                "{page}: {section}: {text}"
            );
        }
    }
    run(&["manual", "/none"])
        .exits(74)
        .complains("cannot write /none/outpost.1");
}

#[test]
fn shells_are_told_of_every_command_and_option() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).exits(0).stdout;
        for word in [
            "deliver",
            "probe",
            "sendmail",
            "nexthop",
            "log-format",
            "report-line",
        ] {
            // Not all shells are told the values.
            let is_told = script.contains(word) || (word == "report-line" && shell != "bash");
            assert!(is_told, "{shell}: {word}");
        }
    }
    run(&["completions", "csh"]).exits(64);
}
