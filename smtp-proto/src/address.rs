//! Mail addresses in internal form: unquoted, as Postfix keeps them in the
//! queue. They are not parsed for validity beyond what a command line needs;
//! quoting for the envelope and for headers happens here.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// The longest address in bytes. The longest line that Postfix keeps (`line_length_limit`) has the
/// same size.
const MAX_LEN: usize = 2048;

/// An address in internal form, such as `two words@example.com`.
///
/// It is not empty, has at most 2048 bytes and holds no CR, LF or NUL: it cannot break out of
/// a command line. The part before the last `@` is the local part, which is quoted for the
/// envelope; there may be no `@`. The domain behind it stands there as it is, so it has no blanks
/// outside of a literal (`[…]`), no control characters, no `<` and no `>`: it cannot add parameters
/// to its command. A clone shares the text.
///
/// ```
/// use smtp_proto::Address;
///
/// let address = Address::parse("two words@example.com").unwrap();
/// assert_eq!(address.local_part(), "two words");
/// assert_eq!(address.domain(), Some("example.com"));
/// assert_eq!(address.quoted_821(), "\"two words\"@example.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// The sender of the envelope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: nobody is to be told about failures.
    Null,
    /// A mailbox.
    Mailbox(Address),
}

/// Why a text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The text is empty.
    Empty,
    /// The text has this many bytes, which is more than 2048.
    TooLong(usize),
    /// A byte that no command line may hold: CR, LF or NUL. Or one that no domain may hold: a
    /// control character, `<`, `>`, or a blank outside of a literal.
    Forbidden {
        /// The offset of the first such byte.
        at: usize,
        /// The byte itself.
        byte: u8,
    },
}

impl Address {
    /// Checks `text` and takes it as an address. Nothing is trimmed, unquoted or changed in case.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(AddressError::TooLong(text.len()));
        }
        // Most addresses have nothing that is forbidden in one part or the other.
        let harmless = |byte| byte != b' ' && !ends_path(byte);
        if text.bytes().fold(true, |all, byte| all & harmless(byte)) {
            return Ok(Address(Arc::from(text)));
        }
        let domain = text.rfind('@').map_or(text.len(), |at| at + 1);
        let (mailbox, domain) = text.split_at_checked(domain).unwrap_or((text, ""));
        let literal = is_literal(domain);
        let in_mailbox = |byte| matches!(byte, b'\r' | b'\n' | 0);
        let in_domain = |byte| (byte == b' ' && !literal) || ends_path(byte);
        let behind = |at| mailbox.len() + at;
        let forbidden = (mailbox.bytes().position(in_mailbox))
            .or_else(|| domain.bytes().position(in_domain).map(behind));
        match forbidden.and_then(|at| Some((at, *text.as_bytes().get(at)?))) {
            Some((at, byte)) => Err(AddressError::Forbidden { at, byte }),
            None => Ok(Address(Arc::from(text))),
        }
    }

    /// The address in internal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the last `@`; all of it if there is none.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// What stands behind the last `@`; `None` if there is none. It can be empty.
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }

    /// Whether there is no byte above 127.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The form for MAIL and RCPT: a local part that is no dot-string is sent as a quoted string.
    ///
    /// Bytes above 127 are left alone. Postfix: `src/global/quote_821_local.c`, used with
    /// `smtp_quote_rfc821_envelope`.
    pub fn quoted_821(&self) -> Cow<'_, str> {
        // CR and LF, which would be escaped too, cannot occur.
        quote(&self.0, 0)
    }

    /// The form for MAIL and RCPT where local parts are not to be quoted: as it is.
    ///
    /// A local part that could end the path is quoted all the same. Postfix: with
    /// `smtp_quote_rfc821_envelope = no`, which quotes nothing.
    pub(crate) fn bare_821(&self) -> Cow<'_, str> {
        match self.local_part().bytes().any(ends_path) {
            true => self.quoted_821(),
            false => Cow::Borrowed(&self.0),
        }
    }

    /// The form for message headers and for ORCPT: see [`quoted_822`].
    pub fn quoted_822(&self) -> Cow<'_, str> {
        quoted_822(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl core::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text)
    }
}

