//! The loop that does what a delivery asks.

use smtp_policy::{
    delivery::{self, Ask, ConnectError, Delivery, Level, Note, Observer, Ticket},
    dns::{Answer, Failure},
    driver::{Clerk, Line},
    report::Report,
    sts::{FetchError, Fetched},
    tables::TableFailure,
    text::TextSource,
};

use crate::{client::Inner, net::Socket, wait::Pending};

/// An answer to a ticket, when it has come.
pub(crate) enum Answered {
    Dns(Ticket<delivery::Dns>, Result<Answer, Failure>),
    Table(
        Ticket<delivery::External>,
        Result<Option<String>, TableFailure>,
    ),
    Policy(Ticket<delivery::Https>, Result<Fetched, FetchError>),
    Socket(Ticket<delivery::Socket>, Result<Socket, ConnectError>),
}

/// Runs a delivery to its end.
pub(crate) fn run(
    client: &Inner,
    mut job: Delivery,
    text: impl TextSource,
    observer: impl Observer,
) -> Report {
    let mut clerk = Clerk::new(job.request().recipients.len(), text, observer);
    let mut pending = match Pending::new(client) {
        Ok(pending) => pending,
        Err(error) => return clerk.decline(job, client.now(), &error),
    };
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
            Ask::Resolve(ticket, query) => pending.resolve(ticket, query),
            Ask::LookUp(ticket, query) => pending.look_up(ticket, query),
            Ask::Fetch(ticket, request) => pending.fetch(ticket, request),
            Ask::Connect(ticket, target) => pending.connect(ticket, &target),
            Ask::Reuse(ticket, key) => {
                let hit = client.pool.take(&key, client.now());
                job.reused(
                    ticket,
                    hit.map(|(kept, channel)| {
                        pending.register(&kept);
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
                    continue;
                }
                match pending.answer() {
                    Some(answer) => give(&mut job, answer, &mut line),
                    None => pending.wait(until),
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
                    pending.deregister(open.socket());
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
