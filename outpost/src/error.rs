//! Errors of building a mailer.

use std::{error, fmt};

use smtp_policy::settings::Mistake;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(String);

impl Wrong {
    pub(crate) fn new(setting: &str, value: &str, reason: impl fmt::Display) -> Self {
        Self(format!("{setting} '{}': {reason}", value.escape_debug()))
    }
}

impl From<&Mistake> for Wrong {
    fn from(mistake: &Mistake) -> Self {
        Self(mistake.to_string())
    }
}

#[cfg(feature = "postfix")]
impl From<&postfix_config::ConfigError> for Wrong {
    fn from(error: &postfix_config::ConfigError) -> Self {
        Self(error.to_string())
    }
}

/// The reasons for which there is no mailer; at least one. Each names the setting, or file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(Vec<Wrong>);

impl BuildError {
    pub(crate) const fn new(wrong: Vec<Wrong>) -> Self {
        Self(wrong)
    }

    /// The reasons, one by one.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|Wrong(reason)| reason.as_str())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            f.write_str(reason)?;
        }
        Ok(())
    }
}

impl error::Error for BuildError {}
