//! Standard output and standard error. A full disk or a reader that went away becomes an exit status and one clear line,
//! never a panic; and control characters of strangers do not get through.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io::{self, Write},
};

use outpost::smtp_policy::report::printable;
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Standard output. The first error is told on standard error; after it nothing more is written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    failed: bool,
}

impl Output {
    /// Writes one line and hands it to the operating system at once. What cannot be printed, line ends among it, is `?`.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        self.write(&format!("{}\n", printable(&line.to_string())));
    }

    /// Writes lines. What cannot be printed is `?`; each part of the text that comes from elsewhere has to be one line
    /// before.
    pub(crate) fn text(&mut self, text: &str) {
        let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        match text.contains(is_odd) {
            true => self.write(&text.replace(is_odd, "?")),
            false => self.write(text),
        }
    }

    /// Writes JSON in one line.
    pub(crate) fn json(&mut self, value: &Value) {
        self.write(&json_line(value));
    }

    /// Writes JSON over several lines.
    pub(crate) fn json_lines(&mut self, value: &Value) {
        self.write(&(escaped(&format!("{value:#}")).into_owned() + "\n"));
    }

    fn write(&mut self, text: &str) {
        if self.failed {
            return;
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        if let Err(error) = written {
            self.failed = true;
            complain(format_args!("cannot write to standard output: {error}"));
        }
    }

    /// Returns whether everything has been written so far.
    pub(crate) const fn is_sound(&self) -> bool {
        !self.failed
    }

    /// The exit status of the work, unless its result could not be written.
    pub(crate) fn finish(self, exit: Exit) -> Result<Exit, Failure> {
        Ok(if self.failed { Exit::Output } else { exit })
    }
}

/// Writes a line to standard error; what cannot be printed is `?`. When even that fails there is nobody left to tell.
pub(crate) fn complain(line: impl fmt::Display) {
    let text = format!("outpost-queue: {}\n", printable(&line.to_string()));
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A value as JSON in one line, with its end.
pub(crate) fn json_line(value: &Value) -> String {
    escaped(&value.to_string()).into_owned() + "\n"
}

/// JSON in which all control characters are escaped. It may have those from U+007F on as they are (RFC 8259 section 7), a
/// terminal may not. They can only be in strings.
fn escaped(json: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c.is_control() && c > '\u{1f}';
    if !json.contains(is_odd) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        match is_odd(c) {
            true => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            false => text.push(c),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_without_control_characters() {
        let odd: String = ('\0'..='\u{a0}').chain("é\u{2028}例".chars()).collect();
        let value = Value::from(odd);
        let line = json_line(&value);
        assert!(
            !line.trim_end().contains(|c: char| c.is_control()),
            "{line:?}"
        );
        assert_eq!(serde_json::from_str::<Value>(&line).ok(), Some(value));
    }
}
