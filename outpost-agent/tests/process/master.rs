//! The part of master(8) and the queue manager for an agent, with small servers in the place of the other processes.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, kill, killpg},
        socket::{MsgFlags, recv},
    },
    unistd::Pid,
};
use postfix_ipc::{
    request::FinalReply,
    status::{Availability, Generation, StatusMessage},
};
use tempfile::TempDir;

use crate::neighbours::{self, FOLDERS, Mail, Manner, Scribe};

/// The ways of running.
pub(crate) const MODES: [&str; 2] = ["mode=classic", "mode=shared"];
/// The time after which a test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Postfix without an agent.
pub(crate) struct Postfix {
    folder: TempDir,
    listener: UnixListener,
    scribe: Arc<Scribe>,
}

/// A process that master(8) has started, and those that it has started.
pub(crate) struct Agent {
    status: Option<UnixStream>,
    child: Child,
    /// The end of what the child has written to standard error.
    group: Pid,
}

impl Postfix {
    /// Services that are not named do as they should.
    pub(crate) fn new(main_cf: &str, manners: &[(&str, Manner)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // An agent without rights has to get there.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        for name in FOLDERS {
            fs::create_dir(root.join(name)).unwrap();
        }
        let scribe = Scribe::start(&root.join("public/postlog"));
        let services = neighbours::services(root, 0, manners, &scribe);
        let text = format!(
            "myhostname = mx.test\ninet_protocols = ipv4\nqueue_directory = {}\nmail_owner = nobody\n\
             maillog_file = /dev/null\nipc_timeout = 2s\n{services}{main_cf}",
            root.display()
        );
        fs::write(root.join("main.cf"), text).unwrap();
        fs::write(root.join("master.cf"), "smtp unix - - n - 9 smtp\n").unwrap();
        let listener = UnixListener::bind(root.join("private/smtp")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            folder,
            listener,
            scribe,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn scribe(&self) -> &Scribe {
        &self.scribe
    }

    /// Starts an agent as master(8) does.
    pub(crate) fn start(&self, words: &[&str]) -> Agent {
        self.start_behind("", words)
    }

    /// The same after commands of a shell.
    pub(crate) fn start_behind(&self, commands: &str, words: &[&str]) -> Agent {
        let (status, other) = UnixStream::pair().unwrap();
        let listener = self.listener.try_clone().unwrap();
        let script = format!("exec 5<&0 6<&1 0</dev/null 1>/dev/null; {commands} exec \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(program())
            .args(["-n", "smtp", "-t", "unix"])
            .args(words)
            .current_dir(self.folder())
            .env("MAIL_CONFIG", self.folder())
            .env("GENERATION", "10")
            .env("POSTLOG_SERVICE", self.folder().join("public/postlog"))
            .env("POSTLOG_HOSTNAME", "mx.test")
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Agent {
            status: Some(status),
            group: Pid::from_raw(child.id().cast_signed()),
            child,
        }
    }

    pub(crate) fn mail(&self, nexthop: &str, to: &[&str]) -> Mail {
        neighbours::mail_of(self.folder(), nexthop, to, neighbours::hello)
    }

    /// Connects as the queue manager, to whom an agent says nothing before it accepts.
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder().join("private/smtp")).unwrap()
    }

    /// Has a request served; no reply if the agent ends.
    pub(crate) fn serve(&self, mail: &Mail) -> Option<FinalReply> {
        let mut stream = self.connect();
        neighbours::greeted(&mut stream);
        ask(&mut stream, mail)
    }
}

/// The program: `OUTPOST_AGENT` may name another build of it.
fn program() -> OsString {
    env::var_os("OUTPOST_AGENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_outpost-agent").into())
}

/// Sends a request over a greeted connection, and waits for the reply.
pub(crate) fn ask(stream: &mut UnixStream, mail: &Mail) -> Option<FinalReply> {
    let _ = stream.write_all(&mail.request.encode());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    neighbours::reply(stream).0
}

/// Returns whether a connection is greeted in a moment.
pub(crate) fn is_greeted(stream: &mut UnixStream) -> bool {
    let moment = Some(Duration::from_millis(300));
    stream.set_read_timeout(moment).unwrap();
    matches!(stream.read(&mut [0; 100]), Ok(length) if length > 0)
}

/// Waits until something holds; false if it does not in time.
pub(crate) fn comes(holds: impl Fn() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

impl Agent {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The next messages over the status channel.
    pub(crate) fn told(&self, count: usize) -> Vec<Availability> {
        let mut status = self.status.as_ref().unwrap();
        status.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut next = || {
            let mut bytes = [0; StatusMessage::SIZE];
            status.read_exact(&mut bytes).unwrap();
            let message = StatusMessage::decode(&bytes).unwrap();
            assert_eq!(message.pid, self.pid().as_raw());
            assert_eq!(message.generation, Generation(8));
            message.availability
        };
        (0..count).map(|_| next()).collect()
    }

    /// Takes what was told up to now, so that there is room for more.
    #[allow(dead_code, reason = "tests have room enough")]
    pub(crate) fn heed(&self) {
        let status = self.status.as_ref().unwrap().as_raw_fd();
        while recv(status, &mut [0; 512], MsgFlags::MSG_DONTWAIT).is_ok_and(|length| length > 0) {}
    }

    /// Returns whether nothing was told.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut status = self.status.as_ref().unwrap();
        let moment = Some(Duration::from_millis(100));
        status.set_read_timeout(moment).unwrap();
        status.read(&mut [0]).is_err()
    }

    /// The process that serves requests, once it is there: this one, or its worker.
    pub(crate) fn server(&self) -> Pid {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let worker = || {
            fs::read_to_string(&children)
                .ok()?
                .split(' ')
                .next()?
                .parse()
                .ok()
        };
        worker().map_or(self.pid(), Pid::from_raw)
    }

    /// Does as a reload: the status channel ends.
    pub(crate) fn reload(&mut self) {
        self.status = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns whether it has not ended.
    pub(crate) fn is_there(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Returns whether a process is there; one that nobody has waited for is not.
pub(crate) fn lives(pid: Pid) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = state.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The path of a file in /proc of a process.
pub(crate) fn proc(pid: Pid, name: &str) -> PathBuf {
    format!("/proc/{pid}/{name}").into()
}
