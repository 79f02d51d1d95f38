//! The loop that does what a delivery asks.

use std::{future::Future, pin::Pin};

use futures_util::stream::{FuturesUnordered, StreamExt};
use smol::{
    Timer,
    future::{self, FutureExt},
};
use smtp_policy::{
    delivery::{self, Ask, ConnectError, Delivery, Level, Note, Observer, Ticket},
    dns::{Answer, Failure},
    driver::{Clerk, Line},
    report::Report,
    sts::{FetchError, Fetched},
    tables::TableFailure,
    text::TextSource,
};
use smtp_proto::time::Time;

use crate::{client::Inner, dns, https, net, net::Socket, reactor};

/// An answer to a ticket, when it has come.
enum Answered {
    Dns(Ticket<delivery::Dns>, Result<Answer, Failure>),
    Table(
        Ticket<delivery::External>,
        Result<Option<String>, TableFailure>,
    ),
    Policy(Ticket<delivery::Https>, Result<Fetched, FetchError>),
    Socket(Ticket<delivery::Socket>, Result<Socket, ConnectError>),
}

type Answers<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Answered> + Send + 'a>>>;

/// Runs a delivery to its end.
pub(crate) async fn run(
    client: &Inner,
    mut job: Delivery,
    text: impl TextSource,
    observer: impl Observer,
) -> Report {
    let mut clerk = Clerk::new(job.request().recipients.len(), text, observer);
    if let Err(error) = reactor::start_reactor() {
        return clerk.decline(job, client.now(), &error);
    }
    let mut answers = Answers::new();
    let mut line = None;
    let mut cancelled = false;
    loop {
        if !cancelled && client.is_cancelled() {
            cancelled = true;
            job.cancel();
        }
        let ask = job.poll(client.now());
        trace_question(&job.request().id, &ask);
        match ask {
            Ask::Resolve(ticket, query) => answers.push(Box::pin(async move {
                Answered::Dns(ticket, dns::resolve(client, query).await)
            })),
            Ask::LookUp(ticket, query) => answers.push(Box::pin(async move {
                Answered::Table(ticket, client.look_up(query).await)
            })),
            Ask::Fetch(ticket, request) => answers.push(Box::pin(async move {
                Answered::Policy(ticket, https::fetch(request).await)
            })),
            Ask::Connect(ticket, target) => answers.push(Box::pin(async move {
                Answered::Socket(ticket, net::connect(target).await)
            })),
            Ask::Reuse(ticket, key) => {
                let hit = client.pool.take(&key, client.now());
                job.reused(
                    ticket,
                    hit.map(|(kept, channel)| {
                        line = Some(Line::new(kept));
                        channel
                    }),
                );
            }
            ref ask @ (Ask::Send { until } | Ask::Wait { until }) => {
                let sending = matches!(ask, Ask::Send { .. });
                clerk.look(&job);
                if line
                    .as_mut()
                    .is_some_and(|open| open.exchange(&mut job, sending))
                {
                    future::yield_now().await;
                    continue;
                }
                let open = line.as_ref();
                if let Some(answer) =
                    wait(client, cancelled, open, sending, &mut answers, until).await
                {
                    give(&mut job, answer, &mut line);
                }
            }
            Ask::Text { offset, room } => clerk.read(&mut job, offset, room),
            Ask::Report(index, outcome) => {
                clerk.settle(&job.request().recipients, index, *outcome);
            }
            Ask::Note(note) => {
                trace(&job.request().id, &note);
                clerk.note(&note);
            }
            Ask::Keep(keys, channel, expires) => {
                if let Some(open) = line.take() {
                    client
                        .pool
                        .keep(keys, open.into_socket(), channel, expires, client.now());
                }
            }
            Ask::Close => line = None,
            Ask::Done => return clerk.report(&job.request().recipients),
        }
    }
}

/// Waits until the connection can be read from, or written to when `sending`,
/// until an answer comes, which is returned, until the client is cancelled and
/// the delivery does not know it as `cancelled`, or until it is time.
async fn wait(
    client: &Inner,
    cancelled: bool,
    line: Option<&Line<Socket>>,
    sending: bool,
    answers: &mut Answers<'_>,
    until: Time,
) -> Option<Answered> {
    let answered = async {
        match answers.next().await {
            Some(answer) => Some(answer),
            None => future::pending().await,
        }
    };
    let ended = async {
        match cancelled {
            true => future::pending().await,
            false => client.cancelled().await,
        }
    };
    let late = async { _ = Timer::after(until.since(client.now())).await };
    let nothing = async {
        ready(line, sending).or(ended).or(late).await;
        None
    };
    answered.or(nothing).await
}

async fn ready(line: Option<&Line<Socket>>, sending: bool) {
    match line {
        Some(open) => open.socket().ready(!open.is_ended(), sending).await,
        None => future::pending().await,
    }
}

/// Passes on an answer. A new connection becomes the open one.
fn give(job: &mut Delivery, answer: Answered, line: &mut Option<Line<Socket>>) {
    match answer {
        Answered::Dns(ticket, answer) => job.resolved(ticket, answer),
        Answered::Table(ticket, value) => job.looked_up(ticket, value),
        Answered::Policy(ticket, result) => job.fetched(ticket, result),
        Answered::Socket(ticket, made) => {
            job.connected(ticket, made.map(|open| *line = Some(Line::new(open))));
        }
    }
}

/// Hands a question of the engine to `tracing`.
fn trace_question(id: &str, ask: &Ask) {
    if tracing::enabled!(target: "outpost", tracing::Level::TRACE)
        && let Some(question) = ask.question()
    {
        tracing::trace!(target: "outpost", id, "{question}");
    }
}

/// Hands a note of the engine to `tracing`.
fn trace(id: &str, note: &Note) {
    match note.level() {
        Level::Warning => tracing::warn!(target: "outpost::note", id, "{note}"),
        Level::Info => tracing::info!(target: "outpost::note", id, "{note}"),
        Level::Debug => tracing::debug!(target: "outpost::note", id, "{note}"),
        _ => tracing::trace!(target: "outpost::note", id, "{note}"),
    }
}
