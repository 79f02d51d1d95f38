//! Events of a delivery: facts for programs whose `Display` is Postfix's log line. They
//! are no verdicts, which are an [`Outcome`](crate::report::Outcome) each, and nothing
//! depends on anybody reading them.
//!
//! The engine hands an event to its driver as a [`Note`]
//! ([`Ask::Note`](crate::delivery::Ask::Note)), and a driver hands it to
//! [`Observer::note`](crate::delivery::Observer::note). Who counts matches on the
//! [`Event`]; who logs prints the note.
//!
//! ```
//! use std::sync::Arc;
//! use smtp_policy::{event::{Event, Level, Note}, server::Server};
//!
//! let server = Arc::new(Server::inet("mx.example.com", "192.0.2.1:25".parse()?));
//! let note = Note::from(Event::GreetedWithOwnName {
//!     server,
//!     name: "client.example".into(),
//! });
//! assert_eq!(note.level(), Level::Warning);
//! assert_eq!(
//!     note.to_string(),
//!     "host mx.example.com[192.0.2.1]:25 greeted me with my own hostname client.example"
//! );
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

mod kinds;
mod line;
#[cfg(test)]
mod tests;

use core::fmt;

pub use self::kinds::Event;
pub(crate) use self::line::About;
use self::line::Line;

/// Severity of an [`Event`], from the least to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// A fact of which Postfix logs nothing: for programs that count or follow a delivery.
    Trace,
    /// A line for whoever looks for a fault in the dialogue.
    Debug,
    /// A line that Postfix logs without a label.
    Info,
    /// A line that Postfix logs as a warning.
    Warning,
}

impl Level {
    /// The name in reports: `trace`, `debug`, `info` or `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An [`Event`] with the severity that the settings give it. Its `Display` is the log
/// line: without label, and without a queue id unless Postfix has one there; one line
/// without control characters, and in ASCII where `smtputf8_enable = no`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The event.
    pub event: Event,
    level: Level,
    charset: Charset,
}

/// The characters of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// Any.
    #[default]
    Utf8,
    /// ASCII; each byte of another character is `?` (`smtputf8_enable = no`;
    /// `src/util/msg_output.c`).
    Ascii,
}

impl Note {
    /// The severity.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The same with another severity, as where a parameter turns a line of the log off
    /// that is a fact all the same.
    #[must_use]
    pub const fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The same in these characters.
    #[must_use]
    pub const fn in_charset(mut self, charset: Charset) -> Self {
        self.charset = charset;
        self
    }
}

impl From<Event> for Note {
    fn from(event: Event) -> Self {
        Self {
            level: event.level(),
            event,
            charset: Charset::Utf8,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.words(&mut Line::new(f, self.charset))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words(&mut Line::new(f, Charset::Utf8))
    }
}
