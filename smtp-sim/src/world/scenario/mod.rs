//! The interpreter of scenarios: a world in which scripted servers say what a
//! recording has, and one delivery runs after the other. Bytes take no time here, so
//! that nothing but the script decides.
//!
//! Time stands still while anybody has something to do, and then jumps to the
//! next thing that is due: a server's reply, a time-out, the end of a pause.

mod names;
mod net;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use smtp_policy::delivery::{self, Level, Note, Observer};
use smtp_policy::driver::{Act, Answered, Hub, Job, Slip};
use smtp_policy::report::Report;
use smtp_policy::request::Request;
use smtp_policy::sts::FetchError;
use smtp_proto::Time;

use crate::compare::normalise;
use crate::dns_server::Zone;
use crate::request::{policy, results, to_request};
use crate::scenario::{CONFIG_DIRECTORY, Picture, RequestSpec, Scenario, write_inputs};
use names::Questions;
use net::{Arrival, Net, Socket};

use super::outside::{ask_token, look_up};

/// The address of the scripted name server inside a world.
const NAME_SERVER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 153)),
    53,
);
/// The time of day when a world begins, in Unix time: the first second of 2027. It
/// decides which certificates are valid.
const EPOCH: Duration = Duration::from_secs(1_798_761_600);
/// How long the servers wait for more commands before they answer.
const HOLD: Duration = Duration::from_millis(120);
/// How long the servers may go on after the last delivery.
const AFTERMATH: Duration = Duration::from_secs(120);
/// How many steps may be taken without time passing; more mean that the engine
/// turns in a circle.
const MAX_STEPS: u32 = 1_000_000;

/// What was seen in one run.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// What is compared with the expectation.
    pub picture: Picture,
    /// Why the run did not come to its end.
    pub error: Option<String>,
    /// The log lines of the engine.
    pub notes: Vec<String>,
}

/// A small universe with one client.
#[derive(Debug)]
struct Stage {
    now: Time,
    net: Net,
    zone: Zone,
    hub: Arc<Hub<Socket>>,
    /// When the hub looks after its kept connections.
    visit: Option<Time>,
    notes: Vec<String>,
    steps: u32,
}

/// The answers that one delivery waits for.
#[derive(Default)]
struct Awaited {
    questions: Questions,
    connecting: Option<(Slip<delivery::Socket>, Arrival)>,
}

/// Writes down the log lines.
#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn note(&mut self, note: &Note) {
        if note.level() > Level::Trace {
            self.0.push(note.to_string());
        }
    }
}

impl super::World {
    /// Runs a scenario. With seed zero bytes arrive in the pieces in which they
    /// were sent; any other seed cuts them up in its own way.
    pub fn run(scenario: &Scenario, seed: u64) -> Observation {
        let mut observation = Observation::default();
        if let Err(error) = Stage::play(scenario, seed, &mut observation) {
            observation.error = Some(error.to_string());
        }
        observation
    }
}

impl Stage {
    fn play(
        scenario: &Scenario,
        seed: u64,
        observation: &mut Observation,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let dir = folder.path();
        write_inputs(scenario, dir)?;
        let mut world = Stage {
            now: Time::ZERO,
            net: Net::new(scenario, dir, HOLD, seed),
            zone: Zone::new(&scenario.dns),
            hub: Arc::new(Hub::new(policy(scenario, dir, NAME_SERVER)?, seed, EPOCH)),
            visit: None,
            notes: Vec::new(),
            steps: 0,
        };
        let outcome = scenario.requests.iter().try_for_each(|spec| {
            let report = world.request(spec, scenario, dir)?;
            observation.picture.recipients.push(results(&report));
            Ok(())
        });
        world.part();
        observation.picture.sessions = world.net.records();
        let name = dir.to_string_lossy();
        normalise(&mut observation.picture, &name);
        let notes = world.notes.iter();
        observation.notes = notes
            .map(|note| note.replace(&*name, CONFIG_DIRECTORY))
            .collect();
        outcome
    }

