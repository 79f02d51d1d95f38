//! Bytes that are nobody else's business: passwords, tokens, and what is made of
//! them. Not a cipher, and memory is not wiped.

use alloc::vec::Vec;
use core::fmt;

/// Bytes that no `Debug` output shows. Whoever needs them says
/// [`expose`](Self::expose), which is easy to search for.
///
/// ```
/// use smtp_proto::Secret;
///
/// let secret = Secret::new("swordfish");
/// assert_eq!(format!("{secret:?}"), "Secret");
/// assert_eq!(secret.expose(), b"swordfish");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes; there may be none.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
