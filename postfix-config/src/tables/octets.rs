//! Texts as expressions see them: byte by byte, as the C library and PCRE do without
//! UTF-8, and in the C locale, where a byte above 127 is no letter, no digit and no
//! blank, and has no other case.
//!
//! The engines behind tables of patterns read characters and know what is a letter in
//! all the world. So each byte above 127 becomes a character of the private use area,
//! about which nobody knows anything, and comes back as the byte that it was.
//!
//! Sources: Postfix `src/util/dict_regexp.c` and `dict_pcre.c`, which set no locale and
//! no `PCRE2_UTF`.

use std::borrow::Cow;

use smtp_policy::tables::byte_text::{narrow, widen};

/// The code point of the private use area that stands for byte 0.
const BASE: u32 = 0xE000;

/// The meaning of the bytes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Octets {
    /// Its characters: the text is a [byte text](smtp_policy::tables::byte_text).
    Characters,
    /// Those of its UTF-8.
    Utf8,
}

impl Octets {
    /// The text as expressions see it.
    pub(super) fn mask(self, text: &str) -> Cow<'_, str> {
        if text.is_ascii() {
            return Cow::Borrowed(text);
        }
        match self {
            Self::Characters => narrow(text).into_iter().map(octet).collect(),
            Self::Utf8 => text.bytes().map(octet).collect(),
        }
    }

    /// The bytes of a key in a database, or in another process: they end before the first null byte.
    pub(super) fn bytes(self, text: &str) -> Cow<'_, [u8]> {
        let text = text.split('\0').next().unwrap_or_default();
        match self {
            Self::Characters if !text.is_ascii() => Cow::Owned(narrow(text)),
            Self::Characters | Self::Utf8 => Cow::Borrowed(text.as_bytes()),
        }
    }

    /// The text that some bytes are. `None`: they are none.
    pub(super) fn text(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            Self::Characters => Some(widen(&bytes)),
            Self::Utf8 => String::from_utf8(bytes).ok(),
        }
    }

    /// The text that was masked, or a piece of it. `None`: the piece begins or ends in
    /// the middle of a character.
    pub(super) fn unmask(self, text: &str) -> Option<String> {
        if text.is_ascii() {
            return Some(text.to_owned());
        }
        self.text(text.chars().filter_map(byte).collect())
    }
}

/// The character that stands for a byte.
pub(super) fn octet(byte: u8) -> char {
    if byte.is_ascii() {
        return char::from(byte);
    }
    char::from_u32(BASE + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands for.
fn byte(c: char) -> Option<u8> {
    let number = u32::from(c);
    let number = if c.is_ascii() {
        Some(number)
    } else {
        number.checked_sub(BASE)
    };
    number.and_then(|number| u8::try_from(number).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_and_none_above_127_is_a_letter_or_a_blank() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = widen(&bytes);
        let masked = Octets::Characters.mask(&text);
        assert_eq!(masked.chars().count(), 256);
        assert_eq!(Octets::Characters.unmask(&masked).unwrap(), text);
        for c in masked.chars().skip(128) {
            assert!(!c.is_alphanumeric() && !c.is_whitespace());
            assert!(c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]));
        }
    }

    #[test]
    fn a_character_is_several_bytes_and_half_of_it_is_no_text() {
        let masked = Octets::Utf8.mask("aé日");
        assert_eq!(masked.chars().count(), 6);
        assert_eq!(Octets::Utf8.unmask(&masked).unwrap(), "aé日");
        let half: String = masked.chars().take(2).collect();
        assert_eq!(Octets::Utf8.unmask(&half), None);
    }
}
