//! The table itself: complete, documented, without doubles.

use std::collections::BTreeSet;
use std::path::Path;

use postfix_config::{Parameter, Status, parameters_md};

use crate::data;

const NAMES: &str = include_str!("names.txt");

#[test]
fn every_parameter_of_the_manual_has_an_entry() {
    let missing: Vec<&str> = data(NAMES)
        .filter(|name| Parameter::find(name).is_none())
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_parameter_is_supported_or_has_a_reason() {
    for parameter in Parameter::all() {
        let (Status::Mapped(reason)
        | Status::Refused(reason)
        | Status::Denied(reason)
        | Status::Removed(reason)) = parameter.status
        else {
            assert_eq!(parameter.status, Status::Supported);
            continue;
        };
        assert!(reason.len() > 5, "{:?}: {reason}", parameter.smtp);
    }
}

#[test]
fn no_name_is_in_the_table_twice() {
    let names: Vec<&str> = Parameter::all()
        .flat_map(Parameter::spellings)
        .map(|named| named.name)
        .collect();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn every_entry_is_documented_in_sentences() {
    for parameter in Parameter::all() {
        let doc = parameter.doc();
        assert!(
            doc.len() > 20 && doc.ends_with('.'),
            "{:?}: {doc}",
            parameter.smtp
        );
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether the file is to be written"
)]
fn parameters_md_is_in_step_with_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("PARAMETERS.md");
    let made = parameters_md();
    if std::env::var_os("OUTPOST_UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "PARAMETERS.md is out of date: run again with OUTPOST_UPDATE=1"
    );
}
