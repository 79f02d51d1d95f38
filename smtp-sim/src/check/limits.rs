//! Time, memory, limits, and the text itself.

use std::time::Duration;

use smtp_proto::Time;

use super::{Bench, Check};
use crate::{
    peer::{MOMENTS, Moment},
    population::time_limit,
    world::{Connection, Span},
};

/// The longest time limit of any stage in the configurations of populations.
const LONGEST_STAGE: Duration = Duration::from_secs(32);
/// `daemon_timeout` of the configurations.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(1_000);
/// The same with what may come after it: a verdict that is on its way, and a farewell.
const LONGEST_DELIVERY: Duration = Duration::from_secs(1_000 + 120);
/// The most output that may wait, in bytes.
const MOST_QUEUED: usize = 192 * 1024;
/// The most that a client reads from one connection: the longest reply, and what may
/// be in its buffers.
const MOST_READ: u64 = 5 * 1024 * 1024;

impl Bench<'_> {
    pub(super) fn limits(&mut self) {
        let world = self.world;
        for connection in world.connections() {
            let host = connection.host;
            if connection.closed.is_none() {
                self.find(Check::Closed, format!("the one to {host}"));
            }
            if connection.quiet > LONGEST_STAGE {
                let what = format!("nothing moved for {:?} at {host}", connection.quiet);
                self.find(Check::Deadlines, what);
            }
            self.deadlines(&connection);
            let most = connection.ledger.transactions.iter().max();
            let limit = self.population.profile.recipients as usize;
            if let Some(most) = most.filter(|most| limit > 0 && **most > limit) {
                let what = format!("{most} at {host} instead of {limit}");
                self.find(Check::Recipients, what);
            }
            if connection.read > MOST_READ {
                let what = format!("{} bytes were read from {host}", connection.read);
                self.find(Check::Memory, what);
            }
        }
        for (number, delivery) in world.deliveries().iter().enumerate() {
            if delivery.most_queued > MOST_QUEUED {
                let what = format!("delivery {number} held {} bytes", delivery.most_queued);
                self.find(Check::Memory, what);
            }
            for turn in &delivery.turns {
                let took = turn
                    .ended
                    .map_or(Duration::ZERO, |end| end.since(turn.begun));
                if took > LONGEST_DELIVERY {
                    let what = format!("delivery {number} took {took:?}");
                    self.find(Check::GivesUp, what);
                }
            }
        }
        self.concurrency();
    }

    /// The limit of each stage is kept, and used up before a server is given up.
    fn deadlines(&mut self, connection: &Connection<'_>) {
        let waits = connection.waits;
        if waits.is_askew {
            return;
        }
        let host = connection.host;
        let per_request = self.population.profile.per_request;
        for (moment, wait) in MOMENTS.iter().zip(&waits.longest) {
            let spent = if per_request { wait.whole } else { wait.quiet };
            if *moment != Moment::Text && !is_kept(*moment, spent, per_request) {
                let what = format!("{spent:?} for {moment:?} at {host}");
                self.find(Check::Deadlines, what);
            }
        }
        let Some((moment, wait)) = waits.last else {
            return;
        };
        let spent = if per_request { wait.whole } else { wait.quiet };
        // A whole request begins when it is queued, which may be long before it is
        // written: behind text, and to whom reads slowly.
        let mut servers = self.population.destinations.iter().flat_map(|d| &d.servers);
        let server = servers.find(|server| server.address == host);
        let is_slow = server.is_none_or(|server| server.host.shape.slow.is_some());
        if per_request && (is_slow || moment == Moment::End) {
            return;
        }
        // Who closes upon something that was just read or written gives nobody up.
        let gives_up = !wait.quiet.is_zero() && !self.is_out_of_time(connection);
        if gives_up && spent < time_limit(moment) {
            let what = format!("only {spent:?} for {moment:?} at {host}");
            self.find(Check::Patience, what);
        }
    }

    /// Whether the last delivery on a connection was called off, or at the end of its
    /// whole time, when the connection was closed.
    fn is_out_of_time(&self, connection: &Connection<'_>) -> bool {
        let last = connection.deliveries.last();
        let (Some(delivery), Some(closed)) = (
            last.and_then(|id| self.world.delivery(*id)),
            connection.closed,
        ) else {
            return false;
        };
        let is_late = |turn: &Span| closed.since(turn.begun) >= DAEMON_TIMEOUT;
        let called_off = delivery.cancelled.is_some_and(|at| at <= closed);
        called_off || delivery.turns.iter().any(is_late)
    }

    fn concurrency(&mut self) {
        let limit = self.population.profile.concurrency as usize;
        for (at, _) in self.population.destinations.iter().enumerate() {
            let mut changes: Vec<(Time, bool)> = Vec::new();
            let all = self.population.letters.iter().zip(self.world.deliveries());
            let here = all.filter(|(letter, _)| letter.destination == at);
            for turn in here.flat_map(|(_, delivery)| &delivery.turns) {
                // At the same time, ends come before beginnings; what took no time
                // was nobody's neighbour.
                if let Some(ended) = turn.ended.filter(|ended| turn.begun < *ended) {
                    changes.extend([(turn.begun, true), (ended, false)]);
                }
            }
            changes.sort_unstable();
            let mut running = 0_usize;
            for (_, begins) in changes {
                running = if begins {
                    running + 1
                } else {
                    running.saturating_sub(1)
                };
                if limit > 0 && running > limit {
                    let what = format!("{running} to destination {at} instead of {limit}");
                    self.find(Check::Concurrency, what);
                    break;
                }
            }
        }
    }
}

/// Whether a wait is within its limit. With a limit for a whole request, Postfix gives
/// the last wait whole seconds.
fn is_kept(moment: Moment, spent: Duration, per_request: bool) -> bool {
    let limit = time_limit(moment);
    match per_request {
        true => spent < limit + Duration::from_secs(1),
        false => spent <= limit,
    }
}
