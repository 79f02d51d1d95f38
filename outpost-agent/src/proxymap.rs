//! Tables that proxymap(8) opens for this process: `proxy:type:name` (`src/global/dict_proxy.c`, `clnt_stream.c`).
//!
//! Connections stay open and are shared by all tables. Whoever asks has one for as long as the answer takes, so that several threads
//! may ask at once, but never holds one while it waits for anything else. Whatever goes wrong on the way is tried again; what proxymap(8)
//! refuses ends the process before its next request.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use postfix_config::{
    Config,
    tables::{KeyEncoding, ProxyClient, RemoteTable},
};
use postfix_ipc::{
    announce::{Announcement, Service},
    attr::{List, Value},
    proxymap::{
        Dialect, FIXED, LOCK, Lookup, LookupFlags, LookupReply, Open, OpenFlags, OpenReply,
        TableStatus, UTF8,
    },
};

use crate::{
    fatal::{Fatal, words},
    log::Log,
    talk::{Conversation, TalkError, waiting},
};

/// The most connections at once. proxymap(8) answers one question at a time, and has other clients.
const LINES: usize = 4;
/// The number of times in a row that nobody can be reached after which the service counts as missing (`mail_connect_wait`).
const CONNECTS: u32 = 10;

/// A client of proxymap(8).
pub(crate) struct ProxyMap {
    /// `proxymap_service_name`.
    name: String,
    limits: Limits,
    log: Arc<Log>,
    state: Mutex<State>,
    /// Rings when a connection may be used by somebody else.
    free: Condvar,
}

/// The times of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For each read and write (`ipc_timeout`).
    pub(crate) step: Duration,
    /// For all attempts of a look-up (`daemon_timeout`).
    pub(crate) whole: Duration,
    /// The rest that a connection may have (`ipc_idle`).
    pub(crate) idle: Duration,
    /// The age that it may have (`ipc_ttl`).
    pub(crate) age: Duration,
    /// The pause after nobody could be reached.
    pub(crate) absent: Duration,
    /// The pause after a conversation that has failed.
    pub(crate) broken: Duration,
}

#[derive(Default)]
struct State {
    /// Connections that nobody uses, the one that was used last at the end.
    lines: Vec<Line>,
    /// The number of those that are used.
    used: usize,
    /// The refusal for which the process ends.
    fault: Option<Fatal>,
}

/// A connection.
struct Line {
    conversation: Conversation,
    opened: Instant,
    used: Instant,
}

/// The right to use a connection.
struct Turn<'a>(&'a ProxyMap);

/// An attempt without an answer.
enum Miss {
    /// The service had left a connection that was kept.
    Kept,
    /// The conversation has failed, or there was none.
    Talk(TalkError),
    /// Others have had all connections all the time.
    Crowded,
}

/// A question that stays without an answer.
enum Trouble {
    /// It may be answered later.
    Passing(String),
    /// It is none that proxymap(8) knows. The process ends for it, unless it can be put in another way.
    Bad(String),
    /// The process ends for it.
    Fatal(String),
}

/// An answer with a [`TableStatus`].
trait Reply: List {
    /// The end of a request that the answer tells.
    fn status(&self) -> i32;
}

impl Reply for OpenReply {
    fn status(&self) -> i32 {
        self.status
    }
}

impl Reply for LookupReply {
    fn status(&self) -> i32 {
        self.status
    }
}

/// A table that proxymap(8) opens.
struct ProxiedTable {
    map: Arc<ProxyMap>,
    table: Value,
    flags: LookupFlags,
    has_fixed_keys: bool,
}

impl Limits {
    /// The times of main.cf.
    pub(crate) fn of(config: &Config) -> Self {
        let daemon = &config.daemon;
        Self {
            step: daemon.ipc_timeout,
            whole: config.general.daemon_timeout,
            idle: daemon.ipc_idle,
            age: daemon.ipc_ttl,
            absent: Duration::from_secs(10),
            broken: Duration::from_secs(1),
        }
    }
}

