//! Standard output and standard error. They cannot take the program down: a full disk
//! or a reader that went away becomes an exit status and one clear line, never a panic.
//! And what strangers have a say in can do nothing there: control characters do not get
//! through, whatever the text is made of.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use smtp_policy::report::printable;

use crate::{
    cli::LogFormat,
    exit::{Exit, Failure, OrExit},
};

/// The time that an urgent word waits for whoever reads standard error.
const PATIENCE: Duration = Duration::from_secs(1);

/// The form of standard error, once it is known.
static LOG_FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the form of standard error for the rest of the run.
pub(crate) fn set_log_format(format: LogFormat) {
    let _ = LOG_FORMAT.set(format);
}

/// The form of standard error.
pub(crate) fn log_format() -> LogFormat {
    LOG_FORMAT.get().copied().unwrap_or_default()
}

/// Returns whether somebody looks at standard error, for whom bars can be drawn there.
pub(crate) fn shows_bars() -> bool {
    io::stderr().is_terminal() && log_format() == LogFormat::Text
}

/// Standard output. The first error is told on standard error; after it nothing more
/// is written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    failed: bool,
}

impl Output {
    /// Writes one line and hands it to the operating system at once, so that
    /// whoever reads along sees it. What cannot be printed, line ends among it, is `?`.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        self.write(&format!("{}\n", printable(&line.to_string())));
    }

    /// Writes lines. What cannot be printed is `?`; each part of the text that comes
    /// from elsewhere has to be one line before. Returns whether it was written.
    pub(crate) fn text(&mut self, text: &str) -> bool {
        self.write(&printable_lines(text))
    }

    /// Writes JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = json_lines(value).or_exit(Exit::Software)?;
        self.write(&text);
        Ok(())
    }

    fn write(&mut self, text: &str) -> bool {
        if self.failed {
            return false;
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        drop(out);
        if let Err(error) = written {
            self.failed = true;
            complain(format_args!("cannot write to standard output: {error}"));
        }
        !self.failed
    }

    /// Returns whether everything has been written so far.
    pub(crate) fn is_sound(&self) -> bool {
        !self.failed
    }

    /// The exit status of the work, unless its result could not be written.
    pub(crate) fn finish(self, exit: Exit) -> Result<Exit, Failure> {
        Ok(if self.failed { Exit::Output } else { exit })
    }
}

/// Writes a line to standard error; what cannot be printed is `?`. When even that fails
/// there is nobody left to tell.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = try_complain(line);
}

/// The same, and returns whether it was written.
pub(crate) fn try_complain(line: impl fmt::Display) -> bool {
    let text = complaint(&line.to_string());
    io::stderr().lock().write_all(text.as_bytes()).is_ok()
}

/// A line of standard error, in its form.
fn complaint(line: &str) -> String {
    let line = printable(line);
    match log_format() {
        LogFormat::Text => format!("outpost: {line}\n"),
        LogFormat::Json => Complaint::of(&line).render(),
    }
}

/// A message of the program in the form that `tracing_subscriber` gives to events.
#[derive(Serialize)]
struct Complaint<'a> {
    timestamp: String,
    level: &'static str,
    fields: Words<'a>,
    target: &'static str,
}

#[derive(Serialize)]
struct Words<'a> {
    message: &'a str,
}

impl<'a> Complaint<'a> {
    fn of(line: &'a str) -> Self {
        let (level, message) = match line.strip_prefix("warning: ") {
            Some(warning) => ("WARN", warning),
            None => ("ERROR", line),
        };
        Self {
            timestamp: format!("{:.6}", Timestamp::now()),
            level,
            fields: Words { message },
            target: "outpost",
        }
    }

    fn render(&self) -> String {
        json_line(self).unwrap_or_default()
    }
}

/// Writes lines to standard error that must not be held up: neither by another thread
/// that is in the middle of writing there, nor for long by a reader that does not read.
pub(crate) fn complain_urgently(lines: &str) {
    let lines = match log_format() {
        LogFormat::Text => printable_lines(lines).into_owned(),
        LogFormat::Json => {
            let words = |line: &str| complaint(line.strip_prefix("outpost: ").unwrap_or(line));
            lines.lines().map(words).collect()
        }
    };
    let (written, is_written) = mpsc::channel();
    let started = thread::Builder::new().spawn(move || {
        let _ = past_the_lock(lines.as_bytes());
        let _ = written.send(());
    });
    if started.is_ok() {
        let _ = is_written.recv_timeout(PATIENCE);
    }
}

/// Writes to a duplicate of standard error, which has no lock.
fn past_the_lock(bytes: &[u8]) -> io::Result<()> {
    let mut stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    stderr.write_all(bytes)
}

/// A value as JSON over several lines, for [`Output::text`].
pub(crate) fn json_lines(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(value)?).into_owned() + "\n")
}

/// A value as JSON in one line, for [`Output::text`].
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(escaped(&serde_json::to_string(value)?).into_owned() + "\n")
}

/// Text of several lines, with TABs, and `?` for other control characters.
fn printable_lines(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(is_odd) {
        true => Cow::Owned(text.replace(is_odd, "?")),
        false => Cow::Borrowed(text),
    }
}

/// JSON in which all control characters are escaped. It may have those from U+007F on
/// as they are (RFC 8259 section 7), a terminal may not. They can only be in strings.
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// All control characters, and some others.
    fn odd() -> String {
        ('\0'..='\u{a0}').chain("é\u{2028}例".chars()).collect()
    }

    #[test]
    fn lines_stay_and_other_control_characters_do_not() {
        let odd = odd();
        let shown = printable_lines(&odd);
        assert_eq!(shown.chars().count(), odd.chars().count());
        let kept: String = shown.chars().filter(|c| c.is_control()).collect();
        assert_eq!(kept, "\t\n");
        assert!(shown.ends_with("\u{a0}é\u{2028}例"));
    }

    #[test]
    fn json_says_the_same_without_control_characters() {
        let odd = odd();
        let text = json_lines(&[&odd]).unwrap();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        assert!(text.contains("\\u001b") && text.contains("\\u007f\\u0080"));
        let back: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(back, [odd]);
    }
}