    fn request(
        &mut self,
        spec: &RequestSpec,
        scenario: &Scenario,
        dir: &Path,
    ) -> Result<Report, Box<dyn std::error::Error>> {
        self.pass(Duration::from_millis(spec.pause_ms));
        let request = to_request(spec, scenario.protocol, dir)?;
        let report = self.deliver(request, Bytes::from(spec.message()))?;
        Ok(report)
    }

    /// Does what a delivery asks, until it is done.
    fn deliver(&mut self, request: Request, text: Bytes) -> Result<Report, String> {
        let hub = Arc::clone(&self.hub);
        let mut job = Job::whole(hub, request, text, Notes::default());
        let mut awaited = Awaited::default();
        self.steps = 0;
        loop {
            let act = job.poll(self.now, Waker::noop());
            self.notes.append(&mut job.observer().0);
            match act {
                Act::Resolve(slip, query) => {
                    let config = Arc::clone(self.hub.policy().resolver());
                    let seed = self.hub.seed();
                    let questions = &mut awaited.questions;
                    questions.ask(slip, query, config, seed, self.now);
                }
                Act::Fetch(slip, _) => {
                    job.answer(Answered::Policy(slip, Err(FetchError::Unsupported)));
                }
                Act::LookUp(slip, table, query) => {
                    job.answer(Answered::Table(slip, look_up(&table, &query)));
                }
                Act::Token(slip, source, wanted) => {
                    job.answer(Answered::Token(slip, ask_token(&source, &wanted)));
                }
                Act::Connect(slip, target) => {
                    awaited.connecting = Some((slip, self.net.connect(&target, self.now)));
                }
                Act::Expire(at) => self.visit = Some(at),
                Act::Wait { until, interest } => {
                    let socket = job.socket();
                    if !socket.is_some_and(|socket| socket.is_ready(interest)) {
                        self.wait(&mut job, &mut awaited, until);
                    }
                }
                Act::Yield => {}
                Act::Done(report) => return Ok(report),
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(format!("the delivery comes to no end at {:?}", self.now));
            }
        }
    }

    /// Gives answers; if there is none, lets time pass until something is due.
    fn wait(&mut self, job: &mut Job<Socket, Bytes, Notes>, awaited: &mut Awaited, until: Time) {
        let answers = awaited.questions.answers(&self.zone, self.now);
        let is_answered = !answers.is_empty();
        for (slip, answer) in answers {
            job.answer(Answered::Dns(slip, answer));
        }
        if is_answered {
            return;
        }
        if let Some((slip, arrival)) = awaited.connecting.take() {
            if arrival.at <= self.now {
                return job.answer(Answered::Socket(slip, arrival.result));
            }
            awaited.connecting = Some((slip, arrival));
        }
        let due = [
            Some(until),
            awaited.questions.due(),
            awaited.connecting.as_ref().map(|(_, arrival)| arrival.at),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(until);
        if !self.tick(due) {
            self.now = self.now.max(due);
        }
    }

    /// Jumps to the next thing that is due in the surroundings, at most to
    /// `limit`, and does it. False: time did not move, and nothing was done.
    fn tick(&mut self, limit: Time) -> bool {
        let due = [self.net.due(), self.visit].into_iter().flatten().min();
        let next = due.map_or(limit, |due| due.min(limit)).max(self.now);
        let advanced = next > self.now;
        self.now = next;
        let moved = self.net.run(self.now);
        let visit = self.visit.filter(|visit| *visit <= self.now);
        if visit.is_some() {
            self.visit = self.hub.expire(self.now);
        }
        moved || visit.is_some() || advanced
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let _ = self.tick(end);
        }
    }

    /// Ends the kept connections, without a farewell as in the recordings, and lets
    /// the servers come to their end.
    fn part(&mut self) {
        self.hub.hang_up();
        let end = self.now + AFTERMATH;
        while self.now < end && !self.net.is_at_rest() {
            let _ = self.tick(end);
        }
    }
}
