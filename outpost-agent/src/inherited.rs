//! The descriptors that master(8) hands down: the status channel and the socket to accept from.
//!
//! A number becomes a value that owns its descriptor in one way that is safe: by the protocol for descriptors that are
//! handed over (`LISTEN_FDS`). So the process runs its own program once more, with what that protocol wants in the environment. It
//! stays the same process, and master(8) notices nothing.

use std::{
    env, fs,
    io::{self, IsTerminal, Write},
    os::unix::{
        ffi::OsStrExt,
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::Path,
    process::{self, Command},
};

use listenfd::ListenFd;
use nix::libc;
use postfix_ipc::status::{
    Availability, GENERATION_VARIABLE, Generation, LISTEN_DESCRIPTOR, STATUS_DESCRIPTOR,
    StatusMessage,
};

use crate::fatal::Fatal;

/// The program of this process, whatever its name has become since.
pub(crate) const SELF: &str = "/proc/self/exe";

/// Gives this process the name of its command back, for ps(1) and its like: [`SELF`] goes by another.
pub(crate) fn go_by_command() {
    let command = env::args_os().next().unwrap_or_default();
    if let Some(name) = Path::new(&command).file_name() {
        // Nothing depends on it.
        let _ = fs::write("/proc/self/comm", name.as_bytes());
    }
}

/// The descriptors that master(8) hands down.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// The socket to accept requests from.
    pub(crate) listener: UnixListener,
    /// Ends when master(8) is gone or has reloaded.
    pub(crate) status: StatusChannel,
}

/// The way to tell master(8) whether this process is busy.
#[derive(Debug)]
pub(crate) struct StatusChannel {
    stream: UnixStream,
    generation: Generation,
    /// Of this process.
    pid: i32,
}

impl Inherited {
    /// Takes the descriptors, by way of the same program again where need be.
    ///
    /// # Errors
    /// The process was not started by master(8).
    pub(crate) fn claim() -> Result<Self, Fatal> {
        if env::var_os("LISTEN_FDS").is_none() {
            return Err(run_again());
        }
        let generation = match env::var(GENERATION_VARIABLE) {
            Ok(text) => text.parse().map_err(Fatal::new)?,
            Err(_) => Generation::default(),
        };
        let mut handed = ListenFd::from_env();
        let missing = |what: &str, error: Option<io::Error>| {
            let why = error.map_or_else(
                || "it was not handed over".to_owned(),
                |error| error.to_string(),
            );
            Fatal::new(format!("{what} of master(8): {why}"))
        };
        let stream = handed
            .take_custom(0, libc::AF_UNIX, libc::SOCK_STREAM, "unix stream socket")
            .map_err(|error| missing("status channel", Some(error)))?
            .ok_or_else(|| missing("status channel", None))?;
        let listener = handed
            .take_unix_listener(1)
            .map_err(|error| missing("socket", Some(error)))?
            .ok_or_else(|| missing("socket", None))?;
        // Others accept from it, too: who comes too late must not wait.
        listener
            .set_nonblocking(true)
            .map_err(|error| missing("socket", Some(error)))?;
        Ok(Self {
            listener,
            status: StatusChannel::new(stream, generation),
        })
    }
}

/// Runs this program once more with the two descriptors announced. Returns only what is wrong.
fn run_again() -> Fatal {
    if io::stdin().is_terminal() {
        return Fatal::new("do not run this command by hand");
    }
    let mut arguments = env::args_os();
    let mut command = Command::new(SELF);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let count = LISTEN_DESCRIPTOR - STATUS_DESCRIPTOR + 1;
    let error = command
        .args(arguments)
        .env("LISTEN_FDS", count.to_string())
        .env("LISTEN_FDS_FIRST_FD", STATUS_DESCRIPTOR.to_string())
        .env("LISTEN_PID", process::id().to_string())
        .exec();
    Fatal::new(format!("{SELF}: {error}"))
}

impl StatusChannel {
    /// The channel of the child that master(8) knows under this number.
    pub(crate) fn new(stream: UnixStream, generation: Generation) -> Self {
        let pid = process::id().cast_signed();
        Self {
            stream,
            generation,
            pid,
        }
    }

    /// The channel, to wait for its end.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The channel alone, of a process that never tells anything.
    pub(crate) fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// Tells master(8) what this process is from now on.
    ///
    /// # Errors
    /// master(8) is gone.
    pub(crate) fn tell(&mut self, availability: Availability) -> io::Result<()> {
        let message = StatusMessage {
            pid: self.pid,
            generation: self.generation,
            availability,
        };
        self.stream.write_all(&message.encode())
    }
}
