//! `outpost manual` and `outpost completions`: the command line's description as manual
//! pages, and as scripts for shells.

mod prose;

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{
    cli::{Cli, CompletionsArgs, ManualArgs},
    exit::{Exit, Failure, OrExit},
    output::Output,
    queue::PROGRAM as QUEUE,
};

/// Writes the pages.
pub(crate) fn run(args: &ManualArgs) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    // Commands get what all have alike.
    program.build();
    let mut pages = Vec::new();
    collect(named(program, "outpost"), &mut pages);
    let names: Vec<String> = pages
        .iter()
        .map(|page| page.get_name().to_owned())
        .collect();
    // The page of `outpost queue` would have the name of one that outpost-queue brings itself, and both can be in one folder.
    for page in pages.into_iter().filter(|page| page.get_name() != QUEUE) {
        let path = args.folder.join(format!("{}.1", page.get_name()));
        write(&path, page, &names)
            .with_context(|| format!("cannot write {}", path.display()))
            .or_exit(Exit::Output)?;
    }
    Ok(Exit::Ok)
}

/// Prints the script of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "outpost", &mut script);
    let mut output = Output::default();
    output.text(&String::from_utf8_lossy(&script));
    output.finish(Exit::Ok)
}

/// A command under the name of its page, which is that of its parents with hyphens.
fn named(command: Command, name: &str) -> Command {
    let shown = name.replacen('-', " ", name.matches('-').count());
    command.name(name.to_owned()).bin_name(shown)
}

/// The command and those below it that are shown, each a page.
fn collect(command: Command, pages: &mut Vec<Command>) {
    let below: Vec<Command> = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set() && below.get_name() != "help")
        .map(|below| {
            let name = format!("{}-{}", command.get_name(), below.get_name());
            named(below.clone(), &name)
        })
        .collect();
    pages.push(command);
    for below in below {
        collect(below, pages);
    }
}

fn write(path: &Path, command: Command, names: &[String]) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let after = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let has_commands = command.has_subcommands();
    let mut command = command
        .after_help(None::<&str>)
        .after_long_help(None::<&str>)
        .disable_help_subcommand(true)
        // All options are in one section, which arguments without a name end.
        .mut_args(|argument| argument.help_heading(None::<&str>));
    let synopsis = synopsis(&mut command);
    let man = Man::new(command)
        .title(&name)
        .section("1")
        .manual("Outpost");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    prose::sections(&after).to_writer(&mut page)?;
    see_also(&name, names).to_writer(&mut page)?;
    fs::File::create(path)?.write_all(&page)
}

/// The command lines, as help shows them.
fn synopsis(command: &mut Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    let usage = command.render_usage().to_string();
    for line in usage.trim_start_matches("Usage:").lines() {
        roff.text([roman(line.trim())]).control("br", []);
    }
    roff
}

/// The pages that belong together with this one.
fn see_also(name: &str, names: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<&String> = names.iter().filter(|other| *other != name).collect();
    let mut line = Vec::new();
    for (number, other) in others.iter().enumerate() {
        let end = if number + 1 == others.len() {
            "(1)"
        } else {
            "(1), "
        };
        line.push(bold(other.as_str()));
        line.push(roman(end));
    }
    roff.text(line);
    roff
}
