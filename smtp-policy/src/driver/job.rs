//! One submission on its way, in as many parts as the recipient limit demands.

use std::{
    io::{self, Read, Write},
    mem,
    sync::Arc,
    task::{Context, Waker},
    vec,
};

use smtp_proto::{session::Taken, time::Time};

use super::{
    act::{Act, Answered, Interest, Slip},
    bell::{Bell, News},
    clerk::Clerk,
    error_text,
    hub::Hub,
    inquiries::Questions,
    line::Line,
    spans::Spans,
    turns::Place,
};
use crate::{
    delivery::{Ask, Delivery, Observer, PhasesTaken, TableQuery},
    request::Request,
    tables::{NamedTable, TableFailure},
    text::TextSource,
};

/// The number of exchanges with a server after which others get way.
const EXCHANGES: u32 = 32;

/// The delivery of one submission: its turn, its parts, its connection, its books. It is
/// for one driver, and opens no socket itself: `S` is a socket that does not block, which
/// comes in as an answer or out of the [`Hub`].
///
/// Dropping it in the middle closes its connection and gives its turn to the next.
#[derive(Debug)]
pub struct Job<S, T, O> {
    hub: Arc<Hub<S>>,
    clerk: Clerk<T, O>,
    /// The parts that have not begun.
    parts: vec::IntoIter<Request>,
    stage: Stage<S>,
    course: Course,
    bell: Arc<Bell>,
    questions: Questions,
    /// The number of the part under way, from one on.
    part: u32,
    exchanges: u32,
    /// When it was polled first.
    arrived: Option<Time>,
    taken: Taken,
    phases: PhasesTaken,
}

/// The progress of the part under way.
#[derive(Debug)]
enum Stage<S> {
    /// None is.
    Between,
    /// It waits for its turn.
    Queued(Place, Box<Request>),
    /// It runs.
    Running(Box<Running<S>>),
}

/// A part that runs. Its connection ends before its turn does.
#[derive(Debug)]
struct Running<S> {
    line: Option<Line<S>>,
    delivery: Delivery,
    /// The ticket of the connection that is being made.
    connecting: Option<u32>,
    /// The readiness of the connection that the driver was last told to wait for.
    awaited: Interest,
    /// The text that its source did not have yet: where it begins, and how much is welcome.
    unread: Option<(u64, usize)>,
    spans: Spans,
    /// None where nothing is begun any more.
    place: Option<Place>,
}

/// The way in which a job is to end.
#[derive(Debug)]
enum Course {
    /// By itself.
    Free,
    /// At once, with a word to the server.
    Cancelled,
    /// At once, since its driver cannot wait, and this is why.
    Undriven(String),
}

impl<S, T, O> Job<S, T, O> {
    /// The open socket, if there is one.
    pub fn socket(&self) -> Option<&S> {
        match &self.stage {
            Stage::Running(running) => running.line.as_ref().map(Line::socket),
            _ => None,
        }
    }

    /// The number of parts whose turn has come, and whether the last of them still runs.
    pub const fn turns(&self) -> (u32, bool) {
        (self.part, matches!(self.stage, Stage::Running(_)))
    }

    /// Which moves the sessions of this job have made so far; see [`Delivery::taken`].
    pub fn taken(&self) -> Taken {
        match &self.stage {
            Stage::Running(running) => self.taken.union(&running.delivery.taken()),
            _ => self.taken,
        }
    }

    /// The moves between phases that the deliveries of this job have made so far; see
    /// [`Delivery::phases_taken`].
    pub fn phases_taken(&self) -> PhasesTaken {
        match &self.stage {
            Stage::Running(running) => self.phases.union(&running.delivery.phases_taken()),
            _ => self.phases,
        }
    }

    /// The number of bytes that wait to be written.
    pub fn unsent(&mut self) -> usize {
        match &mut self.stage {
            Stage::Running(running) => {
                let output = running.delivery.output();
                output.map_or(0, |output| bytes::Buf::remaining(output))
            }
            _ => 0,
        }
    }

