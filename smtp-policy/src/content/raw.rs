//! Message bytes as text, for tables and address rules that work on text.

use std::borrow::Cow;

/// Bytes that are no UTF-8 are shown as characters from here on: private ones
/// that nobody uses.
const PRIVATE: u32 = 0x10_FF00;

/// A piece of a message as text, and the way back to its bytes.
///
/// A byte that does not belong to UTF-8 text is one character, as it is for
/// Postfix, so that `.` in a pattern matches it; texts made from parts of this one
/// come out with the same bytes.
#[derive(Clone, Debug)]
pub(super) struct RawText {
    pub(super) text: String,
    /// Whether there are such characters.
    foreign: bool,
}

impl RawText {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let mut foreign = false;
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                foreign = true;
                text.extend(char::from_u32(PRIVATE + u32::from(*byte)));
            }
        }
        Self { text, foreign }
    }

    /// The bytes of a text that was made of this one.
    pub(super) fn bytes<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        if !self.foreign {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            match u8::try_from(u32::from(c).wrapping_sub(PRIVATE)) {
                Ok(byte) => bytes.push(byte),
                Err(_) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Cow::Owned(bytes)
    }

    /// The text up to the first NUL, which is where tables see it end.
    pub(super) fn key(&self) -> &str {
        self.text.split('\0').next().unwrap_or_default()
    }
}

/// A text for a log line: what cannot be printed is `?`.
pub(super) fn printable(text: &str) -> String {
    let show = |c: char| {
        if c.is_control() || u32::from(c) >= PRIVATE {
            '?'
        } else {
            c
        }
    };
    text.chars().map(show).collect()
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
        let raw = RawText::new(b"caf\xe9 \xc3\xa9");
        assert_eq!(raw.text.chars().count(), 6);
        assert_eq!(raw.bytes(&raw.text).as_ref(), b"caf\xe9 \xc3\xa9");
        assert_eq!(printable(&raw.text), "caf? é");
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
            let seen = raw.bytes(&raw.text);
            prop_assert_eq!(seen.as_ref(), bytes.as_slice());
        }
    }
}
