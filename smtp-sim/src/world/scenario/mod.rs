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
use std::time::Duration;

use bytes::Bytes;
use smtp_policy::delivery::{Ask, Delivery, Socket, Ticket};
use smtp_policy::driver::{Clerk, Seeds};
use smtp_policy::event::Level;
use smtp_policy::policy::Policy;
use smtp_policy::report::Report;
use smtp_policy::request::Request;
use smtp_policy::reuse::ConnectionCache;
use smtp_policy::sts::FetchError;
use smtp_policy::tables::TableFailure;
use smtp_proto::Time;

use crate::compare::normalise;
use crate::dns_server::Zone;
use crate::request::{policy, results, to_request};
use crate::scenario::{CONFIG_DIRECTORY, Picture, RequestSpec, Scenario, write_inputs};
use names::Questions;
use net::{Arrival, LinkId, Net};

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
    policy: Arc<Policy>,
    seeds: Seeds,
    cache: ConnectionCache<LinkId>,
    notes: Vec<String>,
    steps: u32,
}

/// What one delivery holds while it runs.
#[derive(Default)]
struct Job {
    link: Option<LinkId>,
    questions: Questions,
    connecting: Option<(Ticket<Socket>, Arrival)>,
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
            policy: policy(scenario, dir, NAME_SERVER)?,
            seeds: Seeds::new(seed),
            cache: ConnectionCache::new(),
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
        let mut clerk = Clerk::new(request.recipients.len(), text, ());
        let mut delivery =
            Delivery::new(request, Arc::clone(&self.policy), self.seeds.draw()).with_epoch(EPOCH);
        let mut job = Job::default();
        self.steps = 0;
        loop {
            match delivery.poll(self.now) {
                Ask::Resolve(ticket, query) => {
                    let config = Arc::clone(self.policy.resolver());
                    job.questions
                        .ask(ticket, query, config, self.seeds.draw(), self.now);
                }
                Ask::Fetch(ticket, _) => delivery.fetched(ticket, Err(FetchError::Unsupported)),
                Ask::LookUp(ticket, query) => {
                    let reason = "no such table in this world".to_owned();
                    delivery.looked_up(
                        ticket,
                        Err(TableFailure {
                            table: query.table,
                            reason,
                        }),
                    );
                }
                Ask::Reuse(ticket, key) => {
                    let hit = self.cache.take(&key, self.now).map(|(link, channel)| {
                        job.link = Some(link);
                        channel
                    });
                    delivery.reused(ticket, hit);
                }
                Ask::Connect(ticket, target) => {
                    job.connecting = Some((ticket, self.net.connect(&target, self.now)));
                }
                Ask::Send { until } => self.wait(&mut delivery, &mut job, until, true)?,
                Ask::Wait { until } => self.wait(&mut delivery, &mut job, until, false)?,
                Ask::Text { offset, room } => clerk.read(&mut delivery, offset, room),
                Ask::Report(index, outcome) => {
                    clerk.settle(&delivery.request().recipients, index, *outcome);
                }
                Ask::Note(note) if note.level() == Level::Trace => {}
                Ask::Note(note) => self.notes.push(note.to_string()),
                Ask::Keep(keys, channel, expires) => {
                    if let Some(link) = job.link.take() {
                        self.cache.put(keys, link, channel, expires);
                    }
                }
                Ask::Close => {
                    if let Some(link) = job.link.take() {
                        self.net.close(link, self.now);
                    }
                }
                Ask::Done => return Ok(clerk.report(&delivery.request().recipients)),
            }
        }
    }

    /// Moves bytes and answers; if there is nothing to move, lets time pass until
    /// something is due.
    fn wait(
        &mut self,
        delivery: &mut Delivery,
        job: &mut Job,
        until: Time,
        sending: bool,
    ) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(format!("the delivery comes to no end at {:?}", self.now));
        }
        let moved = job
            .link
            .is_some_and(|link| self.net.exchange(link, delivery, sending, self.now));
        if moved || job.questions.answer(delivery, &self.zone, self.now) {
            return Ok(());
        }
        if let Some((ticket, arrival)) = job.connecting.take() {
            if arrival.at <= self.now {
                let result = arrival.result.map(|link| job.link = Some(link));
                delivery.connected(ticket, result);
                return Ok(());
            }
            job.connecting = Some((ticket, arrival));
        }
        let due = [
            Some(until),
            job.questions.due(),
            job.connecting.as_ref().map(|(_, arrival)| arrival.at),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(until);
        if self.tick(due) || due > self.now {
            return Ok(());
        }
        self.now = self.now.max(due);
        Ok(())
    }

    /// Jumps to the next thing that is due in the surroundings, at most to
    /// `limit`, and does it. False: time did not move, and nothing was done.
    fn tick(&mut self, limit: Time) -> bool {
        let due = [self.net.due(), self.cache.deadline()]
            .into_iter()
            .flatten()
            .min();
        let next = due.map_or(limit, |due| due.min(limit)).max(self.now);
        let advanced = next > self.now;
        self.now = next;
        let mut moved = false;
        for (link, _) in self.cache.expire(self.now) {
            self.net.close(link, self.now);
            moved = true;
        }
        self.net.run(self.now) || moved || advanced
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
        for (link, _) in self.cache.drain() {
            self.net.close(link, self.now);
        }
        let end = self.now + AFTERMATH;
        while self.now < end && !self.net.is_at_rest() {
            let _ = self.tick(end);
        }
    }
}
