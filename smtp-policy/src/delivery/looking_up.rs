//! The phase in which tables are asked about the server that is about to be connected
//! to. Each may be outside the engine.

use super::{
    Ask,
    attempt::Attempt,
    connecting::Connecting,
    context::Context,
    phase::{Next, Phase},
};
use crate::tables::TableFailure;

/// The look-ups for an attempt.
#[derive(Debug)]
pub(super) struct LookingUp {
    attempt: Box<Attempt>,
    /// The question that is out.
    question: Option<u32>,
}

impl LookingUp {
    pub(super) const fn new(attempt: Box<Attempt>) -> Self {
        Self {
            attempt,
            question: None,
        }
    }

    /// Returns whether this is the ticket of the question that is out.
    pub(super) fn asked(&self, serial: u32) -> bool {
        self.question == Some(serial)
    }

    /// The answer.
    pub(super) fn looked_up(&mut self, value: Result<Option<String>, TableFailure>) {
        self.question = None;
        self.attempt.lookups.answered(value);
    }

    /// Asks one question after the other, and then for a connection.
    pub(super) fn poll(mut self, cx: &mut Context) -> Next {
        if self.question.is_some() {
            return Next::Await(Phase::LookingUp(self));
        }
        if let Some(query) = self.attempt.lookups.step() {
            let ticket = cx.ticket();
            self.question = Some(ticket.serial());
            return Next::Ask(Phase::LookingUp(self), Ask::LookUp(ticket, query));
        }
        Connecting::begin(cx, self.attempt)
    }
}
