//! The end of the program: the exit statuses of `sysexits.h` and the error that
//! carries one.

use std::{fmt, io, process::ExitCode};

/// The exit status of a run, with the numbers of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well; for a delivery, every recipient was sent.
    Ok,
    /// The command line was wrong (`EX_USAGE`).
    Usage,
    /// A request or a message could not be read (`EX_DATAERR`).
    Data,
    /// All recipients that bounced are not known where they should be (`EX_NOUSER`).
    NoUser,
    /// A recipient bounced, and none was deferred (`EX_UNAVAILABLE`).
    Bounced,
    /// Something of our own did not do what it should (`EX_SOFTWARE`).
    Software,
    /// The operating system refused something: a port, a thread (`EX_OSERR`).
    System,
    /// The report could not be written (`EX_IOERR`).
    Output,
    /// A recipient was deferred (`EX_TEMPFAIL`).
    Deferred,
    /// The configuration is wrong (`EX_CONFIG`).
    Config,
    /// The status of `--nagios`, which has numbers of its own.
    Check(Check),
}

/// The statuses of monitoring plugins, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// All is well.
    Ok,
    /// Something is not as it should be, and works.
    Warning,
    /// Nobody could tell.
    Unknown,
    /// It does not work.
    Critical,
}

impl Check {
    /// The number that the monitoring system sees.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The word that it shows.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoUser => 67,
            Self::Bounced => 69,
            Self::Software => 70,
            Self::System => 71,
            Self::Output => 74,
            Self::Deferred => 75,
            Self::Config => 78,
            Self::Check(check) => check.status(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// Why a command gave up, and the exit status for it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) exit: Exit,
    /// The chain of reasons, outermost first.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// A failure with a single reason.
    pub(crate) fn new(exit: Exit, reason: impl fmt::Display) -> Self {
        Self {
            exit,
            error: anyhow::anyhow!("{reason}"),
        }
    }
}

impl fmt::Display for Failure {
    /// All reasons in one line, the outermost first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Gives an error its exit status.
pub(crate) trait OrExit<T> {
    /// The value, or the error with this exit status; where the system had run out of
    /// something, that is to blame, and not what could not be read then.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| {
            let error = error.into();
            let scarce = error.chain().any(is_scarcity);
            let exit = if scarce { Exit::System } else { exit };
            Failure { exit, error }
        })
    }
}

/// Returns whether the system has run out of file descriptors, memory or disk space.
fn is_scarcity(error: &(dyn std::error::Error + 'static)) -> bool {
    /// ENFILE and EMFILE, which the standard library has no kinds for.
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull
        ) || error
            .raw_os_error()
            .is_some_and(|code| TOO_MANY_FILES.contains(&code))
    })
}
