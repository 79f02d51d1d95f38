//! `outpost-queue schema`: the JSON Schemas of what the program writes.

use clap::ValueEnum;

use crate::{
    cli::{SchemaArgs, SchemaName},
    exit::{Exit, Failure},
    output::Output,
};

/// Prints a schema, or their list.
pub(crate) fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    let mut output = Output::default();
    match args.name {
        Some(name) => output.text(text(name)),
        None => {
            let names = SchemaName::value_variants().iter();
            for value in names.filter_map(ValueEnum::to_possible_value) {
                let help = value.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                output.line(format_args!("{:12} {help}", value.get_name()));
            }
        }
    }
    output.finish(Exit::Ok)
}

const fn text(name: SchemaName) -> &'static str {
    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../../../schema/", $name, ".schema.json"))
        };
    }
    match name {
        SchemaName::Event => file!("queue-event"),
        SchemaName::List => file!("queue-list"),
        SchemaName::Show => file!("queue-show"),
        SchemaName::Stats => file!("queue-stats"),
    }
}
