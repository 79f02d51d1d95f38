//! Waiting for several things at once: what executor and reactor are in the other
//! runtimes.

use std::{
    io, mem,
    sync::{
        Arc,
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
};

use mio::{Events, Poll, Registry, Token, Waker};
use smtp_policy::{
    delivery::{self, TableQuery, Target, Ticket},
    dns::{Answer, Failure, Query, QueryKind},
    sts::{FetchError, Fetched, PolicyFetch},
    tables::TableFailure,
};
use smtp_proto::time::Time;

use crate::{
    client::{Inner, Watch},
    dns::{self, Question},
    drive::Answered,
    https,
    net::{self, Connecting, Socket},
};

/// Something that ends some time and does not hold up its thread.
pub(crate) trait Step: Sized {
    /// What comes of it.
    type Done;

    /// Goes on as far as possible without waiting.
    fn step(self, client: &Inner, registry: &Registry) -> Progress<Self>;
}

/// How far a [`Step`] went.
pub(crate) enum Progress<S: Step> {
    /// To its end.
    Done(S::Done),
    /// Not yet there. It has to go on at the given time if nothing happens before.
    Until(S, Time),
}

/// Work on a thread of its own, for what can only wait.
pub(crate) struct Asked<T> {
    answer: Receiver<T>,
    lost: T,
}

impl<T: Send + 'static> Asked<T> {
    /// Starts the thread. `lost` is the answer where it cannot be started, or
    /// ends without an answer.
    pub(crate) fn new(
        waker: Arc<Waker>,
        lost: T,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Self {
        let (sender, answer) = mpsc::channel();
        let started = thread::Builder::new()
            .name("outpost".to_owned())
            .spawn(move || {
                // Dropped, and so woken, after the sender.
                let _wake = Wake(waker);
                let sender = sender;
                let _ = sender.send(work());
            });
        if let Err(error) = started {
            tracing::warn!(target: "outpost", "cannot start a thread: {error}");
        }
        Self { answer, lost }
    }
}

struct Wake(Arc<Waker>);

impl Drop for Wake {
    fn drop(&mut self) {
        let _ = self.0.wake();
    }
}

impl<T> Step for Asked<T> {
    type Done = T;

    fn step(self, _: &Inner, _: &Registry) -> Progress<Self> {
        match self.answer.try_recv() {
            Ok(answer) => Progress::Done(answer),
            Err(TryRecvError::Empty) => Progress::Until(self, Time::FAR),
            Err(TryRecvError::Disconnected) => Progress::Done(self.lost),
        }
    }
}

type Steps<K, S> = Vec<(Ticket<K>, S)>;

/// The tickets of one delivery that wait for their answers, and the poll that
/// they and its connection wait on.
pub(crate) struct Pending<'a> {
    client: &'a Inner,
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    /// Given to the last socket; zero is the waker's.
    token: usize,
    questions: Steps<delivery::Dns, Question>,
    native: Steps<delivery::Dns, Asked<Result<Answer, Failure>>>,
    tables: Steps<delivery::External, Asked<Result<Option<String>, TableFailure>>>,
    policies: Steps<delivery::Https, Asked<Result<Fetched, FetchError>>>,
    connections: Steps<delivery::Socket, Connecting>,
    /// When one of them has to go on.
    deadline: Time,
    _watch: Watch<'a>,
}

impl<'a> Pending<'a> {
    /// # Errors
    /// The system has no file descriptors left.
    pub(crate) fn new(client: &'a Inner) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(0))?);
        Ok(Self {
            client,
            poll,
            events: Events::with_capacity(16),
            token: 0,
            questions: Vec::new(),
            native: Vec::new(),
            tables: Vec::new(),
            policies: Vec::new(),
            connections: Vec::new(),
            deadline: Time::FAR,
            _watch: client.watch(Arc::clone(&waker)),
            waker,
        })
    }

