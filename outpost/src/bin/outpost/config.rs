//! `outpost config`: parameters, as postconf(1) shows them.

use postfix_config::{Listing, MainCf, Oddity};

use crate::{
    cli::ConfigArgs,
    exit::{Exit, Failure},
    output::{Output, complain},
    settings,
};

/// Lists parameters. As with postconf(1) an unknown name gives a warning and
/// the others are shown; values that cannot be used are told after the listing
/// and make the exit status 78.
pub(crate) fn run(args: &ConfigArgs) -> Result<Exit, Failure> {
    let main_cf = settings::main_cf(&args.parameters)?;
    let listing = match (args.defaults, args.non_default) {
        (true, _) => Listing::Defaults,
        (false, true) => Listing::Explicit,
        (false, false) => Listing::All,
    };
    for warning in main_cf.warnings() {
        complain(format_args!("warning: {warning}"));
    }
    let mut output = Output::default();
    output.text(&lines(&main_cf, listing, &args.names));
    let errors = if args.defaults {
        Vec::new()
    } else {
        main_cf.errors()
    };
    for error in &errors {
        complain(error);
    }
    output.finish(if errors.is_empty() {
        Exit::Ok
    } else {
        Exit::Config
    })
}

fn lines(main_cf: &MainCf, listing: Listing, names: &[String]) -> String {
    let mut text = String::new();
    let mut line = |listed: &dyn std::fmt::Display| text.push_str(&format!("{listed}\n"));
    if names.is_empty() {
        main_cf
            .listing(listing)
            .iter()
            .for_each(|listed| line(listed));
    }
    for name in names {
        match main_cf.listed(name, listing) {
            Some(listed) => line(&listed),
            // It is known, but not set.
            None if main_cf.listed(name, Listing::All).is_some() => {}
            None => unknown(name),
        }
    }
    text
}

fn unknown(name: &str) {
    let hint = similar(name).map(|near| format!(" (did you mean {near}?)"));
    complain(format_args!(
        "warning: {name}: unknown parameter{}",
        hint.unwrap_or_default()
    ));
}

/// A known name that looks like this one: what a setting of it would be told.
fn similar(name: &str) -> Option<&'static str> {
    let mut scratch = MainCf::default();
    scratch.set(&format!("{name}=")).ok()?;
    scratch
        .warnings()
        .into_iter()
        .find_map(|warning| match warning.oddity {
            Oddity::Unknown { suggestion, .. } => suggestion,
            _ => None,
        })
}
