//! Serves the scripted servers and the scripted DNS of a scenario on real
//! sockets, with real threads and real time (feature `host`). All behaviour is in
//! [`crate::server`] and [`crate::dns_server`]; this is only what carries bytes.
//!
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # use smtp_sim::{host::Host, scenario};
//! let scenario = scenario::load("scenarios/greeting-basic.json".as_ref())?;
//! let dir = Path::new("/tmp/example");
//! scenario::write_inputs(&scenario, dir)?;
//! let dns = "127.0.0.153:10053".parse()?;
//! let host = Host::start(&scenario, dir, dns, Duration::from_millis(40))?;
//! // … deliver the requests of the scenario …
//! let sessions = host.finish();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dns;
mod listen;
mod run_all;
mod serve;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smtp_proto::Time;

use crate::dns_server::Zone;
use crate::scenario::{Endpoint, Scenario, SessionRecord};
use crate::server::{ServerConfig, ServerConnection};
use dns::DnsHost;
use listen::Listening;
pub use run_all::run_all;

/// How long `finish` waits for the servers to come to their end.
const AFTERMATH: Duration = Duration::from_secs(8);
/// How long `finish` waits for connections that wait to be accepted.
const LATECOMERS: Duration = Duration::from_millis(10);

/// The running servers of a scenario.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    listening: Vec<Listening>,
    dns: DnsHost,
}

/// What the threads of a host have in common.
#[derive(Debug)]
struct Shared {
    start: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were accepted.
    connections: Vec<Arc<Mutex<ServerConnection>>>,
    /// How many of them are not over.
    running: usize,
    /// The client has come to its end.
    finishing: bool,
}

impl Host {
    /// Binds all endpoints of the scenario, and the DNS server on UDP and TCP.
    /// `dir` is the directory of `main.cf`, `hold` how long the servers wait for
    /// more commands before they answer.
    ///
    /// # Errors
    /// An address that cannot be bound or is not one.
    pub fn start(
        scenario: &Scenario,
        dir: &Path,
        dns: SocketAddr,
        hold: Duration,
    ) -> io::Result<Host> {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let epoch = epoch.map_err(io::Error::other)?;
        let mut listening = Vec::new();
        for (spec, script) in &scenario.servers {
            let endpoint = Endpoint::parse(spec, dir)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, spec.clone()))?;
            let config = ServerConfig {
                endpoint: spec.clone(),
                script: script.clone(),
                protocol: scenario.protocol,
                hold,
                epoch,
            };
            listening.push(Listening::start(&endpoint, Arc::new(config), &shared)?);
        }
        let dns = DnsHost::start(Zone::new(&scenario.dns), dns)?;
        Ok(Host {
            shared,
            listening,
            dns,
        })
    }

    /// Ends the servers when their connections are over, and says what they saw.
    pub fn finish(self) -> Vec<SessionRecord> {
        std::thread::sleep(LATECOMERS);
        let deadline = Instant::now() + AFTERMATH;
        let mut state = self.shared.lock();
        state.finishing = true;
        while state.running > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.listening.into_iter().for_each(Listening::stop);
        self.dns.stop();
        let state = self.shared.lock();
        state
            .connections
            .iter()
            .map(|connection| lock(connection).record().clone())
            .collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The time since the host was started.
    fn now(&self) -> Time {
        Time::at(self.start.elapsed())
    }
}

/// Locks, whether or not another thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
