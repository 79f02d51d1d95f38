//! Limits of sizes: a number of bytes, with K, M or G for the powers of 1024.

use std::{fmt, io, io::Read, str::FromStr};

/// The most bytes that something may have. Read from a text, it is a number of bytes, or one with K, M or G for the
/// powers of 1024.
///
/// ```
/// let limit: outpost::SizeLimit = "2M".parse()?;
/// assert_eq!(limit.to_string(), "2 MiB");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimit(u64);

const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

impl SizeLimit {
    /// A limit of so many mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// Reads all there is.
    ///
    /// # Errors
    /// Reading fails, or there is more than the limit allows; of an endless source not
    /// much more is read.
    pub fn read(self, source: impl Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        source
            .take(self.0.saturating_add(1))
            .read_to_end(&mut bytes)?;
        self.check(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Says so if `size` is more than the limit.
    pub fn check(self, size: u64) -> io::Result<()> {
        if size <= self.0 {
            return Ok(());
        }
        let what = format!("it is larger than the limit of {self}");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
    }
}

impl fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match whole {
            Some((letter, unit)) => write!(f, "{} {letter}iB", self.0 / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for SizeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let last = text
            .chars()
            .last()
            .map(|letter| letter.to_ascii_uppercase());
        let unit = UNITS.iter().find(|(letter, _)| Some(*letter) == last);
        let (digits, unit) = match unit {
            Some((_, unit)) => (text.get(..text.len() - 1).unwrap_or_default(), *unit),
            None => (text, 1),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: Option<u64> = is_number.then(|| digits.parse().ok()).flatten();
        let bytes = count.and_then(|count| count.checked_mul(unit));
        bytes
            .map(Self)
            .ok_or_else(|| "expected a number of bytes, or one with K, M or G".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("0", 0, "0 bytes"),
            ("1000", 1000, "1000 bytes"),
            ("2k", 2048, "2 KiB"),
            ("256M", 256 << 20, "256 MiB"),
            ("1G", 1 << 30, "1 GiB"),
        ] {
            let limit: SizeLimit = text.parse().unwrap();
            assert_eq!((limit.0, limit.to_string().as_str()), (bytes, shown));
        }
        for text in ["", "M", "-1", "+1", "1.5M", "1T", "99999999999G", "ü"] {
            assert!(text.parse::<SizeLimit>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_more_is_read_than_the_limit_allows() {
        let limit = SizeLimit(3);
        assert_eq!(limit.read(&b"abc"[..]).unwrap(), b"abc");
        let error = limit.read(io::repeat(0)).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than the limit of 3 bytes");
    }
}
