//! The network of a world: who listens where, and the connections with their
//! scripted servers at the other end. Bytes arrive at once; only servers and
//! unanswered connection attempts take time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use smtp_policy::delivery::{self, Bind, ConnectError, Delivery, Target};
use smtp_policy::driver::Seeds;
use smtp_proto::Time;

use crate::scenario::{Accept, Endpoint, Scenario, SessionRecord};
use crate::server::{ServerConfig, ServerConnection, ServerStep};

/// How long the system tries to connect when the client sets no limit.
const SYSTEM_CONNECT_LIMIT: Duration = Duration::from_secs(127);
/// How much a server that does not read takes before the client has to wait.
const WINDOW: usize = 64 * 1024;
/// The sizes of pieces in a run that cuts bytes up.
const PIECES: [usize; 8] = [1, 2, 3, 5, 17, 64, 1460, 65_536];

/// One connection of a [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkId(usize);

/// The outcome of a connection attempt, and when it is known.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) at: Time,
    pub(super) result: Result<LinkId, ConnectError>,
}

#[derive(Debug)]
struct Listener {
    config: Arc<ServerConfig>,
    accepted: u32,
}

#[derive(Debug)]
struct Link {
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
    links: Vec<Link>,
    seeds: Option<Seeds>,
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
            seeds: (seed != 0).then(|| Seeds::new(seed)),
        }
    }

    /// What the servers saw, in the order in which they accepted.
    pub(super) fn records(&self) -> Vec<SessionRecord> {
        self.links
            .iter()
            .map(|link| link.server.record().clone())
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
        let id = LinkId(self.links.len());
        self.links.push(Link {
            server: ServerConnection::new(config, listener.accepted, &peer, now),
            due: now,
            to_client: BytesMut::new(),
            unread: 0,
            reads: true,
            ended: false,
            reset: false,
            told: false,
            client_closed: false,
        });
        Arrival {
            at: now,
            result: Ok(id),
        }
    }

    /// One read and, if `sending`, one write of the client. False: nothing moved.
    pub(super) fn exchange(
        &mut self,
        id: LinkId,
        delivery: &mut Delivery,
        sending: bool,
        now: Time,
    ) -> bool {
        let (read, write) = (self.piece(), self.piece());
        let Some(link) = self.links.get_mut(id.0) else {
            return false;
        };
        let heard = link.hear(delivery, read);
        sending && link.tell(delivery, write, now) || heard
    }

    /// The client closes a connection.
    pub(super) fn close(&mut self, id: LinkId, now: Time) {
        if let Some(link) = self.links.get_mut(id.0) {
            link.client_closed = true;
            link.server.disconnected();
            link.run(now);
        }
    }

    /// When the next server has something to do.
    pub(super) fn due(&self) -> Option<Time> {
        self.links
            .iter()
            .filter(|link| !link.server.is_over())
            .map(|link| link.due)
            .min()
    }

    /// Lets all servers do what is due, and says whether there was anything.
    pub(super) fn run(&mut self, now: Time) -> bool {
        let mut moved = false;
        for link in &mut self.links {
            if link.due <= now && !link.server.is_over() {
                link.run(now);
                moved = true;
            }
        }
        moved
    }

    /// Whether all connections are over.
    pub(super) fn is_at_rest(&self) -> bool {
        self.links.iter().all(|link| link.server.is_over())
    }

    /// The most bytes that move in one piece.
    fn piece(&mut self) -> usize {
        let Some(seeds) = &mut self.seeds else {
            return usize::MAX;
        };
        let index = usize::try_from(seeds.draw() % 8).unwrap_or(0);
        PIECES.get(index).copied().unwrap_or(1)
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

    fn hear(&mut self, delivery: &mut Delivery, most: usize) -> bool {
        if !self.to_client.is_empty() {
            let count = self.to_client.len().min(most);
            delivery.receive(&self.to_client.split_to(count));
            return true;
        }
        if self.ended && !self.told {
            self.told = true;
            delivery.disconnected();
            return true;
        }
        false
    }

    fn tell(&mut self, delivery: &mut Delivery, most: usize, now: Time) -> bool {
        let Some(output) = delivery.output() else {
            return false;
        };
        if !output.has_remaining() {
            return false;
        }
        if self.reset {
            self.told = true;
            delivery.write_failed();
            return true;
        }
        let room = if self.reads {
            usize::MAX
        } else {
            WINDOW.saturating_sub(self.unread)
        };
        let count = output.chunk().len().min(most).min(room);
        if count == 0 {
            return false;
        }
        self.server
            .receive(now, output.chunk().get(..count).unwrap_or_default());
        output.advance(count);
        if !self.reads {
            self.unread += count;
        }
        self.run(now);
        true
    }
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
