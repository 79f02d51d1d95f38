//! The threads that have the connections. What waits for the one that writes is done together: one transaction, one wait
//! for the disk.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use futures_channel::oneshot;
use futures_util::FutureExt;

use super::{fault::Fault, link::Link, transaction::SqliteTransaction};
use crate::store::{Operation, StoreError};

/// The most operations that are committed together.
const TOGETHER: usize = 512;

/// The time after which no further operation is taken into a transaction. What comes late waits for the next.
const LONG: Duration = Duration::from_millis(25);

/// A thread with a connection, and where it gets its jobs. It ends when nobody can give it any more.
pub(super) type Thread = (Sender<Box<dyn Job>>, thread::JoinHandle<()>);

/// Something that a thread is to do with its connection.
pub(super) trait Job: Send {
    /// As [`Operation::is_durable`].
    fn is_durable(&self) -> bool;

    /// Returns whether somebody still waits for it.
    fn is_wanted(&self) -> bool;

    /// Does it, in a transaction that has begun, and keeps the result. Returns whether it went well.
    fn run(&mut self, link: &mut Link) -> bool;

    /// It was not committed, and so not done.
    fn fail(&mut self, error: StoreError);

    /// Tells whoever waits how it has ended.
    fn answer(self: Box<Self>);
}

/// An operation that waits.
pub(super) struct Pending<O: Operation> {
    operation: O,
    result: Option<Result<O::Output, StoreError>>,
    sender: oneshot::Sender<Result<O::Output, StoreError>>,
}

impl<O: Operation> Pending<O> {
    /// An operation, and where its result comes out.
    pub(super) fn new(
        operation: O,
    ) -> (Box<Self>, oneshot::Receiver<Result<O::Output, StoreError>>) {
        let (sender, receiver) = oneshot::channel();
        let pending = Self {
            operation,
            result: None,
            sender,
        };
        (Box::new(pending), receiver)
    }
}

impl<O: Operation> Job for Pending<O> {
    fn is_durable(&self) -> bool {
        self.operation.is_durable()
    }

    fn is_wanted(&self) -> bool {
        !self.sender.is_canceled()
    }

    fn run(&mut self, link: &mut Link) -> bool {
        let mut tx = SqliteTransaction { link };
        // Nothing in here waits, so that one look is enough.
        let run = || self.operation.run(&mut tx).now_or_never();
        let result = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Some(result)) => result,
            Ok(None) => Err(other("an operation waits for something else")),
            Err(_) => Err(other("an operation has panicked")),
        };
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn fail(&mut self, error: StoreError) {
        // What it says itself is nearer to the cause.
        if !matches!(self.result, Some(Err(_))) {
            self.result = Some(Err(error));
        }
    }

    fn answer(self: Box<Self>) {
        // Whoever wanted to know may be gone.
        drop(self.sender.send(ended(self.result)));
    }
}

/// A question to a connection.
pub(super) struct Ask<T> {
    ask: fn(&Link) -> Result<T, Fault>,
    result: Option<Result<T, StoreError>>,
    sender: oneshot::Sender<Result<T, StoreError>>,
}

impl<T> Ask<T> {
    /// A question, and where its answer comes out.
    pub(super) fn new(
        ask: fn(&Link) -> Result<T, Fault>,
    ) -> (Box<Self>, oneshot::Receiver<Result<T, StoreError>>) {
        let (sender, receiver) = oneshot::channel();
        let ask = Self {
            ask,
            result: None,
            sender,
        };
        (Box::new(ask), receiver)
    }
}

impl<T: Send> Job for Ask<T> {
    fn is_durable(&self) -> bool {
        false
    }

    fn is_wanted(&self) -> bool {
        !self.sender.is_canceled()
    }

    fn run(&mut self, link: &mut Link) -> bool {
        let answer = (self.ask)(link).map_err(|fault| fault.at(&link.path));
        let good = answer.is_ok();
        self.result = Some(answer);
        good
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        drop(self.sender.send(ended(self.result)));
    }
}

/// The end of a job.
fn ended<T>(result: Option<Result<T, StoreError>>) -> Result<T, StoreError> {
    result.unwrap_or_else(|| Err(other("an operation was forgotten")))
}

fn other(why: &str) -> StoreError {
    StoreError::Other(why.to_owned())
}

/// Starts a thread that does jobs.
pub(super) fn start(
    name: &str,
    mut link: Link,
    work: fn(&mut Link, &Receiver<Box<dyn Job>>),
) -> Result<Thread, StoreError> {
    let (sender, receiver) = channel();
    let thread = thread::Builder::new().name(name.to_owned());
    let thread = thread.spawn(move || work(&mut link, &receiver));
    let thread = thread.map_err(|why| StoreError::Unavailable(format!("no thread: {why}")))?;
    Ok((sender, thread))
}

/// Runs what only reads, each on what is there when it begins.
pub(super) fn read(link: &mut Link, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(mut job) = jobs.recv() {
        let mut run = || {
            link.begin_reading()?;
            job.run(link);
            link.roll_back();
            Ok(())
        };
        if let Err(fault) = run() {
            let fault: Fault = fault;
            job.fail(fault.at(&link.path));
        }
        job.answer();
    }
}

/// Runs what writes: all that waits, together.
pub(super) fn write(link: &mut Link, jobs: &Receiver<Box<dyn Job>>) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match jobs.recv() {
                Ok(job) => waiting.push_back(job),
                Err(_) => return,
            }
        }
        let room = TOGETHER.saturating_sub(waiting.len());
        waiting.extend(jobs.try_iter().take(room));
        write_some(link, &mut waiting);
    }
}

/// Runs the first of what waits.
fn write_some(link: &mut Link, waiting: &mut VecDeque<Box<dyn Job>>) {
    // Whoever has gone away is not told, and so nothing is done for them.
    waiting.retain(|job| job.is_wanted());
    if waiting.is_empty() {
        return;
    }
    let (taken, end) = commit_together(link, waiting.make_contiguous());
    if let Err(fault) = end {
        let error = fault.at(&link.path);
        // Nothing of it is there. One may have spoilt it for the others, such as a large one on a disk that is nearly full.
        let again = taken > 1 && !matches!(error, StoreError::Conflict(_));
        for job in waiting.iter_mut().take(taken) {
            if !again {
                job.fail(error.clone());
            } else if let (_, Err(fault)) = commit_together(link, slice::from_mut(job)) {
                job.fail(fault.at(&link.path));
            }
        }
    }
    waiting.drain(..taken).for_each(Job::answer);
}

/// Runs jobs in one transaction, until it takes long. Returns how many it was, and whether they are there for good.
fn commit_together(link: &mut Link, jobs: &mut [Box<dyn Job>]) -> (usize, Result<(), Fault>) {
    let durable = jobs.iter().any(|job| job.is_durable());
    if let Err(fault) = link.begin(durable) {
        return (jobs.len(), Err(fault));
    }
    let begun = Instant::now();
    let mut taken = 0;
    for job in jobs {
        taken += 1;
        if let Err(fault) = run_part(link, job.as_mut()) {
            link.roll_back();
            return (taken, Err(fault));
        }
        if begun.elapsed() > LONG {
            break;
        }
    }
    (taken, link.commit())
}

/// Runs a job. What it leaves is all of it, or nothing.
fn run_part(link: &mut Link, job: &mut dyn Job) -> Result<(), Fault> {
    let before = link.part()?;
    if job.run(link) {
        return link.keep();
    }
    if link.is_broken() {
        let why = "SQLite has taken the transaction back".to_owned();
        return Err(StoreError::Unavailable(why).into());
    }
    link.undo(before)
}