    /// Ends the job politely, as [`Hub::cancel`] ends all of them. The driver goes on
    /// polling until [`Act::Done`].
    pub fn cancel(&mut self) {
        if let Course::Free = self.course {
            self.course = Course::Cancelled;
            if let Stage::Running(running) = &mut self.stage {
                running.delivery.cancel();
            }
        }
    }

    /// Ends the job since the system refuses what waiting for input and output takes: too
    /// many files are open, for instance. To be called before the first poll. Whoever is
    /// to get the message is deferred.
    pub fn fail(&mut self, error: &io::Error) {
        let why = format!("cannot wait for input and output: {}", error_text(error));
        self.course = Course::Undriven(why);
    }

    /// Closes the connection, lets others ask its questions, and gives the turn back.
    fn leave(&mut self) {
        self.questions.abandon(&self.hub.inquiries);
        let place = match mem::replace(&mut self.stage, Stage::Between) {
            Stage::Between => None,
            Stage::Queued(place, _) => Some(place),
            Stage::Running(mut running) => {
                drop(running.line.take());
                running.place.take()
            }
        };
        if let Some(place) = place {
            self.hub.leave(&place);
        }
    }
}

impl<S, T, O> Drop for Job<S, T, O> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<S: Read + Write, T: TextSource, O: Observer> Job<S, T, O> {
    /// Delivers a request in parts of `transport_destination_recipient_limit` recipients,
    /// one after the other. The report is one, in the order of the request.
    pub fn new(hub: Arc<Hub<S>>, request: Request, text: T, observer: O) -> Self {
        let limit = hub.recipient_limit(request.protocol);
        Self::in_parts(hub, request.split(limit), text, observer)
    }

    /// The same in a single part, however many recipients there are: for requests that
    /// come from a queue, whose manager has looked at the limit already.
    pub fn whole(hub: Arc<Hub<S>>, request: Request, text: T, observer: O) -> Self {
        Self::in_parts(hub, vec![request], text, observer)
    }

    fn in_parts(hub: Arc<Hub<S>>, parts: Vec<Request>, text: T, observer: O) -> Self {
        let first = parts.first().map_or(0, |part| part.recipients.len());
        Self {
            hub,
            clerk: Clerk::new(first, text, observer),
            parts: parts.into_iter(),
            stage: Stage::Between,
            course: Course::Free,
            bell: Arc::default(),
            questions: Questions::default(),
            part: 0,
            exchanges: 0,
            arrived: None,
            taken: Taken::default(),
            phases: PhasesTaken::default(),
        }
    }

    /// The observer.
    pub const fn observer(&mut self) -> &mut O {
        self.clerk.observer()
    }

    /// Goes on as far as possible, and says what to do next. `waker` is woken when there
    /// is something to do that the driver cannot know: a turn has come, another job has
    /// heard an answer, all jobs are cancelled, the source of the text
    /// [has more](TextSource::poll_read).
    ///
    /// After [`Act::Done`] it returns an empty report.
    pub fn poll(&mut self, now: Time, waker: &Waker) -> Act {
        let news = self.bell.listen(waker);
        self.arrived.get_or_insert(now);
        if self.hub.is_cancelled() {
            self.cancel();
        }
        self.exchanges = 0;
        let turn = news.turn;
        match &mut self.stage {
            Stage::Queued(..) if turn || !matches!(self.course, Course::Free) => self.start(turn),
            Stage::Running(running) => {
                running.hear(&mut self.questions, news, now);
                running.read_on(&mut self.clerk, waker);
            }
            _ => {}
        }
        loop {
            let act = match &self.stage {
                Stage::Between => self.begin(),
                Stage::Queued(..) => Some(Act::Wait {
                    until: Time::FAR,
                    interest: Interest::Nothing,
                }),
                Stage::Running(_) => self.run(now, waker),
            };
            if let Some(act) = act {
                return act;
            }
        }
    }

