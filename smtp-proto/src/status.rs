//! Enhanced status codes, "4.3.0": the machine-readable part of a reply or of
//! a delivery result. RFC 3463; the grammar is that of Postfix's
//! `src/global/dsn_util.c`.

use core::fmt;

/// An enhanced status code: class, subject and detail.
///
/// ```
/// use smtp_proto::EnhancedStatus;
///
/// let (status, used) = EnhancedStatus::parse("5.1.1 no such user").unwrap();
/// assert_eq!((status, used), (EnhancedStatus::new(5, 1, 1), 5));
/// assert_eq!(status.with_class(4).to_string(), "4.1.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
    /// How many zeros stood before subject and detail: a server's status is passed on as it was
    /// written.
    zeros: [u8; 2],
}

impl EnhancedStatus {
    /// A status of these parts. The class is 2 (success), 4 (try again) or 5 (failure); subject and
    /// detail are 0 to 999, anything above is taken as 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject: if subject > 999 { 999 } else { subject },
            detail: if detail > 999 { 999 } else { detail },
            zeros: [0; 2],
        }
    }

    /// Reads a status at the start of `text` and says how many bytes it took.
    ///
    /// The class must be 2, 4 or 5, the other parts one to three digits; the end of the text or
    /// white space must follow. Anything else is `None`.
    pub fn parse(text: &str) -> Option<(Self, usize)> {
        let [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text.as_bytes() else {
            return None;
        };
        let (subject, subject_zeros, rest) = part(rest)?;
        let (detail, detail_zeros, rest) = part(rest.strip_prefix(b".")?)?;
        let status = Self {
            zeros: [subject_zeros, detail_zeros],
            ..Self::new(class - b'0', subject, detail)
        };
        let ends = rest.first().is_none_or(|byte| is_space(*byte));
        ends.then_some((status, text.len() - rest.len()))
    }

    /// The first part: 2, 4 or 5.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The same status in another class, as when a hard error is made soft.
    pub const fn with_class(self, class: u8) -> Self {
        Self { class, ..self }
    }

    /// The second part, 0 to 999.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third part, 0 to 999.
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [subject_zeros, detail_zeros] = self.zeros.map(usize::from);
        write!(
            f,
            "{}.{:0<subject_zeros$}{}.{:0<detail_zeros$}{}",
            self.class, "", self.subject, "", self.detail
        )
    }
}

/// A part of one to three digits: its number, how many zeros stand before that, and what
/// follows.
fn part(text: &[u8]) -> Option<(u16, u8, &[u8])> {
    let (mut number, mut zeros, mut rest) = (0, 0, text);
    for place in 0..3 {
        let [digit @ b'0'..=b'9', after @ ..] = rest else {
            return (place > 0).then_some((number, zeros, rest));
        };
        zeros += u8::from(place > 0 && number == 0);
        number = 10 * number + u16::from(digit - b'0');
        rest = after;
    }
    Some((number, zeros, rest))
}

/// What C's `isspace` says of an ASCII character.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn only_well_formed_codes_are_read() {
        for (text, want) in [
            ("5.1.1", Some(("5.1.1", 5))),
            ("2.999.999 big", Some(("2.999.999", 9))),
            ("4.0.0\tx", Some(("4.0.0", 5))),
            ("5.1 two parts", None),
            ("5.1.1111 long", None),
            ("5.1111.1", None),
            ("5.1.1: colon", None),
            ("5.1.1.1", None),
            ("3.1.1", None),
            ("5..1", None),
            ("55.1.1", None),
            ("", None),
        ] {
            let got = EnhancedStatus::parse(text).map(|(status, used)| (status.to_string(), used));
            assert_eq!(
                got,
                want.map(|(status, used)| (status.to_string(), used)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn leading_zeros_stay_as_they_were_written() {
        for text in ["5.01.001", "5.00.0", "5.0.000", "4.010.100", "2.0.0"] {
            let (status, used) = EnhancedStatus::parse(text).unwrap();
            assert_eq!((status.to_string().as_str(), used), (text, text.len()));
        }
        let (status, _) = EnhancedStatus::parse("5.01.001").unwrap();
        assert_eq!((status.subject(), status.detail()), (1, 1));
        assert_eq!(status.with_class(4).to_string(), "4.01.001");
    }
}
