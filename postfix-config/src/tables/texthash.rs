//! `texthash:file` and the database types whose source text is read instead of the database.
//!
//! Sources: Postfix `src/util/dict_thash.c`, `src/postmap/postmap.c`.

use super::fixed::Fixed;
use super::lines::logical_lines;
use smtp_policy::tables::words::{is_space, key_length, trim};

/// The meaning of two entries for one key, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// The first counts, with a warning: what `postmap` makes of the source text of a database.
    First,
    /// There is no table: `texthash:` itself.
    NoTable,
}

/// Reads the text of a table file into a table. Lines that cannot be used are skipped with a
/// warning.
///
/// # Errors
///
/// Why there is no table.
pub(super) fn read(
    name: &str,
    bytes: &[u8],
    mut table: Fixed,
    duplicates: Duplicates,
    warnings: &mut Vec<String>,
) -> Result<Fixed, String> {
    for line in logical_lines(name, bytes, warnings) {
        let (number, text) = (line.number, line.text.as_str());
        let Some(length) = key_length(text, is_space) else {
            warnings.push(format!(
                "{name}, line {number}: unbalanced '\"' in '{text}' -- ignoring this line"
            ));
            continue;
        };
        let (key, value) = text.split_at_checked(length).unwrap_or((text, ""));
        let value = trim(value);
        if key.is_empty() || value.is_empty() {
            warnings.push(format!(
                "{name}, line {number}: expected format: key whitespace value -- ignoring this line"
            ));
            continue;
        }
        if key.ends_with(':') {
            warnings.push(format!(
                "{name}, line {number}: record is in \"key: value\" format; is this an alias file?"
            ));
        }
        if !table.add(key, value) {
            let what = format!("{name}, line {number}: duplicate entry: \"{key}\"");
            match duplicates {
                Duplicates::First => warnings.push(what),
                Duplicates::NoTable => return Err(what),
            }
        }
    }
    Ok(table)
}
