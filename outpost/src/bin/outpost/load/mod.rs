//! `outpost load`: many generated messages to one server, and how long it took.
//!
//! It is a measuring instrument, not a queue: nothing is tried again. All sessions are
//! tasks of one thread, which each send one message after the other with the same client.

mod chart;
mod pace;
mod plan;
mod progress;
mod show;
mod tally;
mod template;
mod text;
pub(crate) mod values;
mod watch;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use runtime_tokio::Client;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    cli::LoadArgs,
    exit::{Exit, Failure, OrExit},
    interrupt::Interrupt,
    output::{Output, complain, json_lines},
};
use chart::Charset;
use pace::{Pace, Turn};
use plan::Plan;
use progress::Progress;
use show::Course;
use tally::Tally;
use values::{Between, Span};
use watch::Watch;

/// The records of a run that is under way.
#[derive(Debug)]
struct Books {
    tally: Tally,
    /// Warnings that were told.
    warnings: BTreeSet<String>,
    /// The first reason for which a message could not be made.
    mistake: Option<String>,
    gave_up: bool,
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what the command line asks for.
pub(crate) fn run(args: &LoadArgs) -> Result<Exit, Failure> {
    let plan = Plan::new(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start tokio")
        .or_exit(Exit::System)?;
    let interrupt = Interrupt::install().or_exit(Exit::System)?;
    let books = Arc::new(Mutex::new(Books {
        tally: Tally::new().or_exit(Exit::Software)?,
        warnings: BTreeSet::new(),
        mistake: None,
        gave_up: false,
    }));
    let summary = Summary::of(args, &plan, &books);

    let done = runtime.block_on(async {
        let pace = Arc::new(Pace::start(
            args.messages.or(args.duration.is_none().then_some(1)),
            args.duration.map(|Span(time)| time),
            args.rate,
        ));
        let (stopped, told) = (Arc::clone(&pace), summary.clone());
        interrupt.on_first(Box::new(move || stopped.stop()));
        let running = Arc::clone(&pace);
        interrupt.on_second(Box::new(move || {
            told.account(&running.outcome(true)).unwrap_or_default()
        }));
        let load = Arc::new(Load {
            client: Client::new(Arc::clone(&plan.policy)),
            plan,
            pace: Arc::clone(&pace),
            books: Arc::clone(&books),
            wait: args.wait,
            give_up: args.give_up.0.map(u64::from),
        });
        let progress = Progress::start(&pace, &books, args);
        load.all_sessions(args.sessions).await;
        progress.end();
        load.client.close().await;
        pace.outcome(interrupt.is_set())
    });
    summary.finish(&done)
}

impl Pace {
    /// Returns the state of the run.
    fn outcome(&self, interrupted: bool) -> Done {
        let time = self.elapsed();
        Done {
            interrupted,
            time,
            due: self.were_due(Instant::now()),
        }
    }
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
struct Done {
    interrupted: bool,
    time: Duration,
    /// Messages that were due, where there is a rate.
    due: u64,
}

/// State that the sessions of a run share.
struct Load {
    client: Client,
    plan: Plan,
    pace: Arc<Pace>,
    books: Arc<Mutex<Books>>,
    wait: Option<Between<Span>>,
    give_up: Option<u64>,
}

impl Load {
    async fn all_sessions(self: &Arc<Self>, count: u16) {
        let mut sessions = JoinSet::new();
        for _ in 0..count {
            let load = Arc::clone(self);
            sessions.spawn(async move { load.session().await });
        }
        sessions.join_all().await;
    }

    /// Sends one message after the other.
    async fn session(&self) {
        while let Some(turn) = self.pace.next().await {
            if let Err(mistake) = self.send(turn).await {
                lock(&self.books).mistake.get_or_insert(mistake);
                return self.pace.stop();
            }
            if let Some(wait) = self.wait
                && !self.pace.pause(wait.pick(turn.number)).await
            {
                return;
            }
        }
    }

    async fn send(&self, Turn { number, due }: Turn) -> Result<(), String> {
        let (request, text) = self.plan.message(number)?;
        let bytes = text.wire;
        lock(&self.books).tally.messages.begun += 1;
        let watch = Watch::new(Arc::clone(&self.books));
        let report = self.client.deliver_whole(request, text, watch).await;
        let mut books = lock(&self.books);
        let failed = books.tally.ended(&report, bytes, due.elapsed());
        if self.give_up.is_some_and(|most| failed >= most) {
            books.gave_up = true;
            self.pace.stop();
        }
        Ok(())
    }
}

/// The data for a summary. Clones read the same books.
#[derive(Clone)]
struct Summary {
    server: String,
    protocol: &'static str,
    sessions: u16,
    per_connection: Option<u32>,
    rate: Option<f64>,
    json: bool,
    charset: Charset,
    books: Arc<Mutex<Books>>,
}

impl Summary {
    fn of(args: &LoadArgs, plan: &Plan, books: &Arc<Mutex<Books>>) -> Self {
        Self {
            server: args.server.clone(),
            protocol: plan.protocol.as_str(),
            sessions: args.sessions,
            per_connection: args.per_connection.0,
            rate: args.rate.map(|rate| rate.0),
            json: args.json,
            charset: Charset::of_environment(),
            books: Arc::clone(books),
        }
    }

    /// The summary in the form that was asked for.
    fn account(&self, done: &Done) -> serde_json::Result<String> {
        let books = lock(&self.books);
        let course = Course {
            server: &self.server,
            protocol: self.protocol,
            sessions: self.sessions,
            per_connection: self.per_connection,
            rate: self.rate,
            interrupted: done.interrupted,
            gave_up: books.gave_up,
            late: done.due.saturating_sub(books.tally.messages.begun),
            time: done.time,
        };
        match self.json {
            true => json_lines(&show::json(&course, &books.tally)),
            false => Ok(show::text(&course, &books.tally, self.charset)),
        }
    }

    fn finish(self, done: &Done) -> Result<Exit, Failure> {
        let mut output = Output::default();
        output.text(&self.account(done).or_exit(Exit::Software)?);
        let books = lock(&self.books);
        if let Some(mistake) = &books.mistake {
            complain(format_args!("the run ended early: {mistake}"));
            return output.finish(Exit::Usage);
        }
        let recipients = books.tally.recipients;
        output.finish(match (recipients.deferred, recipients.bounced) {
            (0, 0) if recipients.sent > 0 => Exit::Ok,
            (0, 1..) => Exit::Bounced,
            _ => Exit::Deferred,
        })
    }
}
