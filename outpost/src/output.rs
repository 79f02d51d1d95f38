//! Standard output that cannot take the program down: a full disk or a reader
//! that went away becomes an exit status and one clear line, never a panic.

use std::{
    fmt,
    io::{self, Write},
};

use crate::exit::{Exit, Failure};

/// Standard output. After the first error nothing more is written, and
/// [`Output::finish`] tells.
#[derive(Debug, Default)]
pub(crate) struct Output {
    failed: Option<io::Error>,
}

impl Output {
    /// Writes one line and hands it to the operating system at once, so that
    /// whoever reads along sees it.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        self.text(&format!("{line}\n"));
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        if self.failed.is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.failed = Some(error);
        }
    }

    /// Whether everything has been written so far.
    pub(crate) fn is_sound(&self) -> bool {
        self.failed.is_none()
    }

    /// The exit status of the work, unless its result could not be written.
    pub(crate) fn finish(self, exit: Exit) -> Result<Exit, Failure> {
        match self.failed {
            None => Ok(exit),
            Some(error) => Err(Failure::new(
                Exit::Output,
                format!("cannot write to standard output: {error}"),
            )),
        }
    }
}

/// Writes a line to standard error. When even that fails there is nobody left
/// to tell.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "outpost: {line}");
}