    /// Takes an answer. One to a part that is over has no effect: a socket is closed.
    pub fn answer(&mut self, answered: Answered<S>) {
        let part = self.part;
        let Stage::Running(running) = &mut self.stage else {
            return;
        };
        match answered {
            Answered::Dns(slip, result) if slip.part == part => {
                let serial = slip.ticket.serial();
                self.questions
                    .answered(&self.hub.inquiries, serial, &result);
                running.delivery.resolved(slip.ticket, result);
            }
            Answered::Table(slip, value) if slip.part == part => {
                running.delivery.looked_up(slip.ticket, value);
            }
            Answered::Token(slip, token) if slip.part == part => {
                running.delivery.token(slip.ticket, token);
            }
            Answered::Policy(slip, result) if slip.part == part => {
                running.delivery.fetched(slip.ticket, result);
            }
            Answered::Socket(slip, made)
                if slip.part == part && running.connecting == Some(slip.ticket.serial()) =>
            {
                running.connecting = None;
                let made = made.map(|socket| running.line = Some(Line::new(socket)));
                running.delivery.connected(slip.ticket, made);
            }
            _ => {}
        }
    }

    /// Begins the next part, or has it wait for its turn.
    fn begin(&mut self) -> Option<Act> {
        let Some(request) = self.parts.next() else {
            return Some(Act::Done(self.clerk.take_report()));
        };
        let (place, come) = self.hub.enter(&request, &self.bell);
        // Whoever was cancelled before that was not told of it.
        if self.hub.is_cancelled() {
            self.cancel();
        }
        self.stage = Stage::Queued(place, Box::new(request));
        if come || !matches!(self.course, Course::Free) {
            self.start(come);
        }
        None
    }

    /// Begins the part that waits. Unless its turn has `come` it takes nobody's place: it
    /// is to end, and opens no connection.
    fn start(&mut self, come: bool) {
        let stage = mem::replace(&mut self.stage, Stage::Between);
        let Stage::Queued(place, request) = stage else {
            self.stage = stage;
            return;
        };
        let place = match come {
            true => Some(place),
            false => {
                self.hub.leave(&place);
                None
            }
        };
        let policy = Arc::clone(self.hub.policy());
        let spans = Spans::open(&request);
        let mut delivery =
            Delivery::new(*request, policy, self.hub.seed()).with_epoch(self.hub.epoch());
        if let Some(arrived) = self.arrived {
            delivery = delivery.with_arrival(arrived);
        }
        match &self.course {
            Course::Free => {}
            Course::Cancelled => delivery.cancel(),
            Course::Undriven(why) => delivery.driver_failed(why),
        }
        self.part += 1;
        self.stage = Stage::Running(Box::new(Running {
            line: None,
            delivery,
            connecting: None,
            awaited: Interest::Nothing,
            unread: None,
            spans,
            place,
        }));
    }

    /// Lets the part that runs go on.
    fn run(&mut self, now: Time, waker: &Waker) -> Option<Act> {
        let Stage::Running(running) = &mut self.stage else {
            return None;
        };
        let part = self.part;
        if let Some((ticket, query)) = self.questions.take_due() {
            return Some(Act::Resolve(Slip { part, ticket }, query));
        }
        let ask = running.delivery.poll(now);
        let id = &running.delivery.request().id;
        running.spans.question(id, &ask);
        match ask {
            // There is no connection, and nothing to wait for.
            ask if self.course.is_undriven() && needs_driver(&ask) => self.end(),
            Ask::Resolve(ticket, query) => {
                let limit = now + self.hub.policy().resolver().timeout;
                let inquiries = &self.hub.inquiries;
                self.questions
                    .ask(inquiries, &self.bell, ticket, query, limit);
            }
            Ask::LookUp(ticket, query) => match self.course.table(&self.hub, &query) {
                Ok(table) => return Some(Act::LookUp(Slip { part, ticket }, table, query)),
                Err(failure) => running.delivery.looked_up(ticket, Err(failure)),
            },
            Ask::Token(ticket, source, wanted) => {
                return Some(Act::Token(Slip { part, ticket }, source, wanted));
            }
            Ask::Fetch(ticket, request) => return Some(Act::Fetch(Slip { part, ticket }, request)),
            Ask::Connect(ticket, target) => {
                running.connecting = Some(ticket.serial());
                return Some(Act::Connect(Slip { part, ticket }, target));
            }
            Ask::Reuse(ticket, key) => {
                let hit = self.hub.take(&key, now).map(|(socket, channel)| {
                    running.line = Some(Line::new(socket));
                    channel
                });
                running.delivery.reused(ticket, hit);
            }
            Ask::Send { until } => return self.exchange(until, true),
            Ask::Wait { until } => return self.exchange(until, false),
            Ask::Text { offset, room } => {
                running.unread = Some((offset, room));
                running.read_on(&mut self.clerk, waker);
            }
            Ask::Report(index, outcome) => {
                let recipients = &running.delivery.request().recipients;
                self.clerk.settle(recipients, index, *outcome);
            }
            Ask::Note(note) => {
                running.spans.note(id, &note);
                self.clerk.note(&note);
            }
            Ask::Keep(keys, channel, expires) => {
                let line = running.line.take()?;
                let visit = self.hub.keep(keys, line.into_socket(), channel, expires);
                return visit.map(Act::Expire);
            }
            Ask::Close => running.line = None,
            Ask::Done => self.end(),
        }
        None
    }

