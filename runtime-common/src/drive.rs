//! The loop that does what a job asks, as a future.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use smtp_policy::{
    delivery::Observer,
    dns::{Answer, Failure, Lookup, QueryKind},
    driver::{Act, Answered, Hub, Interest, Job},
    report::Report,
    sts::FetchError,
    tables::TableFailure,
    text::TextSource,
};
use smtp_proto::time::Time;

use socket2::SockRef;

use crate::{
    alarm::Alarm,
    dns::{carry, native},
    https::fetch,
    socket::{Kind, connect},
    wait::apart,
};

/// The part of a runtime: sockets, time, and answers. One value serves all deliveries of a
/// client.
pub trait Runtime: Send + Sync + Sized + 'static {
    /// A socket. Its [`Read`] and [`Write`] do not wait.
    type Socket: Read + Write + Send + Sync + 'static;
    /// The wait for a moment.
    type Sleep: Future<Output = ()> + Send;

    /// The time since the client was made.
    fn now(&self) -> Time;

    /// Waits until a time.
    fn sleep(self: &Arc<Self>, until: Time) -> Self::Sleep;

    /// Waits until a socket is ready. It may be ready too early, and may be woken without
    /// being ready.
    fn poll_ready(
        self: &Arc<Self>,
        socket: &Self::Socket,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<()>;

    /// Makes its own of a socket that does not block, and is connected or about to be.
    ///
    /// # Errors
    /// The system refuses what waiting for it takes.
    fn adopt(self: &Arc<Self>, socket: socket2::Socket, kind: Kind) -> io::Result<Self::Socket>;

    /// A socket as the system knows it.
    fn system(socket: &Self::Socket) -> SockRef<'_>;

    /// Finds DNS records.
    fn resolve(
        self: Arc<Self>,
        lookup: Lookup,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        carry(self, lookup)
    }

    /// Runs [`watch`] with the same arguments, without waiting for it.
    fn watch(self: &Arc<Self>, hub: Weak<Hub<Self::Socket>>, from: Time);

    /// Gets ready for a delivery.
    ///
    /// # Errors
    /// The system refuses what waiting takes, such as file descriptors. Whoever is to get
    /// the message is deferred.
    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A runtime with tasks that go on by themselves.
pub trait Spawn: Runtime {
    /// A task. It ends when this is dropped, and its panic is passed on.
    type Task<T: Send + 'static>: Future<Output = T> + Send;

    /// Begins a task.
    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Self::Task<T>;
}

/// An answer on its way.
type Pending<S> = Pin<Box<dyn Future<Output = Answered<S>> + Send>>;

/// A job on its way to its report.
struct Drive<R: Runtime, T, O> {
    /// The questions of the job. They end before the job does.
    pending: Vec<Pending<R::Socket>>,
    alarm: Alarm<R>,
    job: Job<R::Socket, T, O>,
    hub: Arc<Hub<R::Socket>>,
    runtime: Arc<R>,
}

/// Drives a job to its end.
pub fn drive<R: Runtime, T: TextSource, O: Observer>(
    runtime: &Arc<R>,
    hub: &Arc<Hub<R::Socket>>,
    mut job: Job<R::Socket, T, O>,
) -> impl Future<Output = Report> + Send + use<R, T, O> {
    if let Err(error) = runtime.prepare() {
        job.fail(&error);
    }
    let mut drive = Drive {
        pending: Vec::new(),
        alarm: Alarm::new(),
        job,
        hub: Arc::clone(hub),
        runtime: Arc::clone(runtime),
    };
    std::future::poll_fn(move |cx| drive.poll(cx))
}

/// Closes kept connections when their time is over, from a time on until none is left.
pub async fn watch<R: Runtime>(runtime: Weak<R>, hub: Weak<Hub<R::Socket>>, from: Time) {
    let mut next = Some(from);
    while let Some(at) = next
        && let Some(sleep) = runtime.upgrade().map(|runtime| runtime.sleep(at))
    {
        sleep.await;
        next = match (runtime.upgrade(), hub.upgrade()) {
            (Some(runtime), Some(hub)) => hub.expire(runtime.now()),
            _ => None,
        };
    }
}

impl<R: Runtime, T: TextSource, O: Observer> Drive<R, T, O> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Report> {
        loop {
            match self.job.poll(self.runtime.now(), cx.waker()) {
                Act::Resolve(slip, query) => match query.kind {
                    QueryKind::Native(family) => self.ask(|_| async move {
                        let lost = Err(Failure::TryAgain);
                        let answer = apart(lost, move || native(&query.name, family)).await;
                        Answered::Dns(slip, answer)
                    }),
                    _ => {
                        let config = Arc::clone(self.hub.policy().resolver());
                        let lookup = Lookup::new(query, config, self.hub.seed());
                        self.ask(|runtime| async move {
                            Answered::Dns(slip, runtime.resolve(lookup).await)
                        });
                    }
                },
                Act::LookUp(slip, table, query) => self.ask(|_| async move {
                    let lost = Err(TableFailure {
                        table: format!("external:{}", query.table),
                        reason: "the table panicked".to_owned(),
                    });
                    let value = apart(lost, move || table.lookup(&query.key)).await;
                    Answered::Table(slip, value)
                }),
                Act::Fetch(slip, request) => self.ask(|_| async move {
                    let lost = Err(FetchError::Other("the fetch panicked".to_owned()));
                    let fetched = apart(lost, move || fetch(&request)).await;
                    Answered::Policy(slip, fetched)
                }),
                Act::Connect(slip, target) => self.ask(|runtime| async move {
                    Answered::Socket(slip, connect(runtime, target).await)
                }),
                Act::Expire(at) => self.runtime.watch(Arc::downgrade(&self.hub), at),
                Act::Wait { until, interest } => ready!(self.wait(until, interest, cx)),
                Act::Yield => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Act::Done(report) => return Poll::Ready(report),
            }
        }
    }

    /// Begins to look for an answer.
    fn ask<F>(&mut self, question: impl FnOnce(Arc<R>) -> F)
    where
        F: Future<Output = Answered<R::Socket>> + Send + 'static,
    {
        let answer = question(Arc::clone(&self.runtime));
        self.pending.push(Box::pin(answer));
    }

    /// Waits until an answer has come, the socket is ready, or it is time.
    fn wait(&mut self, until: Time, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        for (at, answer) in self.pending.iter_mut().enumerate() {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                drop(self.pending.swap_remove(at));
                self.job.answer(answer);
                return Poll::Ready(());
            }
        }
        if let Some(socket) = self.job.socket()
            && self.runtime.poll_ready(socket, interest, cx).is_ready()
        {
            return Poll::Ready(());
        }
        self.alarm.poll(&self.runtime, until, cx)
    }
}
