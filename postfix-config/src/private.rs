//! Values that hold secrets, such as `static:user:password`.

use smtp_proto::Secret;

use super::parameter::{Kind, Parameter};
use super::value::Setting;

impl Setting for Secret {
    const KIND: Kind = Kind::Text;

    fn read(text: &str, _: &Parameter, _: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn check(&self, _: &Parameter) -> Result<(), String> {
        match self.expose().contains(&0) {
            true => Err("null byte in the value".to_owned()),
            false => Ok(()),
        }
    }

    fn text(&self) -> Option<String> {
        Some(String::from_utf8_lossy(self.expose()).into_owned())
    }

    #[cfg(test)]
    fn unchecked(text: &str) -> Option<Self> {
        Some(Self::new(text))
    }
}
