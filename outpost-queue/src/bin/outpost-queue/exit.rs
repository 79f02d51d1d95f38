//! The end of the program: the exit statuses of `sysexits.h` and the error that
//! carries one.

use std::{fmt, io, process::ExitCode};

use outpost_queue::store::StoreError;

/// The exit status of a run, with the numbers of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok,
    /// The command line was wrong (`EX_USAGE`).
    Usage,
    /// A message could not be read, or is not there (`EX_DATAERR`).
    Data,
    /// The store cannot be used as it is (`EX_UNAVAILABLE`).
    Unavailable,
    /// Something of our own did not do what it should (`EX_SOFTWARE`).
    Software,
    /// The operating system refused something: a port, a thread (`EX_OSERR`).
    System,
    /// The output could not be written (`EX_IOERR`).
    Output,
    /// It may work later (`EX_TEMPFAIL`).
    Later,
    /// The settings are wrong (`EX_CONFIG`).
    Config,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::System => 71,
            Self::Output => 74,
            Self::Later => 75,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// The reason why a command gave up, and the exit status for it.
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

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            // What may be there already is better sent twice than never.
            StoreError::Conflict(_)
            | StoreError::Unavailable(_)
            | StoreError::Uncertain(_)
            | StoreError::Full(_) => Exit::Later,
            StoreError::ReadOnly(_) | StoreError::Version { .. } | StoreError::Unusable(_) => {
                Exit::Unavailable
            }
            _ => Exit::Software,
        };
        Self::new(exit, error)
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
