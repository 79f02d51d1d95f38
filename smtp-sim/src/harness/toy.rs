//! The smallest driver of a delivery: what it asks is answered at once by closures
//! or by a server that is a list of replies. Time passes only where nobody has
//! anything to say.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use smtp_policy::{
    delivery::{Ask, ConnectError, Delivery, TableQuery},
    dns::{Answer, Failure, Query},
    report::Outcome,
    reuse::ConnectionCache,
    settings::TokenFailure,
    sts::FetchError,
};
use smtp_proto::Time;

/// More asks than this mean that the delivery turns in a circle.
const ASKS: usize = 100_000;

/// What surrounds a delivery.
pub(super) struct Surroundings<'a> {
    pub(super) resolve: &'a mut dyn FnMut(&Query) -> Result<Answer, Failure>,
    pub(super) look_up: &'a mut dyn FnMut(&TableQuery) -> Option<String>,
    /// What a server says at the beginning, for an empty line, and then to each line
    /// that it gets; `None` closes.
    pub(super) reply: &'a mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
    pub(super) text: Bytes,
}

/// What was seen of a delivery.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All that was written, by connection.
    pub(super) written: Vec<Vec<u8>>,
    pub(super) outcomes: BTreeMap<usize, Outcome>,
    /// The lines for the log.
    pub(super) notes: Vec<String>,
}

/// A connection, from the server's side.
#[derive(Default)]
struct Link {
    /// How much of what was written has become lines.
    read: usize,
    said: Vec<u8>,
    closed: bool,
}

/// Drives a delivery to its end.
///
/// # Panics
/// A recipient is reported twice or never, a connection is left open, or there is
/// no end.
pub(super) fn drive(job: &mut Delivery, around: &mut Surroundings<'_>) -> Seen {
    let (mut seen, mut now) = (Seen::default(), Time::ZERO);
    let mut link: Option<Link> = None;
    let mut cache: ConnectionCache<Link> = ConnectionCache::new();
    for _ in 0..ASKS {
        match job.poll(now) {
            Ask::Resolve(ticket, query) => job.resolved(ticket, (around.resolve)(&query)),
            Ask::Fetch(ticket, _) => job.fetched(ticket, Err(FetchError::Unsupported)),
            Ask::Token(ticket, ..) => {
                job.token(ticket, Err(TokenFailure::new("there are no tokens")));
            }
            Ask::LookUp(ticket, query) => job.looked_up(ticket, Ok((around.look_up)(&query))),
            Ask::Reuse(ticket, key) => {
                let hit = cache.take(&key, now).map(|(kept, channel)| {
                    link = Some(kept);
                    channel
                });
                job.reused(ticket, hit);
            }
            Ask::Connect(ticket, _) => {
                let greeting = (around.reply)(b"");
                seen.written.push(Vec::new());
                link = greeting.map(|said| Link {
                    said,
                    ..Link::default()
                });
                let connected = link.as_ref().map(|_| ()).ok_or(ConnectError::Refused);
                job.connected(ticket, connected);
            }
            Ask::Send { .. } => {
                if let (Some(link), Some(output), Some(written)) =
                    (&mut link, job.output(), seen.written.last_mut())
                {
                    written.extend_from_slice(&output.copy_to_bytes(output.remaining()));
                    link.hear(written, around.reply);
                }
            }
            Ask::Wait { until } => match &mut link {
                Some(link) if !link.said.is_empty() => {
                    job.receive(&core::mem::take(&mut link.said));
                }
                Some(link) if link.closed => job.disconnected(),
                _ => now = until,
            },
            Ask::Text { offset, room } => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let from = from.min(around.text.len());
                let to = from.saturating_add(room).min(around.text.len());
                job.text(around.text.slice(from..to));
            }
            Ask::Report(index, outcome) => {
                let before = seen.outcomes.insert(index, *outcome);
                assert!(before.is_none(), "recipient {index} is reported twice");
            }
            Ask::Keep(keys, channel, until) => {
                if let Some(link) = link.take() {
                    cache.put(keys, link, channel, until);
                }
            }
            Ask::Note(note) => seen.notes.push(note.to_string()),
            Ask::Close => link = None,
            Ask::Done => {
                assert!(link.is_none(), "a connection is left open");
                assert_eq!(seen.outcomes.len(), job.request().recipients.len());
                return seen;
            }
        }
    }
    assert!(
        seen.outcomes.is_empty() && seen.written.is_empty() && now == Time::FAR,
        "the delivery turns in a circle"
    );
    seen
}

impl Link {
    fn hear(&mut self, written: &[u8], reply: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) {
        while !self.closed
            && let Some(rest) = written.get(self.read..)
            && let Some(at) = rest.iter().position(|byte| *byte == b'\n')
        {
            self.read += at + 1;
            match reply(rest.get(..=at).unwrap_or_default()) {
                Some(said) => self.said.extend_from_slice(&said),
                None => self.closed = true,
            }
        }
    }
}
