//! The simulator: delivery engines, servers, names and a network in one process under
//! a virtual clock. There is no socket, thread or real time in it; the same seed
//! gives the same run, byte for byte.
//!
//! Time stands still while anybody has something to do, and then jumps to the next
//! thing that is due. Many deliveries run at once: they share the connection cache and
//! take turns at destinations as in the runtimes.
//!
//! ```
//! use smtp_sim::{peer::Temper, world::{Host, World}};
//! use smtp_policy::{Protocol, policy::Policy, request::{Recipient, Request}, settings::Settings};
//! use smtp_proto::{Address, ReversePath};
//! use std::{sync::Arc, time::Duration};
//!
//! let mut world = World::new(Arc::new(Policy::new(Settings::smtp().build()?)), 1);
//! world.host("192.0.2.1:25".parse()?, Host::new(Temper::default()));
//! let to = Recipient::new(Address::parse("user@example.com")?);
//! let request = Request::new(Protocol::Smtp, "[192.0.2.1]".parse()?, ReversePath::Null, vec![to]);
//! let id = world.submit(Duration::ZERO, request, "Subject: hi\n\nhello\n".into());
//! assert_eq!(world.next_finished(), Some(id));
//! let mail = world.delivery(id).and_then(|d| d.report.as_ref()).map(|r| r.recipients.clone());
//! assert_eq!(mail.unwrap_or_default()[0].1.word, "sent");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod job;
mod link;
mod near;
mod outside;
mod resolver;
mod scenario;
mod tap;
mod text;
mod trace;
mod zone;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use smtp_policy::{
    delivery::{ConnectError, PhasesTaken, Target},
    driver::Hub,
    policy::Policy,
    report::Report,
    request::Request,
};
use smtp_proto::{Time, session::Taken};

pub use self::{
    client::{Client, NothingHappens},
    link::{Cut, Shape},
    resolver::{NameServer, NameServers},
    scenario::Observation,
    tap::{Wait, Waits},
    text::Pace,
    trace::Trace,
    zone::{Names, Trouble},
};
use self::{
    job::{Observers, Running, Woken},
    link::Link,
    near::{Happening, Log, Near, Socket},
};
use crate::{
    dice::Dice,
    peer::{Ledger, Peer, Temper},
};

/// The time of day when a world begins, in Unix time: the first second of 2027. It
/// decides which certificates are valid.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_798_761_600);
/// How long the system tries to connect when the client sets no limit.
const SYSTEM_CONNECT_LIMIT: Duration = Duration::from_secs(127);
/// How many things may happen in one turn of a delivery, on the average, before the
/// world counts as turning in a circle.
const PATIENCE: u64 = 1_000_000;

/// What becomes of attempts to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// They succeed.
    #[default]
    Open,
    /// They are refused.
    Closed,
    /// Nothing answers.
    Hole,
}

/// A machine on which a server listens.
#[derive(Clone, Debug)]
pub struct Host {
    /// The server.
    pub temper: Arc<Temper>,
    /// The way there. Its faults hold for the first connections only.
    pub shape: Shape,
    /// How many connections have the faults of `shape`; the others have none.
    pub faulty: u32,
    /// Whether it lets anybody in.
    pub door: Door,
}

impl Host {
    /// A host with a quick and reliable connection.
    pub fn new(temper: Temper) -> Self {
        Self {
            temper: Arc::new(temper),
            shape: Shape::default(),
            faulty: 0,
            door: Door::Open,
        }
    }
}

/// A delivery of a world, while it runs and afterwards.
#[derive(Debug)]
pub struct Delivered {
    /// What was asked for.
    pub request: Request,
    /// The text.
    pub text: Bytes,
    /// The pace of its source; none: the text is there at once.
    pub pace: Option<Pace>,
    /// Its turns, in their order: one for each part that
    /// `transport_destination_recipient_limit` cuts it into.
    pub turns: Vec<Span>,
    /// The verdicts, once it is over.
    pub report: Option<Report>,
    /// When it was called off, if it was not over by then.
    pub cancelled: Option<Time>,
    /// How often each recipient was reported.
    pub reported: Vec<u32>,
    /// The most output in bytes that ever waited to be written.
    pub most_queued: usize,
    /// The warnings.
    pub warnings: Vec<String>,
}

impl Delivered {
    /// When its first turn came.
    pub fn begun(&self) -> Option<Time> {
        self.turns.first().map(|turn| turn.begun)
    }

    /// When it was over.
    pub fn ended(&self) -> Option<Time> {
        let last = self.turns.last().filter(|_| self.report.is_some());
        last.and_then(|turn| turn.ended)
    }
}

/// From when to when something went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub begun: Time,
    /// When it was over, once it is.
    pub ended: Option<Time>,
}

/// A connection of a world, as a checker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// Where it leads.
    pub host: SocketAddr,
    /// What the server saw.
    pub ledger: &'a Ledger,
    /// How many bytes the client has read.
    pub read: u64,
    /// The longest time without a byte in either direction.
    pub quiet: Duration,
    /// What the client has waited for.
    pub waits: &'a Waits,
    /// When the client closed it.
    pub closed: Option<Time>,
    /// The deliveries that used it, in turn.
    pub deliveries: &'a [usize],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start(usize),
    Cancel(usize),
    Job(usize),
    Link(usize),
    Text(usize),
    Expire,
}

