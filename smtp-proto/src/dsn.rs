//! The envelope's wishes for delivery status notifications: RET, NOTIFY and
//! the text encodings of ENVID and ORCPT. RFC 3461, RFC 6533; Postfix:
//! `src/global/dsn_mask.c`, `xtext.c`, `uxtext.c`.

use alloc::string::String;
use core::fmt;
use core::ops::BitOr;

/// How much of the message a failure notification returns (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Only its headers.
    Hdrs,
}

impl Ret {
    /// Reads `FULL` or `HDRS`, in any case.
    pub fn parse(text: &str) -> Option<Ret> {
        [Ret::Full, Ret::Hdrs]
            .into_iter()
            .find(|ret| ret.as_str().eq_ignore_ascii_case(text))
    }

    /// The keyword as it stands in MAIL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Hdrs => "HDRS",
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the sender wants to be told about a recipient (RFC 3461 4.1): `NEVER`, or any of
/// `SUCCESS`, `FAILURE`, `DELAY`. The default is that nothing was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// No wish was given; no `NOTIFY` is sent.
    pub const NONE: Notify = Notify(0);
    /// No notification at all.
    pub const NEVER: Notify = Notify(1);
    /// A notification when the message was delivered.
    pub const SUCCESS: Notify = Notify(2);
    /// A notification when delivery failed for good.
    pub const FAILURE: Notify = Notify(4);
    /// A notification when delivery takes long.
    pub const DELAY: Notify = Notify(8);

    /// The words in the order in which they are sent.
    const WORDS: [(Notify, &'static str); 4] = [
        (Notify::NEVER, "NEVER"),
        (Notify::SUCCESS, "SUCCESS"),
        (Notify::FAILURE, "FAILURE"),
        (Notify::DELAY, "DELAY"),
    ];

    /// Reads a list of words, in any case, with commas or white space between. The empty list is
    /// [`Notify::NONE`]; an unknown word, or `NEVER` together with another, is `None`.
    pub fn parse(text: &str) -> Option<Notify> {
        let mut all = Notify::NONE;
        for word in text.split([',', ' ', '\t', '\r', '\n']) {
            if word.is_empty() {
                continue;
            }
            let found = |(_, name): &&(Notify, &str)| name.eq_ignore_ascii_case(word);
            let (one, _) = Self::WORDS.iter().find(found)?;
            all = all | *one;
        }
        let alone = !all.contains(Notify::NEVER) || all == Notify::NEVER;
        alone.then_some(all)
    }

    /// Whether all wishes of `other` are among these.
    pub const fn contains(self, other: Notify) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no wish was given.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Notify {
    type Output = Notify;

    fn bitor(self, other: Notify) -> Notify {
        Notify(self.0 | other.0)
    }
}

impl fmt::Display for Notify {
    /// The words as they stand in RCPT, joined by commas; nothing for [`Notify::NONE`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (_, word) in Self::WORDS.iter().filter(|(one, _)| self.contains(*one)) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// Encodes text as xtext (RFC 3461 4): `+`, `=` and whatever is not a printable ASCII character
/// becomes `+XX` with upper-case hexadecimal digits, byte by byte.
///
/// ```
/// assert_eq!(smtp_proto::xtext("a+b=c d"), "a+2Bb+3Dc+20d");
/// ```
pub fn xtext(text: &str) -> String {
    encode_bytes(text, "+=")
}

/// Encodes text as the values of XFORWARD want it: xtext in which `=` stands as it is.
pub fn xforward_text(text: &str) -> String {
    encode_bytes(text, "+")
}

/// Encodes text as utf-8-addr-xtext (RFC 6533 3): blanks, control and non-ASCII characters, `\`,
/// `+` and `=` become `\x{HEX}` with at least two upper-case digits of the code point.
///
/// ```
/// assert_eq!(smtp_proto::utf8_xtext("ü+x@a"), "\\x{FC}\\x{2B}x@a");
/// ```
pub fn utf8_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            out.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = fmt::write(&mut out, format_args!("\\x{{{:02X}}}", u32::from(c)));
        }
    }
    out
}

fn encode_bytes(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_graphic() && !special.contains(c) {
            out.push(c);
        } else {
            let _ = fmt::write(&mut out, format_args!("+{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn notify_words_come_out_in_table_order() {
        for (text, want) in [
            ("", Some("")),
            ("delay,SUCCESS", Some("SUCCESS,DELAY")),
            ("FAILURE, delay,success", Some("SUCCESS,FAILURE,DELAY")),
            ("never", Some("NEVER")),
            ("NEVER,SUCCESS", None),
            ("SOMETIMES", None),
        ] {
            let got = Notify::parse(text).map(|notify| notify.to_string());
            assert_eq!(got.as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn text_is_encoded_per_byte_or_per_character() {
        for (text, x, utf8, xforward) in [
            ("plain", "plain", "plain", "plain"),
            ("a b", "a+20b", "a\\x{20}b", "a+20b"),
            ("a=b", "a+3Db", "a\\x{3D}b", "a=b"),
            ("a\\b", "a\\b", "a\\x{5C}b", "a\\b"),
            ("ü", "+C3+BC", "\\x{FC}", "+C3+BC"),
            ("€", "+E2+82+AC", "\\x{20AC}", "+E2+82+AC"),
            ("\r\n\0", "+0D+0A+00", "\\x{0D}\\x{0A}\\x{00}", "+0D+0A+00"),
        ] {
            assert_eq!(xtext(text), x);
            assert_eq!(utf8_xtext(text), utf8);
            assert_eq!(xforward_text(text), xforward);
        }
    }
}
