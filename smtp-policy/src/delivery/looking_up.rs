//! The phase in which tables are asked about the server that is about to be connected
//! to. Each may be outside the engine.

use super::{
    Ask,
    attempt::Attempt,
    connecting::Connecting,
    context::{Context, NewToken},
    phase::{Next, Phase},
};
use crate::{settings::TokenFailure, tables::TableFailure};
use smtp_proto::secret::Secret;

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

    /// The token.
    pub(super) fn take_token(&mut self, token: Result<Secret, TokenFailure>) {
        self.question = None;
        self.attempt.lookups.take_token(token);
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
        if let Some((source, wanted)) = self.attempt.lookups.wanted_token() {
            if wanted.refresh {
                cx.new_token = NewToken::Asked;
            }
            let ticket = cx.ticket();
            self.question = Some(ticket.serial());
            let ask = Ask::Token(ticket, source, Box::new(wanted));
            return Next::Ask(Phase::LookingUp(self), ask);
        }
        Connecting::begin(cx, self.attempt)
    }
}
