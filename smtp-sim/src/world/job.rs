//! The deliveries of a world: does what each of them asks.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf, Bytes};
use smtp_policy::{
    delivery::{Ask, ConnectError, Delivery, Dns, Level, Socket, Ticket},
    dns::{Answer, Failure, Query, QueryKind},
    driver::{Clerk, Place},
    report::Report,
    request::Request,
    sts::FetchError,
    tables::TableFailure,
};
use smtp_proto::Time;

use super::{
    EPOCH, Event, Span, World,
    resolver::{Question, is_true},
};
use crate::dice::Dice;

/// How often a delivery may be polled without time passing.
const MAX_POLLS: u32 = 2_000_000;

/// A delivery under way.
#[derive(Debug)]
pub(super) struct Job {
    delivery: Delivery,
    clerk: Clerk<Bytes, ()>,
    link: Option<usize>,
    pending: Vec<(Time, Pending)>,
    questions: Vec<Question>,
    /// The number of questions that were asked.
    asked: u64,
    pub(super) armed: Option<Time>,
    place: Place,
    begun: bool,
}

/// An answer on its way.
#[derive(Debug)]
enum Pending {
    Names(Ticket<Dns>, Result<Answer, Failure>),
    Connected(Ticket<Socket>, Result<usize, ConnectError>),
}

/// What is left of a delivery that is made in parts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What has not begun.
    waiting: VecDeque<Request>,
    /// What is over.
    report: Report,
}

impl World {
    /// Begins a delivery, in as many parts as it takes.
    pub(super) fn start(&mut self, id: usize) {
        let Some(delivered) = self.deliveries.get(id) else {
            return;
        };
        let request = delivered.request.clone();
        let cache = &self.policy.config(request.protocol).cache;
        let parts = request.split(*cache.destination_recipient_limit);
        if let Some(slot) = self.parts.get_mut(id) {
            slot.waiting = parts.into();
        }
        self.enter(id);
    }

    /// Calls a delivery off, with the parts that have not begun.
    pub(super) fn call_off(&mut self, id: usize) {
        let delivered = self.deliveries.get_mut(id);
        let Some(delivered) = delivered.filter(|d| d.report.is_none()) else {
            return;
        };
        delivered.cancelled = Some(self.now);
        if let Some(job) = self.jobs.get_mut(id).and_then(Option::as_mut) {
            job.delivery.cancel();
        }
        self.trace.note(self.now, id as u64, || {
            format!("delivery {id} is called off")
        });
        self.run_job(id);
    }

    /// Lets the next part of a delivery begin, or wait for its turn. False: there is
    /// none.
    fn enter(&mut self, id: usize) -> bool {
        let parts = self.parts.get_mut(id);
        let (Some(request), Some(delivered)) = (
            parts.and_then(|parts| parts.waiting.pop_front()),
            self.deliveries.get(id),
        ) else {
            return false;
        };
        let (text, is_called_off) = (delivered.text.clone(), delivered.cancelled.is_some());
        let limit = self.policy.config(request.protocol);
        let limit = *limit.cache.destination_concurrency_limit;
        let (place, come) = self
            .turns
            .enter(request.protocol, &request.nexthop, limit, id);
        let clerk = Clerk::new(request.recipients.len(), text, ());
        let policy = Arc::clone(&self.policy);
        let mut delivery = Delivery::new(request, policy, self.dice.draw()).with_epoch(EPOCH);
        if is_called_off {
            delivery.cancel();
        }
        if let Some(slot) = self.jobs.get_mut(id) {
            *slot = Some(Box::new(Job {
                delivery,
                clerk,
                link: None,
                pending: Vec::new(),
                questions: Vec::new(),
                asked: 0,
                armed: None,
                place,
                begun: false,
            }));
        }
        if come.is_some() {
            self.begin(id);
        }
        true
    }

