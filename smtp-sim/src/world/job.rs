//! The deliveries of a world: does what each of them asks.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

use smtp_policy::{
    delivery::{ConnectError, Dns, Level, Note, Observer},
    dns::{Answer, Failure, Query, QueryKind},
    driver::{Act, Answered, Job, Slip},
    report::{Outcome, Report},
    request::{RcptIndex, Recipient},
    sts::FetchError,
};
use smtp_proto::Time;

use super::{
    Event, Span, World,
    link::Link,
    near::{Happening, Log, Socket},
    outside::{ask_token, look_up},
    resolver::{Question, is_true},
    text::{Flow, Text},
    trace::Trace,
};
use crate::dice::Dice;

/// How often a delivery may be polled without time passing.
const MAX_POLLS: u32 = 2_000_000;

/// A delivery under way.
#[derive(Debug)]
pub(super) struct Running {
    job: Job<Socket, Text, Witness>,
    /// The flow of the text, if it has a pace.
    flow: Option<Flow>,
    waker: Waker,
    /// The connection that it had when it was looked at last.
    link: Option<usize>,
    pending: Vec<(Time, Pending)>,
    questions: Vec<Question>,
    /// The number of questions that were asked.
    asked: u64,
    pub(super) armed: Option<Time>,
}

impl Running {
    /// A piece of the text has come.
    pub(super) fn text_comes(&self) {
        if let Some(flow) = &self.flow {
            flow.come();
        }
    }
}

/// An answer on its way.
#[derive(Debug)]
enum Pending {
    Names(Slip<Dns>, Result<Answer, Failure>),
    Connected(
        Slip<smtp_policy::delivery::Socket>,
        Result<Socket, ConnectError>,
    ),
}

/// Writes down what a delivery says.
#[derive(Debug)]
struct Witness(Log);

impl Observer for Witness {
    fn settled(&mut self, index: RcptIndex, _: &Recipient, outcome: &Outcome) {
        let outcome = Box::new(outcome.clone());
        self.0.add(Happening::Settled(index, outcome));
    }

    fn note(&mut self, note: &Note) {
        self.0.add(Happening::Noted(Box::new(note.clone())));
    }
}

