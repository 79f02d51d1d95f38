//! The look-out for a resolver that does not validate (`dnssec_probe`): which answers
//! should be validated, and the one question that is asked if they are not.

use std::collections::BTreeSet;

use super::{Dns, Ticket};
use crate::{
    dns::{Answer, Failure, Query},
    policy::Policy,
};

/// The answers of a delivery's resolver, as far as they tell about validation.
#[derive(Debug, Default)]
pub(super) struct LookOut {
    /// The questions that are out and ask for validation.
    asked: BTreeSet<u32>,
    /// The probe that is out.
    probe: Option<u32>,
}

/// The meaning of an answer for the look-out.
pub(super) enum Heard {
    /// It is for whoever asked.
    Answer,
    /// It is for whoever asked, and this question is to be asked because of it.
    Suspicion(Query),
    /// It is the answer to the probe, with warnings, and for nobody else.
    Probe(Vec<String>),
}

impl LookOut {
    /// A question goes out with this ticket.
    pub(super) fn asks(&mut self, ticket: &Ticket<Dns>, query: &Query) {
        if query.validate {
            self.asked.insert(ticket.serial());
        }
    }

    /// Looks at an answer.
    pub(super) fn hears(
        &mut self,
        policy: &Policy,
        ticket: &Ticket<Dns>,
        answer: &Result<Answer, Failure>,
    ) -> Heard {
        let serial = ticket.serial();
        if self.probe == Some(serial) {
            self.probe = None;
            return Heard::Probe(policy.dnssec_probe().judge(answer));
        }
        if !self.asked.remove(&serial) {
            return Heard::Answer;
        }
        if answer.as_ref().is_ok_and(|answer| answer.validated) {
            policy.dnssec_probe().saw_validated();
            return Heard::Answer;
        }
        let suspicion = policy.dnssec_probe().saw_unvalidated();
        suspicion.map_or(Heard::Answer, Heard::Suspicion)
    }

    /// The probe goes out with this ticket.
    pub(super) fn probes(&mut self, ticket: &Ticket<Dns>) {
        self.probe = Some(ticket.serial());
    }

    /// Returns whether the probe is out. Meanwhile nothing else begins, as in Postfix.
    pub(super) const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Nobody waits for the probe any longer.
    pub(super) fn forget_probe(&mut self) {
        self.probe = None;
    }
}
