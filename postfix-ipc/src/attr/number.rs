//! Numbers as decimal text: unsigned on the wire, whatever their sign, and read as scanf(3)
//! does.

use core::fmt;

use super::list::Attribute;

/// The fault of a value whose text is not of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// No number of this width.
    Number,
    /// No base64.
    Base64,
    /// Statistics of another size than this machine's: [`MessageStats`](crate::request::MessageStats).
    Statistics {
        /// The bytes that came.
        len: usize,
    },
}

/// `malformed numerical data`, `malformed base64 data`, …: the beginning of Postfix's text.
impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number => f.write_str("malformed numerical data"),
            Self::Base64 => f.write_str("malformed base64 data"),
            Self::Statistics { len } => {
                let size = crate::request::MessageStats::SIZE;
                write!(f, "msg_stats_scan: size mis-match: {len} != {size}")
            }
        }
    }
}

/// An unsigned number: white space and a sign may stand before the digits, and nothing
/// behind them. A negative number is the unsigned one of the same 64 bits.
///
/// Postfix takes a number that is too large modulo 2^32, or as the largest there is: here
/// it is malformed.
fn unsigned(text: &[u8], largest: u64) -> Result<u64, Malformed> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let digit = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    };
    let number = digits.iter().try_fold(0, digit);
    match number.filter(|&number| !digits.is_empty() && number <= largest) {
        Some(number) if negative => Ok(number.wrapping_neg()),
        Some(number) => Ok(number),
        None => Err(Malformed::Number),
    }
}

fn write(number: u64, to: &mut Vec<u8>) {
    to.extend_from_slice(number.to_string().as_bytes());
}

/// The wire has the lower half of the 64 bits.
impl Attribute for u32 {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        const LOWER: u64 = u32::MAX as u64;
        let number = unsigned(text, LOWER)? & LOWER;
        Self::try_from(number).map_err(|_| Malformed::Number)
    }

    fn write(&self, to: &mut Vec<u8>) {
        write(u64::from(*self), to);
    }
}

impl Attribute for i32 {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        u32::read(text).map(u32::cast_signed)
    }

    fn write(&self, to: &mut Vec<u8>) {
        Attribute::write(&self.cast_unsigned(), to);
    }
}

impl Attribute for i64 {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        unsigned(text, u64::MAX).map(u64::cast_signed)
    }

    fn write(&self, to: &mut Vec<u8>) {
        write(self.cast_unsigned(), to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_scanf_reads_them() {
        let rows: &[(&str, Option<i32>, Option<i64>)] = &[
            ("0", Some(0), Some(0)),
            ("4294967295", Some(-1), Some(4_294_967_295)),
            ("4294967294", Some(-2), Some(4_294_967_294)),
            ("18446744073709551615", None, Some(-1)),
            ("18446744073709551616", None, None),
            ("-1", Some(-1), Some(-1)),
            ("+7", Some(7), Some(7)),
            (" \t007", Some(7), Some(7)),
            ("4294967296", None, Some(4_294_967_296)),
            ("", None, None),
            ("-", None, None),
            ("- 1", None, None),
            ("1 ", None, None),
            ("12x", None, None),
            ("0x10", None, None),
        ];
        for (text, int, long) in rows {
            assert_eq!(i32::read(text.as_bytes()).ok(), *int, "{text:?}");
            assert_eq!(i64::read(text.as_bytes()).ok(), *long, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_without_a_sign() {
        let written = |number: &dyn Fn(&mut Vec<u8>)| {
            let mut text = Vec::new();
            number(&mut text);
            String::from_utf8(text).unwrap_or_default()
        };
        assert_eq!(written(&|to| (-1_i32).write(to)), "4294967295");
        assert_eq!(written(&|to| (-1_i64).write(to)), "18446744073709551615");
        assert_eq!(written(&|to| 7_u32.write(to)), "7");
    }
}
