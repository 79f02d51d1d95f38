//! `inline:{key=value, {key = text with blanks}}`. Source: Postfix `src/util/dict_inline.c`.

use super::fixed::Fixed;
use smtp_policy::tables::words::{braced, is_space, key_length, split, trim, unbrace};
use smtp_policy::tables::{KeyCase, TableError};

/// Reads the entries. As in Postfix, the last of several entries for a key counts.
pub(super) fn open(name: &str, case: KeyCase) -> Result<Fixed, TableError> {
    let spec = format!("inline:{name}");
    let error = |reason: &str| {
        TableError::new(
            spec.as_str(),
            format!("{reason}; need \"inline:{{name=value...}}\""),
        )
    };
    let inside = braced(name).ok_or_else(|| error("bad syntax"))?;
    let mut table = Fixed::new(case, case);
    for word in split(inside) {
        let entry = if word.starts_with('{') {
            unbrace(word).map_err(|reason| error(&reason))?
        } else {
            word
        };
        let (key, value) = entry_of(entry).map_err(error)?;
        table.replace(key, value);
    }
    if table.is_empty() {
        return Err(error("empty table"));
    }
    Ok(table)
}

/// Splits `key = value`. Quotes in the key are left in place.
fn entry_of(text: &str) -> Result<(&str, &str), &'static str> {
    let text = trim(text);
    if text.is_empty() {
        return Err("no key found; expected format: key = value");
    }
    let length = key_length(text, |c| is_space(c) || c == '=').ok_or("unbalanced '\"'")?;
    let (key, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    let value = trim(rest)
        .strip_prefix('=')
        .ok_or("missing '=' after attribute name")?;
    Ok((key, trim(value)))
}
