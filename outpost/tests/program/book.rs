//! The book names the program's commands and options as they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fs, path::Path};

use crate::common::run;

/// The commands of the program with their help texts, and those of the commands below them.
fn helps() -> BTreeMap<String, String> {
    let whole = |name: &String| {
        let mut help = run(&[name, "--help"]).exits(0).stdout;
        for below in commands(&help) {
            help += &run(&[name, &below, "--help"]).exits(0).stdout;
        }
        help
    };
    let names = commands(&run(&["--help"]).exits(0).stdout);
    names
        .into_iter()
        .map(|name| (name.clone(), whole(&name)))
        .collect()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let commands = help.split_once("Commands:").map_or("", |(_, rest)| rest);
    let commands = commands.split_once("Options:").map_or("", |(list, _)| list);
    let names = commands
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))
        })
        .filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

/// The code in a page: lines of consoles, and spans between back quotes. Of a row of a table, the last cell.
fn codes(page: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let mut console = None;
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            console = console.is_none().then(|| kind == "console");
        } else if let Some(console) = console {
            let prompted = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
            codes.extend(prompted.filter(|_| console).map(str::to_owned));
        } else {
            let cell = line.trim_end_matches('|').rsplit(" | ").next();
            let cell = if line.starts_with('|') {
                cell.unwrap()
            } else {
                line
            };
            codes.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    codes
}

fn options(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split_whitespace().map(|word| word.trim_matches('\''));
    let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
    options.map(|option| option.split('=').next().unwrap())
}

/// Returns whether a help text describes an option.
fn has(help: &str, option: &str) -> bool {
    let mut words = help.split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | '=' | '<'));
    words.any(|word| word == option)
}

#[test]
fn the_book_names_commands_and_options_that_are_there() {
    let helps = helps();
    let chapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chapters");
    let (mut seen, mut wrong) = (0, Vec::new());
    for chapter in [
        "program.md",
        "coming-from.md",
        "tls.md",
        "direct.md",
        "simulation.md",
        "retries.md",
        "start.md",
    ] {
        let page = fs::read_to_string(chapters.join(chapter)).unwrap();
        for code in codes(&page) {
            let mut words = code.split_whitespace();
            let command = words
                .by_ref()
                .find(|word| *word == "outpost")
                .and_then(|_| words.next());
            let missing = match command {
                Some(name) if name.starts_with('-') => None,
                Some(name) => match helps.get(name) {
                    None => Some(name.to_owned()),
                    Some(help) => options(&code)
                        .find(|option| !has(help, option))
                        .map(str::to_owned),
                },
                // An option by itself belongs to any of the commands.
                None if code.starts_with("--") => options(&code)
                    .find(|option| !helps.values().any(|help| has(help, option)))
                    .map(str::to_owned),
                None => continue,
            };
            seen += 1;
            wrong.extend(missing.map(|missing| format!("{chapter}: {missing} in {code:?}")));
        }
    }
    assert!(seen > 30, "only {seen} commands seen");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_book_names_every_command() {
    let chapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chapters");
    let page = fs::read_to_string(chapters.join("program.md")).unwrap();
    for name in helps().keys() {
        assert!(
            page.contains(&format!("`outpost {name}`")),
            "{name} is missing"
        );
    }
}
