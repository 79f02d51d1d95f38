//! The observer of one message: counts connections and measures them.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use smtp_policy::{
    delivery::Observer,
    event::{Event, Level, Note},
};

use super::{Books, lock};
use crate::output::complain;

/// Warnings that differ are told up to this many.
const WARNINGS: usize = 20;

/// Watches a message for the books of its run.
#[derive(Debug)]
pub(super) struct Watch {
    books: Arc<Mutex<Books>>,
    /// The moment of the last step on the way to a connection.
    step: Instant,
}

impl Watch {
    /// Begins now, as the delivery does.
    pub(super) fn new(books: Arc<Mutex<Books>>) -> Self {
        let step = Instant::now();
        Self { books, step }
    }
}

impl Observer for Watch {
    fn note(&mut self, note: &Note) {
        match &note.event {
            Event::Connected { .. } => {
                let now = Instant::now();
                let mut books = lock(&self.books);
                books.tally.connect.add(now - self.step);
                books.tally.connections.made += 1;
                self.step = now;
            }
            // STARTTLS follows.
            Event::Greeted { .. } => self.step = Instant::now(),
            Event::TlsEstablished { .. } => {
                let mut books = lock(&self.books);
                books.tally.tls.add(self.step.elapsed());
                books.tally.connections.encrypted += 1;
            }
            Event::ConnectFailed { .. } => {
                lock(&self.books).tally.connections.failed += 1;
                self.step = Instant::now();
            }
            Event::KeptConnectionOver { .. }
            | Event::KeptConnectionEnded { .. }
            | Event::Disconnected { .. } => self.step = Instant::now(),
            _ => {}
        }
        self.tell(note);
    }
}

impl Watch {
    /// Tells what a person wants to know, each warning once.
    fn tell(&self, note: &Note) {
        match note.level() {
            Level::Warning => {
                let text = note.to_string();
                let mut books = lock(&self.books);
                if books.warnings.len() < WARNINGS && books.warnings.insert(text.clone()) {
                    drop(books);
                    complain(format_args!("warning: {text}"));
                }
            }
            Level::Info => tracing::info!(target: "outpost", "{note}"),
            Level::Debug => tracing::debug!(target: "outpost", "{note}"),
            _ => tracing::trace!(target: "outpost", "{note}"),
        }
    }
}
