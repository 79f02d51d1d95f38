//! Values that hold secrets, such as `static:user:password`.

use std::fmt;

use super::parameter::{Kind, Parameter};
use super::value::Setting;

/// The text of a parameter that may hold a secret. `Debug` output does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private")
    }
}

impl Setting for Private {
    const KIND: Kind = Kind::Text;

    fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn check(&self, _: &Parameter) -> Result<(), String> {
        match self.0.contains('\0') {
            true => Err("null byte in the value".to_owned()),
            false => Ok(()),
        }
    }

    fn text(&self) -> Option<String> {
        Some(self.0.clone())
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        Some(Self::new(text))
    }
}