    /// Moves bytes, or waits.
    fn exchange(&mut self, until: Time, sending: bool) -> Option<Act> {
        let Stage::Running(running) = &mut self.stage else {
            return None;
        };
        self.clerk.look(&running.delivery);
        let line = running.line.as_mut();
        if line.is_some_and(|line| line.exchange(&mut running.delivery, sending)) {
            self.exchanges += 1;
            return self
                .exchanges
                .is_multiple_of(EXCHANGES)
                .then_some(Act::Yield);
        }
        let interest = running.line.as_ref().map_or(Interest::Nothing, |line| {
            Interest::new(!line.is_ended(), sending)
        });
        running.awaited = interest;
        let until = self.questions.deadline().min(until);
        Some(Act::Wait { until, interest })
    }

    /// Ends the part that runs.
    fn end(&mut self) {
        if let Stage::Running(running) = &self.stage {
            self.taken = self.taken.union(&running.delivery.taken());
            self.phases = self.phases.union(&running.delivery.phases_taken());
            let next = self.parts.as_slice().first();
            let next = next.map_or(0, |part| part.recipients.len());
            let recipients = &running.delivery.request().recipients;
            self.clerk.next_part(recipients, next);
        }
        self.leave();
    }
}

impl<S: Read + Write> Running<S> {
    /// Takes what others have heard after a wait, and moves the bytes that were waited for: without them the
    /// engine would only say once more what it waits for.
    fn hear(&mut self, questions: &mut Questions, news: News, now: Time) {
        let awaited = mem::replace(&mut self.awaited, Interest::Nothing);
        if let Some(line) = &mut self.line {
            line.waited();
            if awaited != Interest::Nothing {
                line.exchange(&mut self.delivery, awaited.writes());
            }
        }
        for (serial, heard) in news.heard {
            if let Some((ticket, answer)) = questions.heard(serial, heard) {
                self.delivery.resolved(ticket, answer);
            }
        }
        questions.lose_patience(now);
    }

    /// Reads text that is wanted, if its source has it by now.
    fn read_on<T: TextSource, O: Observer>(&mut self, clerk: &mut Clerk<T, O>, waker: &Waker) {
        let wanted = self.unread.take();
        if let Some((offset, room)) = wanted
            && self.delivery.wants_text()
            && clerk
                .poll_read(
                    &mut Context::from_waker(waker),
                    &mut self.delivery,
                    offset,
                    room,
                )
                .is_pending()
        {
            self.unread = wanted;
        }
    }
}

impl Course {
    const fn is_undriven(&self) -> bool {
        matches!(self, Self::Undriven(_))
    }

    /// The table that a question is for, if it can be asked.
    fn table<S>(&self, hub: &Hub<S>, query: &TableQuery) -> Result<NamedTable, TableFailure> {
        match self {
            Self::Undriven(why) => Err(TableFailure {
                table: format!("external:{}", query.table),
                reason: why.clone(),
            }),
            Self::Free | Self::Cancelled => hub.table(query),
        }
    }
}

/// Returns whether only a driver that can wait is able to do something.
const fn needs_driver(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Resolve(..)
            | Ask::Token(..)
            | Ask::Fetch(..)
            | Ask::Reuse(..)
            | Ask::Connect(..)
            | Ask::Send { .. }
            | Ask::Wait { .. }
    )
}
