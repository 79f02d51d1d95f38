//! Messages.

use core::time::Duration;

use smtp_policy::request::{QueueId, Recipient, Request};

use super::{DestinationName, MessageId, Timestamp};

/// The kind of a message, as the queue sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Mail that somebody handed in.
    #[default]
    Mail,
    /// A report of the queue itself: a delivery status notification, a report about TLS.
    Report,
}

/// The stage that a message has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageState {
    /// Its text is being written. It has no task yet.
    #[default]
    Arriving,
    /// Recipients wait for their verdict.
    Queued,
    /// Every recipient is settled, and every report made. The text is gone.
    Finished,
}

/// A message without its text and its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Mail, or a report.
    pub kind: Kind,
    /// The stage that it has reached.
    pub state: MessageState,
    /// The envelope sender, unquoted; empty for the null sender.
    pub sender: String,
    /// The request for its delivery, without recipients and next hop: the serialized form of [`Request`], in JSON.
    pub envelope: String,
    /// The number of bytes of its text.
    pub size: u64,
    /// The time of its arrival.
    pub arrived: Timestamp,
    /// The recipients without a last verdict.
    pub unsettled: u32,
    /// The time at which reports are due that its sender is owed; [`Timestamp::NEVER`] where none is.
    pub report_at: Timestamp,
    /// The time at which it was finished; [`Timestamp::NEVER`] before that.
    pub finished: Timestamp,
}

impl Message {
    /// The request for a delivery to these recipients, of whom there is at least one, at this age.
    ///
    /// # Errors
    /// What is kept is no request.
    pub fn request(
        &self,
        destination: &DestinationName,
        recipients: &[&Recipient],
        age: Duration,
    ) -> Result<Request, serde_json::Error> {
        let mut form: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&self.envelope)?;
        form.insert("nexthop".into(), destination.nexthop().into());
        form.insert("protocol".into(), destination.protocol().to_string().into());
        form.insert("recipients".into(), serde_json::to_value(recipients)?);
        form.insert("age".into(), age.as_secs().into());
        let mut request: Request = serde_json::from_value(form.into())?;
        let name = self.id.to_string().parse();
        request.id = name.unwrap_or_else(|_| QueueId::default());
        Ok(request)
    }
}
