//! Header fields: what is one, which ones mean something here, and the words of
//! structured ones.

use alloc::vec::Vec;

/// A header field name that Postfix knows (`src/global/header_opts.c`).
#[derive(Debug, PartialEq, Eq)]
pub struct KnownHeader {
    /// The name as it is usually written.
    pub name: &'static str,
    /// What it is for.
    pub role: HeaderRole,
}

/// What a known header field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderRole {
    /// Addresses of senders or recipients.
    Addresses,
    /// The structure of a message or of a part of it.
    Mime,
}

use HeaderRole::{Addresses, Mime};

const KNOWN: &[KnownHeader] = &[
    of("Apparently-To", Addresses),
    of("Bcc", Addresses),
    of("Cc", Addresses),
    of("Content-Description", Mime),
    of("Content-Disposition", Mime),
    of("Content-ID", Mime),
    of(CONTENT_TRANSFER_ENCODING, Mime),
    of(CONTENT_TYPE, Mime),
    of("Disposition-Notification-To", Addresses),
    of("Errors-To", Addresses),
    of("From", Addresses),
    of("Mail-Followup-To", Addresses),
    of("MIME-Version", Mime),
    of("Reply-To", Addresses),
    of("Resent-Bcc", Addresses),
    of("Resent-Cc", Addresses),
    of("Resent-From", Addresses),
    of("Resent-Reply-To", Addresses),
    of("Resent-Sender", Addresses),
    of("Resent-To", Addresses),
    of("Return-Path", Addresses),
    of("Return-Receipt-To", Addresses),
    of("Sender", Addresses),
    of("To", Addresses),
];

pub(super) const CONTENT_TYPE: &str = "Content-Type";
pub(super) const CONTENT_TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";

const fn of(name: &'static str, role: HeaderRole) -> KnownHeader {
    KnownHeader { name, role }
}

/// What is known about a header field that begins with this text; `None` for
/// names without a meaning here.
pub fn known_header(text: &[u8]) -> Option<&'static KnownHeader> {
    let name = text.get(..header_name_len(text)?)?;
    KNOWN
        .iter()
        .find(|known| known.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The length of the field name, if the text is the beginning of a header field:
/// a name of printing ASCII characters and a colon, with blanks between them
/// perhaps (RFC 5322 section 4.5).
///
/// Postfix: `src/global/is_header.c`.
pub fn header_name_len(text: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', text)?;
    let name = trim_end(text.get(..colon)?, b" \t");
    let printing = |byte: &u8| matches!(byte, b'!'..=b'~');
    (!name.is_empty() && name.iter().all(printing)).then_some(name.len())
}

/// The text without the given bytes at its end.
fn trim_end<'a>(text: &'a [u8], unwanted: &[u8]) -> &'a [u8] {
    let kept = text
        .iter()
        .rposition(|byte| !unwanted.contains(byte))
        .map_or(0, |last| last + 1);
    text.get(..kept).unwrap_or_default()
}

/// A piece of a structured header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Characters that are neither special nor white space.
    Token(Vec<u8>),
    /// What stood between quotes.
    Quoted(Vec<u8>),
    /// A special or control character.
    Special(u8),
}

impl Word {
    pub(super) fn is_token(&self, text: &str) -> bool {
        matches!(self, Self::Token(token) if token.eq_ignore_ascii_case(text.as_bytes()))
    }

    /// The characters, whatever kind of word it is.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Token(bytes) | Self::Quoted(bytes) => bytes,
            Self::Special(byte) => Vec::from([byte]),
        }
    }
}

/// The specials of MIME header fields (RFC 2045 section 5.1) and of others (RFC 822).
pub(super) const MIME_SPECIALS: &[u8] = b"()<>@,;:\\\"/[]?=";
pub(super) const SPECIALS: &[u8] = b"()<>@,;:\\\".[]";

/// Reads a structured header field word by word: white space and comments
/// are left out, quoted strings unfolded.
///
/// Postfix: `src/global/header_token.c`.
#[derive(Debug)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
    specials: &'static [u8],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8], specials: &'static [u8]) -> Self {
        Self {
            rest: text,
            specials,
        }
    }

    /// The first three words up to the next semicolon, which is passed. `None`
    /// when nothing is left.
    pub(super) fn parameter(&mut self) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            match self.next() {
                None if words.is_empty() => return None,
                None | Some(Word::Special(b';')) => return Some(words),
                Some(word) if words.len() < 3 => words.push(word),
                Some(_) => {}
            }
        }
    }

    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Behind the opening parenthesis: passes over the comment.
    fn comment(&mut self) {
        let mut level = 1_u32;
        while let Some(byte) = self.bump() {
            match byte {
                b'(' => level = level.saturating_add(1),
                b')' if level == 1 => return,
                b')' => level -= 1,
                b'\\' => _ = self.bump(),
                _ => {}
            }
        }
    }

    /// Behind the opening quote: the string.
    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some(byte) = self.bump() {
            match byte {
                b'"' => break,
                b'\n' => {
                    let kept = trim_end(&text, b" \t\r\n").len();
                    text.truncate(kept);
                }
                b'\\' => text.extend(self.bump()),
                other => text.push(other),
            }
        }
        text
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        loop {
            let here = self.rest;
            match self.bump()? {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'(' => self.comment(),
                b'"' => return Some(Word::Quoted(self.quoted())),
                other if self.specials.contains(&other) || other.is_ascii_control() => {
                    return Some(Word::Special(other));
                }
                _ => {
                    let ends = |byte: &u8| {
                        *byte == b' ' || byte.is_ascii_control() || self.specials.contains(byte)
                    };
                    let len = here.iter().position(ends).unwrap_or(here.len());
                    let (token, rest) = here.split_at_checked(len)?;
                    self.rest = rest;
                    return Some(Word::Token(token.to_vec()));
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_colon() {
        for (text, want) in [
            ("Subject: x", Some(7)),
            ("Subject \t:", Some(7)),
            ("X:", Some(1)),
            (": x", None),
            (" X: y", None),
            ("two words: x", None),
            ("no colon", None),
            ("", None),
            ("Gr\u{fc}n: x", None),
            ("a\0b: x", None),
            ("http://x", Some(4)),
        ] {
            assert_eq!(header_name_len(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn known_names_are_found_in_any_case() {
        let role = |text: &str| known_header(text.as_bytes()).map(|known| known.role);
        assert_eq!(role("CONTENT-type: x"), Some(Mime));
        assert_eq!(role("to:"), Some(Addresses));
        assert_eq!(role("Subject: x"), None);
    }

    #[test]
    fn words_of_a_content_type() {
        let text = b" multipart/mixed (a (nested) \\) one); boundary=\"a\r\n \\\"b\"; x";
        let mut words = Words::new(text, MIME_SPECIALS);
        let first = words.parameter().unwrap();
        assert!(first.first().unwrap().is_token("Multipart"));
        assert_eq!(first.len(), 3);
        let second = words.parameter().unwrap();
        assert_eq!(second.last().unwrap(), &Word::Quoted(b"a \"b".to_vec()));
        assert_eq!(
            words.parameter(),
            Some([Word::Token(b"x".to_vec())].to_vec())
        );
        assert_eq!(words.parameter(), None);
    }

    #[test]
    fn what_is_never_closed_ends_with_the_field() {
        assert_eq!(Words::new(b"a (b", SPECIALS).count(), 1);
        assert_eq!(Words::new(b"a \"b\\", SPECIALS).count(), 2);
        assert_eq!(Words::new(b"()", SPECIALS).count(), 0);
    }
}
