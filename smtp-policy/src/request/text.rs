//! The texts of a [`Request`](super::Request) as checked values: none of them can end
//! a line, whether it goes to a server, into a log or onto a terminal.
//!
//! They come from outside, some of them from whoever sent the message, and are written
//! into commands, header fields and log lines later on. What is checked here once needs
//! no check there. Control characters are what RFC 3461 (sections 4.2 and 4.4) forbids in the
//! decoded envelope identifier and original recipient, and what smtpd(8) does not let in or
//! replaces in the others.

use core::{fmt, ops::Deref, str::FromStr};

use crate::Protocol;

/// The most bytes of a text; as many as an address may have.
const MAX_LEN: usize = 2048;
/// The most bytes of a next hop, which can be a list.
const MAX_NEXTHOP: usize = 16 * 1024;
/// The most bytes of a queue id (Postfix: `VALID_HOSTNAME_LEN`).
const MAX_ID: usize = 255;

/// Why a text cannot be part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    what: &'static str,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    TooLong {
        len: usize,
        limit: usize,
    },
    Forbidden {
        at: usize,
        character: char,
    },
    NotTyped,
    /// The words that it can be.
    NoneOf(&'static str),
}

impl TextError {
    /// A word that is none of the known ones.
    pub(crate) const fn none_of(what: &'static str, known: &'static str) -> Self {
        Self {
            what,
            fault: Fault::NoneOf(known),
        }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what;
        match self.fault {
            Fault::Empty => write!(f, "the {what} is empty"),
            Fault::TooLong { len, limit } => {
                write!(f, "the {what} has {len} bytes, more than {limit}")
            }
            Fault::Forbidden { at, character } => {
                let code = u32::from(character);
                write!(
                    f,
                    "the {what} has the character U+{code:04X} at offset {at}"
                )
            }
            Fault::NoneOf(known) => write!(f, "the {what} is none of {known}"),
            Fault::NotTyped => write!(f, "the {what} is not type;address"),
        }
    }
}

impl core::error::Error for TextError {}

/// True if a text may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    Allowed,
    Refused,
}

/// The rule for a text.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// The name of the text in errors.
    what: &'static str,
    empty: Empty,
    limit: usize,
    /// Characters that cannot stand in it: control characters, and perhaps others.
    forbidden: fn(char) -> bool,
}

impl Rule {
    fn check(self, text: &str) -> Result<(), TextError> {
        let fail = |fault| {
            Err(TextError {
                what: self.what,
                fault,
            })
        };
        if text.is_empty() && self.empty == Empty::Refused {
            return fail(Fault::Empty);
        }
        if text.len() > self.limit {
            let (len, limit) = (text.len(), self.limit);
            return fail(Fault::TooLong { len, limit });
        }
        let found = text.char_indices().find(|(_, c)| (self.forbidden)(*c));
        match found {
            Some((at, character)) => fail(Fault::Forbidden { at, character }),
            None => Ok(()),
        }
    }
}

/// A checked text and the ways into and out of it.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident: $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            const RULE: Rule = $rule;

            /// Checks a text. Nothing is trimmed or changed.
            pub fn parse(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                Self::RULE.check(&text).map(|()| Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = TextError;

            fn try_from(text: &str) -> Result<Self, TextError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    };
}

text! {
    /// The name of a message in log lines (Postfix's queue id): a word of at most 255
    /// bytes without white space or control characters, or nothing.
    ///
    /// ```
    /// use smtp_policy::request::QueueId;
    ///
    /// assert_eq!(QueueId::parse("4fXz1q0Hn5z2x")?, "4fXz1q0Hn5z2x");
    /// assert!(QueueId::parse("1: to=<a@b>, status=sent").is_err());
    /// # Ok::<(), smtp_policy::request::TextError>(())
    /// ```
    #[derive(Default)]
    QueueId: Rule {
        what: "queue id",
        empty: Empty::Allowed,
        limit: MAX_ID,
        forbidden: |c| c.is_control() || c.is_whitespace(),
    }
}

