//! Faults that end a process.

use std::{fmt, time::Duration};

/// The time between the line in the log and the end, as with Postfix's processes: whatever is wrong will be wrong in a
/// moment, too.
pub(crate) const FATAL_PAUSE: Duration = Duration::from_secs(1);

/// A mistake after which a process can only end; master(8) starts another one later. Its `Display` is what the log says behind
/// `fatal: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fatal(String);

impl Fatal {
    /// A mistake in words.
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fatal {}

/// The system's words for an error, as the C library has them.
pub(crate) fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}
