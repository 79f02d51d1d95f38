//! All requests in one process: a guard, which master(8) has started and knows, and a worker, which serves.
//!
//! A process in master's books has to go as soon as the status channel ends, even if requests are under way: so the
//! guard does nothing but wait for that. The worker hears of it, accepts nothing more, and finishes what it has. Both stay in
//! master's process group. The guard never says that it is busy, so that master(8) starts no other.

use std::{
    env,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    process::{Child, Command, Stdio},
};

use crate::{
    fatal::Fatal,
    inherited::{Inherited, SELF},
    poll,
};

/// In the environment of a worker.
const WORKER: &str = "OUTPOST_AGENT_WORKER";
/// From worker to guard: a request was served.
const SERVED: u8 = b'S';
/// From worker to guard: nothing more is accepted here.
const LEAVING: u8 = b'L';

/// Returns whether this process is the worker of a guard.
pub(crate) fn is_worker() -> bool {
    env::var_os(WORKER).is_some()
}

/// The guard's side.
pub(crate) struct Guard {
    status: UnixStream,
    leash: UnixStream,
    worker: Child,
}

impl Guard {
    /// Starts the worker, before there are threads and while there are rights to give up.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn start(inherited: Inherited) -> Result<Self, Fatal> {
        let failed = |error: io::Error| Fatal::new(format!("start worker: {error}"));
        let (leash, other) = UnixStream::pair().map_err(failed)?;
        let mut arguments = env::args_os();
        let mut command = Command::new(SELF);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        let worker = command
            .args(arguments)
            .env(WORKER, "1")
            .stdin(Stdio::from(OwnedFd::from(inherited.listener)))
            .stdout(Stdio::from(OwnedFd::from(other)))
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            status: inherited.status.into_stream(),
            leash,
            worker,
        })
    }

    /// Waits until it is time to go.
    ///
    /// # Errors
    /// The worker has ended badly and has never served anybody.
    pub(crate) fn run(mut self) -> Result<(), Fatal> {
        let mut served = false;
        loop {
            // The worker sees the leash end with this process.
            if poll::wait([self.status.as_fd(), self.leash.as_fd()], None)? != Some(1) {
                return Ok(());
            }
            let mut bytes = [0; 64];
            let length = match self.leash.read(&mut bytes) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let told = bytes.get(..length).unwrap_or_default();
            if told.contains(&LEAVING) {
                return Ok(());
            }
            served |= told.contains(&SERVED);
            if length == 0 {
                return self.end(served);
            }
        }
    }

    fn end(mut self, served: bool) -> Result<(), Fatal> {
        let status = self
            .worker
            .wait()
            .map_err(|error| Fatal::new(format!("wait for worker: {error}")))?;
        // master(8) does not start a service again for a while that fails before it has served anybody.
        match status.success() || served {
            true => Ok(()),
            false => Err(Fatal::new(format!("worker: {status}"))),
        }
    }
}

/// The descriptors that a guard hands to its worker.
pub(crate) struct Leash {
    pub(crate) listener: UnixListener,
    pub(crate) stream: UnixStream,
}

impl Leash {
    /// Takes what the guard hands over.
    ///
    /// # Errors
    /// There is no guard.
    pub(crate) fn claim() -> Result<Self, Fatal> {
        let failed = |error: io::Error| Fatal::new(format!("descriptors of the guard: {error}"));
        let listener = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        let stream = io::stdout().as_fd().try_clone_to_owned().map_err(failed)?;
        Ok(Self {
            listener: listener.into(),
            stream: stream.into(),
        })
    }

    /// Returns a way to send the guard away, which takes everything along that might still be accepted.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn farewell(&self) -> Result<impl FnMut() + Send + 'static, Fatal> {
        let stream = self.stream.try_clone();
        let mut stream = stream.map_err(|error| Fatal::new(format!("leash: {error}")))?;
        Ok(move || {
            // It may be gone already.
            let _ = stream.write_all(&[LEAVING]);
        })
    }

    /// Tells the guard that a request was taken.
    pub(crate) fn tell_served(&mut self) {
        self.tell(SERVED);
    }

    /// Tells the guard that nothing more is accepted.
    pub(crate) fn tell_leaving(&mut self) {
        self.tell(LEAVING);
    }

    fn tell(&mut self, what: u8) {
        // Without a guard there is nobody to tell; that is seen elsewhere.
        let _ = self.stream.write_all(&[what]);
    }
}
