//! All requests in one process: a guard, which master(8) has started and knows, and a worker, which serves.
//!
//! A process in master's books has to go as soon as the status channel ends, even if requests are under way: so the
//! guard does nothing but wait for that. The worker hears of it, accepts nothing more, and finishes what it has. Both stay in
//! master's process group. The guard never says that it is busy, so that master(8) starts no other.

use std::{
    collections::VecDeque,
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
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    agent::Agent,
    fatal::{FATAL_PAUSE, Fatal, words},
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

    fn tell(&mut self, what: u8) {
        // Without a guard there is nobody to tell; that is seen elsewhere.
        let _ = self.stream.write_all(&[what]);
    }
}

/// The threads of a worker, and the requests that they serve.
struct Crew {
    agent: Arc<Agent>,
    state: Mutex<State>,
    /// Rings when a request comes.
    bell: Condvar,
    /// Wakes who accepts, where it waits for a request to end.
    wake: UnixStream,
}

#[derive(Debug)]
struct State {
    /// Accepted, and taken by nobody yet.
    requests: VecDeque<UnixStream>,
    /// Threads that wait for one.
    idle: usize,
    /// Requests that are accepted and not over.
    busy: usize,
    /// Somebody waits for a request to end.
    awaited: bool,
    /// The last time that a request ended.
    ended: Instant,
}

/// Serves requests, no more than `limit` at once, until there is a reason to go; then finishes what is under way.
///
/// # Errors
/// The system refuses what is needed to begin.
pub(crate) fn work(agent: &Arc<Agent>, mut leash: Leash, limit: Option<u32>) -> Result<(), Fatal> {
    let failed = |error: io::Error| Fatal::new(format!("worker: {error}"));
    let (wake, woken) = UnixStream::pair().map_err(failed)?;
    for socket in [&wake, &woken] {
        socket.set_nonblocking(true).map_err(failed)?;
    }
    let crew = Arc::new(Crew {
        agent: Arc::clone(agent),
        state: Mutex::new(State {
            requests: VecDeque::new(),
            idle: 0,
            busy: 0,
            awaited: false,
            ended: Instant::now(),
        }),
        bell: Condvar::new(),
        wake,
    });
    let result = crew.accept(&mut leash, &woken, limit);
    leash.tell(LEAVING);
    while crew.is_busy() {
        poll::wait([woken.as_fd()], None)?;
        drain(&woken);
    }
    agent.client.hang_up();
    result
}

impl Crew {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether requests are under way; if so, the end of the next one wakes who asks.
    fn is_busy(&self) -> bool {
        let mut state = self.state();
        state.awaited = true;
        state.busy > 0
    }

    fn accept(
        self: &Arc<Self>,
        leash: &mut Leash,
        woken: &UnixStream,
        limit: Option<u32>,
    ) -> Result<(), Fatal> {
        let agent = &self.agent;
        let limit = limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let most = u64::try_from(limit)
            .unwrap_or(u64::MAX)
            .saturating_mul(agent.max_use().into());
        for served in 0..most {
            while self.is_full(limit) {
                if poll::wait([leash.stream.as_fd(), woken.as_fd()], None)? == Some(0) {
                    return Ok(());
                }
                drain(woken);
            }
            let Some(stream) = self.next(leash)? else {
                return Ok(());
            };
            self.hand(stream)?;
            if served == 0 {
                leash.tell(SERVED);
            }
        }
        Ok(())
    }

    /// Returns whether as many requests are under way as may be; if so, the end of one wakes who asks.
    fn is_full(&self, limit: usize) -> bool {
        let mut state = self.state();
        state.awaited = state.busy >= limit;
        state.awaited
    }

    /// Waits for a connection; `None` if there is a reason to go.
    fn next(&self, leash: &Leash) -> Result<Option<UnixStream>, Fatal> {
        let agent = &self.agent;
        loop {
            let both = [leash.stream.as_fd(), leash.listener.as_fd()];
            match poll::wait(both, Some(agent.max_idle()))? {
                None if self.is_idle_since(agent.max_idle()) => return Ok(None),
                None => continue,
                // The guard is gone.
                Some(0) => return Ok(None),
                Some(_) => {}
            }
            let _watched = agent.watchdog.watch();
            if agent.is_outdated()? {
                return Ok(None);
            }
            match leash.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(error) if poll::is_passing(&error) => {}
                Err(error) => {
                    agent
                        .log
                        .error(format_args!("accept connection: {}", words(&error)));
                    if !poll::pause(leash.stream.as_fd())? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn is_idle_since(&self, limit: Duration) -> bool {
        let state = self.state();
        state.busy == 0 && state.ended.elapsed() >= limit
    }

    /// Gives a connection to a thread that waits, or to a new one.
    fn hand(self: &Arc<Self>, stream: UnixStream) -> Result<(), Fatal> {
        let mut state = self.state();
        state.busy += 1;
        state.requests.push_back(stream);
        let waits = state.idle >= state.requests.len();
        drop(state);
        if waits {
            self.bell.notify_one();
            return Ok(());
        }
        let crew = Arc::clone(self);
        let thread = thread::Builder::new().name("request".to_owned());
        let started = thread.spawn(move || crew.serve());
        match started {
            Ok(_) => Ok(()),
            Err(error) => self.do_without(&error),
        }
    }

    /// Leaves a connection to the threads there are, if there are any; else it ends, and is tried again.
    fn do_without(&self, error: &io::Error) -> Result<(), Fatal> {
        let text = format!("start thread: {}", words(error));
        let mut state = self.state();
        if state.idle > 0 || state.busy > state.requests.len() {
            drop(state);
            self.agent.log.warning(text);
            return Ok(());
        }
        state.busy -= state.requests.len();
        state.requests.clear();
        Err(Fatal::new(text))
    }

    fn serve(&self) {
        loop {
            let mut state = self.state();
            let mut stream = loop {
                if let Some(stream) = state.requests.pop_front() {
                    break stream;
                }
                state.idle += 1;
                state = self
                    .bell
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            if let Err(fatal) = self.agent.serve(&mut stream) {
                // It would end a process that has no other request. The queue manager hears of it no sooner: what is wrong
                // may be wrong with many messages.
                self.agent.log.error(fatal);
                thread::sleep(FATAL_PAUSE);
            }
            drop(stream);
            let mut state = self.state();
            state.busy -= 1;
            state.ended = Instant::now();
            if state.awaited {
                // If it is full, whoever reads it wakes up.
                let _ = (&self.wake).write(&[0]);
            }
        }
    }
}

fn drain(socket: &UnixStream) {
    let mut bytes = [0; 256];
    let mut socket = socket;
    while matches!(socket.read(&mut bytes), Ok(length) if length == bytes.len()) {}
}