text! {
    /// The name of a service of master.cf: a word of at most 255 bytes that looks like no server.
    ///
    /// ```
    /// use smtp_policy::request::ServiceName;
    ///
    /// assert_eq!(ServiceName::parse("relay")?, "relay");
    /// assert!(ServiceName::parse("mx.example[192.0.2.1]").is_err());
    /// # Ok::<(), smtp_policy::request::TextError>(())
    /// ```
    ServiceName: Rule {
        what: "service name",
        empty: Empty::Refused,
        limit: MAX_ID,
        forbidden: |c| c.is_control() || c.is_whitespace() || "[]:,".contains(c),
    }
}

/// The service that has the name of the client, as in the master.cf that comes with Postfix.
impl From<Protocol> for ServiceName {
    fn from(protocol: Protocol) -> Self {
        Self(protocol.as_str().to_owned())
    }
}

text! {
    /// The destination as it follows the transport name in a transport table: a domain,
    /// `[host]:port`, a list of them, or for LMTP `inet:…`, `unix:…`. It has at most
    /// 16 KiB and no control characters but TAB, which stands in lists that were folded in
    /// main.cf; whether it makes sense shows in the delivery.
    #[derive(Default)]
    Nexthop: Rule {
        what: "next hop",
        empty: Empty::Allowed,
        limit: MAX_NEXTHOP,
        forbidden: |c| c.is_control() && c != '\t',
    }
}

text! {
    /// A recipient before aliasing and rewriting, in internal form. It is not empty, has at
    /// most 2048 bytes, and no control characters but TAB; blanks and UTF-8 may be in it.
    ///
    /// ```
    /// use smtp_policy::request::OriginalRecipient;
    ///
    /// assert!(OriginalRecipient::parse("two words@example.com").is_ok());
    /// let error = OriginalRecipient::parse("a@b\r\n.\r\n").unwrap_err();
    /// assert_eq!(error.to_string(), "the original recipient has the character U+000D at offset 3");
    /// ```
    OriginalRecipient: Rule {
        what: "original recipient",
        empty: Empty::Refused,
        limit: MAX_LEN,
        forbidden: |c| c.is_control() && c != '\t',
    }
}

text! {
    /// A DSN envelope identifier, decoded (RFC 3461 section 4.4). It is not empty and has
    /// at most 2048 bytes and no control characters; it is encoded on the wire.
    EnvelopeId: Rule {
        what: "envelope identifier",
        empty: Empty::Refused,
        limit: MAX_LEN,
        forbidden: char::is_control,
    }
}

text! {
    /// A known fact on the origin of a message, as XFORWARD passes it on: at most 2048
    /// bytes without control characters. Nothing is an unknown value.
    #[derive(Default)]
    ClientValue: Rule {
        what: "client attribute",
        empty: Empty::Allowed,
        limit: MAX_LEN,
        forbidden: char::is_control,
    }
}

/// The original recipient that the sender gave (RFC 3461 section 4.2): a type, and an
/// address as it is when decoded. Neither has control characters, and the type is a word.
///
/// ```
/// use smtp_policy::request::Orcpt;
///
/// let orcpt: Orcpt = "rfc822;list@example.org".parse()?;
/// assert_eq!((orcpt.kind(), orcpt.address()), ("rfc822", "list@example.org"));
/// # Ok::<(), smtp_policy::request::TextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Orcpt {
    kind: String,
    address: String,
}

