//! The letters that are the same in both cases, in keys of tables and in lists.

use std::borrow::Cow;

/// The way in which keys are compared: which letters are the same in both cases.
///
/// Each parameter has its own way, the flags `DICT_FLAG_FOLD_FIX` and `DICT_FLAG_UTF8_REQUEST` with
/// which Postfix opens its tables. It is about tables of fixed strings; in patterns the expression
/// decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyCase {
    /// None are: a key is found as it is written.
    Exact,
    /// Those of ASCII are.
    Ascii,
    /// All are (`smtputf8_enable`).
    #[default]
    Unicode,
}

impl KeyCase {
    /// The form of a key that all keys have which are the same.
    pub fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            KeyCase::Exact => Cow::Borrowed(text),
            KeyCase::Unicode if !text.is_ascii() => Cow::Owned(fold(text)),
            KeyCase::Ascii | KeyCase::Unicode => match text.bytes().any(|b| b.is_ascii_uppercase())
            {
                true => Cow::Owned(text.to_ascii_lowercase()),
                false => Cow::Borrowed(text),
            },
        }
    }
}

/// The text without distinction of case.
///
/// It goes through lower, upper and lower case, character by character, which equals the full case folding
/// that Postfix asks of ICU but for a few letters (so `ß` and `SS` are the same).
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Its upper case is the plain I, yet it does not fold to the plain i.
            '\u{131}' => folded.push(c),
            _ => folded.extend(
                c.to_lowercase()
                    .flat_map(char::to_uppercase)
                    .flat_map(char::to_lowercase),
            ),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]
    use super::*;

    #[test]
    fn keys_fold_without_regard_to_case() {
        let rows = [
            ("User@Example.COM", "user@example.com"),
            ("ΟΔΟΣ", "οδος"),
            ("οδός", "ΟΔΌΣ"),
            ("straße", "STRASSE"),
            ("STRAẞE", "strasse"),
        ];
        for (one, other) in rows {
            let fold = |text| KeyCase::Unicode.fold(text);
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("ı"), fold("i"));
        assert_eq!(KeyCase::Ascii.fold("ΟÖ.De"), "ΟÖ.de");
        assert_eq!(KeyCase::Exact.fold("De"), "De");
    }
}
