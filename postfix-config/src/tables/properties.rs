//! Properties of tables: no text and no key makes them panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;

use proptest::prelude::*;

use super::cdb::{self, Cdb};
use super::fixed::Fixed;
use super::octets::Octets;
use super::pattern_file::{self, Dialect};
use super::texthash::Duplicates;
use super::*;
use smtp_policy::tables::*;

/// What means something in tables and expressions.
const PIECES: &[&str] = &[
    "a",
    "B",
    "1",
    "ß",
    "é",
    " ",
    "\n",
    "\t",
    "\0",
    "/",
    "!",
    "$",
    "${",
    "$1",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "*",
    "+",
    "?",
    ".",
    "^",
    "|",
    "\\",
    "-",
    ":",
    "=",
    ",",
    "\"",
    "#",
    "[:alpha:]",
    "[^",
    "{2}",
    "{1,9}",
    "(?:",
    "(?i)",
    "(?<n>",
    "(?=",
    "(?<!",
    "(?>",
    "(?x-s:",
    "(?(1)",
    "\\1",
    "\\d",
    "\\Q",
    "\\E",
    "\\b",
    "\\x{41}",
    "\\p{L}",
    "\\g{-1}",
    "\\k<n>",
    "\\K",
    "\\G",
    "\\Z",
    "\\(",
    "\\)",
    "\\{",
    "\\}",
    "\\<",
    "[.",
    ".]",
    "if ",
    "endif",
    "10.0.0.0/8",
    "::1",
    "&&",
    "--",
    "~~",
    "@",
    "\\c",
    "\\o{7}",
    "(?#",
    "(?P=n)",
    "(?P<n>",
    "++",
    "*?",
];

/// Text made of the pieces that mean something in tables and expressions.
fn pieces(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..most).prop_map(|list| list.concat())
}

fn fixed() -> Fixed {
    Fixed::new(KeyCase::Unicode, KeyCase::Unicode)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        pieces(40).prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_table_text_and_no_key_panics(text in bytes(), key in pieces(12)) {
        let mut warnings = Vec::new();
        let tables: [Box<dyn Table>; 4] = [
            Box::new(texthash::read("t", &text, fixed(), Duplicates::First, &mut warnings).unwrap()),
            Box::new(cidr::read("t", &text, &mut warnings)),
            Box::new(pattern_file::read(Dialect::Regexp, Octets::Utf8, "t", &text, &mut warnings)),
            Box::new(pattern_file::read(Dialect::Pcre, Octets::Utf8, "t", &text, &mut warnings)),
        ];
        for table in tables {
            let _ = table.lookup(&key);
        }
    }

    #[test]
    fn no_pattern_panics(pattern in pieces(14), flags in "[imsxAEUX]{0,3}", key in pieces(12)) {
        let mut line = format!("~{pattern}~{flags} $1x\n~{pattern}~{flags} x\n");
        line.retain(|c| c != '\0');
        for dialect in [Dialect::Regexp, Dialect::Pcre] {
            let table = pattern_file::read(dialect, Octets::Utf8, "t", line.as_bytes(), &mut Vec::new());
            let _ = table.lookup(&key);
        }
    }

    #[test]
    fn an_extended_expression_without_special_characters_matches_itself(
        text in "[a-zA-Z0-9 @_,;:<>=&~#%'\"-]{1,20}",
    ) {
        for dialect in [Dialect::Regexp, Dialect::Pcre] {
            let line = format!("/^{text}$/i hit");
            let table = pattern_file::read(dialect, Octets::Utf8, "t", line.as_bytes(), &mut Vec::new());
            prop_assert_eq!(table.lookup(&text), Ok(Some("hit".to_owned())));
        }
    }

    #[test]
    fn no_specification_panics(
        kind in "inline|static|cidr|regexp|pcre|unionmap|pipemap|randmap|fail|proxy|external|x|",
        name in pieces(30),
        key in pieces(5),
    ) {
        for spec in [format!("{kind}:{name}"), format!("{kind}:{{{name}}}"), name] {
            if let Ok(maps) = maps(&spec, Path::new("/nonexistent")) {
                let _ = maps.lookup(&key);
                let _ = find_address(&maps, &key, &AddressRules::default());
            }
            if !spec.contains('/') {
                let mut context = TableContext::new(Path::new("/nonexistent"));
                for kind in [MatchKind::Strings, MatchKind::Hosts, MatchKind::HostsWithSubdomains] {
                    if let Ok(list) = match_list_in(&spec, kind, &mut context) {
                        let _ = list.contains_host(&key, &key);
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_text_table_holds_is_found_in_any_case(
        entries in prop::collection::btree_map("[a-z]{1,8}(@[a-z]{1,4})?", "[a-zA-Z]{1,8}", 1..10),
    ) {
        let text: String = entries.iter().map(|(key, value)| format!("{key}\t {value}\n")).collect();
        let table = texthash::read("t", text.as_bytes(), fixed(), Duplicates::First, &mut Vec::new()).unwrap();
        for (key, value) in &entries {
            prop_assert_eq!(table.lookup(&key.to_uppercase()), Ok(Some(value.clone())));
        }
    }

    #[test]
    fn a_damaged_database_is_refused_or_answers_with_parts_of_itself(
        entries in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..6), prop::collection::vec(any::<u8>(), 0..9)), 0..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(255)]), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        key in pieces(3),
    ) {
        let list: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let mut bytes = cdb::tests::write(&list);
        for (place, byte) in &damage {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let length = bytes.len();
        let Ok(table) = Cdb::read("cdb:t", bytes, KeyCase::Exact, Octets::Characters) else {
            prop_assert!(cut.is_some() || !damage.is_empty());
            return Ok(());
        };
        prop_assert!(length >= 2048);
        let held: usize = table.values().iter().map(|value| value.chars().count()).sum();
        prop_assert!(held <= length);
        prop_assert!(table.lookup(&key).is_ok());
        for (key, _) in &entries {
            prop_assert!(table.lookup(&byte_text::widen(key)).is_ok());
        }
    }

    #[test]
    fn no_file_is_a_database_that_panics(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u8>()], 2040..2300),
        key in pieces(3),
    ) {
        if let Ok(table) = Cdb::read("cdb:t", bytes, KeyCase::Exact, Octets::Characters) {
            let _ = (table.lookup(&key), table.values());
        }
    }

    #[test]
    fn what_a_database_holds_is_found(
        entries in prop::collection::btree_map("[a-z]{1,8}(@[a-z]{1,4})?", "[a-zA-Z]{1,8}", 0..40),
        null in "\0?",
    ) {
        let ended: Vec<(String, String)> = entries
            .iter()
            .map(|(key, value)| (format!("{key}{null}"), format!("{value}{null}")))
            .collect();
        let list: Vec<(&[u8], &[u8])> = ended.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
        let table = Cdb::read("cdb:t", cdb::tests::write(&list), KeyCase::Unicode, Octets::Utf8).unwrap();
        for (key, value) in &entries {
            prop_assert_eq!(table.lookup(&key.to_uppercase()), Ok(Some(value.clone())));
            prop_assert_eq!(table.lookup(&format!("{key}0")), Ok(None));
        }
    }
}
