//! The books of a delivery: text is handed over, verdicts are taken down. It does no I/O
//! but that of the text source.

use std::{
    io::{self, ErrorKind},
    task::{Context, Poll},
};

use bytes::Bytes;

use smtp_proto::status::EnhancedStatus;

use super::error_text;
use crate::{
    delivery::{Delivery, Note, Observer},
    report::{Outcome, Report, Scope, Status},
    request::{RcptIndex, Recipient},
    text::TextSource,
};

/// Does what a delivery asks without I/O: it hands over text, and takes down
/// verdicts for the [`Report`] and for whoever observes.
#[derive(Debug)]
pub struct Clerk<T, O> {
    text: T,
    observer: O,
    /// The verdicts of the part under way.
    outcomes: Vec<Option<Outcome>>,
    /// The mark of the delivery when it was last said who is in doubt.
    doubt: (bool, usize),
    /// The report on the parts that are over.
    report: Report,
}

impl<T: TextSource, O: Observer> Clerk<T, O> {
    /// For a request with this many recipients.
    pub fn new(recipients: usize, text: T, observer: O) -> Self {
        Self {
            text,
            observer,
            outcomes: vec![None; recipients],
            doubt: (false, 0),
            report: Report::default(),
        }
    }

    /// Answers [`Ask::Text`](crate::delivery::Ask::Text) from a source that does not wait.
    pub fn read(&mut self, job: &mut Delivery, offset: u64, room: usize) {
        let read = self.text.read(offset, room);
        self.hand_over(job, offset, read);
    }

    /// The same from a source that may have to wait. Where it is pending the delivery goes on meanwhile;
    /// this is to be called again when `cx` is woken, for as long as the delivery
    /// [wants text](Delivery::wants_text).
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        job: &mut Delivery,
        offset: u64,
        room: usize,
    ) -> Poll<()> {
        let Poll::Ready(read) = self.text.poll_read(cx, offset, room) else {
            job.text_pending();
            return Poll::Pending;
        };
        self.hand_over(job, offset, read);
        Poll::Ready(())
    }

    fn hand_over(&mut self, job: &mut Delivery, offset: u64, read: io::Result<Bytes>) {
        match read {
            Ok(chunk) => {
                self.observer
                    .progress(offset.saturating_add(chunk.len() as u64));
                job.text(chunk);
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => job.text_corrupt(),
            Err(error) => job.text_failed(error_text(&error)),
        }
    }

    /// Tells whose message may have been accepted, if that has changed. To be called
    /// before anything is written.
    pub fn look(&mut self, job: &Delivery) {
        let doubt = job.doubt_mark();
        if doubt != self.doubt {
            self.doubt = doubt;
            let first = self.first();
            let mut recipients = job.in_doubt();
            for index in &mut recipients {
                *index += first;
            }
            self.observer.in_doubt(&recipients);
        }
    }

    /// Takes down a verdict on one of the recipients of the part under way.
    pub fn settle(&mut self, recipients: &[Recipient], index: RcptIndex, outcome: Outcome) {
        if let Some(recipient) = recipients.get(index) {
            let position = self.first() + index;
            self.observer.settled(position, recipient, &outcome);
        }
        if let Some(slot) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }

    /// Passes on a line for the log.
    pub fn note(&mut self, note: &Note) {
        self.observer.note(note);
    }

    /// The observer.
    pub(super) const fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Closes the books on the recipients of the part that is over, and opens them for a
    /// part with `next` recipients. One without a verdict, which a correct engine does not
    /// leave, is deferred: mail is never lost in silence.
    pub(super) fn next_part(&mut self, recipients: &[Recipient], next: usize) {
        let outcomes = std::mem::replace(&mut self.outcomes, vec![None; next]);
        let outcomes = outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(missing));
        let part = recipients.iter().cloned().zip(outcomes).collect();
        self.report.append(Report::new(part));
        self.doubt = (false, 0);
    }

    /// The report on all parts that are over; nothing is left of it.
    pub(super) fn take_report(&mut self) -> Report {
        std::mem::take(&mut self.report)
    }

    /// The report on these recipients. One without a verdict, which a correct
    /// engine does not leave, is deferred: mail is never lost in silence.
    pub fn report(mut self, recipients: &[Recipient]) -> Report {
        self.next_part(recipients, 0);
        self.report
    }

    /// The number of recipients in the parts that are over.
    const fn first(&self) -> usize {
        self.report.recipients.len()
    }
}

/// The verdict on a recipient that has none.
fn missing() -> Outcome {
    let status = EnhancedStatus::new(4, 3, 0);
    let text = "the delivery ended without a verdict";
    let mut outcome = Outcome::new(Status::Deferred, status, text);
    (outcome.scope, outcome.uncertain) = (Scope::Session, true);
    outcome
}
