//! The surroundings of an agent: a queue directory, Postfix's other processes, the log, the queue manager.

use std::{
    env, fs,
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    thread,
    time::Duration,
};

use postfix_config::{MainCf, tables::ProxyTables};
use postfix_ipc::{command_line::CommandLine, request::FinalReply};
use runtime_blocking::Client;
use tempfile::TempDir;

use super::neighbours::{self, FOLDERS, Scribe};
pub(super) use super::neighbours::{Mail, Manner, greeted, line, reply};
use crate::{
    agent::Agent,
    fatal::Fatal,
    log::{Log, Target},
    proxymap::{Limits, ProxyMap},
    site,
};

/// The queue directory, which is where this process is, as the agent's is: all tests have one. They do not
/// meet, since names of services and queue files are numbered.
static FOLDER: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());

pub(super) fn folder() -> Arc<TempDir> {
    let mut known = FOLDER.lock().unwrap();
    known.upgrade().unwrap_or_else(|| {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        for name in FOLDERS {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        env::set_current_dir(folder.path()).unwrap();
        *known = Arc::downgrade(&folder);
        folder
    })
}

/// A log that goes to this socket.
pub(super) fn log(socket: PathBuf) -> Arc<Log> {
    let host = "mx".to_owned();
    let target = Target::Postlog { socket, host };
    Arc::new(Log::open(target, "postfix/smtp".into(), false))
}

/// The same limits without long pauses.
pub(super) fn hasty(limits: Limits) -> Limits {
    let moment = Duration::from_millis(1);
    Limits {
        absent: moment,
        broken: moment,
        ..limits
    }
}

/// An agent in its surroundings.
pub(super) struct World {
    pub(super) agent: Arc<Agent>,
    pub(super) client: Client,
    pub(super) number: usize,
    /// It is there as long as somebody needs it.
    _folder: Arc<TempDir>,
    scribe: Arc<Scribe>,
}

impl World {
    pub(super) fn new(main_cf: &str) -> Self {
        Self::with(main_cf, &[], &[], |_| {})
    }

    /// Services that are not named do as they should.
    pub(super) fn with_services(manners: &[(&str, Manner)]) -> Self {
        Self::with("ipc_timeout = 1s\n", manners, &[], |_| {})
    }

    pub(super) fn with(
        main_cf: &str,
        manners: &[(&str, Manner)],
        words: &[&str],
        change: impl FnOnce(&mut Agent),
    ) -> Self {
        let folder = folder();
        let number = neighbours::number();
        let socket = folder.path().join(format!("log{number}"));
        let scribe = Scribe::start(&socket);
        let mut main = format!(
            "myhostname = mx.test\ninet_protocols = ipv4\nqueue_directory = {}\n\
             relay_domains = relay.test\n{main_cf}",
            folder.path().display()
        );
        main += &neighbours::services(Path::new(""), number, manners, &scribe);
        let words = ["smtp", "-t", "unix", "-u"].iter().chain(words).copied();
        let options = CommandLine::parse(words).unwrap();
        let mut main_cf = MainCf::parse(&main, "main.cf", folder.path()).unwrap();
        let config = site::complete(&mut main_cf, &options).unwrap();
        let log = log(socket);
        let proxymap = ProxyMap::with_limits(
            config.daemon.proxymap_service_name.clone(),
            hasty(Limits::of(&config)),
            Arc::clone(&log),
        );
        let proxies = ProxyTables::Elsewhere(Arc::clone(&proxymap) as _);
        let site = site::compile(&main_cf, config, proxies).unwrap();
        let mut agent = Agent::new(&options, site, log, proxymap).unwrap();
        change(&mut agent);
        Self {
            client: Client::new(Arc::clone(&agent.policy)),
            agent: Arc::new(agent),
            number,
            _folder: folder,
            scribe,
        }
    }

    /// The events so far.
    pub(super) fn journal(&self) -> Vec<String> {
        self.scribe.journal()
    }

    /// The entries that begin so, without that.
    pub(super) fn told(&self, start: &str) -> Vec<String> {
        self.scribe.told(start)
    }

    /// The status lines of the log, one for each recipient that was reported: address, status and text.
    pub(super) fn verdicts(&self) -> Vec<String> {
        self.scribe.verdicts()
    }

    /// A message in the queue with a request for it.
    pub(super) fn mail(&self, nexthop: &str, to: &[&str]) -> Mail {
        self.mail_of(nexthop, to, neighbours::hello)
    }

    /// The same with a text that is written by `content`.
    pub(super) fn mail_of(
        &self,
        nexthop: &str,
        to: &[&str],
        content: impl FnOnce(&mut Vec<u8>),
    ) -> Mail {
        neighbours::mail_of(Path::new(""), nexthop, to, content)
    }

    /// Has a request served, and returns what the queue manager gets.
    pub(super) fn serve(&self, mail: &Mail) -> Served {
        self.serve_bytes(&mail.request.encode())
    }

    /// The same with these bytes; the queue manager stays.
    pub(super) fn serve_bytes(&self, request: &[u8]) -> Served {
        let (mut manager, mut stream) = UnixStream::pair().unwrap();
        let (agent, client) = (Arc::clone(&self.agent), self.client.clone());
        let thread = thread::spawn(move || agent.serve(&client, &mut stream));
        greeted(&mut manager);
        // What is too long is not read to its end.
        let _ = manager.write_all(request);
        let (reply, bytes) = reply(&mut manager);
        drop(manager);
        Served {
            reply,
            bytes,
            result: thread.join().unwrap(),
        }
    }
}

/// The reply that the queue manager got in the end.
#[derive(Debug)]
pub(super) struct Served {
    /// None if the connection ended without.
    pub(super) reply: Option<FinalReply>,
    pub(super) bytes: usize,
    pub(super) result: Result<(), Fatal>,
}

impl Served {
    /// The status; there has to be a reply.
    pub(super) fn status(&self) -> i32 {
        assert_eq!(self.result, Ok(()));
        self.reply.as_ref().unwrap().status
    }

    /// The status and the reason of the hop status.
    pub(super) fn hop(&self) -> (String, String) {
        let hop = &self.reply.as_ref().unwrap().hop;
        (hop.status.to_string(), hop.reason.to_string())
    }
}
