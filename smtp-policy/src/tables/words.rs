//! Splitting specifications into words: commas, white space and braces.

/// Whether Postfix counts the character as white space (`isspace` in the C locale).
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Without white space at either end.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether the character separates the members of a list.
fn is_separator(c: char) -> bool {
    matches!(c, ',' | ' ' | '\t' | '\r' | '\n')
}

/// The length in bytes of the balanced `{…}` at the start of the text, braces included.
fn balanced(text: &str) -> Option<usize> {
    if !text.starts_with('{') {
        return None;
    }
    let mut level = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => level += 1,
            b'}' => {
                level = level.saturating_sub(1);
                if level == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// What is between the braces of `{…}`, when the text is exactly that. Nothing is trimmed.
pub fn braced(text: &str) -> Option<&str> {
    let length = balanced(text)?;
    (length == text.len())
        .then(|| text.get(1..length - 1))
        .flatten()
}

/// What is between the braces of `{…}`, trimmed.
///
/// # Errors
///
/// Postfix's words for what is wrong with the text.
pub fn unbrace(text: &str) -> Result<&str, String> {
    if !text.starts_with('{') {
        return Err(format!("no '{{' at start of text in \"{text}\""));
    }
    if balanced(text).is_none() {
        return Err(format!("missing '}}' in \"{text}\""));
    }
    braced(text)
        .map(trim)
        .ok_or_else(|| format!("syntax error after '}}' in \"{text}\""))
}

/// The members of a list separated by commas and white space; text in braces is one piece.
pub fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(is_separator);
    while !rest.is_empty() {
        let mut level = 0_usize;
        let end = rest
            .char_indices()
            .find(|&(_, c)| {
                match c {
                    '{' => level += 1,
                    '}' => level = level.saturating_sub(1),
                    _ => {}
                }
                level == 0 && is_separator(c)
            })
            .map_or(rest.len(), |(at, _)| at);
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start_matches(is_separator);
    }
    words
}

/// The length of the key at the start of the text: up to the first character for which `ends` holds,
/// outside double quotes and not after a backslash. `None` if a quote is not closed.
pub fn key_length(text: &str, ends: impl Fn(char) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => quoted = !quoted,
            _ if !quoted && ends(c) => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
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
    fn a_list_is_split_at_commas_and_white_space_outside_braces() {
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            (" ,, \t", &[]),
            ("a:b", &["a:b"]),
            ("a:b,c:d e:f\n,g:h", &["a:b", "c:d", "e:f", "g:h"]),
            ("u:{ a:b, {c d} }, x", &["u:{ a:b, {c d} }", "x"]),
            ("{a b}c d", &["{a b}c", "d"]),
            ("a} b", &["a}", "b"]),
            ("{a b", &["{a b"]),
        ];
        for (text, words) in rows {
            assert_eq!(&split(text), words, "{text:?}");
        }
    }

    #[test]
    fn braces_are_taken_off_only_when_they_enclose_the_whole_text() {
        assert_eq!(unbrace("{ a {b} }"), Ok("a {b}"));
        assert!(unbrace("a").unwrap_err().starts_with("no '{'"));
        assert!(unbrace("{ a ").unwrap_err().starts_with("missing '}'"));
        assert!(unbrace("{a}b").unwrap_err().starts_with("syntax error"));
        assert_eq!(braced("{}"), Some(""));
        assert_eq!(braced("{a}{b}"), None);
    }

    #[test]
    fn a_key_may_hold_quoted_and_escaped_white_space() {
        let rows = [
            ("key value", Some(3)),
            ("\"a b\"@c value", Some(7)),
            ("a\\ b value", Some(4)),
            ("\"a value", None),
            ("key", Some(3)),
            ("key\\", Some(4)),
        ];
        for (text, length) in rows {
            assert_eq!(key_length(text, is_space), length, "{text:?}");
        }
    }
}