impl ReversePath {
    /// Takes `text` as a sender; the empty text is the null sender.
    pub fn parse(text: &str) -> Result<ReversePath, AddressError> {
        match text {
            "" => Ok(ReversePath::Null),
            _ => Address::parse(text).map(ReversePath::Mailbox),
        }
    }

    /// The address in internal form; empty for the null sender.
    pub fn as_str(&self) -> &str {
        self.address().map_or("", Address::as_str)
    }

    /// The mailbox, if it is not the null sender.
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(address) => Some(address),
        }
    }

    /// Whether this is the null sender.
    pub fn is_null(&self) -> bool {
        matches!(self, ReversePath::Null)
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> Self {
        ReversePath::Mailbox(address)
    }
}

impl core::str::FromStr for ReversePath {
    type Err = AddressError;

    /// As [`ReversePath::parse`].
    fn from_str(text: &str) -> Result<Self, AddressError> {
        ReversePath::parse(text)
    }
}

impl fmt::Display for ReversePath {
    /// Writes the internal form; nothing for the null sender.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Empty => f.write_str("the address is empty"),
            AddressError::TooLong(len) => {
                write!(f, "the address has {len} bytes, more than {MAX_LEN}")
            }
            AddressError::Forbidden { at, byte } => {
                write!(f, "the address has a byte {byte:#04x} at offset {at}")
            }
        }
    }
}

impl core::error::Error for AddressError {}

/// A text as an address in a message header or in ORCPT: a local part that is no dot-string
/// becomes a quoted string, as in [`Address::quoted_821`].
///
/// A source route (`@a,@b:`) before the local part stays outside of the quotes. Postfix:
/// `src/global/quote_822_local.c`.
///
/// ```
/// use smtp_proto::address::quoted_822;
///
/// assert_eq!(quoted_822("two words@example.com"), "\"two words\"@example.com");
/// assert_eq!(quoted_822("user@no domain"), "user@no domain");
/// ```
pub fn quoted_822(address: &str) -> Cow<'_, str> {
    let route = match address.starts_with('@') {
        true => address.find(':').map_or(0, |colon| colon + 1),
        false => 0,
    };
    quote(address, route)
}

/// Returns whether a byte outside of quotes can be the end of a path (RFC 5321 4.1.2) for a server, or
/// the begin of another: `<`, `>`, or a control character.
fn ends_path(byte: u8) -> bool {
    byte.is_ascii_control() || matches!(byte, b'<' | b'>')
}

/// Returns whether a domain is one in brackets, in which RFC 5322 (section 3.4.1) has blanks.
fn is_literal(domain: &str) -> bool {
    domain.starts_with('[') && domain.ends_with(']')
}

/// Quotes the local part, which begins at the offset `start`, if it needs it.
fn quote(address: &str, start: usize) -> Cow<'_, str> {
    let (route, mailbox) = address.split_at_checked(start).unwrap_or(("", address));
    let at = mailbox.bytes().rposition(|byte| byte == b'@');
    let end = at.unwrap_or(mailbox.len());
    let (local, domain) = mailbox.split_at_checked(end).unwrap_or((mailbox, ""));
    if is_dot_string(local) {
        return Cow::Borrowed(address);
    }
    let mut quoted = String::with_capacity(address.len() + 2);
    quoted.push_str(route);
    quoted.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted.push_str(domain);
    Cow::Owned(quoted)
}

