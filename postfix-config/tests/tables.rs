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

use postfix_config::tables::{TableContext, byte_maps_in, open, open_in};

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

/// A rule as it is written in a table, a text, and whether Postfix's table matches it.
type Row = (&'static str, &'static [u8], bool);

/// The answer of a table of one rule, read byte by byte as for header checks.
fn matches(kind: &str, rule: &str, text: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    std::fs::write(&path, format!("{rule} hit\n")).unwrap();
    let mut context = TableContext::new(folder.path());
    let maps = byte_maps_in(&format!("{kind}:table"), &mut context).unwrap();
    let key: String = text.iter().map(|byte| char::from(*byte)).collect();
    maps.lookup(&key).unwrap().is_some()
}

#[test]
fn a_backslash_before_a_letter_without_meaning_is_as_in_the_c_library() {
    let rows: [Row; 15] = [
        (r"/\d/", b"d", false),
        (r"/\d/", b"D", false),
        (r"/\d/", b"1", false),
        (r"/\D/", b"d", true),
        (r"/\D/", b"D", true),
        // With distinction of case the letter stands for itself.
        (r"/\d/i", b"d", true),
        (r"/\D/i", b"d", false),
        (r"/\n/", b"n", false),
        (r"/x\d*y/", b"xy", true),
        (r"/^\w\W\s\S$/", b"_- x", true),
        (r"/\bab\b/", b"x ab y", true),
        (r"/a\Bb/", b"ab", true),
        (r"/\<ab\>/", b"x ab y", true),
        (r"/\`ab\'/", b"ab", true),
        (r"/^(a)\1$/", b"aA", true),
    ];
    for (rule, text, expected) in rows {
        assert_eq!(matches("regexp", rule, text), expected, "{rule} {text:?}");
    }
}

#[test]
fn a_byte_above_127_is_no_letter_no_blank_and_has_no_other_case() {
    let both: [Row; 9] = [
        (r"/^[[:alpha:]]$/", b"\xe9", false),
        (r"/^[[:space:]]$/", b"\x85", false),
        (r"/^[[:space:]]$/", b"\xa0", false),
        (r"/^\w$/", b"\xb5", false),
        (r"/^\s$/", b"\xa0", false),
        (r"/^.$/", b"\xe9", true),
        (r"/^[^a]$/", b"\xe9", true),
        // The pattern is UTF-8: two bytes for the letter, each of which may stand in a set.
        ("/^\u{e9}$/", b"\xc3\xa9", true),
        ("/^[\u{e9}]{2}$/", b"\xc3\xa9", true),
    ];
    for (rule, text, expected) in both {
        for kind in ["regexp", "pcre"] {
            assert_eq!(
                matches(kind, rule, text),
                expected,
                "{kind} {rule} {text:?}"
            );
        }
    }
    let pcre: [Row; 7] = [
        (r"/^\xe9$/", b"\xc9", false),
        (r"/^\xe9$/", b"\xe9", true),
        (r"/^[\x80-\xff]$/", b"\xc3", true),
        (r"/^\h$/", b"\xa0", true),
        (r"/^\v$/", b"\x85", true),
        (r"/^\R$/", b"\x85", true),
        (r"/\x{100}|a/", b"a", false),
    ];
    for (rule, text, expected) in pcre {
        assert_eq!(matches("pcre", rule, text), expected, "{rule} {text:?}");
    }
}

#[test]
fn ranges_are_in_capitals_where_case_does_not_count() {
    let rows: [Row; 6] = [
        (r"/^[A-z]$/", b"_", false),
        (r"/^[A-z]$/", b"q", true),
        (r"/^[A-z]$/i", b"_", true),
        (r"/^[_-z]$/", b"a", false),
        (r"/[a-c-e]/", b"a", false),
        (r"/^[[=a=]-]$/", b"-", true),
    ];
    for (rule, text, expected) in rows {
        assert_eq!(matches("regexp", rule, text), expected, "{rule} {text:?}");
    }
}

#[test]
fn a_group_that_ends_in_the_middle_of_a_character_is_a_failure() {
    let table = open("pcre:{{/^(.)/ $1}}", &folder()).unwrap();
    assert_eq!(table.lookup("ab").unwrap().as_deref(), Some("a"));
    assert!(
        table
            .lookup("\u{e9}b")
            .unwrap_err()
            .reason
            .contains("half a character")
    );
    let table = open("pcre:{{/^(..)/ $1}}", &folder()).unwrap();
    assert_eq!(table.lookup("\u{e9}b").unwrap().as_deref(), Some("\u{e9}"));
}

#[test]
fn a_texthash_table_with_two_entries_for_a_key_is_not_available() {
    let folder = tempfile::tempdir().unwrap();
    for second in ["twice", "Twice", "TWICE"] {
        let text = format!("once value\ntwice first\n{second} second\n");
        std::fs::write(folder.path().join("table"), text).unwrap();
        let mut context = TableContext::new(folder.path());
        let table = open_in("texthash:table", &mut context).unwrap();
        let path = folder.path().join("table");
        let reason = format!("{}, line 3: duplicate entry: \"{second}\"", path.display());
        let warnings = context.take_warnings();
        assert_eq!(
            warnings,
            [format!("texthash:table is unavailable. {reason}")]
        );
        for key in ["once", "twice", "never"] {
            let failure = table.lookup(key).unwrap_err();
            assert!(failure.reason.ends_with(&reason), "{failure}");
        }
        // postmap(1) makes a database of it, with a warning.
        let table = open_in("hash:table", &mut context).unwrap();
        assert_eq!(table.lookup("twice").unwrap().as_deref(), Some("first"));
        assert_eq!(context.take_warnings(), [reason]);
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

#[test]
fn a_database_of_postmap_is_read_without_its_source() {
    // postmap(1) 3.7 made it of `Joe@Example.com joe@x` and `b two words`.
    let table = open("cdb:postmap", &folder()).unwrap();
    for (key, value) in [
        ("joe@EXAMPLE.com", Some("joe@x")),
        ("b", Some("two words")),
        ("c", None),
    ] {
        assert_eq!(table.lookup(key).unwrap().as_deref(), value, "{key}");
    }
}