    /// Finds DNS records, or lets getaddrinfo(3) find addresses.
    pub(crate) fn resolve(&mut self, ticket: Ticket<delivery::Dns>, query: Query) {
        if let QueryKind::Native(family) = query.kind {
            let asked = dns::resolve_native(query.name, family, Arc::clone(&self.waker));
            self.native.push((ticket, asked));
        } else {
            let question = dns::resolve(self.client, query, self.next_token());
            self.questions.push((ticket, question));
        }
    }

    /// Asks a table that was added to the client.
    pub(crate) fn look_up(&mut self, ticket: Ticket<delivery::External>, query: TableQuery) {
        let asked = self.client.look_up(query, Arc::clone(&self.waker));
        self.tables.push((ticket, asked));
    }

    /// Fetches an MTA-STS policy.
    pub(crate) fn fetch(&mut self, ticket: Ticket<delivery::Https>, request: PolicyFetch) {
        let asked = https::fetch(request, Arc::clone(&self.waker));
        self.policies.push((ticket, asked));
    }

    /// Opens a connection, which is then registered.
    pub(crate) fn connect(&mut self, ticket: Ticket<delivery::Socket>, target: &Target) {
        let token = self.next_token();
        let connecting = net::connect(target, self.client.now(), self.poll.registry(), token);
        self.connections.push((ticket, connecting));
    }

    /// Has a connection from the pool wake this delivery.
    pub(crate) fn register(&mut self, socket: &Socket) {
        let token = self.next_token();
        if let Err(error) = socket.register(self.poll.registry(), token) {
            tracing::warn!(target: "outpost", "cannot watch a kept connection: {error}");
        }
    }

    /// Ends that, for a connection that goes into the pool.
    pub(crate) fn deregister(&self, socket: &Socket) {
        if let Err(error) = socket.deregister(self.poll.registry()) {
            tracing::warn!(target: "outpost", "cannot let go of a connection: {error}");
        }
    }

    /// The next answer, if one has come.
    pub(crate) fn answer(&mut self) -> Option<Answered> {
        self.deadline = Time::FAR;
        let Self {
            client,
            poll,
            deadline,
            ..
        } = self;
        let registry = poll.registry();
        let answer = advance(&mut self.questions, deadline, client, registry)
            .or_else(|| advance(&mut self.native, deadline, client, registry));
        if let Some((ticket, answer)) = answer {
            return Some(Answered::Dns(ticket, answer));
        }
        if let Some((ticket, value)) = advance(&mut self.tables, deadline, client, registry) {
            return Some(Answered::Table(ticket, value));
        }
        if let Some((ticket, result)) = advance(&mut self.policies, deadline, client, registry) {
            return Some(Answered::Policy(ticket, result));
        }
        advance(&mut self.connections, deadline, client, registry)
            .map(|(ticket, made)| Answered::Socket(ticket, made))
    }

    /// Waits until something happens, at most until the given time.
    pub(crate) fn wait(&mut self, until: Time) {
        let limit = until.min(self.deadline).since(self.client.now());
        // An interrupted wait is a short one, and the loop looks at everything again.
        let _ = self.poll.poll(&mut self.events, Some(limit));
    }

    fn next_token(&mut self) -> Token {
        self.token = self.token.wrapping_add(1).max(1);
        Token(self.token)
    }
}

/// Goes on with each until one has ended. Takes down when the others have to go on.
fn advance<K, S: Step>(
    steps: &mut Steps<K, S>,
    deadline: &mut Time,
    client: &Inner,
    registry: &Registry,
) -> Option<(Ticket<K>, S::Done)> {
    let mut done = None;
    for (ticket, step) in mem::take(steps) {
        if done.is_some() {
            steps.push((ticket, step));
            continue;
        }
        match step.step(client, registry) {
            Progress::Done(answer) => done = Some((ticket, answer)),
            Progress::Until(step, until) => {
                *deadline = (*deadline).min(until);
                steps.push((ticket, step));
            }
        }
    }
    done
}
