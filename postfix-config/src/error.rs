//! What is wrong, or odd, about a configuration.

use std::fmt;

use super::expand::ExpandError;

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In this file, at this line (the first one of a continued line).
    File {
        /// The name of the file as the caller gave it.
        name: String,
        /// The number of the line, counted from one.
        line: usize,
    },
    /// In this file as a whole.
    Whole {
        /// The name of the file as the caller gave it.
        name: String,
    },
    /// By [`MainCf::set`](super::MainCf::set), which stands for `-o` on a command line.
    Override,
    /// In a field of a [`Config`](super::Config), by a program.
    Code,
    /// Nowhere: the built-in default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { name, line } => write!(f, "{name}: line {line}"),
            Origin::Whole { name } => write!(f, "{name}"),
            Origin::Override => f.write_str("parameter override"),
            Origin::Code => f.write_str("set in code"),
            Origin::Default => f.write_str("built-in default"),
        }
    }
}

/// Why a configuration cannot be used.
///
/// The text reads `main.cf: line 12: smtp_helo_timeout: bad time unit in "5x"`: where, which
/// parameter, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the bad setting stands.
    pub origin: Origin,
    /// The parameter, if the error is about one.
    pub parameter: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// The kinds of errors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read; the text says why.
    Unreadable(String),
    /// A line that is no setting; the text says why and quotes it.
    Syntax(String),
    /// References to other parameters that cannot be expanded.
    Expand(ExpandError),
    /// A value of the wrong form, or out of range.
    Value(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(parameter) = &self.parameter {
            write!(f, "{parameter}: ")?;
        }
        match &self.problem {
            Problem::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Problem::Syntax(text) | Problem::Value(text) => f.write_str(text),
            Problem::Expand(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A setting that works, but probably not as its author meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where the setting stands.
    pub origin: Origin,
    /// What is odd about it.
    pub oddity: Oddity,
}

/// The kinds of warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// A later line sets the same parameter to another value; the later one counts.
    Overriding {
        /// The parameter.
        name: String,
        /// The value that no longer counts.
        old: String,
    },
    /// Text that continues a line, where there is no line before it; it is skipped.
    LeadingSpace {
        /// The beginning of the text.
        text: String,
    },
    /// A name that neither this program nor Postfix knows, and that no other setting refers to.
    Unknown {
        /// The name.
        name: String,
        /// The value it is set to.
        value: String,
        /// A known name that looks alike.
        suggestion: Option<&'static str>,
    },
    /// A parameter that Postfix once had.
    Removed {
        /// The name.
        name: String,
        /// The value it is set to.
        value: String,
        /// Since when it is gone.
        since: &'static str,
    },
    /// A setting that decides in Postfix where mail goes, and that this client does not follow.
    NotFollowed {
        /// The name.
        name: String,
        /// The value it is set to.
        value: String,
    },
    /// A parameter that has no effect here, set to something else than its default.
    Refused {
        /// The name.
        name: String,
        /// The value it is set to.
        value: String,
        /// Why it has none.
        why: &'static str,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match &self.oddity {
            Oddity::Overriding { name, old } => {
                write!(f, "overriding earlier entry: {name}={old}")
            }
            Oddity::LeadingSpace { text } => {
                write!(f, "logical line must not start with whitespace: \"{text}\"")
            }
            Oddity::Unknown {
                name,
                value,
                suggestion,
            } => {
                write!(f, "unused parameter: {name}={value}")?;
                match suggestion {
                    Some(known) => write!(f, " (did you mean {known}?)"),
                    None => Ok(()),
                }
            }
            Oddity::Removed { name, value, since } => {
                write!(f, "unused parameter: {name}={value} ({since})")
            }
            Oddity::NotFollowed { name, value } => {
                write!(
                    f,
                    "not followed: {name}={value} (mail goes to the next hop of its request, with the \
                     addresses that it has there)"
                )
            }
            Oddity::Refused { name, value, why } => {
                write!(f, "no effect: {name}={value} ({why})")
            }
        }
    }
}