impl ProxyMap {
    /// A client that connects once it is asked. Its socket is relative to where the process is then.
    pub(crate) fn new(config: &Config, log: Arc<Log>) -> Arc<Self> {
        let name = config.daemon.proxymap_service_name.clone();
        Self::with_limits(name, Limits::of(config), log)
    }

    pub(crate) fn with_limits(name: String, limits: Limits, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits,
            log,
            state: Mutex::default(),
            free: Condvar::new(),
        })
    }

    /// The refusal for which Postfix's process would have ended, if there was one.
    pub(crate) fn fault(&self) -> Option<Fatal> {
        self.state().fault.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until there is an answer with one of the statuses that are `good`. `what` is the question in words.
    fn ask<A: Reply>(
        &self,
        (what, table): (&str, &Value),
        question: &impl List,
        good: &[TableStatus],
    ) -> Result<(TableStatus, A), Trouble> {
        let (question, begun) = (question.encode(), Instant::now());
        let (mut absent, name) = (0, &self.name);
        loop {
            let (pause, why) = match self.attempt::<A>(&question, good, begun) {
                Ok((Some(status), answer)) if good.contains(&status) => {
                    return Ok((status, answer));
                }
                Ok((Some(TableStatus::Bad), _)) => {
                    let why =
                        format!("{name} {what} failed for table \"{table}\": invalid request");
                    return Err(Trouble::Bad(why));
                }
                Ok((Some(TableStatus::Denied), _)) => {
                    let why = format!("{name} service is not configured for table \"{table}\"");
                    return Err(Trouble::Fatal(why));
                }
                Ok((_, answer)) => {
                    let status = answer.status();
                    let why = format!(
                        "{name} {what} failed for table \"{table}\": unexpected status {status}"
                    );
                    (self.limits.broken, why)
                }
                Err(Miss::Kept) => continue,
                Err(Miss::Crowded) => return Err(Trouble::Passing(format!("{name} is busy"))),
                Err(Miss::Talk(TalkError::Connect(path, error))) => {
                    absent += 1;
                    let why = format!("connect #{absent} to subsystem {path}: {}", words(&error));
                    if absent > CONNECTS {
                        return Err(Trouble::Fatal(why));
                    }
                    (self.limits.absent, why)
                }
                Err(Miss::Talk(error)) => (self.limits.broken, format!("service {name}: {error}")),
            };
            if begun.elapsed().saturating_add(pause) > self.limits.whole {
                return Err(Trouble::Passing(why));
            }
            self.log.warning(why);
            thread::sleep(pause);
        }
    }

    /// Asks once. The connection is kept after a good answer only: after others, nobody knows how much of the question was read.
    fn attempt<A: Reply>(
        &self,
        question: &[u8],
        good: &[TableStatus],
        begun: Instant,
    ) -> Result<(Option<TableStatus>, A), Miss> {
        let _turn = self.turn(begun).ok_or(Miss::Crowded)?;
        let kept = self.kept();
        let is_kept = kept.is_some();
        let mut line = match kept {
            Some(line) => line,
            None => self.connect().map_err(Miss::Talk)?,
        };
        let answer: A = match line.ask(question) {
            Ok(answer) => answer,
            // It may have left while nobody looked.
            Err(_) if is_kept => return Err(Miss::Kept),
            Err(error) => return Err(Miss::Talk(error)),
        };
        let status = TableStatus::of(answer.status());
        if status.is_some_and(|status| good.contains(&status)) {
            line.used = Instant::now();
            self.state().lines.push(line);
        }
        Ok((status, answer))
    }

    /// Waits for a connection to be free; `None` if it takes too long.
    fn turn(&self, begun: Instant) -> Option<Turn<'_>> {
        let mut state = self.state();
        while state.used >= LINES {
            let left = self.limits.whole.checked_sub(begun.elapsed())?;
            let waited = self.free.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.used += 1;
        Some(Turn(self))
    }

    /// A connection that was kept. Those that are too old are closed.
    fn kept(&self) -> Option<Line> {
        let mut state = self.state();
        state.lines.retain(|line| line.is_young(&self.limits));
        while let Some(line) = state.lines.pop() {
            if line.conversation.is_quiet() {
                return Some(line);
            }
        }
        None
    }

    fn connect(&self) -> Result<Line, TalkError> {
        let service = Service::ProxyMap;
        let mut conversation = Conversation::open(service, &self.name, self.limits.step)?;
        let announcement: Announcement = conversation.hear()?;
        let peer = format!("{} socket", service.path(&self.name));
        announcement
            .check(service, &peer)
            .map_err(TalkError::List)?;
        let opened = Instant::now();
        Ok(Line {
            conversation,
            opened,
            used: opened,
        })
    }

    /// The words for a trouble. One for which the process ends is noted down.
    fn told(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Passing(why) => why,
            Trouble::Bad(why) | Trouble::Fatal(why) => {
                self.state().fault.get_or_insert_with(|| Fatal::new(&why));
                why
            }
        }
    }

    /// Opens a table; the flags of look-ups in it, and whether its keys are fixed.
    fn open_as(
        &self,
        table: &Value,
        bits: i32,
        dialect: Dialect,
    ) -> Result<(LookupFlags, bool), Trouble> {
        let flags = OpenFlags {
            bits: match dialect {
                // Of those that are asked for, none makes it another table.
                Dialect::Joint => 0,
                Dialect::Separate => bits,
            },
            dialect,
        };
        let question = Open {
            table: table.clone(),
            flags,
        };
        let good = &[TableStatus::Done];
        let (_, reply): (_, OpenReply) = self.ask(("open", table), &question, good)?;
        let flags = match dialect {
            Dialect::Joint => LookupFlags::Joint(bits),
            Dialect::Separate => LookupFlags::Separate {
                instance: bits,
                request: reply.flags,
            },
        };
        Ok((flags, reply.flags & FIXED != 0))
    }
}

