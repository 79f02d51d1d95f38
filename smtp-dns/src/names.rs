//! What counts as a host name and as an address, by the rules of Postfix's
//! `src/util/valid_hostname.c`: names that fail are never asked for and never
//! taken from a reply.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest label of a name, in bytes (RFC 1035).
const LABEL_LIMIT: usize = 63;
/// The longest name, in bytes (`VALID_HOSTNAME_LEN`).
const NAME_LIMIT: usize = 255;

/// Whether `*` may be the first label of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wildcard {
    /// It may: names in questions and replies.
    Allowed,
    /// It may not: names that users write.
    Forbidden,
}

/// Returns whether two texts stand for the same name. Letters are the same in either case (RFC 4343),
/// and the root may be written as `.` or as an empty text.
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (is_root(one) && is_root(other))
}

/// Returns whether `name` is the root: `.` in questions and in settings, an empty text in what
/// servers reply.
pub fn is_root(name: &str) -> bool {
    matches!(name, "" | ".")
}

/// Whether `name` is a host name: labels of letters, digits, hyphens (not at
/// the ends) and underscores, separated by single dots, no final dot, with at
/// least one character that is neither digit nor dot.
pub fn is_valid_hostname(name: &str, wildcard: Wildcard) -> bool {
    if name.is_empty() || name.len() > NAME_LIMIT {
        return false;
    }
    let labels_fit = name.split('.').enumerate().all(|(index, label)| {
        let star = label == "*" && index == 0 && wildcard == Wildcard::Allowed;
        star || is_valid_label(label)
    });
    let numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    labels_fit && !numeric && name != "*"
}

fn is_valid_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_LIMIT
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether `text` is an IPv4 or IPv6 address in the usual notation. Leading
/// zeros are fine; the first number of an IPv4 address is zero only in
/// `0.0.0.0`.
pub fn is_valid_address(text: &str) -> bool {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().is_ok();
    }
    let mut octets = text.split('.').map(decimal);
    let [Some(first), Some(second), Some(third), Some(fourth)] =
        [(); 4].map(|()| octets.next().flatten().filter(|octet| *octet <= 255))
    else {
        return false;
    };
    octets.next().is_none() && (first > 0 || [second, third, fourth] == [0; 3])
}

fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return None;
    }
    // Leading zeros must not make a short number overflow.
    let significant = text.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    significant.parse().ok()
}

/// The address that `text` stands for where the C library reads numeric hosts
/// (`AI_NUMERICHOST`): besides the usual notation also `127.1`, octal and
/// hexadecimal numbers.
pub fn numeric_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut parts = text.split('.');
    let (mut leading, mut free_bits) = (0u32, 32);
    let mut last = c_number(parts.next()?)?;
    for part in parts {
        if last > 255 || free_bits == 8 {
            return None;
        }
        leading = leading << 8 | last;
        free_bits -= 8;
        last = c_number(part)?;
    }
    // The last number fills all bytes that the leading ones left over.
    if u64::from(last) >= 1u64 << free_bits {
        return None;
    }
    let bits = u64::from(leading) << free_bits | u64::from(last);
    u32::try_from(bits)
        .ok()
        .map(|bits| IpAddr::V4(Ipv4Addr::from(bits)))
}

/// A number as `inet_aton` reads it: `0x` hexadecimal, `0` octal, else decimal.
fn c_number(text: &str) -> Option<u32> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match hex {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_judged_as_postfix_judges_them() {
        let long_label = "a".repeat(64);
        let cases = [
            ("example.com", true),
            ("mx_1.example.com", true),
            ("1.2.3.4.example", true),
            ("*.example.com", true),
            ("a.*.example.com", false),
            ("", false),
            ("example.com.", false),
            (".example.com", false),
            ("a..b", false),
            ("-a.example", false),
            ("a-.example", false),
            ("127.0.0.1", false),
            ("12345", false),
            ("exa mple.com", false),
            ("exämple.com", false),
            (long_label.as_str(), false),
        ];
        for (name, valid) in cases {
            assert_eq!(is_valid_hostname(name, Wildcard::Allowed), valid, "{name}");
        }
        assert!(!is_valid_hostname("*.example.com", Wildcard::Forbidden));
        assert!(!is_valid_hostname(&"a.".repeat(140), Wildcard::Allowed));
    }

    #[test]
    fn names_are_the_same_in_any_case_and_the_root_in_either_form() {
        let cases = [
            ("mx.example", "MX.Example", true),
            ("mx.example", "mx.example.org", false),
            (".", "", true),
            ("", ".", true),
            (".", ".", true),
            (".", "example", false),
            ("", "example", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(is_same_name(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn addresses_are_judged_as_postfix_judges_them() {
        let cases = [
            ("127.0.0.1", true),
            ("0.0.0.0", true),
            ("0.1.2.3", false),
            ("010.000.000.01", true),
            ("1.2.3", false),
            ("1.2.3.4.", false),
            ("1.2.3.256", false),
            ("::1", true),
            ("1::2::3", false),
            ("fe80::1%eth0", false),
            ("", false),
        ];
        for (text, valid) in cases {
            assert_eq!(is_valid_address(text), valid, "{text}");
        }
    }

    #[test]
    fn numeric_hosts_may_have_the_old_short_forms() {
        let cases = [
            ("127.0.0.1", Some("127.0.0.1")),
            ("127.1", Some("127.0.0.1")),
            ("0x7f.1", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("2130706433", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("1.2.3.256", None),
            ("1.256.3", None),
            ("1.2.3.4.5", None),
            ("example", None),
            ("1.+2", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|e| e.parse::<IpAddr>().unwrap());
            assert_eq!(numeric_address(text), expected, "{text}");
        }
    }
}
