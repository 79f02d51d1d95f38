//! The look-out for a resolver that does not validate (`dnssec_probe`): which answers
//! should be validated, and the one question that is asked if they are not.

use std::collections::BTreeSet;

use smtp_proto::time::Time;

use super::{Ask, Delivery, Dns, Note, Ticket};
use crate::dns::{Answer, Failure};

/// What this delivery knows about validation.
#[derive(Debug, Default)]
pub(super) struct LookOut {
    /// The questions that are out and ask for validation.
    asked: BTreeSet<u32>,
    /// The probe that is out.
    probe: Option<u32>,
}

impl Delivery {
    /// Takes note of a question on its way out.
    pub(super) fn watch_ask(&mut self, ask: Ask) -> Ask {
        if let Ask::Resolve(ticket, query) = &ask
            && query.validate
            && self.look_out.probe != Some(ticket.serial())
        {
            self.look_out.asked.insert(ticket.serial());
        }
        ask
    }

    /// Looks at an answer. True: it was the answer to the probe, and for nobody else.
    pub(super) fn watch_answer(
        &mut self,
        ticket: &Ticket<Dns>,
        answer: &Result<Answer, Failure>,
    ) -> bool {
        let serial = ticket.serial();
        if self.look_out.probe == Some(serial) {
            self.look_out.probe = None;
            for warning in self.policy.dnssec_probe().judge(answer) {
                self.note(Note::warning(warning));
            }
            return true;
        }
        if !self.look_out.asked.remove(&serial) {
            return false;
        }
        if answer.as_ref().is_ok_and(|answer| answer.validated) {
            self.policy.dnssec_probe().saw_validated();
        } else if let Some(query) = self.policy.dnssec_probe().saw_unvalidated() {
            let ticket = self.ticket();
            self.look_out.probe = Some(ticket.serial());
            self.asks.push_back(Ask::Resolve(ticket, query));
        }
        false
    }

    /// While the probe is out, nothing else begins, as in Postfix.
    pub(super) fn await_probe(&mut self, give_up: Time) -> Option<Ask> {
        self.look_out.probe?;
        if self.now < give_up && !self.cancelled {
            return Some(Ask::Wait { until: give_up });
        }
        self.look_out.probe = None;
        None
    }
}
