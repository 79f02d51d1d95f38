//! The loop that does what a delivery asks.

use smtp_policy::{
    delivery::{self, Ask, ConnectError, Delivery, Level, Note, Observer, Ticket},
    dns::{Answer, Failure},
    driver::{self, Line, Verdicts},
    report::Report,
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
    Socket(Ticket<delivery::Socket>, Result<Socket, ConnectError>),
}

/// Runs a delivery to its end.
pub(crate) fn run(
    client: &Inner,
    mut job: Delivery,
    text: &mut impl TextSource,
    observer: &mut impl Observer,
) -> Report {
    let mut verdicts = Verdicts::new(job.request().recipients.len());
    let mut pending = match Pending::new(client) {
        Ok(pending) => pending,
        Err(error) => {
            tracing::warn!(target: "outpost", "cannot wait for I/O: {}", driver::error_text(&error));
            return decline(client, job, observer);
        }
    };
    let mut line = None;
    let mut cancelled = false;
    loop {
        if !cancelled && client.is_cancelled() {
            cancelled = true;
            job.cancel();
        }
        match job.poll(client.now()) {
            Ask::Resolve(ticket, query) => pending.resolve(ticket, query),
            Ask::LookUp(ticket, query) => pending.look_up(ticket, query),
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
            ask @ (Ask::Send { until } | Ask::Wait { until }) => {
                let sending = matches!(ask, Ask::Send { .. });
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
            Ask::Text { offset, room } => match text.read(offset, room) {
                Ok(chunk) => {
                    observer.progress(offset.saturating_add(chunk.len() as u64));
                    job.text(chunk);
                }
                Err(error) => job.text_failed(driver::error_text(&error)),
            },
            Ask::Report(index, outcome) => {
                observer.settled(index, &outcome);
                verdicts.settle(index, *outcome);
            }
            Ask::Note(note) => {
                trace(&job.request().id, &note);
                observer.note(&note);
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
            Ask::Done => return verdicts.report(&job.request().recipients),
        }
    }
}

/// Ends a delivery that cannot begin.
fn decline(client: &Inner, mut job: Delivery, observer: &mut impl Observer) -> Report {
    let mut verdicts = Verdicts::new(job.request().recipients.len());
    job.cancel();
    loop {
        match job.poll(client.now()) {
            Ask::Report(index, outcome) => {
                observer.settled(index, &outcome);
                verdicts.settle(index, *outcome);
            }
            Ask::Done => return verdicts.report(&job.request().recipients),
            _ => {}
        }
    }
}

/// Passes on an answer. A new connection becomes the open one.
fn give(job: &mut Delivery, answer: Answered, line: &mut Option<Line<Socket>>) {
    match answer {
        Answered::Dns(ticket, answer) => job.resolved(ticket, answer),
        Answered::Table(ticket, value) => job.looked_up(ticket, value),
        Answered::Socket(ticket, made) => {
            job.connected(ticket, made.map(|open| *line = Some(Line::new(open))));
        }
    }
}

/// Hands a note of the engine to `tracing`.
fn trace(id: &str, note: &Note) {
    match note.level {
        Level::Debug => tracing::debug!(target: "outpost", id, "{}", note.text),
        Level::Info => tracing::info!(target: "outpost", id, "{}", note.text),
        Level::Warning => tracing::warn!(target: "outpost", id, "{}", note.text),
    }
}
