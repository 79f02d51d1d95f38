//! Spans and events of `tracing`: a span for each delivery, and one in it for each
//! connection. Nothing depends on them.

use tracing::Span;

use crate::{
    delivery::Ask,
    event::{Event, Level, Note},
    request::Request,
};

/// The spans that are open for one delivery. They are never entered, so that a driver may
/// move the delivery between threads; each event names its span.
#[derive(Debug)]
pub(super) struct Spans {
    delivery: Span,
    /// The connection under way.
    connection: Option<Span>,
}

impl Spans {
    /// Opens the span of a delivery.
    pub(super) fn open(request: &Request) -> Self {
        let delivery = tracing::info_span!(
            target: "outpost",
            "delivery",
            id = request.id.as_str(),
            protocol = request.protocol.as_str(),
            nexthop = request.nexthop.as_str(),
            recipients = request.recipients.len(),
        );
        Self {
            delivery,
            connection: None,
        }
    }

    /// Tells an event, and follows the connection that it is about.
    pub(super) fn note(&mut self, id: &str, note: &Note) {
        if let Event::Connected { server } | Event::Reused { server, .. } = &note.event {
            self.connection = Some(tracing::info_span!(
                target: "outpost",
                parent: &self.delivery,
                "connection",
                server = %server,
            ));
        }
        let span = self.connection.as_ref().unwrap_or(&self.delivery);
        let event = note.event.name();
        match note.level() {
            Level::Warning => {
                tracing::warn!(target: "outpost::note", parent: span, id, event, "{note}");
            }
            Level::Info => {
                tracing::info!(target: "outpost::note", parent: span, id, event, "{note}");
            }
            Level::Debug => {
                tracing::debug!(target: "outpost::note", parent: span, id, event, "{note}");
            }
            Level::Trace => {
                tracing::trace!(target: "outpost::note", parent: span, id, event, "{note}");
            }
        }
        if matches!(note.event, Event::Disconnected { .. }) {
            self.connection = None;
        }
    }

    /// Tells a question of the engine.
    pub(super) fn question(&self, id: &str, ask: &Ask) {
        if tracing::enabled!(target: "outpost", tracing::Level::TRACE)
            && let Some(question) = ask.question()
        {
            let span = self.connection.as_ref().unwrap_or(&self.delivery);
            tracing::trace!(target: "outpost", parent: span, id, "{question}");
        }
    }
}
