//! Message bytes as text, for tables and address rules that work on text.

use std::{borrow::Cow, collections::BTreeSet};

/// A piece of a message as text, and the way back to its bytes.
///
/// A byte that does not belong to UTF-8 text is the character of that number, so
/// that `\xe9` and `.` in a pattern match it as they do in Postfix. Texts that are
/// made from parts of this one come out with the same bytes, unless it has the same
/// character in both forms.
#[derive(Clone, Debug)]
pub(super) struct RawText {
    pub(super) text: String,
    /// The characters that are bytes.
    foreign: BTreeSet<char>,
}

impl RawText {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let (mut foreign, mut own) = (BTreeSet::new(), BTreeSet::new());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            own.extend(
                chunk
                    .valid()
                    .chars()
                    .filter(|c| ('\u{80}'..='\u{ff}').contains(c)),
            );
            text.extend(chunk.invalid().iter().copied().map(char::from));
            foreign.extend(chunk.invalid().iter().copied().map(char::from));
        }
        foreign.retain(|c| !own.contains(c));
        Self { text, foreign }
    }

    /// The bytes of a text that was made of this one.
    pub(super) fn bytes<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        if self.foreign.is_empty() {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            match u8::try_from(c) {
                Ok(byte) if self.foreign.contains(&c) => bytes.push(byte),
                _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Cow::Owned(bytes)
    }

    /// The text up to the first NUL, which is where tables see it end.
    pub(super) fn key(&self) -> &str {
        self.text.split('\0').next().unwrap_or_default()
    }
}

/// At most `limit` bytes of a text, cut between characters.
pub(super) fn beginning(text: &str, limit: usize) -> &str {
    (0..=limit)
        .rev()
        .find_map(|at| text.get(..at.min(text.len())))
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_byte_that_is_no_text_is_one_character() {
        let raw = RawText::new(b"caf\xe9 \xc3\xb6");
        assert_eq!(raw.text, "caf\u{e9} \u{f6}");
        assert_eq!(raw.bytes("\u{e9}\u{f6}").as_ref(), b"\xe9\xc3\xb6");
        assert_eq!(RawText::new(b"a\0b").key(), "a");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("aéb", 2), "a");
        assert_eq!(beginning("aéb", 3), "aé");
        assert_eq!(beginning("aéb", 9), "aéb");
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let raw = RawText::new(&bytes);
            let both = |c: char| {
                let valid = bytes.utf8_chunks().any(|chunk| chunk.valid().contains(c));
                valid && bytes.utf8_chunks().any(|chunk| chunk.invalid().contains(&(c as u8)))
            };
            prop_assume!(!('\u{80}'..='\u{ff}').any(both));
            let back = raw.bytes(&raw.text).into_owned();
            prop_assert_eq!(back, bytes);
        }
    }
}
