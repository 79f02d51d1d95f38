//! Tests of the help texts.
#![allow(clippy::unwrap_used)]

use crate::common::run;

/// Calls of the program that have a help text.
const COMMANDS: [&[&str]; 13] = [
    &[],
    &["deliver"],
    &["config"],
    &["probe"],
    &["sink"],
    &["demo"],
    &["load"],
    &["sendmail"],
    &["account"],
    &["account", "check"],
    &["queue"],
    &["schema"],
    &["completions"],
];

/// The help text of a command, with -h or --help.
fn help(command: &[&str], flag: &str) -> String {
    run(&[command, &[flag]].concat()).exits(0).stdout
}

/// The descriptions of the options in a short help text, by their names.
fn options(help: &str) -> Vec<(String, String)> {
    let lines = help.lines().skip_while(|line| *line != "Options:").skip(1);
    let mut options: Vec<(String, String)> = Vec::new();
    for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let words = line.trim();
        match (words.starts_with('-'), options.last_mut()) {
            (true, _) => {
                let (name, text) = words.split_once("  ").unwrap_or((words, ""));
                options.push((name.to_owned(), text.trim().to_owned()));
            }
            (false, Some((_, text))) => {
                *text = format!("{text} {words}").trim().to_owned();
            }
            (false, None) => {}
        }
    }
    options
}

#[test]
fn help_fits_a_screen_of_80_columns() {
    for command in COMMANDS {
        // With sendmail, -h is an option that is not ours.
        let flags: &[&str] = match command {
            ["sendmail"] => &["--help"],
            _ => &["-h", "--help"],
        };
        for flag in flags {
            let help = help(command, flag);
            assert!(help.lines().count() > 10, "{help}");
            for line in help.lines() {
                let width = line.chars().count();
                assert!(width <= 80, "{command:?} {flag}: {width}: {line:?}");
            }
        }
    }
    // Also where the terminal, or who claims to be one, is wider.
    for (name, columns) in [("COLUMNS", "200"), ("COLUMNS", "20")] {
        let output = crate::common::outpost()
            .args(["deliver", "--help"])
            .env(name, columns)
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{columns}: {help}"
        );
    }
}

#[test]
fn every_command_names_its_exit_statuses_and_has_examples() {
    for command in COMMANDS {
        let help = help(command, "--help");
        let has = |heading: &str| help.lines().any(|line| line.starts_with(heading));
        assert!(has("Exit status") || command == ["account"], "{help}");
        assert!(has("Examples:") || command.is_empty(), "{help}");
    }
}

#[test]
fn notes_are_laid_out_for_80_columns_and_not_broken_again() {
    for command in COMMANDS {
        let help = help(command, "--help");
        let notes = help.lines().skip_while(|line| {
            let mut headings = ["Exit status", "Examples:", "With --json", "With --report"].iter();
            !headings.any(|heading| line.starts_with(heading))
        });
        // A line that was too long leaves its last word alone, or less indented, on the next one.
        let short = |line: &str| {
            let words = line.trim_end_matches(':').split_whitespace().count();
            words == 1 && line.starts_with("  ") && !line.starts_with("   ")
        };
        for line in notes {
            assert!(!short(line), "{command:?}: {line:?}");
        }
    }
}

#[test]
fn an_option_is_described_in_the_same_words_everywhere() {
    // Options whose meaning is another one for each command.
    const OWN: [&str; 6] = ["--json", "--jobs", "--to", "--from", "--protocol", "--time"];
    let mut known: Vec<(String, String)> = Vec::new();
    for command in COMMANDS.iter().filter(|command| **command != ["sendmail"]) {
        for (name, text) in options(&help(command, "-h")) {
            let word = name.split([' ', ',']).next().unwrap().to_owned();
            if OWN.contains(&word.as_str()) || word == "-h" {
                continue;
            }
            match known.iter().find(|(other, _)| *other == name) {
                Some((_, other)) => assert_eq!(&text, other, "{command:?} {name}"),
                None => known.push((name, text)),
            }
        }
    }
    assert!(known.len() > 20, "{known:?}");
}
