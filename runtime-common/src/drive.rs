//! The loop that does what a job asks, as a future.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use smtp_policy::{
    delivery::{ConnectError, Observer, Target},
    dns::{Answer, Failure, Query},
    driver::{Act, Answered, Hub, Interest, Job},
    report::Report,
    sts::{FetchError, Fetched, PolicyFetch},
    tables::TableFailure,
    text::TextSource,
};
use smtp_proto::time::Time;

use crate::wait::apart;

/// The longest time for which an alarm is set. Deadlines are minutes away and move all the
/// time: an alarm that rings too early now and then costs less than one that is set anew at
/// every step.
const ALARM: Duration = Duration::from_secs(60);

/// What a runtime brings: sockets, time, and answers. One value serves all deliveries of a
/// client.
pub trait Runtime: Send + Sync + Sized + 'static {
    /// An open connection. Its [`Read`] and [`Write`] do not wait.
    type Socket: Read + Write + Send + 'static;
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

    /// Opens a connection.
    fn connect(
        self: Arc<Self>,
        target: Target,
    ) -> impl Future<Output = Result<Self::Socket, ConnectError>> + Send;

    /// Finds DNS records, or lets getaddrinfo(3) find addresses.
    fn resolve(
        &self,
        hub: &Hub<Self::Socket>,
        query: Query,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Fetches an MTA-STS policy.
    fn fetch(
        &self,
        request: PolicyFetch,
    ) -> impl Future<Output = Result<Fetched, FetchError>> + Send;

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
    /// What the job has asked. Ends before the job does.
    pending: Vec<Pending<R::Socket>>,
    /// The alarm that is set, and when it rings.
    alarm: Option<(Time, Pin<Box<R::Sleep>>)>,
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
        alarm: None,
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
                Act::Resolve(slip, query) => {
                    let hub = Arc::clone(&self.hub);
                    self.ask(|runtime| async move {
                        Answered::Dns(slip, runtime.resolve(&hub, query).await)
                    });
                }
                Act::LookUp(slip, table, query) => self.ask(|_| async move {
                    let lost = Err(TableFailure {
                        table: format!("external:{}", query.table),
                        reason: "the table panicked".to_owned(),
                    });
                    let value = apart(lost, move || table.lookup(&query.key)).await;
                    Answered::Table(slip, value)
                }),
                Act::Fetch(slip, request) => self.ask(|runtime| async move {
                    Answered::Policy(slip, runtime.fetch(request).await)
                }),
                Act::Connect(slip, target) => self.ask(|runtime| async move {
                    Answered::Socket(slip, runtime.connect(target).await)
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
        self.sleep(until, cx)
    }

    /// Waits until a time.
    fn sleep(&mut self, until: Time, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.runtime.now();
            if until <= now {
                return Poll::Ready(());
            }
            match &mut self.alarm {
                Some((at, sleep)) if *at <= until => {
                    ready!(sleep.as_mut().poll(cx));
                    self.alarm = None;
                }
                alarm => {
                    let at = until.min(now + ALARM);
                    *alarm = Some((at, Box::pin(self.runtime.sleep(at))));
                }
            }
        }
    }
}
