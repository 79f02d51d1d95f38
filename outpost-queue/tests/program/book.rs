//! The book names commands, options and parameters as they are, and the help fits a screen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fs, path::Path};

use crate::common::run;

const BELOW: [&str; 3] = ["list", "add", "remove"];

/// The help texts of the commands.
fn helps() -> BTreeMap<String, String> {
    let help = run(&["--help"]).exits(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands.lines().filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let help = |name: &str| {
        let mut help = run(&[name, "--help"]).exits(0).stdout;
        if name == "suppress" {
            for below in BELOW {
                help += &run(&[name, below, "--help"]).exits(0).stdout;
            }
        }
        help
    };
    let names = names.filter(|name| *name != "help");
    names.map(|name| (name.to_owned(), help(name))).collect()
}

fn page() -> String {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chapters");
    fs::read_to_string(book.join("queue.md")).unwrap()
}

#[test]
fn the_book_names_every_command_and_options_that_are_there() {
    let (helps, page) = (helps(), page());
    for name in helps.keys() {
        assert!(
            page.contains(&format!("`outpost-queue {name}")),
            "{name} is missing"
        );
    }
    let mut seen = 0;
    for line in page
        .lines()
        .filter(|line| line.contains("outpost-queue ") || line.contains("outpost queue "))
    {
        let place = line
            .find("outpost-queue ")
            .or_else(|| line.find("outpost queue "))
            .unwrap();
        let rest = &line[place + "outpost queue ".len()..];
        let mut words = rest.split(|c: char| c.is_whitespace() || c == '`');
        let Some(help) = words.next().and_then(|name| helps.get(name)) else {
            continue;
        };
        for option in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.split(['=', ',', '.', ')']).next().unwrap();
            assert!(help.contains(option), "{option} in {line:?}");
        }
        seen += 1;
    }
    assert!(seen > 15, "only {seen} commands seen");
}

#[test]
fn the_table_of_the_book_has_every_parameter_with_its_default() {
    let page = page();
    let parameters = run(&["check", "--parameters"]).exits(0).stdout;
    let mut seen = 0;
    for line in parameters.lines().filter(|line| !line.starts_with(' ')) {
        let (name, default) = line.split_once(" =").unwrap();
        let default = match default.trim() {
            "" => " ".to_owned(),
            default => format!("`{default}`"),
        };
        let row = page
            .lines()
            .find(|row| row.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(
            row.split('|').nth(2).unwrap().trim(),
            default.trim(),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn help_fits_a_screen_and_names_exit_statuses_and_examples() {
    for (name, help) in helps() {
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{name}: {help}"
        );
        assert!(help.contains("Exit status"), "{name}");
        assert!(help.contains("Examples:"), "{name}");
    }
}

#[test]
fn pages_and_completions_are_made() {
    let folder = tempfile::tempdir().unwrap();
    run(&["manual", folder.path().to_str().unwrap()]).exits(0);
    let page = fs::read_to_string(folder.path().join("outpost-queue-run.1")).unwrap();
    assert!(page.contains("slots"), "{page}");
    run(&["completions", "bash"]).exits(0).says("outpost-queue");
}
