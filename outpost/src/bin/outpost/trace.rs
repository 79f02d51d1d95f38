//! Diagnostics on standard error: `-v`, `-vv`, and the environment variable RUST_LOG.
//!
//! Notes of a delivery come through its observer, which knows where they belong, and not
//! by way of the runtimes, so that each is told once.

use std::{env, io};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, filter::ParseError};

use crate::{
    cli::{LogFormat, VerbosityArgs},
    dialogue,
    output::complain,
};

/// The target under which the runtimes pass notes on.
const NOTES_OF_RUNTIMES: &str = "outpost::note=off";

/// Begins to trace, or to show the dialogue: that is what `-v` alone is for.
pub(crate) fn start(args: &VerbosityArgs) {
    let verbosity = args.verbose;
    let asked = env::var("RUST_LOG").unwrap_or_default();
    let colored = dialogue::is_colored(args.color);
    let is_json = args.log_format == LogFormat::Json;
    if verbosity == 1 && asked.trim().is_empty() && !is_json {
        dialogue::begin(colored);
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(format!(
                "off,outpost=trace,{NOTES_OF_RUNTIMES}"
            )))
            .with_writer(io::stderr)
            .event_format(dialogue::Questions)
            .init();
        return;
    }
    let filter = filter(&asked, verbosity).or_else(|error| {
        complain(format_args!("warning: RUST_LOG={asked}: {error}"));
        filter("", verbosity)
    });
    let filter = filter.unwrap_or_default();
    if is_json {
        let json = tracing_subscriber::fmt().json().with_env_filter(filter);
        json.with_writer(io::stderr).init();
        return;
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colored)
        .init();
}

/// Returns whether the dialogue with servers is wanted.
pub(crate) fn shows_dialogue() -> bool {
    tracing::enabled!(target: "outpost", tracing::Level::DEBUG)
}

/// A level alone is meant for this program; whoever wants to see into the libraries
/// below it says so, with `-vv` or by their names.
fn filter(asked: &str, verbosity: u8) -> Result<EnvFilter, ParseError> {
    let asked = asked.trim();
    let asked = match asked.parse::<LevelFilter>() {
        _ if asked.is_empty() => "off".to_owned(),
        Ok(level) => format!("off,outpost={level}"),
        Err(_) => asked.to_owned(),
    };
    let more = match verbosity {
        0 => "",
        1 => ",outpost=debug",
        _ => ",debug,outpost=trace",
    };
    EnvFilter::try_new(format!("{asked}{more},{NOTES_OF_RUNTIMES}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_for_this_program_and_directives_are_taken_as_they_are() {
        let of = |asked, verbosity| {
            let filter = filter(asked, verbosity).unwrap().to_string();
            let mut parts: Vec<String> = filter.split(',').map(str::to_owned).collect();
            parts.retain(|part| part != NOTES_OF_RUNTIMES);
            parts.sort();
            parts.join(",")
        };
        let table = [
            ("", 0, "off"),
            ("debug", 0, "off,outpost=debug"),
            (" INFO ", 0, "off,outpost=info"),
            ("rustls=debug", 0, "rustls=debug"),
            ("warn,outpost=info", 0, "outpost=info,warn"),
            ("", 1, "off,outpost=debug"),
            ("warn", 1, "off,outpost=debug"),
            ("", 2, "debug,outpost=trace"),
        ];
        for (asked, verbosity, expected) in table {
            assert_eq!(of(asked, verbosity), expected, "{asked:?} {verbosity}");
        }
        assert!(filter("outpost=loud", 0).is_err());
    }
}
