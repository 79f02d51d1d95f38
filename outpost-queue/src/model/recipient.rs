//! Recipients.

use smtp_policy::{
    report::{DsnKind, Outcome, Report},
    request::Recipient,
    schema::Verdict,
};

use super::{MessageId, TaskId};

/// The fate of a recipient in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing that lasts.
    #[default]
    Pending,
    /// A server took responsibility.
    Sent,
    /// Given up.
    Bounced,
    /// Taken out of the queue by an operator, who tells nobody.
    Cancelled,
}

/// A recipient of a message in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRecipient {
    /// The message.
    pub message: MessageId,
    /// The place in the envelope, from zero on.
    pub number: u32,
    /// The task that delivers, or has delivered.
    pub task: TaskId,
    /// Address, ORCPT, NOTIFY.
    pub recipient: Recipient,
    /// Its fate.
    pub fate: Fate,
    /// A copy may have been delivered by an attempt whose end is not known.
    pub doubtful: bool,
    /// The last verdict: a [`Verdict`] in JSON. None before the first.
    pub verdict: Option<String>,
    /// The report that the sender is owed about it and has not got.
    pub owed: Option<DsnKind>,
}

impl QueuedRecipient {
    /// Takes down a verdict. It is the last one if it is not a deferral.
    pub fn set_verdict(&mut self, outcome: &Outcome) {
        let recipient = &self.recipient;
        // It has no maps, and its texts are texts.
        self.verdict = serde_json::to_string(&Verdict { recipient, outcome }).ok();
    }

    /// The last verdict, read back.
    ///
    /// # Errors
    /// What is kept is no verdict.
    pub fn outcome(&self) -> Result<Option<Outcome>, serde_json::Error> {
        let Some(verdict) = &self.verdict else {
            return Ok(None);
        };
        let report = format!("{{\"recipients\":[{verdict}]}}");
        let report: Report = serde_json::from_str(&report)?;
        Ok(report
            .recipients
            .into_iter()
            .next()
            .map(|(_, outcome)| outcome))
    }
}
