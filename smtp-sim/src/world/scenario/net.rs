//! The network of a world: who listens where, and the connections with their
//! scripted servers at the other end. Bytes arrive at once; only servers and
//! unanswered connection attempts take time.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use smtp_policy::delivery::{self, Bind, ConnectError, Target};
use smtp_policy::driver::{Interest, Seeds};
use smtp_proto::Time;

use crate::scenario::{Accept, Endpoint, Scenario, SessionRecord};
use crate::server::{ServerConfig, ServerConnection, ServerStep};

/// How long the system tries to connect when the client sets no limit.
const SYSTEM_CONNECT_LIMIT: Duration = Duration::from_secs(127);
/// How much a server that does not read takes before the client has to wait.
const WINDOW: usize = 64 * 1024;
/// The sizes of pieces in a run that cuts bytes up.
const PIECES: [usize; 8] = [1, 2, 3, 5, 17, 64, 1460, 65_536];

/// The client's end of a connection of a [`Net`].
#[derive(Debug)]
pub(super) struct Socket {
    link: Arc<Mutex<Link>>,
    seeds: Arc<Mutex<Option<Seeds>>>,
}

/// The outcome of a connection attempt, and when it is known.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Time,
    pub(super) result: Result<Socket, ConnectError>,
}

#[derive(Debug)]
struct Listener {
    config: Arc<ServerConfig>,
    accepted: u32,
}

#[derive(Debug)]
struct Link {
    now: Time,
    server: ServerConnection,
    /// When the server has something to do.
    due: Time,
    to_client: BytesMut,
    /// How much a server that does not read has been sent.
    unread: usize,
    reads: bool,
    /// The server has closed its side, or everything.
    ended: bool,
    reset: bool,
    /// The client knows that the server has ended.
    told: bool,
    client_closed: bool,
}

/// Everything that listens and is connected.
#[derive(Debug)]
pub(super) struct Net {
    listeners: BTreeMap<Endpoint, Listener>,
    links: Vec<Arc<Mutex<Link>>>,
    seeds: Arc<Mutex<Option<Seeds>>>,
}

impl Net {
    /// The servers of a scenario. With seed zero nothing is cut up.
    pub(super) fn new(scenario: &Scenario, dir: &Path, hold: Duration, seed: u64) -> Net {
        let listener = |(spec, script): (&String, &crate::scenario::ServerScript)| {
            let config = ServerConfig {
                endpoint: spec.clone(),
                script: script.clone(),
                protocol: scenario.protocol,
                hold,
                epoch: super::EPOCH,
            };
            let listener = Listener {
                config: Arc::new(config),
                accepted: 0,
            };
            Endpoint::parse(spec, dir).map(|endpoint| (endpoint, listener))
        };
        Net {
            listeners: scenario.servers.iter().filter_map(listener).collect(),
            links: Vec::new(),
            seeds: Arc::new(Mutex::new((seed != 0).then(|| Seeds::new(seed)))),
        }
    }

    /// What the servers saw, in the order in which they accepted.
    pub(super) fn records(&self) -> Vec<SessionRecord> {
        self.links
            .iter()
            .map(|link| lock(link).server.record().clone())
            .collect()
    }

    /// Tries to connect.
    pub(super) fn connect(&mut self, target: &Target, now: Time) -> Arrival {
        let refused = match &target.endpoint {
            delivery::Endpoint::Inet(_) => ConnectError::Refused,
            delivery::Endpoint::Unix(_) => {
                ConnectError::Other("No such file or directory".to_owned())
            }
        };
        let endpoint = match &target.endpoint {
            delivery::Endpoint::Inet(address) => Endpoint::Inet(*address),
            delivery::Endpoint::Unix(path) => Endpoint::Unix(path.clone()),
        };
        let peer = match source(&endpoint, target.bind) {
            Ok(peer) => peer,
            Err(error) => {
                return Arrival {
                    at: now,
                    result: Err(error),
                };
            }
        };
        let Some(listener) = self.listeners.get_mut(&endpoint) else {
            return Arrival {
                at: now,
                result: Err(refused),
            };
        };
        let script = &listener.config.script;
        if script.accept == Some(Accept::Stall) {
            let at = now + target.limit.unwrap_or(SYSTEM_CONNECT_LIMIT);
            return Arrival {
                at,
                result: Err(ConnectError::TimedOut),
            };
        }
        if script
            .max_sessions
            .is_some_and(|most| listener.accepted >= most.max(1))
        {
            return Arrival {
                at: now,
                result: Err(refused),
            };
        }
        listener.accepted += 1;
        let config = Arc::clone(&listener.config);
        let link = Arc::new(Mutex::new(Link {
            now,
            server: ServerConnection::new(config, listener.accepted, &peer, now),
            due: now,
            to_client: BytesMut::new(),
            unread: 0,
            reads: true,
            ended: false,
            reset: false,
            told: false,
            client_closed: false,
        }));
        self.links.push(Arc::clone(&link));
        Arrival {
            at: now,
            result: Ok(Socket {
                link,
                seeds: Arc::clone(&self.seeds),
            }),
        }
    }

