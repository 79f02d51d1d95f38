//! Mistakes in settings, all of them at once.

use core::fmt;

/// A setting that makes no sense, on its own or next to others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// The setting, as a path through the groups: `tls.level`.
    pub setting: &'static str,
    /// The fault.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.reason)
    }
}

/// The mistakes for which settings cannot be built; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub(super) Vec<Mistake>);

impl SettingsError {
    /// The mistakes, in the order of the groups.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