/// The observers of deliveries that have one.
#[derive(Default)]
pub(super) struct Observers(pub(super) BTreeMap<usize, Box<dyn Observer>>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The deliveries that were woken, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Woken(Arc<Mutex<VecDeque<usize>>>);

impl Woken {
    fn lock(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one delivery.
struct Ring(usize, Woken);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.1.lock().push_back(self.0);
    }
}

impl World {
    /// Begins a delivery.
    pub(super) fn start(&mut self, id: usize) {
        let Some(delivered) = self.deliveries.get(id) else {
            return;
        };
        let request = delivered.request.clone();
        let text = Text::new(delivered.text.clone(), delivered.pace);
        let flow = text.flow();
        let witness = Witness(self.log.clone());
        let mut job = Job::new(Arc::clone(&self.hub), request, text, witness);
        if delivered.cancelled.is_some() {
            job.cancel();
        }
        if let Some(slot) = self.jobs.get_mut(id) {
            *slot = Some(Box::new(Running {
                job,
                flow,
                waker: Waker::from(Arc::new(Ring(id, self.woken.clone()))),
                link: None,
                pending: Vec::new(),
                questions: Vec::new(),
                asked: 0,
                armed: None,
            }));
        }
        self.run_job(id);
    }

    /// Calls a delivery off, with the parts that have not begun.
    pub(super) fn call_off(&mut self, id: usize) {
        let delivered = self.deliveries.get_mut(id);
        let Some(delivered) = delivered.filter(|d| d.report.is_none()) else {
            return;
        };
        delivered.cancelled = Some(self.now);
        if let Some(running) = self.jobs.get_mut(id).and_then(Option::as_mut) {
            running.job.cancel();
        }
        self.trace.note(self.now, id as u64, || {
            format!("delivery {id} is called off")
        });
        self.run_job(id);
    }

    /// Drops a delivery that is not over, and its connection with it.
    pub(super) fn abandon(&mut self, id: usize) {
        let delivered = self.deliveries.get_mut(id);
        let Some(delivered) = delivered.filter(|d| d.report.is_none()) else {
            return;
        };
        // One that has not begun ends as soon as it does.
        delivered.cancelled = Some(self.now);
        let running = self.jobs.get_mut(id).and_then(Option::take);
        drop(running);
        self.look_back(Some(id));
        self.run_job(id);
    }

    /// Does what a delivery asks until it waits, and then what those ask whom it has
    /// woken.
    pub(super) fn run_job(&mut self, id: usize) {
        self.woken.lock().push_back(id);
        self.run_woken();
    }

    /// The same for those who are woken.
    pub(super) fn run_woken(&mut self) {
        loop {
            let next = self.woken.lock().pop_front();
            let Some(id) = next else { return };
            self.advance(id);
        }
    }

    fn advance(&mut self, id: usize) {
        let Some(mut running) = self.jobs.get_mut(id).and_then(Option::take) else {
            return;
        };
        for _ in 0..MAX_POLLS {
            self.answer(&mut running);
            self.resolve(id, &mut running);
            let act = running.job.poll(self.now, &running.waker);
            self.take_down(id, &mut running);
            match act {
                Act::Wait { until, interest } => {
                    let socket = running.job.socket();
                    if socket.is_some_and(|socket| socket.is_ready(interest)) {
                        continue;
                    }
                    self.rest(id, running, until);
                    return;
                }
                Act::Done(report) => return self.done(id, *running, report),
                act => self.oblige(id, &mut running, act),
            }
        }
        self.stuck = true;
    }

    /// Lets a delivery wait.
    fn rest(&mut self, id: usize, mut running: Box<Running>, until: Time) {
        let pending = running.pending.iter().map(|(at, _)| *at);
        let pending = pending.chain(running.questions.iter().map(|question| question.due));
        let due = pending.min().map_or(until, |at| at.min(until));
        let due = due.max(self.now);
        if running.armed.is_none_or(|armed| due < armed) {
            running.armed = Some(due);
            self.at(due, Event::Job(id));
        }
        if let Some(slot) = self.jobs.get_mut(id) {
            *slot = Some(running);
        }
    }

    /// Gives the answers that have come.
    fn answer(&mut self, running: &mut Running) {
        let now = self.now;
        let is_due = |(at, _): &(Time, Pending)| *at <= now;
        while let Some(at) = running.pending.iter().position(is_due) {
            running.job.answer(match running.pending.swap_remove(at).1 {
                Pending::Names(slip, answer) => Answered::Dns(slip, answer),
                Pending::Connected(slip, result) => {
                    if let Ok(socket) = &result {
                        self.arm_link(socket.number);
                    }
                    Answered::Socket(slip, result)
                }
            });
        }
    }

    /// Lets the resolver go on, and gives the answers that it has found.
    fn resolve(&mut self, id: usize, running: &mut Running) {
        let Some(servers) = &self.name_servers else {
            return;
        };
        let mut at = 0;
        while let Some(question) = running.questions.get_mut(at) {
            if question.due > self.now {
                at += 1;
                continue;
            }
            let Some(result) = question.step(servers, self.now) else {
                at += 1;
                continue;
            };
            let Question {
                slip, query, truth, ..
            } = running.questions.remove(at);
            self.trace.note(self.now, id as u64, || {
                format!("delivery {id} hears of {} {}", query.kind, query.name)
            });
            if !is_true(&result, &truth) && servers.servers.iter().any(|server| server.answers()) {
                let Query { name, kind, .. } = query;
                let what = format!("{kind} {name}: {result:?} instead of {truth:?}");
                self.misheard.push(what);
            }
            running.job.answer(Answered::Dns(slip, result));
        }
    }

    /// Takes a question, whose answer is known here already.
    fn ask(&mut self, id: usize, running: &mut Running, slip: Slip<Dns>, query: Query) {
        self.trace.note(self.now, id as u64, || {
            format!("delivery {id} asks for {} {}", query.kind, query.name)
        });
        let (longer, answer) = self.names.answer(&query);
        let is_native = matches!(query.kind, QueryKind::Native(_));
        if self.name_servers.is_none() || is_native {
            let at = self.now + self.name_delay + longer;
            return running.pending.push((at, Pending::Names(slip, answer)));
        }
        running.asked += 1;
        // Each question fares in its own way, whatever else happens.
        let mut dice = Dice::new(self.seed ^ (id as u64) << 32 ^ running.asked << 16);
        let config = Arc::clone(self.hub.policy().resolver());
        let due = self.now + longer;
        let question = Question::new(slip, query, answer, config, dice.draw(), due);
        running.questions.push(question);
    }

    /// Does one thing that a delivery asks.
    fn oblige(&mut self, id: usize, running: &mut Running, act: Act) {
        match act {
            Act::Resolve(slip, query) => self.ask(id, running, slip, query),
            Act::Fetch(slip, _) => {
                let unsupported = Err(FetchError::Unsupported);
                running.job.answer(Answered::Policy(slip, unsupported));
            }
            Act::LookUp(slip, table, query) => {
                let value = look_up(&table, &query);
                running.job.answer(Answered::Table(slip, value));
            }
            Act::Token(slip, source, wanted) => {
                let token = ask_token(&source, &wanted);
                running.job.answer(Answered::Token(slip, token));
            }
            Act::Connect(slip, target) => {
                let (at, result) = self.connect(id, &target);
                running.pending.push((at, Pending::Connected(slip, result)));
            }
            Act::Expire(at) => self.at(at, Event::Expire),
            Act::Yield | Act::Wait { .. } | Act::Done(_) => {}
        }
    }

    /// Writes down what a delivery has done, and sends on their way the bytes that it has
    /// written.
    fn take_down(&mut self, id: usize, running: &mut Running) {
        self.count_turns(id, &running.job);
        if let Some(pause) = running.flow.as_ref().and_then(Flow::begun) {
            self.at(self.now + pause, Event::Text(id));
        }
        let unsent = running.job.unsent();
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.most_queued = delivered.most_queued.max(unsent);
        }
        let had = running.link;
        running.link = running.job.socket().map(|socket| socket.number);
        if let Some(link) = running.link {
            self.hand_over(link, id);
        }
        self.look_back(Some(id));
        if let Some(link) = had.filter(|had| running.link != Some(*had)) {
            self.keep(link);
        }
    }

    /// Takes out of the log what has happened, as the affair of a delivery or of nobody.
    pub(super) fn look_back(&mut self, id: Option<usize>) {
        let mut news = std::mem::take(&mut self.news);
        self.log.swap(&mut news);
        for happening in news.drain(..) {
            self.happen(id, happening);
        }
        self.news = news;
    }

    fn happen(&mut self, id: Option<usize>, happening: Happening) {
        let now = self.now;
        let (about, name) = (id.unwrap_or(0), id.unwrap_or_default());
        match happening {
            Happening::Heard(number, bytes) => self.with_link(number, id, |link, trace| {
                link.heard(&bytes, now, trace);
            }),
            Happening::Said(number, bytes, queued) => {
                let delivered = self.deliveries.get_mut(about);
                if let Some(delivered) = delivered {
                    delivered.most_queued = delivered.most_queued.max(queued);
                }
                self.with_link(number, id, |link, trace| link.said(&bytes, now, trace));
            }
            Happening::Told(number) => self.with_link(number, id, |link, _| link.stir(now)),
            Happening::Closed(number) => {
                if let Some(id) = id {
                    self.hand_over(number, id);
                }
                self.close(number);
            }
            Happening::Settled(index, outcome) => {
                let delivered = self.deliveries.get_mut(about);
                let recipient = delivered
                    .as_ref()
                    .and_then(|d| d.request.recipients.get(index));
                if let Some(observer) = self.observers.0.get_mut(&about)
                    && let Some(recipient) = recipient
                {
                    observer.settled(index, recipient, &outcome);
                }
                if let Some(count) = delivered.and_then(|d| d.reported.get_mut(index)) {
                    *count += 1;
                }
                self.trace.note(now, index as u64, || {
                    let doubt = if outcome.uncertain { " uncertain" } else { "" };
                    format!(
                        "delivery {name} recipient {index}: {}{doubt} {} ({})",
                        outcome.word, outcome.code, outcome.text
                    )
                });
            }
            Happening::Noted(note) => {
                if let Some(observer) = id.and_then(|id| self.observers.0.get_mut(&id)) {
                    observer.note(&note);
                }
                self.trace.note(now, about as u64, || {
                    format!("delivery {name} notes: {note}")
                });
                if note.level() == Level::Warning
                    && let Some(delivered) = self.deliveries.get_mut(about)
                {
                    delivered.warnings.push(note.to_string());
                }
            }
        }
    }

    /// Writes down which turns of a delivery have begun and ended.
    fn count_turns(&mut self, id: usize, job: &Job<Socket, Text, Witness>) {
        let (begun, runs) = job.turns();
        let Some(delivered) = self.deliveries.get_mut(id) else {
            return;
        };
        let now = self.now;
        let end = |turn: Option<&mut Span>| {
            if let Some(turn) = turn {
                turn.ended.get_or_insert(now);
            }
        };
        while delivered.turns.len() < begun as usize {
            end(delivered.turns.last_mut());
            self.begun += 1;
            delivered.turns.push(Span {
                begun: now,
                ended: None,
            });
            self.trace
                .note(now, id as u64, || format!("delivery {id} begins"));
        }
        if !runs {
            end(delivered.turns.last_mut());
        }
    }

    /// Does something to a connection that a delivery has.
    fn with_link(
        &mut self,
        number: usize,
        id: Option<usize>,
        act: impl FnOnce(&mut Link, &mut Trace),
    ) {
        if let Some(id) = id {
            self.hand_over(number, id);
        }
        if let Some(link) = self.links.get_mut(number) {
            act(link, &mut self.trace);
        }
        self.arm_link(number);
    }

    /// Gives a kept connection to a delivery, if it is kept.
    fn hand_over(&mut self, number: usize, id: usize) {
        let now = self.now;
        let link = self.links.get_mut(number);
        let Some(link) = link.filter(|link| link.kept) else {
            return;
        };
        link.stir(now);
        link.kept = false;
        link.jobs.push(id);
        self.trace.note(now, id as u64, || {
            format!("delivery {id} takes kept connection {number}")
        });
    }

    /// A delivery has no part in a connection any more: it is kept, or closed by now.
    fn keep(&mut self, number: usize) {
        let now = self.now;
        let link = self.links.get_mut(number);
        if let Some(link) = link.filter(|link| link.closed.is_none()) {
            link.stir(now);
            link.kept = true;
        }
    }

    fn done(&mut self, id: usize, running: Running, report: Report) {
        self.taken = self.taken.union(&running.job.taken());
        self.phases = self.phases.union(&running.job.phases_taken());
        self.trace
            .note(self.now, id as u64, || format!("delivery {id} is over"));
        if let Some(delivered) = self.deliveries.get_mut(id) {
            delivered.report = Some(report);
        }
        self.finished.push_back(id);
        // The driver of a delivery that was called off hangs up.
        drop(running);
        self.look_back(Some(id));
    }
}