/// A small universe with one client.
#[derive(Debug)]
pub struct World {
    now: Time,
    hub: Arc<Hub<Socket>>,
    names: Names,
    hosts: Vec<(SocketAddr, Host, u32)>,
    by_address: BTreeMap<SocketAddr, usize>,
    links: Vec<Link>,
    log: Log,
    /// The room for what is taken out of the log, empty.
    news: Vec<Happening>,
    jobs: Vec<Option<Box<Running>>>,
    woken: Woken,
    deliveries: Vec<Delivered>,
    observers: Observers,
    finished: VecDeque<usize>,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    serial: u64,
    name_delay: Duration,
    /// The servers that the engine's resolver asks; without them, answers come out of
    /// nowhere.
    name_servers: Option<NameServers>,
    misheard: Vec<String>,
    seed: u64,
    chunk_seed: u64,
    trace: Trace,
    happened: u64,
    /// How many turns have begun.
    begun: u64,
    stuck: bool,
    taken: Taken,
    /// The moves of deliveries that are over between their phases.
    phases: PhasesTaken,
}

impl World {
    /// A world without hosts and names. `seed` decides what the engine leaves to
    /// chance, and how bytes are cut up.
    pub fn new(policy: Arc<Policy>, seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            hub: Arc::new(Hub::new(policy, seed, EPOCH)),
            names: Names::default(),
            hosts: Vec::new(),
            by_address: BTreeMap::new(),
            links: Vec::new(),
            log: Log::default(),
            news: Vec::new(),
            jobs: Vec::new(),
            woken: Woken::default(),
            deliveries: Vec::new(),
            observers: Observers::default(),
            finished: VecDeque::new(),
            events: BinaryHeap::new(),
            serial: 0,
            name_delay: Duration::from_millis(3),
            name_servers: None,
            misheard: Vec::new(),
            seed,
            chunk_seed: seed,
            trace: Trace::default(),
            happened: 0,
            begun: 0,
            stuck: false,
            taken: Taken::default(),
            phases: PhasesTaken::default(),
        }
    }

    /// Cuts bytes up as another seed has it, and leaves everything else alone.
    #[must_use]
    pub fn with_chunks(mut self, seed: u64) -> Self {
        self.chunk_seed = seed;
        self
    }

    /// Keeps a conversation that a person can read.
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.trace = Trace::new(true);
        self
    }

    /// The time in this world.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The names of this world, to add to.
    pub fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Lets name questions go through the engine's resolver, as DNS messages to these
    /// servers.
    pub fn resolve_with(&mut self, servers: NameServers) {
        self.name_servers = Some(servers);
    }

    /// The name questions that the resolver answered otherwise than the names of this
    /// world have it, although a server [answers](NameServer::answers).
    pub fn misheard(&self) -> &[String] {
        &self.misheard
    }

    /// Lets a server listen at an address. One that listens there already goes away,
    /// and its connections stay.
    pub fn host(&mut self, address: SocketAddr, host: Host) {
        self.by_address.insert(address, self.hosts.len());
        self.hosts.push((address, host, 0));
    }

    /// Hands a message in, to be delivered in `after` from now. Returns its number.
    pub fn submit(&mut self, after: Duration, request: Request, text: Bytes) -> usize {
        let id = self.deliveries.len();
        self.deliveries.push(Delivered {
            reported: vec![0; request.recipients.len()],
            request,
            text,
            pace: None,
            turns: Vec::new(),
            report: None,
            cancelled: None,
            most_queued: 0,
            warnings: Vec::new(),
        });
        self.jobs.push(None);
        self.at(self.now + after, Event::Start(id));
        id
    }

    /// Lets the source of a message take its time, if its delivery has not begun.
    pub fn pace(&mut self, id: usize, pace: Pace) {
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.pace = Some(pace);
        }
    }

    /// Calls a delivery off in `after` from now, as a client does that is told to end:
    /// politely, and with a verdict for everybody.
    pub fn cancel(&mut self, after: Duration, id: usize) {
        self.at(self.now + after, Event::Cancel(id));
    }

    /// Lets time pass until a delivery is over, and says which. `None`: none is left,
    /// or the world is [stuck](Self::is_stuck).
    pub fn next_finished(&mut self) -> Option<usize> {
        loop {
            if let Some(id) = self.finished.pop_front() {
                return Some(id);
            }
            if !self.step() {
                return None;
            }
        }
    }

    /// Lets all deliveries come to their end, closes the kept connections, and lets
    /// everything that is on its way arrive.
    pub fn run_out(&mut self) {
        while self.next_finished().is_some() {}
        self.hub.hang_up();
        self.look_back(None);
        while self.step() {}
    }

    /// Whether the world was stopped because its deliveries came to no end.
    pub const fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// A delivery by its number.
    pub fn delivery(&self, id: usize) -> Option<&Delivered> {
        self.deliveries.get(id)
    }

    /// All deliveries, by number.
    pub fn deliveries(&self) -> &[Delivered] {
        &self.deliveries
    }

    /// All connections, in the order in which they were made.
    pub fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        self.links.iter().filter_map(|link| {
            let (host, ..) = self.hosts.get(link.host)?;
            Some(Connection {
                host: *host,
                ledger: link.peer.ledger(),
                read: link.read,
                quiet: link.quiet,
                waits: &link.tap.waits,
                closed: link.closed,
                deliveries: &link.jobs,
            })
        })
    }

    /// Which moves the sessions of the deliveries made that are over.
    pub const fn taken(&self) -> Taken {
        self.taken
    }

    /// The moves of the deliveries that are over between their phases.
    pub const fn phases_taken(&self) -> PhasesTaken {
        self.phases
    }

    /// The record of this run.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    fn at(&mut self, time: Time, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((time, self.serial, event)));
    }

    /// Does the next thing that is due. False: nothing will ever happen again.
    fn step(&mut self) -> bool {
        let Some(Reverse((at, _, event))) = self.events.pop() else {
            return false;
        };
        self.happened += 1;
        if self.stuck || self.happened > PATIENCE * (1 + self.begun) {
            self.stuck = true;
            return false;
        }
        self.now = self.now.max(at);
        match event {
            Event::Start(id) => self.start(id),
            Event::Cancel(id) => self.call_off(id),
            Event::Expire => {
                let next = self.hub.expire(self.now);
                self.look_back(None);
                if let Some(next) = next {
                    self.at(next, Event::Expire);
                }
            }
            Event::Job(id) => {
                if let Some(running) = self.jobs.get_mut(id).and_then(Option::as_mut) {
                    running.armed = running.armed.filter(|armed| *armed > at);
                }
                self.run_job(id);
            }
            Event::Text(id) => {
                if let Some(running) = self.jobs.get(id).and_then(Option::as_ref) {
                    running.text_comes();
                }
                self.run_woken();
            }
            Event::Link(id) => {
                if let Some(link) = self.links.get_mut(id) {
                    link.armed = link.armed.filter(|armed| *armed > at);
                }
                self.run_link(id);
            }
        }
        true
    }

    /// Lets the far end of a connection go on, and then whoever has the near end.
    fn run_link(&mut self, id: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let news = link.run(now);
        for line in link.peer.take_lines() {
            let side = if line.from_server { "<" } else { ">" };
            let lock = if line.secure { "*" } else { " " };
            let words = || format!("connection {id}{lock}{side} {}", line.text);
            self.trace.note(now, 0, words);
        }
        let owner = link.jobs.last().copied().filter(|_| !link.kept);
        self.arm_link(id);
        if news && let Some(job) = owner {
            self.run_job(job);
        }
    }

    /// Sees to it that a connection is looked after when something is due there.
    fn arm_link(&mut self, id: usize) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let Some(due) = link.due() else { return };
        if link.armed.is_none_or(|armed| due < armed) {
            link.armed = Some(due);
            self.at(due, Event::Link(id));
        }
    }

    fn close(&mut self, id: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.close(now);
        link.kept = false;
        self.trace.note(now, id as u64, || {
            format!("connection {id}  closed by the client")
        });
        self.run_link(id);
    }

    /// Begins a connection. Returns when the outcome is known, and what it is.
    fn connect(&mut self, job: usize, target: &Target) -> (Time, Result<Socket, ConnectError>) {
        let limit = target.limit.unwrap_or(SYSTEM_CONNECT_LIMIT);
        let smtp_policy::delivery::Endpoint::Inet(address) = target.endpoint else {
            let missing = "No such file or directory".to_owned();
            return (self.now, Err(ConnectError::Other(missing)));
        };
        let host = self.by_address.get(&address).copied();
        let Some((number, (_, host, accepted))) =
            host.and_then(|number| Some((number, self.hosts.get_mut(number)?)))
        else {
            return (self.now, Err(ConnectError::Refused));
        };
        let id = self.links.len();
        let door = host.door;
        let mut shape = host.shape;
        if *accepted >= host.faulty {
            (shape.cut, shape.slow) = (None, None);
        }
        let arrival = self.now + shape.latency * 2;
        let result = match door {
            Door::Open => {
                let traced = self.trace.is_readable();
                let peer = Peer::new(Arc::clone(&host.temper), *accepted, arrival, traced);
                *accepted += 1;
                // Each connection is cut up in its own way, whatever else happens.
                let seed = Dice::new(self.chunk_seed ^ (id as u64) << 32).draw();
                let near = Near::new(shape.piece, seed);
                let mut link = Link::new(number, peer, shape, arrival, near.clone());
                link.jobs.push(job);
                self.links.push(link);
                (arrival, Ok(Socket::new(id, near, self.log.clone())))
            }
            Door::Closed => (arrival, Err(ConnectError::Refused)),
            Door::Hole => (self.now + limit, Err(ConnectError::TimedOut)),
        };
        self.trace.note(self.now, id as u64, || {
            format!("delivery {job} connects to {address} as connection {id}: {door:?}")
        });
        result
    }
}