impl ProxyClient for ProxyMap {
    fn open(
        self: Arc<Self>,
        table: &str,
        encoding: KeyEncoding,
    ) -> Result<Arc<dyn RemoteTable>, String> {
        let table = Value::new(table.to_owned()).map_err(|error| error.to_string())?;
        let bits = match encoding {
            KeyEncoding::Bytes => LOCK,
            KeyEncoding::Utf8 => LOCK | UTF8,
        };
        let opened = match self.open_as(&table, bits, Dialect::Joint) {
            // It may be of a later release.
            Err(Trouble::Bad(_)) => self.open_as(&table, bits, Dialect::Separate),
            other => other,
        };
        let (flags, has_fixed_keys) = opened.map_err(|trouble| self.told(trouble))?;
        Ok(Arc::new(ProxiedTable {
            map: self,
            table,
            flags,
            has_fixed_keys,
        }))
    }
}

impl RemoteTable for ProxiedTable {
    fn has_fixed_keys(&self) -> bool {
        self.has_fixed_keys
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let question = Lookup {
            table: self.table.clone(),
            flags: self.flags,
            key: Value::new(key.to_vec()).map_err(|error| error.to_string())?,
        };
        let good = [
            TableStatus::Done,
            TableStatus::NoKey,
            TableStatus::Retry,
            TableStatus::Misconfigured,
        ];
        let answer = waiting(|| self.map.ask(("lookup", &self.table), &question, &good));
        let (status, reply): (_, LookupReply) = answer.map_err(|trouble| self.map.told(trouble))?;
        match status {
            TableStatus::Done => Ok(Some(reply.value.as_bytes().to_vec())),
            TableStatus::NoKey => Ok(None),
            _ => Err(format!("{} has no answer now", self.map.name)),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().used -= 1;
        self.0.free.notify_one();
    }
}

impl Line {
    fn is_young(&self, limits: &Limits) -> bool {
        self.used.elapsed() < limits.idle && self.opened.elapsed() < limits.age
    }

    fn ask<A: List>(&mut self, question: &[u8]) -> Result<A, TalkError> {
        self.conversation.say(question)?;
        self.conversation.hear()
    }
}

impl fmt::Debug for ProxyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyMap")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProxiedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxiedTable")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
