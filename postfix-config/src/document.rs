//! PARAMETERS.md, made from the parameter table.

use std::fmt::Write;

use super::parameter::{Kind, Parameter, Status};

const HEAD: &str = "\
# Parameters

Every name that main.cf may hold for this client, as the parameter table in `src/params/`
has it. This file is generated: change the table and run `OUTPOST_UPDATE=1 cargo test -p
postfix-config --test config`.

Names of other Postfix daemons (`smtpd_banner`, `alias_maps`, …) are accepted and not used. Those by
which Postfix decides where mail goes (`transport_maps`, `sender_dependent_relayhost_maps`,
`virtual_alias_maps`, …) give a warning if they are set. So does an unknown name, with a hint if it
looks like a slip.

Lookup tables are written `type:name`. Of the types with an index, `cdb:` is read from it; `hash:`, `btree:`,
`lmdb:`, `dbm:` and `sdbm:` are read from the text that `postmap` makes the index of. `outpost` opens `proxy:` tables itself,
`outpost-agent` asks proxymap(8) (`proxymap_service_name`).

*Supported*: as in Postfix. *Mapped*: accepted, with the effect named here. *Refused*: has no effect,
for the reason named here; setting it gives a warning. *Denied*: the default alone is done; another value
keeps the configuration from being used. *Removed*: no parameter of Postfix any more; setting it gives a
warning.
";

/// The text of PARAMETERS.md.
pub fn parameters_md() -> String {
    let mut out = HEAD.to_owned();
    let mut group = "";
    for parameter in Parameter::all() {
        if parameter.group != group {
            group = parameter.group;
            // Writing to a string cannot fail.
            let _ = write!(out, "\n## {group}\n");
            judgement(&mut out, group);
        }
        section(&mut out, parameter);
    }
    out
}

/// The parameters of a group that Postfix 3.7 does not have, as a table.
fn judgement(out: &mut String, group: &str) {
    let newer = |parameter: &&Parameter| parameter.group == group && !parameter.since.is_empty();
    let mut rows = Parameter::all().filter(newer).peekable();
    if rows.peek().is_some() {
        out.push_str("\n| parameter | since | here |\n|---|---|---|\n");
    }
    for parameter in rows {
        let (since, status) = (parameter.since, status(parameter.status));
        let _ = writeln!(out, "| {} | {since} | {status} |", names(parameter));
    }
}

/// The spellings of a parameter.
fn names(parameter: &Parameter) -> String {
    let names = parameter
        .spellings()
        .map(|named| format!("`{}`", named.name));
    names.collect::<Vec<_>>().join(", ")
}

fn section(out: &mut String, parameter: &Parameter) {
    let _ = write!(out, "\n### {}\n\n{}\n\n", names(parameter), parameter.doc());
    let _ = writeln!(out, "- Value: {}", kind(parameter));
    let mut defaults: Vec<&str> = parameter.spellings().map(|named| named.default).collect();
    defaults.dedup();
    let defaults: Vec<String> = defaults
        .into_iter()
        .map(|default| match default {
            "" if is_computed(parameter) => "computed".to_owned(),
            "" => "empty".to_owned(),
            _ => format!("`{default}`"),
        })
        .collect();
    let _ = writeln!(out, "- Default: {}", defaults.join(" and "));
    if !parameter.since.is_empty() {
        let _ = writeln!(out, "- Since: Postfix {}", parameter.since);
    }
    if let Some(field) = parameter.field {
        let _ = writeln!(out, "- Field: `config.{}.{field}`", parameter.group);
    }
    let _ = writeln!(out, "- {}", status(parameter.status));
}

/// Whether the default comes from the machine or the process.
fn is_computed(parameter: &Parameter) -> bool {
    let computed = ["myhostname", "mydomain", "process_name", "service_name"];
    parameter
        .spellings()
        .any(|named| computed.contains(&named.name))
}

fn kind(parameter: &Parameter) -> String {
    let least = match parameter.min {
        0 => String::new(),
        min => format!(", at least {min}"),
    };
    if let Some(description) = parameter.grammar.description() {
        return description.to_owned();
    }
    match parameter.kind {
        Kind::Bool => "`yes` or `no`".to_owned(),
        Kind::Number if parameter.max < super::MAX_NUMBER => {
            format!("a number from {} to {}", parameter.min, parameter.max)
        }
        Kind::Number => format!("a number{least}"),
        Kind::Time => format!("a time{}", least.replace("at least 1", "not zero")),
        Kind::Text if parameter.min > 0 => "text, not empty".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::List => "a list of words".to_owned(),
        Kind::Tables => "lookup tables".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Words(words) => {
            let words: Vec<String> = words
                .iter()
                .map(|word| {
                    if word.is_empty() {
                        "empty".to_owned()
                    } else {
                        format!("`{word}`")
                    }
                })
                .collect();
            words.join(", ")
        }
    }
}

fn status(status: Status) -> String {
    match status {
        Status::Supported => "Supported".to_owned(),
        Status::Mapped(how) => format!("Mapped: {how}"),
        Status::Refused(why) => format!("Refused: {why}"),
        Status::Denied(what) => format!("Denied: {what}"),
        Status::Removed(since) => format!("Removed: {since}"),
    }
}