impl Orcpt {
    /// Checks type and address.
    pub fn new(kind: impl Into<String>, address: impl Into<String>) -> Result<Self, TextError> {
        const KIND: Rule = Rule {
            what: "type of ORCPT",
            empty: Empty::Refused,
            limit: MAX_ID,
            forbidden: |c| c == ';' || c.is_control() || c.is_whitespace(),
        };
        const ADDRESS: Rule = Rule {
            what: "address of ORCPT",
            empty: Empty::Allowed,
            limit: MAX_LEN,
            forbidden: char::is_control,
        };
        let (kind, address) = (kind.into(), address.into());
        KIND.check(&kind)?;
        ADDRESS.check(&address)?;
        Ok(Self { kind, address })
    }

    /// The type, such as `rfc822`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The address, decoded.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl fmt::Display for Orcpt {
    /// Writes `type;address`, decoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

impl FromStr for Orcpt {
    type Err = TextError;

    /// Reads `type;address`, decoded.
    fn from_str(text: &str) -> Result<Self, TextError> {
        match text.split_once(';') {
            Some((kind, address)) if !kind.is_empty() => Self::new(kind, address),
            _ => Err(TextError {
                what: "text of ORCPT",
                fault: Fault::NotTyped,
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The place of the next hop in [`all`].
    const NEXTHOP: usize = 1;
    const ORIGINAL: usize = 2;

    /// Every text as what it would be in a request, or what is wrong with it.
    fn all(text: &str) -> [Result<String, String>; 6] {
        let said = |error: TextError| error.to_string();
        [
            QueueId::parse(text).map(String::from).map_err(said),
            Nexthop::parse(text).map(String::from).map_err(said),
            OriginalRecipient::parse(text)
                .map(String::from)
                .map_err(said),
            EnvelopeId::parse(text).map(String::from).map_err(said),
            ClientValue::parse(text).map(String::from).map_err(said),
            Orcpt::new("rfc822", text).map(|o| o.address).map_err(said),
        ]
    }

    #[test]
    fn no_text_holds_a_control_character() {
        for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            let code = u32::from(c);
            for (at, result) in all(&format!("ab{c}cd")).into_iter().enumerate() {
                if c == '\t' && matches!(at, NEXTHOP | ORIGINAL) {
                    assert_eq!(result.unwrap(), "ab\tcd");
                    continue;
                }
                let error = result.unwrap_err();
                let said = format!("has the character U+{code:04X} at offset 2");
                assert!(error.ends_with(&said), "{error}");
            }
            assert!(Orcpt::new(format!("a{c}"), "b").is_err());
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        for text in ["a", "two words@example.com", "usér@例.example", "<>\"\\;=+"] {
            for (result, blanks) in all(text)
                .into_iter()
                .zip([false, true, true, true, true, true])
            {
                if blanks || !text.contains(' ') {
                    assert_eq!(result.unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn an_error_names_the_text() {
        let long = "x".repeat(MAX_NEXTHOP + 1);
        for (error, said) in [
            (
                QueueId::parse("a b").err(),
                "the queue id has the character U+0020 at offset 1",
            ),
            (
                QueueId::parse(&long[..256]).err(),
                "the queue id has 256 bytes, more than 255",
            ),
            (
                Nexthop::parse(&*long).err(),
                "the next hop has 16385 bytes, more than 16384",
            ),
            (
                OriginalRecipient::parse("").err(),
                "the original recipient is empty",
            ),
            (
                EnvelopeId::parse("").err(),
                "the envelope identifier is empty",
            ),
            (
                ClientValue::parse("\u{1b}").err(),
                "the client attribute has the character U+001B at offset 0",
            ),
            (Orcpt::new("", "a").err(), "the type of ORCPT is empty"),
            (
                Orcpt::new("a;b", "a").err(),
                "the type of ORCPT has the character U+003B at offset 1",
            ),
            (
                Orcpt::new("rfc822", "a\nb").err(),
                "the address of ORCPT has the character U+000A at offset 1",
            ),
            (
                "a@b".parse::<Orcpt>().err(),
                "the text of ORCPT is not type;address",
            ),
        ] {
            assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(said));
        }
        assert_eq!(QueueId::default(), "");
    }
}