    fn begin(&mut self, id: usize) {
        self.begun += 1;
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.turns.push(Span {
                begun: self.now,
                ended: None,
            });
        }
        if let Some(job) = self.jobs.get_mut(id).and_then(Option::as_mut) {
            job.begun = true;
        }
        self.trace
            .note(self.now, id as u64, || format!("delivery {id} begins"));
        self.run_job(id);
    }

    /// Does what a delivery asks until it waits.
    pub(super) fn run_job(&mut self, id: usize) {
        let slot = self.jobs.get_mut(id);
        // One that has not begun waits for its turn.
        let Some(mut job) = slot.and_then(|slot| slot.take_if(|job| job.begun)) else {
            return;
        };
        for _ in 0..MAX_POLLS {
            self.answer(&mut job);
            self.resolve(id, &mut job);
            let ask = job.delivery.poll(self.now);
            let (until, sending) = match ask {
                Ask::Send { until } => (until, true),
                Ask::Wait { until } => (until, false),
                Ask::Done => return self.done(id, *job),
                ask => {
                    self.oblige(id, &mut job, ask);
                    continue;
                }
            };
            if self.exchange(id, &mut job, sending) {
                continue;
            }
            let pending = job.pending.iter().map(|(at, _)| *at);
            let pending = pending.chain(job.questions.iter().map(|question| question.due));
            let due = pending
                .min()
                .map_or(until, |at| at.min(until))
                .max(self.now);
            if job.armed.is_none_or(|armed| due < armed) {
                job.armed = Some(due);
                self.at(due, Event::Job(id));
            }
            if let Some(slot) = self.jobs.get_mut(id) {
                *slot = Some(job);
            }
            return;
        }
        self.stuck = true;
    }

    /// Gives the answers that have come.
    fn answer(&mut self, job: &mut Job) {
        while let Some(at) = job.pending.iter().position(|(at, _)| *at <= self.now) {
            match job.pending.swap_remove(at).1 {
                Pending::Names(ticket, answer) => job.delivery.resolved(ticket, answer),
                Pending::Connected(ticket, result) => {
                    let result = result.map(|link| {
                        job.link = Some(link);
                        self.arm_link(link);
                    });
                    job.delivery.connected(ticket, result);
                }
            }
        }
    }

    /// Lets the resolver go on, and gives the answers that it has found.
    fn resolve(&mut self, id: usize, job: &mut Job) {
        let Some(servers) = &self.name_servers else {
            return;
        };
        let mut at = 0;
        while let Some(question) = job.questions.get_mut(at) {
            if question.due > self.now {
                at += 1;
                continue;
            }
            let Some(result) = question.step(servers, self.now) else {
                at += 1;
                continue;
            };
            let Question {
                ticket,
                query,
                truth,
                ..
            } = job.questions.remove(at);
            self.trace.note(self.now, id as u64, || {
                format!("delivery {id} hears of {} {}", query.kind, query.name)
            });
            if !is_true(&result, &truth) && servers.servers.iter().any(|server| server.answers()) {
                let Query { name, kind, .. } = query;
                let what = format!("{kind} {name}: {result:?} instead of {truth:?}");
                self.misheard.push(what);
            }
            job.delivery.resolved(ticket, result);
        }
    }

    /// Takes a question, whose answer is known here already.
    fn ask(&mut self, id: usize, job: &mut Job, ticket: Ticket<Dns>, query: Query) {
        self.trace.note(self.now, id as u64, || {
            format!("delivery {id} asks for {} {}", query.kind, query.name)
        });
        let (longer, answer) = self.names.answer(&query);
        let is_native = matches!(query.kind, QueryKind::Native(_));
        if self.name_servers.is_none() || is_native {
            let at = self.now + self.name_delay + longer;
            return job.pending.push((at, Pending::Names(ticket, answer)));
        }
        job.asked += 1;
        // Each question fares in its own way, whatever else happens.
        let mut dice = Dice::new(self.seed ^ (id as u64) << 32 ^ job.asked << 16);
        let config = Arc::clone(self.policy.resolver());
        let due = self.now + longer;
        let question = Question::new(ticket, query, answer, config, dice.draw(), due);
        job.questions.push(question);
    }

    /// Moves bytes of the open connection.
    fn exchange(&mut self, id: usize, job: &mut Job, sending: bool) -> bool {
        let queued = job.delivery.output().map_or(0, |output| output.remaining());
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.most_queued = delivered.most_queued.max(queued);
        }
        let Some(number) = job.link else { return false };
        let Some(link) = self.links.get_mut(number) else {
            return false;
        };
        let moved = link.exchange(&mut job.delivery, sending, self.now, &mut self.trace);
        if moved {
            self.arm_link(number);
        }
        moved
    }

    /// Does one thing that a delivery asks.
    fn oblige(&mut self, id: usize, job: &mut Job, ask: Ask) {
        match ask {
            Ask::Resolve(ticket, query) => self.ask(id, job, ticket, query),
            Ask::Fetch(ticket, _) => job.delivery.fetched(ticket, Err(FetchError::Unsupported)),
            Ask::LookUp(ticket, query) => {
                let reason = "no such table in this world".to_owned();
                let table = query.table;
                job.delivery
                    .looked_up(ticket, Err(TableFailure { table, reason }));
            }
            Ask::Reuse(ticket, key) => {
                let hit = self.cache.take(&key, self.now).map(|(link, channel)| {
                    job.link = Some(link);
                    self.hand_over(link, id);
                    channel
                });
                job.delivery.reused(ticket, hit);
            }
            Ask::Connect(ticket, target) => {
                let (at, result) = self.connect(id, &target);
                job.pending.push((at, Pending::Connected(ticket, result)));
            }
            Ask::Text { offset, room } => job.clerk.read(&mut job.delivery, offset, room),
            Ask::Report(index, outcome) => {
                let delivered = self.deliveries.get_mut(id);
                let before = self.parts.get(id).map_or(0, Parts::settled);
                let count = delivered.and_then(|d| d.reported.get_mut(before + index));
                if let Some(count) = count {
                    *count += 1;
                }
                self.trace.note(self.now, index as u64, || {
                    let doubt = if outcome.uncertain { " uncertain" } else { "" };
                    format!(
                        "delivery {id} recipient {index}: {}{doubt} {} ({})",
                        outcome.word, outcome.code, outcome.text
                    )
                });
                job.clerk.settle(index, *outcome);
            }
            Ask::Note(note) => {
                self.trace.note(self.now, id as u64, || {
                    format!("delivery {id} notes: {}", note.text)
                });
                if note.level == Level::Warning
                    && let Some(delivered) = self.deliveries.get_mut(id)
                {
                    delivered.warnings.push(note.text.into());
                }
            }
            Ask::Keep(keys, channel, expires) => {
                if let Some(number) = job.link.take() {
                    if let Some(link) = self.links.get_mut(number) {
                        link.stir(self.now);
                        link.kept = true;
                    }
                    self.cache.put(keys, number, channel, expires);
                }
            }
            Ask::Close => {
                if let Some(link) = job.link.take() {
                    self.close(link);
                }
            }
            Ask::Send { .. } | Ask::Wait { .. } | Ask::Done => {}
        }
    }

    fn hand_over(&mut self, link: usize, id: usize) {
        let now = self.now;
        if let Some(link) = self.links.get_mut(link) {
            link.stir(now);
            link.kept = false;
            link.jobs.push(id);
        }
        self.trace.note(now, id as u64, || {
            format!("delivery {id} takes kept connection {link}")
        });
    }

    fn done(&mut self, id: usize, job: Job) {
        let next = self.turns.leave(&job.place);
        self.taken = self.taken.union(&job.delivery.taken());
        self.phases = self.phases.union(&job.delivery.phases_taken());
        let report = job.clerk.report(&job.delivery.request().recipients);
        if let Some(parts) = self.parts.get_mut(id) {
            parts.report.append(report);
        }
        let delivered = self.deliveries.get_mut(id);
        if let Some(turn) = delivered.and_then(|d| d.turns.last_mut()) {
            turn.ended = Some(self.now);
        }
        for (_, pending) in job.pending {
            // The driver of a delivery that was called off hangs up.
            if let Pending::Connected(_, Ok(link)) = pending {
                self.close(link);
            }
        }
        if let Some(link) = job.link {
            // A delivery that ends with an open connection has forgotten it.
            self.trace.note(self.now, id as u64, || {
                format!("delivery {id} leaves {link} open")
            });
        }
        self.trace
            .note(self.now, id as u64, || format!("delivery {id} is over"));
        if !self.enter(id) {
            self.conclude(id);
        }
        if let Some(next) = next {
            self.begin(next);
        }
    }

    fn conclude(&mut self, id: usize) {
        let parts = self.parts.get_mut(id).map(std::mem::take);
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.report = parts.map(|parts| parts.report);
        }
        self.finished.push_back(id);
    }
}

impl Parts {
    /// How many recipients are settled by the parts that are over.
    fn settled(&self) -> usize {
        self.report.recipients.len()
    }
}
