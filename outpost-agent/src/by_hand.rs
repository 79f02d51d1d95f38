//! Questions that people ask of the program: `--check`, `--help`, `--version`. master(8) begins with other words.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{check, site};

const HELP: &str = "\
outpost-agent delivers mail over SMTP and LMTP for Postfix. master(8) starts it, by a line in master.cf:

outpost  unix  -  -  y  -  -  outpost-agent [protocol=lmtp] [mode=shared] [flags=DORX] [-o name=value]

To ask it something:
  outpost-agent --check [-c DIRECTORY]  what it would do with main.cf and master.cf, and what it refuses
  outpost-agent --help                  this text
  outpost-agent --version               its version

--check looks in /etc/postfix, or where MAIL_CONFIG points. It changes nothing. It ends with 0 if all
services would run, with 78 if some would not, with 64 if it does not understand the question.
";

/// The statuses of `sysexits.h`.
const EX_USAGE: u8 = 64;
const EX_IOERR: u8 = 74;
const EX_CONFIG: u8 = 78;

/// A question.
#[derive(Debug, PartialEq, Eq)]
enum Question {
    /// The configuration in this folder.
    Check(PathBuf),
    Help,
    Version,
}

/// Answers a question of a person; none if the command line is no such question.
pub(crate) fn answer() -> Option<ExitCode> {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let first = words.first()?;
    // "--" alone ends the options of a daemon.
    if !first.starts_with("--") || first.len() == 2 {
        return None;
    }
    let (text, status) = match question(&words, site::folder()) {
        Some(Question::Help) => (HELP.to_owned(), 0),
        Some(Question::Version) => (format!("outpost-agent {}\n", env!("CARGO_PKG_VERSION")), 0),
        Some(Question::Check(folder)) => checked(&folder),
        None => {
            let _ = io::stderr().write_all(HELP.as_bytes());
            return Some(ExitCode::from(EX_USAGE));
        }
    };
    let mut out = io::stdout().lock();
    let told = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Some(ExitCode::from(told.map_or(EX_IOERR, |()| status)))
}

fn question(words: &[String], folder: PathBuf) -> Option<Question> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help"] => Some(Question::Help),
        ["--version"] => Some(Question::Version),
        ["--check"] => Some(Question::Check(folder)),
        ["--check", "-c", folder] => Some(Question::Check(folder.into())),
        _ => None,
    }
}

fn checked(folder: &Path) -> (String, u8) {
    let report = check::run(folder);
    let status = match report.is_refused() {
        true => EX_CONFIG,
        false => 0,
    };
    (report.to_string(), status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_few() {
        let ask = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            question(&words, "/here".into())
        };
        assert_eq!(ask("--help"), Some(Question::Help));
        assert_eq!(ask("--version"), Some(Question::Version));
        assert_eq!(ask("--check"), Some(Question::Check("/here".into())));
        assert_eq!(ask("--check -c /x"), Some(Question::Check("/x".into())));
        for text in [
            "--check -c",
            "--check /x",
            "--check -c /x y",
            "--help me",
            "--chek",
        ] {
            assert_eq!(ask(text), None, "{text}");
        }
    }
}
