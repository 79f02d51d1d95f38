//! DNS questions that several deliveries have at the same time: the first of them asks,
//! the others hear the answer. This asks nobody itself, and keeps no answer: whoever comes
//! later asks anew.
//!
//! An answer is shared if it would be the same for everybody: records, or that there are
//! none. A failure is not, since a delivery that asked later would have tried for longer;
//! each of those who wait then asks for itself, as processes of Postfix do. They do so too
//! when the first one comes to no end within a time limit: nobody depends on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use smtp_proto::time::Time;

use super::bell::{Bell, Heard, lock};
use crate::{
    delivery::{Dns, Ticket},
    dns::{Answer, Failure, Query},
};

/// The questions that are under way.
#[derive(Debug, Default)]
pub(super) struct Inquiries(Mutex<BTreeMap<Query, Vec<Follower>>>);

/// A delivery that waits for what another one hears.
#[derive(Debug)]
struct Follower {
    bell: Arc<Bell>,
    serial: u32,
}

/// The questions of one delivery, except for those that it has asked for itself alone.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Vec<Question>,
    /// To be asked by the driver.
    due: Vec<(Ticket<Dns>, Query)>,
}

/// A question that others may have too.
#[derive(Debug)]
struct Question {
    query: Query,
    serial: u32,
    role: Role,
}

/// The part of a delivery in a question.
#[derive(Debug)]
enum Role {
    /// It asks, and tells the others.
    Leads,
    /// It waits for the one that asks, at most until then.
    Follows(Ticket<Dns>, Time),
}

impl Inquiries {
    /// Joins those who want to know something. `serial` is the ticket's number at whoever
    /// hears `bell`. Returns whether there was nobody else, so that it is to ask.
    fn join(&self, query: &Query, bell: &Arc<Bell>, serial: u32) -> bool {
        let mut open = lock(&self.0);
        let Some(followers) = open.get_mut(query) else {
            open.insert(query.clone(), Vec::new());
            return true;
        };
        followers.push(Follower {
            bell: Arc::clone(bell),
            serial,
        });
        false
    }

    /// Ends a question with what its leader has heard. `None`: it hears nothing any more.
    fn conclude(&self, query: &Query, result: Option<&Result<Answer, Failure>>) {
        let followers = lock(&self.0).remove(query).unwrap_or_default();
        for Follower { bell, serial } in followers {
            let heard = match result {
                Some(result) if is_for_everybody(result) => Heard::Answer(result.clone()),
                _ => Heard::Nothing,
            };
            bell.answer(serial, heard);
        }
    }
}

impl Questions {
    /// Takes a question. Unless somebody has it already, it is due at once; others are
    /// waited for at most until `limit`.
    pub(super) fn ask(
        &mut self,
        inquiries: &Inquiries,
        bell: &Arc<Bell>,
        ticket: Ticket<Dns>,
        query: Query,
        limit: Time,
    ) {
        let serial = ticket.serial();
        let role = if inquiries.join(&query, bell, serial) {
            self.due.push((ticket, query.clone()));
            Role::Leads
        } else {
            Role::Follows(ticket, limit)
        };
        self.open.push(Question {
            query,
            serial,
            role,
        });
    }

    /// The next question for the driver.
    pub(super) fn take_due(&mut self) -> Option<(Ticket<Dns>, Query)> {
        self.due.pop()
    }

    /// Passes on what the driver has found out.
    pub(super) fn answered(
        &mut self,
        inquiries: &Inquiries,
        serial: u32,
        result: &Result<Answer, Failure>,
    ) {
        if let Some(question) = self.take(serial) {
            inquiries.conclude(&question.query, Some(result));
        }
    }

    /// Takes what somebody else has found out. Returns it if it is an answer; otherwise the
    /// question is due.
    pub(super) fn heard(
        &mut self,
        serial: u32,
        heard: Heard,
    ) -> Option<(Ticket<Dns>, Result<Answer, Failure>)> {
        let Question { query, role, .. } = self.take(serial)?;
        match (role, heard) {
            (Role::Follows(ticket, _), Heard::Answer(answer)) => return Some((ticket, answer)),
            (Role::Follows(ticket, _), Heard::Nothing) => self.due.push((ticket, query)),
            // Nobody tells the one who tells.
            (Role::Leads, _) => {}
        }
        None
    }

    /// Asks for itself what somebody else has not found out in time.
    pub(super) fn lose_patience(&mut self, now: Time) {
        let is_late = |question: &mut Question| match question.role {
            Role::Follows(_, limit) => limit <= now,
            Role::Leads => false,
        };
        for question in self.open.extract_if(.., is_late) {
            if let Role::Follows(ticket, _) = question.role {
                self.due.push((ticket, question.query));
            }
        }
    }

    /// The time of the next loss of patience.
    pub(super) fn deadline(&self) -> Time {
        let limits = self.open.iter().map(|question| match question.role {
            Role::Follows(_, limit) => limit,
            Role::Leads => Time::FAR,
        });
        limits.min().unwrap_or(Time::FAR)
    }

    /// Forgets all questions. Those who waited for an answer ask for themselves.
    pub(super) fn abandon(&mut self, inquiries: &Inquiries) {
        self.due.clear();
        for question in self.open.drain(..) {
            if let Role::Leads = question.role {
                inquiries.conclude(&question.query, None);
            }
        }
    }

    fn take(&mut self, serial: u32) -> Option<Question> {
        let at = self
            .open
            .iter()
            .position(|question| question.serial == serial)?;
        Some(self.open.swap_remove(at))
    }
}

/// Returns whether a later question would have had the same result.
const fn is_for_everybody(result: &Result<Answer, Failure>) -> bool {
    matches!(result, Ok(_) | Err(Failure::NotFound | Failure::NoData))
}
