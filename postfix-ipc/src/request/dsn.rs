//! The verdict on a recipient or a destination, as Postfix's processes tell it to each
//! other (`src/global/dsn.h`), and the reply to a request.

use smtp_policy::report::Outcome;

use crate::attr::{Value, attributes};

attributes! {
    /// A delivery status: the reason of a verdict, with the reply that it comes from.
    #[derive(Default)]
    pub struct Dsn {
        /// The enhanced status code; empty means that there is no status.
        status: Value => "status",
        /// `smtp` where there is a reply.
        diagnostic_type: Value => "diag_type",
        /// The reply, its lines joined by blanks.
        diagnostic: Value => "diag_text",
        /// `dns` where there is a reply.
        mta_type: Value => "mta_type",
        /// The name of the host that replied.
        mta_name: Value => "mta_mname",
        /// The action field of a report: `failed`, `delayed`, ….
        action: Value => "action",
        /// The reason, as it is logged.
        reason: Value => "reason",
    }
}

impl Dsn {
    /// The status of a failure that no server caused.
    pub fn of_failure(status: &str, reason: &str) -> Self {
        Self {
            status: Value::masked(status),
            reason: Value::masked(reason),
            ..Self::default()
        }
    }
}

/// The status of a verdict, with the action of the verdict: of a probe, that is its word.
impl From<&Outcome> for Dsn {
    fn from(outcome: &Outcome) -> Self {
        let mut dsn = Self::of_failure(&outcome.code.to_string(), &outcome.text);
        dsn.action = Value::masked(match outcome.word {
            word @ ("deliverable" | "undeliverable") => word,
            _ => outcome.action.as_str(),
        });
        if let Some(reply) = &outcome.reply {
            dsn.diagnostic_type = Value::masked("smtp");
            dsn.diagnostic = Value::masked(&reply.one_line());
            dsn.mta_type = Value::masked("dns");
            let host = outcome.relay.server().map(|server| server.host.as_str());
            dsn.mta_name = Value::masked(host.unwrap_or_default());
        }
        dsn
    }
}

attributes! {
    /// The last list of a conversation: how a request ended.
    #[derive(Default)]
    pub struct FinalReply {
        /// The failure that makes the destination unusable; empty if it is not.
        hop: Dsn => _,
        /// Zero when every recipient was reported as delivered or bounced, otherwise -1.
        status: i32 => "status",
    }
}

impl FinalReply {
    /// All recipients are done with.
    pub fn done() -> Self {
        Self::default()
    }

    /// Some recipient is to be tried again, or the request could not be served.
    pub fn deferred() -> Self {
        Self {
            status: -1,
            ..Self::default()
        }
    }

    /// The same reply about a destination that no message can be delivered to for now,
    /// because of a verdict: the queue manager will throttle it.
    ///
    /// Nothing changes if the reply has no recipient to try again, if it tells a failure
    /// already, or if the verdict does not speak against the destination ([`Outcome::hop`]).
    pub fn throttled(self, outcome: &Outcome) -> Self {
        let told = !self.hop.status.is_empty();
        let Some(hop) = outcome.hop.as_deref().filter(|_| self.status != 0 && !told) else {
            return self;
        };
        let hop = Dsn {
            status: Value::masked(&hop.code.to_string()),
            reason: Value::from(&hop.text),
            action: Value::EMPTY,
            ..Dsn::from(outcome)
        };
        Self { hop, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_policy::report::{HopStatus, Status};
    use smtp_proto::{EnhancedStatus, Reply};

    #[test]
    fn a_destination_is_throttled_for_what_it_did_to_a_recipient() {
        let outcome = |hop: Option<&str>| {
            let code = EnhancedStatus::new(4, 4, 1);
            let mut outcome = Outcome::new(Status::Deferred, code, "filtered");
            outcome.reply = Some(Reply::new(421, "421 no"));
            outcome.hop = hop.map(|text| {
                let (code, text) = (EnhancedStatus::new(5, 7, 1), text.into());
                Box::new(HopStatus { code, text })
            });
            outcome
        };
        let told = FinalReply::deferred().throttled(&outcome(Some("first")));
        let Dsn {
            status,
            diagnostic,
            action,
            reason,
            ..
        } = &told.hop;
        let texts = [status, diagnostic, action, reason].map(|value| value.to_str().unwrap());
        assert_eq!(texts, ["5.7.1", "421 no", "", "first"]);
        assert_eq!(told.status, -1);
        assert_eq!(told.clone().throttled(&outcome(Some("second"))), told);
        // Nobody is to be tried again: a probe was told of the failure.
        let done = FinalReply::done();
        assert_eq!(done.clone().throttled(&outcome(Some("first"))), done);
        let reply = FinalReply::deferred();
        assert_eq!(reply.clone().throttled(&outcome(None)), reply);
    }
}
