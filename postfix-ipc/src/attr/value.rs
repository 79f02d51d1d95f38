//! The values of attributes: text without NUL, and binary data.

use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use smtp_policy::report::{LogText, printable};
use smtp_proto::Address;

use super::{list::Attribute, number::Malformed};

/// Bytes without NUL: what the value of an attribute can be. It need not be UTF-8. A clone
/// shares the bytes.
///
/// ```
/// use postfix_ipc::attr::Value;
///
/// assert_eq!(Value::new("user@example.com")?.to_str(), Some("user@example.com"));
/// assert!(Value::new("status\x000").is_err());
/// assert_eq!(Value::masked("550 no\0such user"), Value::new("550 no?such user")?);
/// # Ok::<(), postfix_ipc::attr::Nul>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Bytes);

/// The error of a value with a NUL in it, which would end it too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nul {
    /// The offset of the first NUL.
    pub at: usize,
}

impl Value {
    /// The value without bytes, which stands for whatever is unknown or absent.
    pub const EMPTY: Self = Self(Bytes::new());

    /// Checks bytes. Nothing is changed.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, Nul> {
        let bytes = bytes.into();
        match bytes.iter().position(|&byte| byte == 0) {
            Some(at) => Err(Nul { at }),
            None => Ok(Self(bytes)),
        }
    }

    /// The text with `?` in place of each NUL.
    pub fn masked(text: &str) -> Self {
        Self(Bytes::from(text.replace('\0', "?")))
    }

    /// The bytes of a token of the wire, which ends before its NUL.
    pub(super) fn token(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; `None` if it is not UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value as it can be logged: in one line, with `?` or U+FFFD for what cannot be printed.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&String::from_utf8_lossy(&self.0)))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl TryFrom<&str> for Value {
    type Error = Nul;

    fn try_from(text: &str) -> Result<Self, Nul> {
        Self::new(text.to_owned())
    }
}

/// An address has no NUL.
impl From<&Address> for Value {
    fn from(address: &Address) -> Self {
        Self::masked(address.as_str())
    }
}

/// A text for the log has no NUL.
impl From<&LogText> for Value {
    fn from(text: &LogText) -> Self {
        Self::masked(text)
    }
}

impl Attribute for Value {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        Ok(Self::token(text))
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.0);
    }
}

impl fmt::Display for Nul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NUL in the value of an attribute, at offset {}", self.at)
    }
}

impl core::error::Error for Nul {}

/// Any bytes, which travel in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data(pub Bytes);

impl Attribute for Data {
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let bytes = STANDARD.decode(text).map_err(|_| Malformed::Base64)?;
        Ok(Self(bytes.into()))
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(STANDARD.encode(&self.0).as_bytes());
    }
}
