//! Tables against what Postfix 3.7.11 answers for the same files and keys.
//!
//! `tests/tables/answers.tsv` was written by `postmap -q` of that version, run in that folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use smtp_policy::tables::{TableContext, open, open_in};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables")
}

/// The rows of a file in the folder, split at tabs. Lines that start with `#` are comments.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

/// The warnings that opening a table gives, with file names as in the specification.
fn warnings_of(spec: &str) -> Vec<String> {
    let folder = folder();
    let mut context = TableContext::new(&folder);
    open_in(spec, &mut context).unwrap();
    let prefix = format!("{}/", folder.display());
    let warnings = context.take_warnings();
    warnings.iter().map(|w| w.replace(&prefix, "")).collect()
}

#[test]
fn tables_answer_as_postmap_does() {
    let mut wrong = Vec::new();
    let mut tables = BTreeMap::new();
    let mut count = 0;
    for row in rows("answers.tsv") {
        let [spec, key, expected] = &row[..] else {
            panic!("bad row {row:?}");
        };
        let table = tables
            .entry(spec.clone())
            .or_insert_with(|| open(spec, &folder()).unwrap());
        let answer = table.lookup(key).unwrap();
        let answer = answer.as_deref().unwrap_or("(none)");
        if answer != expected {
            wrong.push(format!("{spec} {key:?}: {answer:?}, not {expected:?}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 150, "only {count} rows");
}

#[test]
fn lines_with_mistakes_are_reported_in_postfix_words() {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows("warnings.tsv") {
        expected
            .entry(row[0].clone())
            .or_default()
            .push(row[1].clone());
    }
    assert_eq!(expected.len(), 4);
    for (spec, expected) in expected {
        assert_eq!(warnings_of(&spec), expected, "{spec}");
    }
}

#[test]
fn every_expression_that_postfix_cannot_compile_is_skipped_and_reported() {
    for (spec, bad_lines) in [
        ("regexp:unparsable.regexp", 12),
        ("pcre:unparsable.pcre", 10),
    ] {
        let warnings = warnings_of(spec);
        for line in 1..=bad_lines {
            let place = format!(", line {line}: ");
            let hits = warnings.iter().filter(|w| w.contains(&place)).count();
            assert_eq!(hits, 1, "{spec} line {line}: {warnings:#?}");
        }
        assert_eq!(warnings.len(), bad_lines, "{spec}: {warnings:#?}");
    }
}

#[test]
fn a_working_table_gives_no_warnings() {
    for spec in [
        "texthash:hosts.texthash",
        "cidr:nets.cidr",
        "regexp:mixed.regexp",
        "pcre:mixed.pcre",
    ] {
        assert_eq!(warnings_of(spec), Vec::<String>::new(), "{spec}");
    }
}