/// Whether a local part can stand without quotes (RFC 5321 4.1.2, Dot-string, with UTF-8).
fn is_dot_string(local: &str) -> bool {
    let special = |byte: u8| {
        byte.is_ascii_control()
            || matches!(
                byte,
                b' ' | b'<'
                    | b'>'
                    | b'('
                    | b')'
                    | b'['
                    | b']'
                    | b'\\'
                    | b','
                    | b';'
                    | b':'
                    | b'@'
                    | b'"'
            )
    };
    let mut before = b'.';
    for byte in local.bytes() {
        if special(byte) || (byte == b'.' && before == b'.') {
            return false;
        }
        before = byte;
    }
    before != b'.'
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn local_parts_are_quoted_where_a_dot_string_is_not_enough() {
        for (internal, quoted) in [
            ("user@example.com", "user@example.com"),
            ("a.b@example.com", "a.b@example.com"),
            ("a..b@example.com", "\"a..b\"@example.com"),
            (".a@example.com", "\".a\"@example.com"),
            ("a.@example.com", "\"a.\"@example.com"),
            ("two words@example.com", "\"two words\"@example.com"),
            ("a@b@example.com", "\"a@b\"@example.com"),
            ("a\"b\\c@example.com", "\"a\\\"b\\\\c\"@example.com"),
            ("a\tb@example.com", "\"a\tb\"@example.com"),
            ("a(b)@example.com", "\"a(b)\"@example.com"),
            ("a/b=c{d}@example.com", "a/b=c{d}@example.com"),
            ("üser@example.com", "üser@example.com"),
            ("@example.com", "\"\"@example.com"),
            ("bare", "bare"),
            ("bare word", "\"bare word\""),
            ("user@", "user@"),
        ] {
            let address = Address::parse(internal).unwrap();
            assert_eq!(address.quoted_821(), quoted);
            assert_eq!(address.quoted_822(), quoted);
        }
    }

    #[test]
    fn a_source_route_stays_outside_of_header_quotes() {
        let address = Address::parse("@a,@b:two words@c").unwrap();
        assert_eq!(address.quoted_822(), "@a,@b:\"two words\"@c");
        assert_eq!(address.quoted_821(), "\"@a,@b:two words\"@c");
        let plain = Address::parse("@a:user@c").unwrap();
        assert_eq!(plain.quoted_822(), "@a:user@c");
    }

    #[test]
    fn nothing_that_breaks_a_line_is_an_address() {
        let long = "x".repeat(MAX_LEN + 1);
        for (text, want) in [
            ("", AddressError::Empty),
            (long.as_str(), AddressError::TooLong(MAX_LEN + 1)),
            ("a\rb", AddressError::Forbidden { at: 1, byte: b'\r' }),
            ("ab\n", AddressError::Forbidden { at: 2, byte: b'\n' }),
            ("\0", AddressError::Forbidden { at: 0, byte: 0 }),
        ] {
            assert_eq!(Address::parse(text), Err(want), "{text:?}");
        }
        assert!(Address::parse(&"x".repeat(MAX_LEN)).is_ok());
    }

    #[test]
    fn no_domain_ends_the_path_that_it_is_in() {
        for (text, at, byte) in [
            ("a@b> NOTIFY=NEVER <c", 3, b'>'),
            ("a@b NOTIFY=NEVER", 3, b' '),
            ("a@[b NOTIFY=NEVER", 4, b' '),
            ("a@[b> <c]", 4, b'>'),
            ("a@<b", 2, b'<'),
            ("a@b\t", 3, b'\t'),
            ("a@\u{1b}b", 2, 0x1b),
            ("a@b\u{7f}", 3, 0x7f),
        ] {
            let want = AddressError::Forbidden { at, byte };
            assert_eq!(Address::parse(text), Err(want), "{text:?}");
        }
        for text in [
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "a@[x y]",
            "@a,@b:c@d",
            "a@",
            "a@bücher.example",
            "a> b <c\u{1b}@d",
            "a@b> c <d@e",
            "a> b",
        ] {
            assert!(Address::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_empty_sender_is_null() {
        assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));
        assert_eq!(ReversePath::parse("a@b").unwrap().as_str(), "a@b");
        assert!(ReversePath::parse("a\nb").is_err());
    }
}
