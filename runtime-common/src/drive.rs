//! The loop that does what a job asks, as a future.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use smtp_policy::{
    delivery::Observer,
    dns::{Failure, Lookup, QueryKind},
    driver::{Act, Answered, Hub, Interest, Job},
    report::Report,
    settings::{TokenFailure, TokenRequest, TokenSource},
    tables::{NamedTable, TableFailure, TableQuery},
    text::TextSource,
};
use smtp_proto::{Secret, time::Time};

use crate::{
    alarm::Alarm,
    dns::native,
    https::fetch_with,
    runtime::{Clocked, Runtime},
    socket::Socket,
    wait::{apart, awaited},
};

/// An answer on its way.
type Pending<S> = Pin<Box<dyn Future<Output = Answered<S>> + Send>>;

/// A job on its way to its report.
struct Drive<R: Runtime, T, O> {
    /// The questions of the job. They end before the job does.
    pending: Vec<Pending<Socket<R>>>,
    alarm: Alarm<R>,
    job: Job<Socket<R>, T, O>,
    hub: Arc<Hub<Socket<R>>>,
    clock: Arc<Clocked<R>>,
}

/// Drives a job to its end.
pub(crate) fn drive<R: Runtime, T: TextSource, O: Observer>(
    clock: &Arc<Clocked<R>>,
    hub: &Arc<Hub<Socket<R>>>,
    mut job: Job<Socket<R>, T, O>,
) -> impl Future<Output = Report> + Send + use<R, T, O> {
    if let Err(error) = R::prepare() {
        job.fail(&error);
    }
    let mut drive = Drive {
        pending: Vec::new(),
        alarm: Alarm::new(),
        job,
        hub: Arc::clone(hub),
        clock: Arc::clone(clock),
    };
    std::future::poll_fn(move |cx| drive.poll(cx))
}

/// An answer that is waited for. Boxed, since Rust 1.88 cannot see otherwise that it may go to another thread.
type Awaited<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Asks a table, on a thread if it may hold that up.
fn look_up<R: Runtime>(
    table: NamedTable,
    query: TableQuery,
) -> Awaited<Result<Option<String>, TableFailure>> {
    let lost = Err(TableFailure {
        table: format!("external:{}", query.table),
        reason: "the table panicked".to_owned(),
    });
    match table {
        NamedTable::Blocking(table) => {
            Box::pin(apart::<R, _>(lost, move || table.lookup(&query.key)))
        }
        NamedTable::Async(table) => {
            Box::pin(awaited(lost, async move { table.lookup(&query.key).await }))
        }
    }
}

/// Asks a source of tokens, on a thread if it may hold that up.
fn token<R: Runtime>(
    source: TokenSource,
    wanted: Box<TokenRequest>,
) -> Awaited<Result<Secret, TokenFailure>> {
    let lost = Err(TokenFailure::new("its source panicked"));
    match source {
        TokenSource::Blocking(source) => {
            Box::pin(apart::<R, _>(lost, move || source.token(&wanted)))
        }
        TokenSource::Async(source) => {
            Box::pin(awaited(lost, async move { source.token(&wanted).await }))
        }
    }
}

/// Closes kept connections when their time is over, from a time on until none is left.
async fn look_after<R: Runtime>(clock: Weak<Clocked<R>>, hub: Weak<Hub<Socket<R>>>, from: Time) {
    let mut next = Some(from);
    while let Some(at) = next
        && let Some(sleep) = clock.upgrade().map(|clock| clock.sleep(at))
    {
        sleep.await;
        next = match (clock.upgrade(), hub.upgrade()) {
            (Some(clock), Some(hub)) => hub.expire(clock.time()),
            _ => None,
        };
    }
}

impl<R: Runtime, T: TextSource, O: Observer> Drive<R, T, O> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Report> {
        loop {
            let now = self.clock.time();
            match self.job.poll(now, cx.waker()) {
                Act::Resolve(slip, query) => match query.kind {
                    QueryKind::Native(family) => self.ask(|_| async move {
                        let lost = Err(Failure::TryAgain);
                        let answer = apart::<R, _>(lost, move || native(&query.name, family)).await;
                        Answered::Dns(slip, answer)
                    }),
                    _ => {
                        let config = Arc::clone(self.hub.policy().resolver());
                        let lookup = Lookup::new(query, config, self.hub.seed());
                        self.ask(|clock| async move {
                            Answered::Dns(slip, R::resolve(clock, lookup).await)
                        });
                    }
                },
                Act::LookUp(slip, table, query) => {
                    self.ask(
                        |_| async move { Answered::Table(slip, look_up::<R>(table, query).await) },
                    );
                }
                Act::Token(slip, source, wanted) => {
                    self.ask(
                        |_| async move { Answered::Token(slip, token::<R>(source, wanted).await) },
                    );
                }
                Act::Fetch(slip, request) => {
                    let sts = self.hub.policy().mta_sts();
                    let share = sts.and_then(|sts| sts.share()).cloned();
                    self.ask(|_| async move {
                        let fetched = fetch_with::<R>(share, *request).await;
                        Answered::Policy(slip, fetched)
                    });
                }
                Act::Connect(slip, target) => self.ask(|clock| async move {
                    Answered::Socket(slip, Socket::connect(&clock, target).await)
                }),
                Act::Expire(at) => {
                    let (clock, hub) = (Arc::downgrade(&self.clock), Arc::downgrade(&self.hub));
                    R::detach(look_after(clock, hub, at));
                }
                Act::Wait { until, interest } => ready!(self.wait(now, until, interest, cx)),
                Act::Yield => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Act::Done(report) => return Poll::Ready(report),
            }
        }
    }

    /// Begins to look for an answer.
    fn ask<F>(&mut self, question: impl FnOnce(Arc<Clocked<R>>) -> F)
    where
        F: Future<Output = Answered<Socket<R>>> + Send + 'static,
    {
        let answer = question(Arc::clone(&self.clock));
        self.pending.push(Box::pin(answer));
    }

    /// Waits until an answer has come, the socket is ready, or it is time.
    fn wait(
        &mut self,
        now: Time,
        until: Time,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        for (at, answer) in self.pending.iter_mut().enumerate() {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                drop(self.pending.swap_remove(at));
                self.job.answer(answer);
                return Poll::Ready(());
            }
        }
        if let Some(socket) = self.job.socket()
            && socket.is_ready(interest, cx)
        {
            return Poll::Ready(());
        }
        self.alarm.poll(&self.clock, now, until, cx)
    }
}
