//! The configuration: the parameter table, main.cf, and what postconf would say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod hostile;
mod newer;
mod postconf;
mod refusals;
mod table;
mod values;
mod warnings;

use std::path::Path;

use postfix_config::{Config, MainCf};
use smtp_policy::Protocol;

/// The lines of a data file without its comments.
fn data(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("# "))
}

fn parse(text: &str) -> MainCf {
    MainCf::parse(text, "main.cf", Path::new("/etc/outpost")).unwrap()
}

fn smtp(text: &str) -> Config {
    parse(text).config(Protocol::Smtp).unwrap()
}

fn lmtp(text: &str) -> Config {
    parse(text).config(Protocol::Lmtp).unwrap()
}

/// The message about a text that cannot be read or used.
fn refusal(text: &str) -> String {
    match MainCf::parse(text, "main.cf", Path::new("/etc/outpost")) {
        Err(error) => error.to_string(),
        Ok(main) => match main.errors().first() {
            Some(error) => error.to_string(),
            None => panic!("accepted: {text}"),
        },
    }
}

fn warnings(text: &str) -> Vec<String> {
    parse(text)
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect()
}