    /// When the next server has something to do.
    pub(super) fn due(&self) -> Option<Time> {
        let links = self.links.iter().map(|link| lock(link));
        let open = links.filter(|link| !link.server.is_over());
        open.map(|link| link.due).min()
    }

    /// Lets all servers do what is due, and says whether there was anything. It is `now`
    /// for all connections from now on.
    pub(super) fn run(&mut self, now: Time) -> bool {
        let mut moved = false;
        for link in &self.links {
            let mut link = lock(link);
            link.now = now;
            if link.due <= now && !link.server.is_over() {
                link.run(now);
                moved = true;
            }
        }
        moved
    }

    /// Whether all connections are over.
    pub(super) fn is_at_rest(&self) -> bool {
        self.links.iter().all(|link| lock(link).server.is_over())
    }
}

impl Socket {
    /// Returns whether a delivery that waits for `interest` has something to do.
    pub(super) fn is_ready(&self, interest: Interest) -> bool {
        let link = lock(&self.link);
        let reads = !link.to_client.is_empty() || (link.ended && !link.told);
        let writes = link.reset || link.room() > 0;
        interest.reads() && reads || interest.writes() && writes
    }

    /// The most bytes that move in one piece.
    fn piece(&self) -> usize {
        let Some(seeds) = &mut *lock(&self.seeds) else {
            return usize::MAX;
        };
        let index = usize::try_from(seeds.draw() % 8).unwrap_or(0);
        PIECES.get(index).copied().unwrap_or(1)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut link = lock(&self.link);
        link.client_closed = true;
        link.server.disconnected();
        let now = link.now;
        link.run(now);
    }
}

impl Read for Socket {
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let most = self.piece().min(scratch.len());
        let mut link = lock(&self.link);
        if !link.to_client.is_empty() {
            let count = link.to_client.len().min(most);
            let bytes = link.to_client.split_to(count);
            for (place, byte) in scratch.iter_mut().zip(&bytes) {
                *place = *byte;
            }
            return Ok(count);
        }
        match link.ended {
            true => {
                link.told = true;
                Ok(0)
            }
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let most = self.piece();
        let mut link = lock(&self.link);
        if link.reset {
            link.told = true;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        // The first piece alone, as it comes.
        let bytes = pieces.iter().find(|piece| !piece.is_empty());
        let bytes = bytes.map(|piece| &**piece).unwrap_or_default();
        let count = bytes.len().min(most).min(link.room());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let now = link.now;
        link.server
            .receive(now, bytes.get(..count).unwrap_or_default());
        if !link.reads {
            link.unread += count;
        }
        link.run(now);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Link {
    /// Lets the server go on until it waits.
    fn run(&mut self, now: Time) {
        loop {
            match self.server.poll(now) {
                ServerStep::Send(bytes) => {
                    if !self.client_closed {
                        self.to_client.extend_from_slice(&bytes);
                    }
                }
                ServerStep::Wait { until } => {
                    self.due = until;
                    self.reads = true;
                    return;
                }
                ServerStep::Stall { until } => {
                    self.due = until;
                    self.reads = false;
                    return;
                }
                ServerStep::Shutdown => self.ended = true,
                ServerStep::Reset => {
                    self.to_client.clear();
                    self.reset = true;
                    self.ended = true;
                    self.due = Time::FAR;
                    return;
                }
                ServerStep::Close => {
                    self.ended = true;
                    self.due = Time::FAR;
                    return;
                }
            }
        }
    }

    /// The number of bytes that the server takes without reading them.
    fn room(&self) -> usize {
        match self.reads {
            true => usize::MAX,
            false => WINDOW.saturating_sub(self.unread),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's address as the server sees it.
fn source(endpoint: &Endpoint, bind: Option<Bind>) -> Result<String, ConnectError> {
    let system: IpAddr = match endpoint {
        Endpoint::Unix(_) => return Ok(String::new()),
        Endpoint::Inet(address) if address.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        Endpoint::Inet(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match bind {
        Some(bind) if bind.address.is_loopback() => Ok(bind.address.to_string()),
        Some(bind) if bind.enforce => Err(ConnectError::Bind(
            "Cannot assign requested address".to_owned(),
        )),
        _ => Ok(system.to_string()),
    }
}
