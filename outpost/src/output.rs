//! Standard output and standard error that cannot take the program down: a full disk
//! or a reader that went away becomes an exit status and one clear line, never a
//! panic.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::exit::{Exit, Failure};

/// How long an urgent word waits for whoever reads standard error.
const PATIENCE: Duration = Duration::from_secs(1);

/// Standard output. The first error is told on standard error; after it nothing more
/// is written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    failed: bool,
}

impl Output {
    /// Writes one line and hands it to the operating system at once, so that
    /// whoever reads along sees it.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        self.text(&format!("{line}\n"));
    }

    /// Writes text as it is. Returns whether it was written.
    pub(crate) fn text(&mut self, text: &str) -> bool {
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

    /// Whether everything has been written so far.
    pub(crate) fn is_sound(&self) -> bool {
        !self.failed
    }

    /// The exit status of the work, unless its result could not be written.
    pub(crate) fn finish(self, exit: Exit) -> Result<Exit, Failure> {
        Ok(if self.failed { Exit::Output } else { exit })
    }
}

/// Writes a line to standard error. When even that fails there is nobody left to tell.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = try_complain(line);
}

/// Writes a line to standard error, and returns whether it was written.
pub(crate) fn try_complain(line: impl fmt::Display) -> bool {
    writeln!(io::stderr().lock(), "outpost: {line}").is_ok()
}

/// Writes lines to standard error that must not be held up: neither by another thread
/// that is in the middle of writing there, nor for long by a reader that does not read.
pub(crate) fn complain_urgently(lines: String) {
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
